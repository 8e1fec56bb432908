#include "audit_repair.h"

#include "worker_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPORT_BYTES = 64 << 20, MAX_PARTITIONS_BYTES = 1 << 20, N_WORDS = 16, MAX_GROUP = 300 };

/* What is done about a kind of finding; instead NULL: a plan fills it. */
static const struct {
    const char *kind;
    const char *instead;
} kinds[] = {
    {"gap", NULL},
    {"objects", NULL},
    {"rows", NULL},
    {"ledger", NULL},
    {"overlap", "rows are there twice, and no plan mends that: its partition is left out. See which range is wrong "
                "(sluice-parquet inspect), delete its objects, audit again"},
    {"foreign", "left alone; move it out of the tables' folders"},
    {"told", "what amp has skipped: plan replay --stage amp; what parquet was made to skip is not in the log any more"},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

struct repair {
    const struct tool *tool;
    size_t n[N_KINDS];
    struct buf partitions; /* "0,3"; empty = all, where more was found than is listed */
    bool is_needed;
};

static size_t kind_of(const json_t *finding)
{
    const char *name = json_string_value(json_object_get(finding, "kind"));
    size_t k = 0;
    while (k + 1 < N_KINDS && strcmp(kinds[k].kind, name) != 0) {
        k++;
    }
    return k;
}

/* Is it among the findings, of a kind that a plan fills (or of overlap)? */
static bool partition_has(const struct findings *f, json_int_t partition, bool fills)
{
    size_t i;
    json_t *one;
    json_array_foreach(f->list, i, one)
    {
        const char *instead = kinds[kind_of(one)].instead;
        bool is_it = fills ? instead == NULL : strcmp(kinds[kind_of(one)].kind, "overlap") == 0;
        if (is_it && json_integer_value(json_object_get(one, "partition")) == partition) {
            return true;
        }
    }
    return false;
}

static void partitions_find(struct repair *r, const struct findings *f)
{
    size_t i;
    json_t *one;
    json_int_t highest = -1;
    json_array_foreach(f->list, i, one)
    {
        json_int_t p = json_integer_value(json_object_get(one, "partition"));
        r->n[kind_of(one)]++;
        highest = p > highest ? p : highest;
    }
    r->is_needed = f->n > i;
    for (json_int_t p = 0; f->n == i && p <= highest; p++) {
        if (partition_has(f, p, true) && !partition_has(f, p, false)) {
            char text[24];
            int n = snprintf(text, sizeof text, "%s%" JSON_INTEGER_FORMAT, r->is_needed ? "," : "", p);
            buf_put(&r->partitions, text, (size_t)n);
            r->is_needed = true;
        }
    }
    buf_put(&r->partitions, "", 1);
}

/* --- the plan --- */

static char *word(const char *text)
{
    return (char *)(uintptr_t)text; /* argv's type; nobody writes there */
}

static bool plan_run(const struct repair *r, struct buf *out, int *code, struct err *e)
{
    const struct command *c = r->tool->command;
    const char *const *values = c->values;
    char group[MAX_GROUP];
    int n = 1;
    char **words = calloc((size_t)c->n_rest + 2 * N_WORDS, sizeof *words);
    if (words == NULL || !buf_ok(&r->partitions)) {
        free(words);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    const struct {
        const char *name;
        const char *value; /* NULL: not said; "": it has none */
    } options[] = {
        {"replay", ""},
        {"plan", ""},
        {"--topic", values[OPTION_TOPIC]},
        {"--from", values[OPTION_FROM] == NULL ? "earliest" : values[OPTION_FROM]},
        {"--to", values[OPTION_TO]},
        {"--partitions", r->partitions.len > 1 ? (const char *)r->partitions.ptr : NULL},
        {"--out", values[OPTION_OUT]},
        {"--json", out == NULL ? NULL : ""},
        {"--set", values[OPTION_GROUP] == NULL ? NULL : group},
    };
    (void)snprintf(group, sizeof group, "group=%.250s", values[OPTION_GROUP] == NULL ? "" : values[OPTION_GROUP]);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].value != NULL) {
            words[n++] = word(options[i].name);
        }
        if (options[i].value != NULL && options[i].value[0] != '\0') {
            words[n++] = word(options[i].value);
        }
    }
    memcpy(words + n, c->rest + 1, (size_t)(c->n_rest - 1) * sizeof *words);
    bool ok = worker_run("parquet", words, out, code, e);
    free(words);
    return ok && (*code == 0 || err_set(e, ERR_FATAL, "the plan that fills it could not be made, see above; with --repair "
                                                      "the configuration must be sluice-parquet's own"));
}

/* --- what no plan fills --- */

static json_t *left_json(const struct repair *r)
{
    json_t *left = json_array();
    for (size_t k = 0; k < N_KINDS; k++) {
        if (kinds[k].instead != NULL && r->n[k] > 0) {
            (void)json_array_append_new(left, json_pack("{s:s, s:I, s:s}", "kind", kinds[k].kind, "n",
                                                        (json_int_t)r->n[k], "instead", kinds[k].instead));
        }
    }
    return left;
}

static bool repair_json(const struct repair *r, json_t **out, int *code, struct err *e)
{
    struct buf text;
    json_t *plan = NULL;
    buf_init(&text, MAX_REPORT_BYTES);
    bool ok = !r->is_needed || plan_run(r, &text, code, e);
    if (ok && r->is_needed) {
        plan = buf_ok(&text) ? json_loadb((const char *)text.ptr, text.len, 0, NULL) : NULL;
        ok = plan != NULL || err_set(e, ERR_FATAL, "the plan's report can't be read");
    }
    buf_fini(&text);
    *out = ok ? json_pack("{s:o?, s:o}", "plan", plan, "left", left_json(r)) : NULL;
    if (!ok) {
        json_decref(plan);
    }
    return ok;
}

static bool repair_print(const struct repair *r, int *code, struct err *e)
{
    for (size_t k = 0; k < N_KINDS; k++) {
        if (kinds[k].instead != NULL && r->n[k] > 0) {
            (void)printf("%s (%zu): %s\n", kinds[k].kind, r->n[k], kinds[k].instead);
        }
    }
    (void)puts(r->is_needed ? "\nthe plan that fills what is missing:" : "nothing that a plan could fill");
    return !r->is_needed || plan_run(r, NULL, code, e);
}

bool audit_repair(const struct tool *t, const struct findings *f, size_t n_told, json_t **out, int *code, struct err *e)
{
    struct repair r = {.tool = t};
    *out = NULL;
    buf_init(&r.partitions, MAX_PARTITIONS_BYTES);
    partitions_find(&r, f);
    r.n[N_KINDS - 1] = n_told;
    bool as_json = t->command->values[OPTION_JSON] != NULL;
    bool ok = as_json ? repair_json(&r, out, code, e) : repair_print(&r, code, e);
    buf_fini(&r.partitions);
    return ok;
}
