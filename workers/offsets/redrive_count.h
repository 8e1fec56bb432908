/* What became of the letters, for the report. */
#pragma once

#include "redrive_letters.h"

struct redrive_count {
    uint64_t n_letters;
    uint64_t n_redriven; /* letters, of which some went */
    uint64_t n_samples;  /* that went */
    uint64_t n_before;   /* letters that were redriven before */
    uint64_t n_past_retention;
    uint64_t n_other_topic;
    uint64_t n_gone;
    uint64_t n_unclear;  /* letters whose points can't be told from what passed at once */
    uint64_t n_unlisted; /* samples that no letter lists */
    json_t *refused;     /* owned: samples by reason */
};

/* n samples that did not go, and why. */
bool redrive_refused_add(struct redrive_count *c, const char *reason, uint64_t n,
                         struct err *e) MUST_CHECK;
/* Did all that was asked for go? */
bool redrive_is_whole(const struct redrive_count *c, const struct redrive_letters *l);
bool redrive_count_print(const struct tool *t, const struct redrive_count *c,
                         const struct redrive_letters *l, struct err *e) MUST_CHECK;
