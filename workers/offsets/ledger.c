#include "ledger.h"

#include "ledger/object_says.h"
#include "stage/topics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20 };

void finding_add(struct findings *f, const char *kind, int32_t partition, int64_t first,
                 int64_t last, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (f->n++ < LEDGER_MAX_FINDINGS) {
        (void)json_array_append_new(f->list, json_pack("{s:s, s:i, s:I, s:I, s:s}", "kind", kind,
                                                       "partition", (int)partition, "first",
                                                       (json_int_t)first, "last", (json_int_t)last,
                                                       "text", text));
    }
}

struct reading {
    struct store *store;
    const struct scan *scan;
    struct ledger *ledger;
    struct findings *findings;
    struct arena arena;
    struct progress told;
};

static const struct scan_stretch *stretch_of(const struct scan *s, int32_t partition)
{
    for (uint32_t i = 0; i < s->n_stretches; i++) {
        if (s->stretches[i].partition == partition) {
            return &s->stretches[i];
        }
    }
    return NULL;
}

static struct ledger_range *range_of(struct ledger *l, const struct stored *o, struct err *e)
{
    for (size_t i = l->n; i > 0; i--) {
        struct ledger_range *r = &l->ranges[i - 1];
        if (r->partition == o->partition && r->first == o->first && r->last == o->last) {
            return r;
        }
    }
    struct ledger_range *ranges = realloc(l->ranges, (l->n + 1) * sizeof *ranges);
    if (ranges == NULL) {
        (void)err_set(e, ERR_FATAL, "out of memory");
        return NULL;
    }
    l->ranges = ranges;
    ranges[l->n] = (struct ledger_range){
        .partition = o->partition, .first = o->first, .last = o->last, .n_said = -1};
    return &ranges[l->n++];
}

/* What the object says of itself and of its range. */
static bool take_ledger(struct reading *r, const struct stored *o, struct ledger_range *range,
                        struct err *e)
{
    const char *values[N_SAYS];
    struct object_says says;
    struct err why = ERR_INIT;
    arena_reset(&r->arena);
    if (!store_metadata(r->store, o->key, object_says_names, N_SAYS, values, &r->arena, e)) {
        return false;
    }
    if (!object_says_read(values, o->first, o->last, o->topic_id, &says, &why)) {
        finding_add(r->findings, "ledger", o->partition, o->first, o->last,
                    "%.*s: its metadata do not tell its range, rows and objects: %.80s",
                    SLICE_ARG(o->key), why.text);
        return true;
    }
    range->n_rows = says.intent.n_rows;
    range->n_said = says.n_objects;
    range->rows_there[o->table] += says.n_rows;
    return true;
}

static bool take_object(void *ctx, const struct stored *o, struct err *e)
{
    struct reading *r = ctx;
    if (!o->is_ours) {
        finding_add(r->findings, "foreign", -1, -1, -1, "%.*s is none of sluice's objects",
                    SLICE_ARG(o->key));
        return true;
    }
    if (!slice_eq_str(o->topic, r->ledger->topic)) {
        return true;
    }
    if (!slice_eq_str(o->topic_id, r->ledger->topic_id)) {
        r->ledger->n_former++;
        return true;
    }
    if ((uint32_t)o->partition >= r->scan->n_partitions) {
        finding_add(r->findings, "foreign", o->partition, o->first, o->last,
                    "%.*s is of a partition that is not there", SLICE_ARG(o->key));
        return true;
    }
    const struct scan_stretch *p = stretch_of(r->scan, o->partition);
    if (p == NULL || o->last < p->from || o->first >= p->end) {
        return true;
    }
    struct ledger_range *range = range_of(r->ledger, o, e);
    if (range == NULL) {
        return false;
    }
    range->n_there++;
    r->ledger->n_objects++;
    if (progress_due(&r->told)) {
        (void)fprintf(stderr, "%s: %zu objects seen\n", r->ledger->topic, r->ledger->n_objects);
    }
    return take_ledger(r, o, range, e);
}

static int by_first(const void *a, const void *b)
{
    const struct ledger_range *x = a;
    const struct ledger_range *y = b;
    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    return (x->last > y->last) - (x->last < y->last);
}

bool ledger_read(struct store *s, const struct scan *scan, int table, struct ledger *out,
                 struct findings *f, struct err *e)
{
    *out = (struct ledger){.topic = scan->topic};
    struct reading r = {.store = s, .scan = scan, .ledger = out, .findings = f};
    bool ok = true;
    topic_id_text(scan->topic_id, out->topic_id);
    arena_init(&r.arena, ARENA_BYTES);
    for (int i = 0; ok && i < N_TABLES; i++) {
        out->has_table[i] = table < 0 || table == i;
        ok = !out->has_table[i] || store_list(s, (enum table_id)i, take_object, &r, e);
    }
    arena_fini(&r.arena);
    if (out->n > 0) {
        qsort(out->ranges, out->n, sizeof *out->ranges, by_first);
    }
    return ok;
}

void ledger_free(struct ledger *l)
{
    free(l->ranges);
    l->ranges = NULL;
    l->n = 0;
}
