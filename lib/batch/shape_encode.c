#include <assert.h>

#include "wire/avro_blocks.h"
#include "batch/shape.h"
#include "shape_avsc.h"

/* The symbol table while it is made: text → index, open addressing. */
struct symbols {
    struct slice *texts; /* by index */
    uint32_t *slots;     /* index + 1, 0 = empty */
    uint32_t n;
    uint32_t n_slots; /* a power of two */
};

static uint32_t *slot_seek(const struct symbols *t, struct slice text)
{
    uint32_t i = (uint32_t)hash64_seeded(text, 0) & (t->n_slots - 1);
    while (t->slots[i] != 0 && !slice_eq(t->texts[t->slots[i] - 1], text)) {
        i = (i + 1) & (t->n_slots - 1);
    }
    return &t->slots[i];
}

static bool symbols_grow(struct symbols *t, struct arena *a)
{
    struct symbols larger = {.n = t->n, .n_slots = t->n_slots == 0 ? 256 : t->n_slots * 4};
    larger.texts = arena_alloc(a, larger.n_slots / 2 * sizeof *larger.texts);
    larger.slots = ARENA_ARRAY(a, uint32_t, larger.n_slots);
    if (larger.texts == NULL || larger.slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        larger.texts[i] = t->texts[i];
        *slot_seek(&larger, t->texts[i]) = i + 1;
    }
    *t = larger;
    return true;
}

static bool symbols_index(struct symbols *t, struct slice text, struct arena *a, uint32_t *out)
{
    if (t->n >= t->n_slots / 2 && !symbols_grow(t, a)) {
        return false;
    }
    uint32_t *slot = slot_seek(t, text);
    if (*slot == 0) {
        t->texts[t->n++] = text;
        *slot = t->n;
    }
    *out = *slot - 1;
    return true;
}

/* The symbols of all series, one after the other: metric, unit, labels. */
static uint32_t *indexes_make(struct symbols *t, const struct series *const *series,
                              uint32_t n_series, struct arena *a)
{
    size_t n = 0;
    for (uint32_t i = 0; i < n_series; i++) {
        n += 2 + 2 * (size_t)series[i]->n_labels;
    }
    uint32_t *indexes = arena_alloc(a, n * sizeof *indexes);
    bool ok = indexes != NULL;
    uint32_t *at = indexes;
    for (uint32_t i = 0; ok && i < n_series; i++) {
        const struct series *s = series[i];
        ok = symbols_index(t, s->metric, a, at++) && symbols_index(t, s->unit, a, at++);
        for (uint32_t l = 0; ok && l < s->n_labels; l++) {
            ok = symbols_index(t, s->labels[l].name, a, at++) &&
                 symbols_index(t, s->labels[l].value, a, at++);
        }
    }
    return ok ? indexes : NULL;
}

/* An Avro array as one block: the count, the items, and a 0 unless that was the count. */
static void block_open(struct buf *out, size_t n)
{
    if (n > 0) {
        buf_zigzag(out, (int64_t)n);
    }
}

static void block_close(struct buf *out)
{
    buf_u8(out, 0);
}

static const uint32_t *series_put(const struct series *s, const uint32_t *indexes, struct buf *out)
{
    buf_zigzag(out, *indexes++);
    buf_zigzag(out, s->kind);
    buf_zigzag(out, s->delta ? 1 : 0);
    buf_zigzag(out, *indexes++);
    block_open(out, 2 * (size_t)s->n_labels);
    for (uint32_t i = 0; i < 2 * s->n_labels; i++) {
        buf_zigzag(out, *indexes++);
    }
    block_close(out);
    block_open(out, s->n_bounds);
    for (uint32_t i = 0; i < s->n_bounds; i++) {
        buf_double(out, s->bounds[i]);
    }
    block_close(out);
    return indexes;
}

bool shape_encode(struct slice source_name, const struct series *const *series, uint32_t n_series,
                  struct arena *scratch, struct buf *out, struct err *e)
{
    struct symbols symbols = {0};
    const uint32_t *indexes = indexes_make(&symbols, series, n_series, scratch);
    if (indexes == NULL) {
        return err_set(e, ERR_BAD_INPUT, "shape: larger than its batch's memory");
    }
    buf_put(out, SHAPE_HEAD, AVRO_HEAD_BYTES);
    block_open(out, symbols.n);
    for (uint32_t i = 0; i < symbols.n; i++) {
        buf_zigzag_bytes(out, symbols.texts[i]);
    }
    block_close(out);
    buf_zigzag_bytes(out, source_name);
    block_open(out, n_series);
    for (uint32_t i = 0; i < n_series; i++) {
        assert(i == 0 || series_cmp(series[i - 1], series[i]) < 0);
        indexes = series_put(series[i], indexes, out);
    }
    block_close(out);
    return true;
}
