#include <inttypes.h>
#include <math.h>

#include "base/utf8.h"
#include "wire/avro_blocks.h"
#include "batch/shape_draft.h"
#include "batch/versions.h"
#include "shape_avsc.h"

const struct shape_caps shape_default_caps = {
    .max_bytes = 8 << 20,
    .max_series = 20000,
    .max_labels = 64,
    .max_value_bytes = 1024,
    .max_bounds = 1024,
};

struct schema_versions shape_versions = {
    .name = "shape",
    .head = SHAPE_HEAD,
    .current = {SHAPE_FINGERPRINT, shape_avsc},
};

enum {
    N_KINDS = SERIES_CLASSIC_HISTOGRAM + 1,
    SERIES_LEAST_BYTES = 6, /* metric, kind, temporality, unit, two empty arrays */
    RUN_SLOTS = 256,        /* a power of two */
    FIRST_ITEMS = 64,
};

/* Runs of labels that were seen in this shape, by the hash of their indexes. */
struct run {
    uint64_t hash;
    uint32_t n_labels; /* 0 = empty */
    uint32_t at;       /* in the pool */
    const uint32_t *indexes;
};

struct decoder {
    const struct shape_caps *caps;
    struct arena *a;
    struct shape_draft *d;
    struct cursor c;
    struct slice *symbols;
    uint32_t n_symbols;
    uint32_t n_used; /* symbols below are in use: the next new one has to be this */
    uint32_t series_cap;
    uint32_t labels_cap;
    uint32_t bounds_cap;
    uint32_t *indexes; /* of one series' labels */
    struct run *runs;
};

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_INPUT, "shape: %s", what);
}

static bool no_memory(struct err *e)
{
    return bad(e, "larger than the memory it may have");
}

/* Room for n items in the array, which doubles; NULL at the arena's ceiling. */
static void *array_grow(struct arena *a, const void *items, uint32_t *cap, uint64_t n,
                        size_t item_bytes)
{
    uint64_t larger = *cap < FIRST_ITEMS / 2 ? FIRST_ITEMS : (uint64_t)*cap * 2;
    larger = larger < n ? n : larger;
    void *copy = larger > UINT32_MAX ? NULL : arena_alloc(a, (size_t)larger * item_bytes);
    if (copy != NULL) {
        if (*cap > 0) {
            memcpy(copy, items, *cap * item_bytes);
        }
        *cap = (uint32_t)larger;
    }
    return copy;
}

static bool text_check(const struct decoder *x, struct slice text, struct err *e)
{
    if (text.len > x->caps->max_value_bytes) {
        return err_set(e, ERR_BAD_INPUT, "shape: a string of %zu bytes, more than %u", text.len,
                       x->caps->max_value_bytes);
    }
    return utf8_valid(text) || bad(e, "a string is not UTF-8");
}

/* Symbols twice would be two ways to write the same shape. */
static bool symbols_unique(const struct decoder *x, struct err *e)
{
    uint64_t n_slots = FIRST_ITEMS;
    while (n_slots < 2 * (uint64_t)x->n_symbols) {
        n_slots *= 2;
    }
    uint32_t *slots = ARENA_ARRAY(x->a, uint32_t, n_slots);
    if (slots == NULL) {
        return no_memory(e);
    }
    for (uint32_t s = 0; s < x->n_symbols; s++) {
        uint64_t i = hash64_seeded(x->symbols[s], 0) & (n_slots - 1);
        for (; slots[i] != 0; i = (i + 1) & (n_slots - 1)) {
            if (slice_eq(x->symbols[slots[i] - 1], x->symbols[s])) {
                return err_set(e, ERR_BAD_INPUT, "shape: symbols %u and %u are the same",
                               slots[i] - 1, s);
            }
        }
        slots[i] = s + 1;
    }
    return true;
}

static bool symbols_read(struct decoder *x, struct err *e)
{
    uint32_t cap = 0;
    for (struct blocks b = {0}; blocks_next(&x->c, &b, 1);) {
        if (x->n_symbols == cap) {
            x->symbols =
                array_grow(x->a, x->symbols, &cap, x->n_symbols + 1 + b.n_left, sizeof *x->symbols);
            if (x->symbols == NULL) {
                return no_memory(e);
            }
        }
        struct slice text = cursor_zigzag_bytes(&x->c);
        if (!text_check(x, text, e)) {
            return false;
        }
        x->symbols[x->n_symbols++] = text;
    }
    return !cursor_ok(&x->c) || symbols_unique(x, e);
}

/* An index into the symbols, which come into use in their order. */
static uint32_t symbol_read(struct decoder *x)
{
    uint32_t i = avro_index(&x->c, x->n_symbols);
    if (i > x->n_used) {
        cursor_fail(&x->c);
    }
    x->n_used += i == x->n_used;
    return i;
}

/* Labels as indexes; the same run as before is the same labels. */
static bool indexes_read(struct decoder *x, uint32_t *n_out, struct err *e)
{
    uint32_t n = 0;
    for (struct blocks b = {0}; blocks_next(&x->c, &b, 1); n++) {
        if (n == 2 * x->caps->max_labels) {
            return err_set(e, ERR_BAD_INPUT, "shape: more than %u labels", x->caps->max_labels);
        }
        x->indexes[n] = symbol_read(x);
    }
    *n_out = n / 2;
    return n % 2 == 0 || bad(e, "a label without a value");
}

static bool labels_check(const struct label *labels, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i].name.len == 0) {
            return bad(e, "a label without a name");
        }
        if (i > 0 && slice_cmp(labels[i - 1].name, labels[i].name) >= 0) {
            return bad(e, "labels are not sorted by name, or one comes twice");
        }
    }
    return true;
}

static bool run_add(struct decoder *x, struct run *run, uint32_t n, struct err *e)
{
    struct shape_draft *d = x->d;
    if (n > x->labels_cap - d->n_labels) {
        d->labels = array_grow(x->a, d->labels, &x->labels_cap, (uint64_t)d->n_labels + n,
                               sizeof *d->labels);
        if (d->labels == NULL) {
            return no_memory(e);
        }
    }
    struct label *labels = d->labels + d->n_labels;
    for (size_t i = 0; i < n; i++) {
        labels[i] =
            (struct label){x->symbols[x->indexes[2 * i]], x->symbols[x->indexes[2 * i + 1]]};
    }
    struct slice copy = arena_copy(x->a, slice_of(x->indexes, 2 * (size_t)n * sizeof *x->indexes));
    if (copy.ptr == NULL) {
        return no_memory(e);
    }
    *run = (struct run){run->hash, n, d->n_labels, (const uint32_t *)(const void *)copy.ptr};
    d->n_labels += n;
    return labels_check(labels, n, e);
}

static bool labels_read(struct decoder *x, uint32_t *n, uint32_t *at, struct err *e)
{
    if (!indexes_read(x, n, e)) {
        return false;
    }
    if (*n == 0 || !cursor_ok(&x->c)) {
        *at = 0;
        return true;
    }
    struct slice key = slice_of(x->indexes, 2 * (size_t)*n * sizeof *x->indexes);
    uint64_t hash = hash64_seeded(key, 0);
    struct run *run = &x->runs[hash & (RUN_SLOTS - 1)];
    if (run->n_labels != *n || run->hash != hash || memcmp(run->indexes, key.ptr, key.len) != 0) {
        run->hash = hash;
        if (!run_add(x, run, *n, e)) {
            return false;
        }
    }
    *at = run->at;
    return true;
}

static bool bounds_read(struct decoder *x, struct series *s, uint32_t *at, struct err *e)
{
    struct shape_draft *d = x->d;
    double last = -INFINITY;
    *at = d->n_bounds;
    for (struct blocks b = {0}; blocks_next(&x->c, &b, sizeof(double));) {
        double bound = cursor_double(&x->c);
        if (!isfinite(bound) || !(bound > last) || s->kind != SERIES_CLASSIC_HISTOGRAM) {
            return bad(e, "bounds that do not rise, or of a kind that has none");
        }
        if (s->n_bounds++ == x->caps->max_bounds) {
            return err_set(e, ERR_BAD_INPUT, "shape: more than %u bounds", x->caps->max_bounds);
        }
        if (d->n_bounds == x->bounds_cap) {
            d->bounds = array_grow(x->a, d->bounds, &x->bounds_cap, d->n_bounds + UINT64_C(1),
                                   sizeof *d->bounds);
            if (d->bounds == NULL) {
                return no_memory(e);
            }
        }
        d->bounds[d->n_bounds++] = last = bound;
    }
    return true;
}

/* series_cmp wants real pointers; the pools may still move. */
static struct series series_view(const struct shape_draft *d, uint32_t i)
{
    struct series s = d->series[i];
    s.labels = s.n_labels == 0 ? NULL : d->labels + d->refs[i].labels;
    s.bounds = s.n_bounds == 0 ? NULL : d->bounds + d->refs[i].bounds;
    return s;
}

static bool order_check(const struct shape_draft *d, uint32_t i, struct err *e)
{
    if (i == 0) {
        return true;
    }
    struct series before = series_view(d, i - 1);
    struct series now = series_view(d, i);
    return series_cmp(&before, &now) < 0 || bad(e, "not in canonical order, or twice the same");
}

static bool one_series_read(struct decoder *x, struct err *e)
{
    struct shape_draft *d = x->d;
    struct series *s = &d->series[d->n_series];
    *s = (struct series){0};
    struct draft_ref *ref = &d->refs[d->n_series];
    uint32_t metric = symbol_read(x);
    s->kind = avro_index(&x->c, N_KINDS);
    s->delta = avro_index(&x->c, 2) == 1;
    uint32_t unit = symbol_read(x);
    if (!labels_read(x, &s->n_labels, &ref->labels, e) || !bounds_read(x, s, &ref->bounds, e)) {
        return false;
    }
    if (!cursor_ok(&x->c)) {
        return bad(e, "bad or cut off");
    }
    s->metric = x->symbols[metric];
    s->unit = x->symbols[unit];
    if (s->metric.len == 0 || (s->kind == SERIES_GAUGE && s->delta)) {
        return bad(e, "no metric, or a gauge of deltas");
    }
    return order_check(d, d->n_series++, e);
}

static bool series_grow(struct decoder *x, uint64_t n_more, struct err *e)
{
    struct shape_draft *d = x->d;
    if (n_more > x->caps->max_series - d->n_series) {
        return err_set(e, ERR_BAD_INPUT, "shape: %" PRIu64 " series, more than %u",
                       n_more + d->n_series, x->caps->max_series);
    }
    uint32_t cap = x->series_cap;
    d->series = array_grow(x->a, d->series, &cap, d->n_series + n_more, sizeof *d->series);
    d->refs = array_grow(x->a, d->refs, &x->series_cap, d->n_series + n_more, sizeof *d->refs);
    return (d->series != NULL && d->refs != NULL) || no_memory(e);
}

static bool series_read(struct decoder *x, struct err *e)
{
    x->indexes = ARENA_ARRAY(x->a, uint32_t, 2 * (size_t)x->caps->max_labels);
    x->runs = ARENA_ARRAY(x->a, struct run, RUN_SLOTS);
    if (x->indexes == NULL || x->runs == NULL) {
        return no_memory(e);
    }
    for (struct blocks b = {0}; blocks_next(&x->c, &b, SERIES_LEAST_BYTES);) {
        uint32_t at = x->d->n_series;
        if (at == x->series_cap && !series_grow(x, 1 + b.n_left, e)) {
            return false;
        }
        if (!one_series_read(x, e)) {
            return err_wrap(e, "series %u", at);
        }
    }
    if (cursor_ok(&x->c) && x->n_used != x->n_symbols) {
        return bad(e, "a symbol that no series has");
    }
    return true;
}

bool shape_draft_decode(struct slice bytes, const struct shape_caps *caps, struct arena *scratch,
                        struct shape_draft *out, struct err *e)
{
    *out = (struct shape_draft){.bytes = bytes};
    struct decoder x = {.caps = caps, .a = scratch, .d = out};
    struct slice body;
    if (bytes.len > caps->max_bytes) {
        return err_set(e, ERR_BAD_INPUT, "shape: %zu bytes, more than %zu", bytes.len,
                       caps->max_bytes);
    }
    if (!versions_body(&shape_versions, bytes, caps->max_bytes, scratch, &body, e)) {
        return false;
    }
    if (body.ptr != bytes.ptr + AVRO_HEAD_BYTES) {
        out->bytes = body;
    }
    x.c = cursor_of(body);
    if (!symbols_read(&x, e)) {
        return false;
    }
    out->source_name = cursor_zigzag_bytes(&x.c);
    if (!text_check(&x, out->source_name, e) || !series_read(&x, e)) {
        return false;
    }
    if (!cursor_ok(&x.c)) {
        return bad(e, "bad or cut off");
    }
    return cursor_left(&x.c) == 0 || bad(e, "bytes behind its end");
}

bool shape_decode(struct slice bytes, struct slice tenant, const struct shape_caps *caps,
                  struct arena *a, struct shape *out, struct err *e)
{
    struct shape_draft draft;
    if (!shape_draft_decode(bytes, caps, a, &draft, e)) {
        return false;
    }
    return shape_draft_finish(&draft, tenant, false, a, out) || no_memory(e);
}
