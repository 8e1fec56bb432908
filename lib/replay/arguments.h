/* The words of `plan replay` and `apply`: those of the operator's tool are also those of the
 * workers that it hands a replay to, which know their sink. What is not among them is
 * configuration (--config, --set …) and stays in rest. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum replay_verb { REPLAY_PLAN, REPLAY_APPLY };

struct replay_arguments {
    enum replay_verb verb;
    const char *stage; /* "" = not said; so are all texts */
    const char *topic;
    const char *from;
    const char *to;
    const char *partitions; /* "0,3-5" */
    const char *tenant;
    const char *metric;
    const char *out;
    const char *plan;    /* the file; of apply */
    const char *instead_of; /* an unfinished plan's id, which is given up for this one; of apply */
    int64_t rate;        /* samples a second; 0 = as fast as it goes */
    int64_t max_refused; /* of apply */
    bool as_json;
    bool abandon;
    bool help;
    int n_rest;
    char **rest; /* owned; argv for config_load, NULL-ended, rest[0] the program */
};

/* argv[0] is the program, argv[1] and on are behind the verb. ERR_CONFIG names the word. */
bool replay_arguments_read(enum replay_verb verb, int argc, char **argv,
                           struct replay_arguments *out, struct err *e) MUST_CHECK;
void replay_arguments_fini(struct replay_arguments *a);

/* "0,3-5": ERR_CONFIG when it is no such list. */
bool replay_partitions_check(const char *text, struct err *e) MUST_CHECK;
/* Is it among them? "" has all. The text was checked. */
bool replay_partition_wanted(const char *partitions, int32_t partition);
/* The highest one that is named; -1: none. */
int64_t replay_partition_highest(const char *partitions);
