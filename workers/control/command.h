/* The command line: a verb, its options, and what is left for the configuration (--config, --set,
 * --help). Only what can be said without Kafka is checked here; all errors are ERR_CONFIG and name
 * the option. */
#pragma once

#include "policy/control.h"

enum verb {
    VERB_KILL,
    VERB_LIST,
    VERB_REVOKE,
    VERB_LIMIT_SET,
    VERB_LIMIT_CLEAR,
    VERB_SHED,
    N_VERBS
};

#define COMMAND_OPTIONS(OPTION)                                                                    \
    OPTION(TENANT, "--tenant", true)                                                               \
    OPTION(METRIC, "--metric", true)                                                               \
    OPTION(LABEL, "--label", true)                                                                 \
    OPTION(DROP, "--drop", false)                                                                  \
    OPTION(SAMPLE, "--sample", true)                                                               \
    OPTION(DRY_RUN, "--dry-run", false)                                                            \
    OPTION(WINDOW, "--window", true)                                                               \
    OPTION(BUDGET, "--budget", true)                                                               \
    OPTION(VALUE, "--value", true)                                                                 \
    OPTION(CLASS, "--class", true)                                                                 \
    OPTION(TTL, "--ttl", true)                                                                     \
    OPTION(REASON, "--reason", true)                                                               \
    OPTION(WHO, "--who", true)                                                                     \
    OPTION(FORCE, "--force", false)                                                                \
    OPTION(JSON, "--json", false)                                                                  \
    OPTION(ALL, "--all", false)

#define COMMAND_OPTION_ID(id, name, takes_value) OPTION_##id,
enum option { COMMAND_OPTIONS(COMMAND_OPTION_ID) N_OPTIONS };

/* Strings are argv's, or the environment's. */
struct command {
    enum verb verb;
    const char *values[N_OPTIONS]; /* NULL = not given; a flag's is its name */
    const char *id;                /* revoke, limit clear; else NULL */
    const char *who;               /* of a writing command */
    int64_t ttl_ms;
    int64_t window_ms;        /* of a dry run */
    struct control_rule rule; /* what kill, limit set and shed ask for; without id and times */
    struct control_label labels[CONTROL_MAX_LABELS];
    bool is_help; /* only the configuration's own options were given */
    int n_rest;
    char **rest; /* owned: argv[0] and the configuration's part */
};

bool command_parse(int argc, char **argv, struct command *out, struct err *e) MUST_CHECK;
void command_fini(struct command *c);
