#include "replay/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MAX_REFUSED = 100, MAX_PARTITION = 100000 };

static bool number_read(const char *option, const char *text, int64_t *out, struct err *e)
{
    char *end = NULL;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < 0) {
        return err_set(e, ERR_CONFIG, "%s %.40s: no whole number from 0 on", option, text);
    }
    *out = n;
    return true;
}

/* The next "3" or "3-5" of the list; *text moves behind it. False: it is none. */
static bool span_read(const char **text, long *first, long *last)
{
    char *end = NULL;
    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    *first = *last = strtol(*text, &end, 10);
    if (*end == '-' && isdigit((unsigned char)end[1])) {
        *last = strtol(end + 1, &end, 10);
    }
    bool ok = *first <= *last && *last <= MAX_PARTITION && (*end == '\0' || (*end == ',' && end[1] != '\0'));
    *text = *end == ',' ? end + 1 : end;
    return ok;
}

bool replay_partitions_check(const char *text, struct err *e)
{
    const char *at = text;
    long first;
    long last;
    do {
        if (!span_read(&at, &first, &last)) {
            return err_set(e, ERR_CONFIG, "--partitions %.60s: neither a list (0,3) nor a range (3-5)",
                           text);
        }
    } while (*at != '\0');
    return true;
}

bool replay_partition_wanted(const char *partitions, int32_t partition)
{
    long first;
    long last;
    const char *at = partitions;
    while (*at != '\0' && span_read(&at, &first, &last)) {
        if (partition >= first && partition <= last) {
            return true;
        }
    }
    return partitions[0] == '\0';
}

int64_t replay_partition_highest(const char *partitions)
{
    long first;
    long last;
    int64_t highest = -1;
    const char *at = partitions;
    while (*at != '\0' && span_read(&at, &first, &last)) {
        highest = last > highest ? last : highest;
    }
    return highest;
}

enum option_of { OF_BOTH, OF_PLAN, OF_APPLY };

struct option {
    const char *name;
    enum option_of of;
    const char **text; /* one of the three */
    int64_t *number;
    bool *flag;
};

/* The word may have its value behind "=". */
static const struct option *option_find(const struct option *options, const char *word)
{
    size_t len = strcspn(word, "=");
    for (; options->name != NULL; options++) {
        if (strlen(options->name) == len && strncmp(options->name, word, len) == 0) {
            return options;
        }
    }
    return NULL;
}

/* One of the other verb's would be taken for obeyed: apply has all from the plan. */
static bool option_fits(const struct option *o, enum replay_verb verb, struct err *e)
{
    if (verb == REPLAY_APPLY && o->of == OF_PLAN) {
        return err_set(e, ERR_CONFIG, "%s is the plan's, and apply does just that: make a new plan with it", o->name);
    }
    return verb == REPLAY_APPLY || o->of != OF_APPLY || err_set(e, ERR_CONFIG, "%s goes with apply, not with plan", o->name);
}

/* How many words it took; -1: e is set. */
static int option_take(const struct option *o, int argc, char **argv, struct err *e)
{
    const char *equals = strchr(argv[0], '=');
    int n_words = equals != NULL || o->flag != NULL ? 1 : 2;
    if (o->flag != NULL) {
        *o->flag = true;
        return equals == NULL || err_set(e, ERR_CONFIG, "%s takes no value", o->name) ? n_words : -1;
    }
    const char *value = equals != NULL ? equals + 1 : argc > 1 && strncmp(argv[1], "--", 2) != 0 ? argv[1] : "";
    if (value[0] == '\0') {
        (void)err_set(e, ERR_CONFIG, "%s needs a value", o->name);
        return -1;
    }
    if (o->text != NULL) {
        *o->text = value;
        return n_words;
    }
    return number_read(o->name, value, o->number, e) ? n_words : -1;
}

static bool words_read(struct replay_arguments *a, int argc, char **argv, struct err *e)
{
    const struct option options[] = {
        {"--stage", OF_PLAN, &a->stage, NULL, NULL},
        {"--topic", OF_PLAN, &a->topic, NULL, NULL},
        {"--from", OF_PLAN, &a->from, NULL, NULL},
        {"--to", OF_PLAN, &a->to, NULL, NULL},
        {"--partitions", OF_PLAN, &a->partitions, NULL, NULL},
        {"--tenant", OF_PLAN, &a->tenant, NULL, NULL},
        {"--metric", OF_PLAN, &a->metric, NULL, NULL},
        {"--rate", OF_PLAN, NULL, &a->rate, NULL},
        {"--out", OF_PLAN, &a->out, NULL, NULL},
        {"--max-refused", OF_APPLY, NULL, &a->max_refused, NULL},
        {"--abandon", OF_APPLY, NULL, NULL, &a->abandon},
        {"--instead-of", OF_APPLY, &a->instead_of, NULL, NULL},
        {"--json", OF_BOTH, NULL, NULL, &a->as_json},
        {"--help", OF_BOTH, NULL, NULL, &a->help},
        {NULL, OF_BOTH, NULL, NULL, NULL},
    };
    for (int i = 1; i < argc;) {
        const struct option *o = option_find(options, argv[i]);
        if (o != NULL) {
            if (!option_fits(o, a->verb, e)) {
                return false;
            }
            int n = option_take(o, argc - i, argv + i, e);
            if (n < 0) {
                return false;
            }
            i += n;
        } else if (a->verb == REPLAY_APPLY && argv[i][0] != '-' && a->plan[0] == '\0') {
            a->plan = argv[i++];
        } else {
            bool has_value = (strcmp(argv[i], "--set") == 0 || strcmp(argv[i], "--config") == 0) && i + 1 < argc;
            a->rest[a->n_rest++] = argv[i++];
            if (has_value) {
                a->rest[a->n_rest++] = argv[i++];
            }
        }
    }
    return true;
}

bool replay_arguments_read(enum replay_verb verb, int argc, char **argv,
                           struct replay_arguments *out, struct err *e)
{
    *out = (struct replay_arguments){.verb = verb,
                                     .stage = "",
                                     .topic = "",
                                     .from = "",
                                     .to = "end",
                                     .partitions = "",
                                     .tenant = "",
                                     .metric = "",
                                     .out = "",
                                     .plan = "",
                                     .instead_of = "",
                                     .max_refused = DEFAULT_MAX_REFUSED};
    out->rest = calloc((size_t)argc + 1, sizeof *out->rest);
    if (out->rest == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    out->rest[out->n_rest++] = argv[0];
    bool ok = words_read(out, argc, argv, e) &&
              (out->partitions[0] == '\0' || replay_partitions_check(out->partitions, e));
    if (!ok) {
        replay_arguments_fini(out);
    }
    return ok;
}

void replay_arguments_fini(struct replay_arguments *a)
{
    free(a->rest);
    a->rest = NULL;
}
