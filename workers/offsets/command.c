#include "command.h"

#include "run/config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BIT(option) (UINT64_C(1) << OPTION_##option)
enum {
    LETTERS =
        BIT(TENANT) | BIT(METRIC) | BIT(REASON) | BIT(STAGE) | BIT(FROM) | BIT(TO) | BIT(LIMIT),
    MOVES = BIT(DRY_RUN) | BIT(YES) | BIT(OUT) | BIT(WHO) | BIT(REASON) | BIT(JSON),
};

static const struct {
    const char *words[3];
    uint64_t allowed;
    uint64_t needed;
    int min_words; /* behind the verb */
    int max_words;
} verbs[N_VERBS] = {
    [VERB_HELP] = {{"help"}, 0, 0, 0, 1},
    [VERB_TOPICS_APPLY] = {{"topics", "apply"}, BIT(JSON), 0, 0, 0},
    [VERB_TOPICS_CHECK] = {{"topics", "check"}, BIT(JSON), 0, 0, 0},
    [VERB_TENANT_CREATE] = {{"topics", "tenant", "create"},
                            BIT(WHO) | BIT(REASON) | BIT(PRINCIPAL) | BIT(SERIES) |
                                BIT(SAMPLES_PER_SECOND) | BIT(NO_ACLS) | BIT(DRY_RUN) | BIT(JSON),
                            0,
                            1,
                            1},
    [VERB_CAT] = {{"cat"},
                  BIT(TENANT) | BIT(METRIC) | BIT(FROM) | BIT(TO) | BIT(LIMIT) | BIT(JSON),
                  0,
                  1,
                  1},
    [VERB_STATUS] = {{"status"}, BIT(GROUP) | BIT(JSON) | BIT(ALL), 0, 0, 0},
    [VERB_DLQ_LIST] = {{"dlq", "list"}, LETTERS | BIT(JSON), 0, 0, 0},
    [VERB_DLQ_SHOW] = {{"dlq", "show"}, BIT(JSON), 0, 1, 1},
    [VERB_DLQ_EXPORT] = {{"dlq", "export"}, LETTERS | BIT(OUT) | BIT(JSON), 0, 0, 0},
    [VERB_DLQ_REDRIVE] = {{"dlq", "redrive"},
                          LETTERS | BIT(POLICY) | BIT(DRY_RUN) | BIT(YES) | BIT(WHO) | BIT(JSON),
                          0,
                          0,
                          0},
    [VERB_RESET] = {{"reset"},
                    MOVES | BIT(FORCE) | BIT(GROUP) | BIT(TO) | BIT(TOPIC) | BIT(PARTITIONS) | BIT(STAGE) | BIT(DRAIN),
                    BIT(TO),
                    0,
                    1},
    [VERB_SNAPSHOT] = {{"snapshot"}, BIT(OUT) | BIT(JSON), 0, 1, 1},
    [VERB_PARQUET_SKIP] = {{"parquet", "skip"}, MOVES | BIT(TOPIC), BIT(TOPIC), 1, 1},
    [VERB_PARQUET_RESTORE] = {{"parquet", "restore"},
                              MOVES | BIT(TOPIC) | BIT(FROM_OBJECTS),
                              BIT(TOPIC) | BIT(FROM_OBJECTS),
                              1,
                              1},
    [VERB_AUDIT] = {{"audit"},
                    BIT(TOPIC) | BIT(TABLE) | BIT(FROM) | BIT(TO) | BIT(GROUP) | BIT(JSON) | BIT(REPAIR) |
                        BIT(OUT),
                    BIT(TOPIC),
                    0,
                    0},
    [VERB_PAUSE] = {{"pause"},
                    BIT(TOPIC) | BIT(PARTITIONS) | BIT(FOR) | BIT(REASON) | BIT(WHO) | BIT(JSON),
                    BIT(FOR) | BIT(REASON),
                    1,
                    1},
    [VERB_RESUME] = {{"resume"}, BIT(TOPIC) | BIT(PARTITIONS) | BIT(REASON) | BIT(WHO) | BIT(JSON), 0, 1, 1},
    [VERB_RESTORE] = {{"restore"}, MOVES | BIT(STAGE), 0, 1, 1},
};

#define OPTION_ROW(id, name, takes_value) {name, takes_value},
static const struct {
    const char *name;
    bool takes_value;
} options[N_OPTIONS] = {COMMAND_OPTIONS(OPTION_ROW)};

/* How many of argv's words name the verb; 0: they don't. */
static int words_match(int argc, char **argv, const char *const words[3])
{
    int n = 0;
    for (; n < 3 && words[n] != NULL; n++) {
        if (n >= argc || strcmp(argv[n], words[n]) != 0) {
            return 0;
        }
    }
    return n;
}

static bool find_verb(int argc, char **argv, struct command *c, int *n_words, struct err *e)
{
    *n_words = 0;
    for (int i = 0; i < N_VERBS; i++) {
        int n = words_match(argc, argv, verbs[i].words);
        if (n > *n_words) {
            c->verb = (enum verb)i;
            *n_words = n;
        }
    }
    return *n_words > 0 ||
           err_set(e, ERR_CONFIG, "\"%.40s\" is no command; sluice-offsets help lists them",
                   argc > 0 ? argv[0] : "");
}

/* Is argv[*i] an option of ours? Then its value is taken, from behind = or from the next argument.
 */
static bool take_option(struct command *c, int argc, char **argv, int *i, bool *is_it,
                        struct err *e)
{
    const char *at = argv[*i];
    size_t len = strcspn(at, "=");
    int o = 0;
    for (; o < N_OPTIONS &&
           !(strlen(options[o].name) == len && strncmp(at, options[o].name, len) == 0);
         o++) {
    }
    *is_it = o < N_OPTIONS;
    if (!*is_it) {
        return true;
    }
    if ((verbs[c->verb].allowed >> o & 1) == 0) {
        return err_set(e, ERR_CONFIG, "%s does not go with %s", options[o].name,
                       verbs[c->verb].words[0]);
    }
    if (c->values[o] != NULL) {
        return err_set(e, ERR_CONFIG, "%s is given twice", options[o].name);
    }
    const char *value = at[len] == '=' ? at + len + 1 : NULL;
    if (!options[o].takes_value) {
        c->values[o] = options[o].name;
        return value == NULL || err_set(e, ERR_CONFIG, "%s takes no value", options[o].name);
    }
    if (value == NULL && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0) {
        value = argv[++*i];
    }
    c->values[o] = value;
    return (value != NULL && value[0] != '\0') ||
           err_set(e, ERR_CONFIG, "%s needs a value", options[o].name);
}

/* The configuration's part is passed on as it is. */
static bool take_arguments(struct command *c, int argc, char **argv, struct err *e)
{
    int n_words = 0;
    for (int i = 0; i < argc; i++) {
        bool is_it = false;
        bool has_value = false;
        if (!take_option(c, argc, argv, &i, &is_it, e)) {
            return false;
        }
        if (is_it) {
            continue;
        }
        if (config_owns(argv[i], &has_value)) {
            c->rest[c->n_rest++] = argv[i];
            c->is_alone |= !has_value && strchr(argv[i], '=') == NULL;
            if (has_value && i + 1 < argc) {
                c->rest[c->n_rest++] = argv[++i];
            }
        } else if (argv[i][0] == '-' && argv[i][1] == '-') {
            return err_set(e, ERR_CONFIG, "%.60s is no option of %s", argv[i],
                           verbs[c->verb].words[0]);
        } else if (n_words < verbs[c->verb].max_words) {
            c->words[n_words++] = argv[i];
        } else {
            return err_set(e, ERR_CONFIG, "\"%.60s\" is one word too many", argv[i]);
        }
    }
    if (c->is_alone) {
        return true;
    }
    for (int o = 0; o < N_OPTIONS; o++) {
        if ((verbs[c->verb].needed >> o & 1) == 1 && c->values[o] == NULL) {
            return err_set(e, ERR_CONFIG, "%s: %s is needed", verbs[c->verb].words[0],
                           options[o].name);
        }
    }
    return n_words >= verbs[c->verb].min_words ||
           err_set(e, ERR_CONFIG, "%s: of what? See sluice-offsets help %s",
                   verbs[c->verb].words[0], verbs[c->verb].words[0]);
}

bool command_parse(int argc, char **argv, struct command *c, struct err *e)
{
    *c = (struct command){.verb = VERB_HELP};
    c->rest = calloc((size_t)argc + 1, sizeof *c->rest);
    if (c->rest == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    c->rest[c->n_rest++] = argv[0];
    int n_words = 0;
    bool has_value;
    if (argc > 1 && !config_owns(argv[1], &has_value) &&
        !find_verb(argc - 1, argv + 1, c, &n_words, e)) {
        return false;
    }
    return take_arguments(c, argc - 1 - n_words, argv + 1 + n_words, e);
}

void command_fini(struct command *c)
{
    free(c->rest);
}

bool command_number(const struct command *c, enum option o, long long min, long long fallback,
                    long long *out, struct err *e)
{
    const char *text = c->values[o];
    char *end = NULL;
    *out = fallback;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    *out = strtoll(text, &end, 10);
    return (errno == 0 && *end == '\0' && *out >= min) ||
           err_set(e, ERR_CONFIG, "%s %.40s: must be a number from %lld on", options[o].name, text,
                   min);
}
