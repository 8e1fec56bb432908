#include <stdlib.h>

#include "key.h"
#include "sorted_rows.h"
#include "rows_inside.h"

struct row_ref {
    int64_t ts_ms;
    int64_t offset;
    struct slice payload;
    const struct strand *strand;
};

static const struct series *strand_series(const struct strand *s)
{
    return &s->sheet->shape->series[s->column];
}

static int place_cmp(const struct strand *s, enum table_id table, int64_t slot, struct slice tenant)
{
    if (s->sheet->table != table) {
        return s->sheet->table < table ? -1 : 1;
    }
    if (s->sheet->slot != slot) {
        return s->sheet->slot < slot ? -1 : 1;
    }
    struct slice own = s->sheet->tenant;
    return own.ptr == tenant.ptr && own.len == tenant.len ? 0 : slice_cmp(own, tenant);
}

/* As head_cmp. */
static int strand_cmp(const struct strand *x, const struct strand *y)
{
    int order = place_cmp(x, y->sheet->table, y->sheet->slot, y->sheet->tenant);
    if (order != 0) {
        return order;
    }
    const struct series *a = strand_series(x);
    const struct series *b = strand_series(y);
    order = slice_cmp(a->metric, b->metric);
    if (order != 0) {
        return order;
    }
    if (a->id.hi != b->id.hi) {
        return a->id.hi < b->id.hi ? -1 : 1;
    }
    return (a->id.lo > b->id.lo) - (a->id.lo < b->id.lo);
}

static int strand_sort(const void *x, const void *y)
{
    return strand_cmp(x, y);
}

static int ref_cmp(const struct row_ref *x, const struct row_ref *y)
{
    return x->ts_ms != y->ts_ms ? (x->ts_ms < y->ts_ms ? -1 : 1)
                                : (x->offset > y->offset) - (x->offset < y->offset);
}

static int ref_sort(const void *x, const void *y)
{
    return ref_cmp(x, y);
}

/* A sheet whose scrapes have rows in other slots, too, may have none in a column. */
static bool strand_has_rows(const struct strand *s, int hours)
{
    for (const struct entries *block = s->sheet->first; block != NULL; block = block->next) {
        for (uint32_t i = 0; i < block->n; i++) {
            const int64_t *times = block->entry[i].scrape->times;
            if (times == NULL || key_slot(times[s->column], hours) == s->sheet->slot) {
                return true;
            }
        }
    }
    return false;
}

/* Into out, if it is not NULL: how many. */
static size_t strands_list(const struct rows *r, struct strand *out)
{
    size_t n = 0;
    for (const struct sheet *sheet = r->sheets; sheet != NULL; sheet = sheet->next) {
        for (uint32_t i = 0; i < sheet->shape->n_series; i++) {
            const struct strand strand = {sheet, i};
            if (sheet->any_times && !strand_has_rows(&strand, r->hours)) {
                continue;
            }
            if (out != NULL) {
                out[n] = strand;
            }
            n++;
        }
    }
    return n;
}

bool sorted_rows_init(struct sorted_rows *s, const struct rows *r, struct err *e)
{
    *s = (struct sorted_rows){.rows = r, .n_strands = strands_list(r, NULL)};
    buf_init(&s->refs, SIZE_MAX / 2);
    s->strands = malloc((s->n_strands + 1) * sizeof *s->strands);
    if (s->strands == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for sorting rows");
    }
    (void)strands_list(r, s->strands);
    qsort(s->strands, s->n_strands, sizeof *s->strands, strand_sort);
    return true;
}

void sorted_rows_fini(struct sorted_rows *s)
{
    free(s->strands);
    buf_fini(&s->refs);
    *s = (struct sorted_rows){0};
}

void sorted_rows_seek(struct sorted_rows *s, const struct object *o)
{
    size_t low = 0;
    size_t high = s->n_strands;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place_cmp(&s->strands[middle], o->table, o->slot, o->tenant) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    s->from = s->to = low;
    buf_reset(&s->refs);
    s->at = 0;
    s->head_of = NULL;
}

/* Fetched from memory by the time that it is read. */
static struct slice payload_of(const struct entry *entry, uint32_t column, bool is_scalar)
{
    if (is_scalar) {
        const uint8_t *value = entry->values + column * sizeof(double);
        __builtin_prefetch(value);
        return slice_of(value, sizeof(double));
    }
    const struct scrape *scrape = entry->scrape;
    uint32_t at = scrape->packed_at[column];
    return slice_of(scrape->packed + at, scrape->packed_at[column + 1] - at);
}

static size_t entries_collect(const struct entries *entries, const struct strand *strand, int hours,
                              struct row_ref *to)
{
    const struct sheet *sheet = strand->sheet;
    bool is_rollup = sheet->table != TABLE_SAMPLES;
    uint32_t column = is_rollup ? strand->column : sheet->columns[strand->column];
    enum series_kind kind = strand_series(strand)->kind;
    bool is_scalar = !is_rollup && (kind == SERIES_COUNTER || kind == SERIES_GAUGE);
    size_t n = 0;
    for (uint32_t i = 0; i < entries->n; i++) {
        const struct entry *entry = &entries->entry[i];
        int64_t ts = entry->base_ms;
        if (sheet->any_times && entry->scrape->times != NULL) {
            ts = entry->scrape->times[strand->column];
            if (key_slot(ts, hours) != sheet->slot) {
                continue;
            }
        }
        to[n++] = (struct row_ref){ts, entry->offset, payload_of(entry, column, is_scalar), strand};
    }
    return n;
}

static bool strand_collect(struct sorted_rows *s, const struct strand *strand)
{
    const struct sheet *sheet = strand->sheet;
    struct row_ref *to =
        (struct row_ref *)(void *)buf_extend(&s->refs, sheet->n_entries * sizeof *to);
    if (to == NULL) {
        return sheet->n_entries == 0;
    }
    size_t n = 0;
    for (const struct entries *block = sheet->first; block != NULL; block = block->next) {
        n += entries_collect(block, strand, s->rows->hours, to + n);
    }
    s->refs.len -= (sheet->n_entries - n) * sizeof *to;
    return true;
}

static size_t refs_n(const struct sorted_rows *s)
{
    return s->refs.len / sizeof(struct row_ref);
}

static void refs_sort(struct sorted_rows *s)
{
    struct row_ref *refs = (struct row_ref *)(void *)s->refs.ptr;
    for (size_t i = 1; i < refs_n(s); i++) {
        if (ref_cmp(&refs[i - 1], &refs[i]) > 0) {
            qsort(refs, refs_n(s), sizeof *refs, ref_sort);
            return;
        }
    }
}

/* The rows of the next series. */
static bool series_next(struct sorted_rows *s, struct err *e)
{
    s->from = s->to;
    s->at = 0;
    buf_reset(&s->refs);
    while (s->to < s->n_strands &&
           (s->to == s->from || strand_cmp(&s->strands[s->from], &s->strands[s->to]) == 0)) {
        if (!strand_collect(s, &s->strands[s->to])) {
            return err_set(e, ERR_RETRY, "out of memory for sorting rows");
        }
        s->to++;
    }
    refs_sort(s);
    return s->from < s->to;
}

static void head_set(struct sorted_rows *s, const struct strand *strand)
{
    s->which = !s->which; /* another address: another head */
    s->heads[s->which] = (struct head){.table = strand->sheet->table,
                                       .slot = strand->sheet->slot,
                                       .tenant = strand->sheet->tenant,
                                       .source = strand->sheet->shape->source_name,
                                       .class = strand->sheet->class,
                                       .series = *strand_series(strand)};
    s->head_of = strand;
}

static bool sorted_rows_next(void *context, struct row *out, struct err *e)
{
    struct sorted_rows *s = context;
    e->kind = ERR_NONE;
    while (s->at == refs_n(s)) {
        if (!series_next(s, e)) {
            return false;
        }
    }
    const struct row_ref *ref = (const struct row_ref *)(const void *)s->refs.ptr + s->at++;
    if (s->head_of != ref->strand) {
        head_set(s, ref->strand);
    }
    *out = (struct row){&s->heads[s->which], ref->ts_ms, ref->offset, ref->payload};
    return true;
}

struct row_stream sorted_rows_stream(struct sorted_rows *s)
{
    return (struct row_stream){sorted_rows_next, s};
}
