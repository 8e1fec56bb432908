#include "command.h"

#include "base/duration.h"
#include "run/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_WINDOW_MS = 60000 };
#define MAX_WINDOW_MS (INT64_C(24) * 3600 * 1000)

#define BIT(option) (UINT32_C(1) << OPTION_##option)
enum {
    WRITES = BIT(REASON) | BIT(WHO),
    RULE = WRITES | BIT(TENANT) | BIT(TTL),
};

static const struct {
    const char *words[2];
    uint32_t allowed;
    uint32_t needed;
    bool takes_id;
} verbs[N_VERBS] = {
    [VERB_KILL] = {{"kill", NULL},
                   RULE | BIT(METRIC) | BIT(LABEL) | BIT(DROP) | BIT(SAMPLE) | BIT(DRY_RUN) |
                       BIT(WINDOW) | BIT(FORCE),
                   BIT(TENANT),
                   false},
    [VERB_LIST] = {{"list", NULL}, BIT(JSON) | BIT(ALL), 0, false},
    [VERB_REVOKE] = {{"revoke", NULL}, WRITES, BIT(REASON), true},
    [VERB_LIMIT_SET] = {{"limit", "set"},
                        RULE | BIT(METRIC) | BIT(BUDGET) | BIT(VALUE),
                        BIT(TENANT) | BIT(BUDGET) | BIT(VALUE) | BIT(TTL) | BIT(REASON),
                        false},
    [VERB_LIMIT_CLEAR] = {{"limit", "clear"},
                          WRITES | BIT(TENANT) | BIT(METRIC) | BIT(BUDGET),
                          BIT(REASON),
                          true},
    [VERB_SHED] = {{"shed", NULL},
                   RULE | BIT(CLASS) | BIT(FORCE),
                   BIT(CLASS) | BIT(TTL) | BIT(REASON),
                   false},
};

#define OPTION_ROW(id, name, takes_value) {name, takes_value},
static const struct {
    const char *name;
    bool takes_value;
} options[N_OPTIONS] = {COMMAND_OPTIONS(OPTION_ROW)};

static bool wrong(const struct command *c, struct err *e, const char *option, const char *cause)
{
    const char *second = verbs[c->verb].words[1];
    return err_set(e, ERR_CONFIG, "%s%s%s: %s%s%s", verbs[c->verb].words[0],
                   second == NULL ? "" : " ", second == NULL ? "" : second, option,
                   option[0] == '\0' ? "" : " ", cause);
}

static bool find_verb(int argc, char **argv, struct command *c, int *n_words, struct err *e)
{
    const char *first = argc > 1 ? argv[1] : "";
    const char *second = argc > 2 ? argv[2] : "";
    for (int i = 0; i < N_VERBS; i++) {
        if (strcmp(first, verbs[i].words[0]) == 0 &&
            (verbs[i].words[1] == NULL || strcmp(second, verbs[i].words[1]) == 0)) {
            c->verb = (enum verb)i;
            *n_words = verbs[i].words[1] == NULL ? 1 : 2;
            return true;
        }
    }
    if (strcmp(first, "limit") == 0) {
        return err_set(e, ERR_CONFIG, "limit: set or clear?");
    }
    return err_set(
        e, ERR_CONFIG,
        "\"%.40s\" is no command; there are kill, list, revoke, limit set, limit clear, shed",
        first);
}

static bool take_label(struct command *c, const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0') {
        return wrong(c, e, "--label", "must be name=pattern");
    }
    if (c->rule.n_labels >= CONTROL_MAX_LABELS) {
        return wrong(c, e, "--label", "is given too often");
    }
    struct slice name = slice_of(text, (size_t)(equals - text));
    for (uint32_t i = 0; i < c->rule.n_labels; i++) {
        if (slice_eq(c->labels[i].name, name)) {
            return wrong(c, e, "--label", "names a label twice");
        }
    }
    c->labels[c->rule.n_labels++] = (struct control_label){name, slice_str(equals + 1)};
    return true;
}

/* Is argv[*i] the option? Then its value is taken, from behind = or from the next argument. */
static bool take_option(struct command *c, int option, int argc, char **argv, int *i, bool *is_it,
                        struct err *e)
{
    size_t len = strlen(options[option].name);
    const char *at = argv[*i];
    *is_it = strncmp(at, options[option].name, len) == 0 && (at[len] == '\0' || at[len] == '=');
    if (!*is_it) {
        return true;
    }
    if ((verbs[c->verb].allowed >> option & 1) == 0) {
        return wrong(c, e, options[option].name, "does not go with this command");
    }
    const char *value = at[len] == '=' ? at + len + 1 : NULL;
    if (!options[option].takes_value) {
        c->values[option] = options[option].name;
        return value == NULL || wrong(c, e, options[option].name, "takes no value");
    }
    if (value == NULL && *i + 1 < argc) {
        value = argv[++*i];
    }
    if (value == NULL || value[0] == '\0') {
        return wrong(c, e, options[option].name, "needs a value");
    }
    if (option == OPTION_LABEL) {
        c->values[option] = value;
        return take_label(c, value, e);
    }
    if (c->values[option] != NULL) {
        return wrong(c, e, options[option].name, "is given twice");
    }
    c->values[option] = value;
    return true;
}

/* The configuration's part is passed on as it is. */
static bool take_argument(struct command *c, int argc, char **argv, int *i, struct err *e)
{
    bool has_value;
    if (config_owns(argv[*i], &has_value)) {
        c->is_help = c->is_help || (!has_value && strchr(argv[*i], '=') == NULL);
        c->rest[c->n_rest++] = argv[*i];
        if (has_value && *i + 1 < argc) {
            c->rest[c->n_rest++] = argv[++*i];
        }
        return true;
    }
    bool is_it = false;
    for (int option = 0; option < N_OPTIONS && !is_it; option++) {
        if (!take_option(c, option, argc, argv, i, &is_it, e)) {
            return false;
        }
    }
    if (!is_it && argv[*i][0] != '-' && verbs[c->verb].takes_id && c->id == NULL) {
        c->id = argv[*i];
        return true;
    }
    return is_it || wrong(c, e, argv[*i], "is not understood");
}

static bool whole_number(const char *text, int64_t max, int64_t *out, const char **end)
{
    char *stop;
    errno = 0;
    long long n = strtoll(text, &stop, 10);
    *out = n;
    *end = stop;
    return text[0] >= '0' && text[0] <= '9' && errno == 0 && n <= max;
}

static bool duration(const char *text, int64_t max_ms, int64_t *out_ms)
{
    return duration_read(text, out_ms) && *out_ms > 0 && *out_ms <= max_ms;
}

static bool check_kill(struct command *c, struct err *e)
{
    bool drop = c->values[OPTION_DROP] != NULL;
    const char *sample = c->values[OPTION_SAMPLE];
    bool dry_run = c->values[OPTION_DRY_RUN] != NULL;
    if ((!drop && sample == NULL && !dry_run) || (drop && sample != NULL)) {
        return wrong(c, e, "", "say one of --drop, --sample 1/N or --dry-run");
    }
    if (sample != NULL) {
        int64_t n = 0;
        const char *end = "";
        if (strncmp(sample, "1/", 2) != 0 ||
            !whole_number(sample + 2, CONTROL_MAX_SAMPLE_N, &n, &end) || n < 2 || end[0] != '\0') {
            return wrong(c, e, "--sample", "must be 1/N with N from 2 to 1000000");
        }
        c->rule.sample_n = (uint32_t)n;
    }
    if (c->values[OPTION_METRIC] != NULL) {
        c->rule.metric = slice_str(c->values[OPTION_METRIC]);
    }
    c->rule.labels = c->labels;
    if (c->values[OPTION_WINDOW] != NULL && !dry_run) {
        return wrong(c, e, "--window", "goes with --dry-run");
    }
    if (!dry_run && (c->values[OPTION_TTL] == NULL || c->values[OPTION_REASON] == NULL)) {
        return wrong(c, e, c->values[OPTION_TTL] == NULL ? "--ttl" : "--reason", "is needed");
    }
    if (!dry_run && c->values[OPTION_FORCE] == NULL && control_kill_is_total(&c->rule)) {
        return wrong(
            c, e, "",
            "without --metric or --label this takes everything that the tenant sends, critical "
            "metrics too; if that is meant, say --force");
    }
    return true;
}

static bool check_limit(struct command *c, bool sets, struct err *e)
{
    const char *budget = c->values[OPTION_BUDGET];
    const char *metric = c->values[OPTION_METRIC];
    int kind = 0;
    while (budget != NULL && kind < N_CONTROL_BUDGETS &&
           strcmp(budget, control_budget_name(kind)) != 0) {
        kind++;
    }
    if (kind == N_CONTROL_BUDGETS) {
        return wrong(c, e, "--budget", "must be source, metric, tenant or samples_per_second");
    }
    c->rule.budget = (enum control_budget)kind;
    bool by_metric = budget != NULL && kind == CONTROL_METRIC;
    if (sets && by_metric != (metric != NULL)) {
        return wrong(c, e, "--metric",
                     by_metric ? "is needed for --budget metric"
                               : "goes with --budget metric only");
    }
    if (metric != NULL && strchr(metric, '*') != NULL) {
        return wrong(c, e, "--metric", "is an exact name here, without *");
    }
    c->rule.metric = metric == NULL ? SLICE_NONE : slice_str(metric);
    const char *end = "";
    if (sets && (!whole_number(c->values[OPTION_VALUE], INT64_MAX, &c->rule.value, &end) ||
                 end[0] != '\0')) {
        return wrong(c, e, "--value", "must be a whole number");
    }
    if (!sets && (c->id == NULL) == (c->values[OPTION_TENANT] == NULL)) {
        return wrong(c, e, "", "say which by its id, or all of a --tenant");
    }
    if (!sets && c->id != NULL && (budget != NULL || metric != NULL)) {
        return wrong(c, e, "", "--budget and --metric go with --tenant");
    }
    return true;
}

static bool check_shed(struct command *c, struct err *e)
{
    const char *class = c->values[OPTION_CLASS];
    if (strcmp(class, "critical") == 0) {
        return wrong(c, e, "--class", "critical is never shed; --class verbose or standard");
    }
    if (strcmp(class, "verbose") != 0 && strcmp(class, "standard") != 0) {
        return wrong(c, e, "--class", "must be verbose or standard");
    }
    c->rule.class = class[0] == 'v' ? CLASS_VERBOSE : CLASS_STANDARD;
    if (c->rule.tenant.len == 0 && c->values[OPTION_FORCE] == NULL) {
        return wrong(
            c, e, "",
            "without --tenant this sheds the class of every tenant; if that is meant, say --force");
    }
    return true;
}

static bool check_who(struct command *c, struct err *e)
{
    static const char *const variables[] = {"SUDO_USER", "USER"};
    c->who = c->values[OPTION_WHO];
    for (size_t i = 0; i < 2 && (c->who == NULL || c->who[0] == '\0'); i++) {
        c->who = getenv(variables[i]);
    }
    return (c->who != NULL && c->who[0] != '\0') ||
           wrong(c, e, "--who", "is needed: neither SUDO_USER nor USER says who this is");
}

static bool check(struct command *c, struct err *e)
{
    for (int option = 0; option < N_OPTIONS; option++) {
        if ((verbs[c->verb].needed >> option & 1) != 0 && c->values[option] == NULL) {
            return wrong(c, e, options[option].name, "is needed");
        }
    }
    if (c->values[OPTION_TTL] != NULL &&
        !duration(c->values[OPTION_TTL], CONTROL_MAX_TTL_MS, &c->ttl_ms)) {
        return wrong(c, e, "--ttl", "must be a number with s, m, h or d, 30d at most");
    }
    if (c->values[OPTION_WINDOW] != NULL &&
        !duration(c->values[OPTION_WINDOW], MAX_WINDOW_MS, &c->window_ms)) {
        return wrong(c, e, "--window", "must be a number with s, m, h or d, 1d at most");
    }
    if (c->values[OPTION_TENANT] != NULL) {
        c->rule.tenant = slice_str(c->values[OPTION_TENANT]);
    }
    switch (c->verb) {
    case VERB_LIST:
        return true;
    case VERB_KILL:
        c->rule.kind = CONTROL_KILL;
        return check_kill(c, e) && (c->values[OPTION_DRY_RUN] != NULL || check_who(c, e));
    case VERB_SHED:
        c->rule.kind = CONTROL_SHED;
        return check_shed(c, e) && check_who(c, e);
    case VERB_LIMIT_SET:
    case VERB_LIMIT_CLEAR:
        c->rule.kind = CONTROL_LIMIT;
        return check_limit(c, c->verb == VERB_LIMIT_SET, e) && check_who(c, e);
    default:
        return (c->id != NULL || wrong(c, e, "", "which? give the id that `list` shows")) &&
               check_who(c, e);
    }
}

bool command_parse(int argc, char **argv, struct command *c, struct err *e)
{
    *c = (struct command){.window_ms = DEFAULT_WINDOW_MS};
    c->rest = calloc((size_t)argc + 1, sizeof *c->rest);
    if (c->rest == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    c->rest[c->n_rest++] = argv[0];
    int n_words = 0;
    bool has_value;
    bool has_verb = argc > 1 && !config_owns(argv[1], &has_value);
    if (has_verb && !find_verb(argc, argv, c, &n_words, e)) {
        return false;
    }
    for (int i = 1 + n_words; i < argc; i++) {
        if (!take_argument(c, argc, argv, &i, e)) {
            return false;
        }
    }
    if (c->is_help) {
        return true;
    }
    return has_verb
               ? check(c, e)
               : err_set(e, ERR_CONFIG, "the command comes first: kill, list, revoke, limit, shed");
}

void command_fini(struct command *c)
{
    free(c->rest);
}
