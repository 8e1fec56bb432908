/* The control topic read to its end: the rules that are there, those that are over included. */
#pragma once

#include "policy/controls.h"
#include "tool.h"

enum { MAX_ODD = 1000 };

/* A record that is no rule here: bad, or of a kind that only a newer version knows. */
struct odd {
    char *id;    /* owned */
    char *cause; /* owned */
};

struct reading {
    struct controls controls;
    struct odd odd[MAX_ODD]; /* more are not kept */
    size_t n_odd;
    uint64_t draw;
};

/* Do the brokers answer, and have the topic? Sooner told than by the reading, which is patient. */
bool reading_check(const struct tool *t, struct err *e) MUST_CHECK;
/* On success *out is the caller's (reading_free). */
bool reading_new(const struct tool *t, struct reading **out, struct err *e) MUST_CHECK;
void reading_free(struct reading *r);
const struct control_rule *reading_find(const struct reading *r, const char *id);
bool reading_has_odd(const struct reading *r, const char *id);
