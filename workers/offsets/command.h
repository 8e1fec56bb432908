/* The command line: a verb, its words and options, and what is left for the configuration
 * (--config, --set, --help). Only what can be said without Kafka is checked here; all errors are
 * ERR_CONFIG and name the option. */
#pragma once

#include "base/err.h"

enum verb {
    VERB_HELP,
    VERB_TOPICS_APPLY,
    VERB_TOPICS_CHECK,
    VERB_TENANT_CREATE,
    VERB_CAT,
    VERB_STATUS,
    VERB_DLQ_LIST,
    VERB_DLQ_SHOW,
    VERB_DLQ_EXPORT,
    VERB_DLQ_REDRIVE,
    VERB_RESET,
    VERB_SNAPSHOT,
    VERB_RESTORE,
    VERB_PARQUET_SKIP,
    VERB_PARQUET_RESTORE,
    VERB_AUDIT,
    VERB_PAUSE,
    VERB_RESUME,
    N_VERBS
};

#define COMMAND_OPTIONS(OPTION)                                                                    \
    OPTION(JSON, "--json", false)                                                                  \
    OPTION(GROUP, "--group", true)                                                                 \
    OPTION(FROM, "--from", true)                                                                   \
    OPTION(TO, "--to", true)                                                                       \
    OPTION(TENANT, "--tenant", true)                                                               \
    OPTION(METRIC, "--metric", true)                                                               \
    OPTION(LIMIT, "--limit", true)                                                                 \
    OPTION(REASON, "--reason", true)                                                               \
    OPTION(WHO, "--who", true)                                                                     \
    OPTION(POLICY, "--policy", true)                                                               \
    OPTION(STAGE, "--stage", true)                                                                 \
    OPTION(OUT, "--out", true)                                                                     \
    OPTION(PRINCIPAL, "--principal", true)                                                         \
    OPTION(SERIES, "--series", true)                                                               \
    OPTION(SAMPLES_PER_SECOND, "--samples-per-second", true)                                       \
    OPTION(NO_ACLS, "--no-acls", false)                                                            \
    OPTION(TOPIC, "--topic", true)                                                                 \
    OPTION(FROM_OBJECTS, "--from-objects", false)                                                  \
    OPTION(TABLE, "--table", true)                                                                 \
    OPTION(REPAIR, "--repair", false)                                                              \
    OPTION(PARTITIONS, "--partitions", true)                                                       \
    OPTION(FOR, "--for", true)                                                                     \
    OPTION(DRAIN, "--drain", false)                                                                \
    OPTION(YES, "--yes", false)                                                                    \
    OPTION(ALL, "--all", false)                                                                    \
    OPTION(DRY_RUN, "--dry-run", false)                                                            \
    OPTION(FORCE, "--force", false)

#define COMMAND_OPTION_ID(id, name, takes_value) OPTION_##id,
enum option { COMMAND_OPTIONS(COMMAND_OPTION_ID) N_OPTIONS };

enum { COMMAND_MAX_WORDS = 2 };

/* Strings are argv's. */
struct command {
    enum verb verb;
    const char *values[N_OPTIONS];        /* NULL = not given; a flag's is its name */
    const char *words[COMMAND_MAX_WORDS]; /* behind the verb; NULL = not given */
    bool is_alone;                        /* nothing but the configuration's own options */
    int n_rest;
    char **rest; /* owned: argv[0] and the configuration's part */
};

bool command_parse(int argc, char **argv, struct command *out, struct err *e) MUST_CHECK;
void command_fini(struct command *c);
/* A whole number from min on; fallback when the option is not given. */
bool command_number(const struct command *c, enum option o, long long min, long long fallback,
                    long long *out, struct err *e) MUST_CHECK;
