#include "parquet/rows.h"

void rows_scratch_init(struct rows_scratch *s, size_t max_bytes)
{
    buf_init(&s->repetition, max_bytes);
    buf_init(&s->definition, max_bytes);
    buf_init(&s->key_definition, max_bytes);
    buf_init(&s->values, max_bytes);
}

void rows_scratch_fini(struct rows_scratch *s)
{
    buf_fini(&s->repetition);
    buf_fini(&s->definition);
    buf_fini(&s->key_definition);
    buf_fini(&s->values);
}

size_t rows_scratch_held_bytes(const struct rows_scratch *s)
{
    return s->repetition.cap + s->definition.cap + s->key_definition.cap + s->values.cap;
}

/* Bytes of an element in the caller's arrays. */
static size_t stride_of(enum parquet_type type)
{
    return is_text(type) ? sizeof(struct slice) : width_of(type);
}

static size_t texts_bytes(const struct slice *texts, const bool *nulls, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += nulls != NULL && nulls[i] ? 0 : texts[i].len;
    }
    return sum;
}

/* Values, levels and references; all in memory at once while a slice is appended. */
static size_t entries_bytes(const struct parquet_field *f, const struct parquet_column *c,
                            size_t from, size_t n)
{
    size_t n_bytes = n * 2 * sizeof(struct slice);
    if (n == 0) {
        return 0; /* there may be no arrays */
    }
    if (is_text(f->type)) {
        const bool *nulls = f->form == PARQUET_ONE ? c->nulls : c->value_nulls;
        n_bytes += texts_bytes(c->values.texts + from, nulls == NULL ? NULL : nulls + from, n);
    }
    if (f->form == PARQUET_MAP) {
        n_bytes += texts_bytes(c->keys + from, NULL, n);
    }
    return n_bytes;
}

/* The usual case: all of them. */
static bool all_fit(const struct rows_source *at, size_t n, size_t max_bytes)
{
    const uint32_t *n_entries = at->field->form == PARQUET_ONE ? NULL : at->column->n_entries;
    size_t from = n_entries == NULL ? at->row : at->entry;
    size_t entries = n_entries == NULL ? n : 0;
    for (size_t i = 0; i < n && n_entries != NULL; i++) {
        entries += n_entries[at->row + i];
    }
    return entries_bytes(at->field, at->column, from, entries) <= max_bytes;
}

size_t rows_fit(const struct rows_source *at, size_t n, size_t max_bytes)
{
    const struct parquet_field *f = at->field;
    const struct parquet_column *c = at->column;
    if (f->form == PARQUET_ONE && !is_text(f->type)) {
        size_t fit = max_bytes / (2 * sizeof(struct slice));
        return fit == 0 ? 1 : n < fit ? n : fit;
    }
    if (all_fit(at, n, max_bytes)) {
        return n;
    }
    size_t n_bytes = 0;
    size_t entry = at->entry;
    for (size_t i = 0; i < n; i++) {
        size_t n_entries = 1;
        size_t from = at->row + i;
        if (f->form != PARQUET_ONE) {
            n_entries = c->n_entries[at->row + i];
            from = entry;
            entry += n_entries;
        }
        n_bytes += entries_bytes(f, c, from, n_entries);
        if (n_bytes > max_bytes) {
            return i == 0 ? 1 : i;
        }
    }
    return n;
}

/* Without those that are null; *out may be the caller's own array. */
static bool compact(const void *values, size_t stride, const bool *nulls, size_t n,
                    struct buf *scratch, struct leaf_rows *out)
{
    const uint8_t *from = values;
    out->values = values;
    out->n_values = n;
    if (nulls == NULL || n == 0) {
        return true;
    }
    buf_reset(scratch);
    uint8_t *to = buf_extend(scratch, n * stride);
    if (to == NULL) {
        return false;
    }
    out->values = to;
    for (size_t i = 0; i < n; i++) {
        if (!nulls[i]) {
            memcpy(to, from + i * stride, stride);
            to += stride;
        }
    }
    out->n_values = (size_t)(to - (const uint8_t *)out->values) / stride;
    return true;
}

static bool no_room(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "a row is over the memory ceiling");
}

static bool check_required(const bool *nulls, size_t n, const char *what, struct err *e)
{
    for (size_t i = 0; i < n && nulls != NULL; i++) {
        if (nulls[i]) {
            return err_set(e, ERR_BAD_INPUT, "%s %zu is null, and none may be", what, i);
        }
    }
    return true;
}

static bool take_single(const struct rows_source *at, size_t n, struct rows_scratch *scratch,
                        struct leaf_rows *out, struct err *e)
{
    const struct parquet_field *f = at->field;
    const struct parquet_column *c = at->column;
    const bool *nulls = c->nulls == NULL ? NULL : c->nulls + at->row;
    size_t stride = stride_of(f->type);
    *out = (struct leaf_rows){.n_rows = n, .n_levels = n};
    if (!f->optional && !check_required(nulls, n, "row", e)) {
        return false;
    }
    if (f->optional) {
        buf_reset(&scratch->definition);
        uint8_t *definition = buf_extend(&scratch->definition, n);
        if (definition == NULL) {
            return no_room(e);
        }
        for (size_t i = 0; i < n; i++) {
            definition[i] = nulls == NULL || !nulls[i];
        }
        out->definition = definition;
    }
    return compact((const uint8_t *)c->values.any + at->row * stride, stride,
                   f->optional ? nulls : NULL, n, &scratch->values, out) ||
           no_room(e);
}

/* A level per entry, and one for each row without. */
static bool count_levels(const struct rows_source *at, size_t n, size_t *n_levels,
                         size_t *n_entries, struct err *e)
{
    const struct parquet_column *c = at->column;
    *n_levels = *n_entries = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t k = c->n_entries[at->row + i];
        bool null = c->nulls != NULL && c->nulls[at->row + i];
        if (null && (k != 0 || !at->field->optional)) {
            return err_set(e, ERR_BAD_INPUT, "row %zu is null %s", i,
                           k != 0 ? "and has entries" : "and none may be");
        }
        *n_entries += k;
        *n_levels += k == 0 ? 1 : k;
    }
    return true;
}

/* Definition levels up to the entry; the value's own null comes on top. */
static void levels_fill(const struct rows_source *at, size_t n, uint8_t *repetition,
                        uint8_t *definition)
{
    const struct parquet_column *c = at->column;
    const uint8_t empty = at->field->optional;
    for (size_t i = 0; i < n; i++) {
        uint32_t k = c->n_entries[at->row + i];
        bool null = c->nulls != NULL && c->nulls[at->row + i];
        if (k == 0) {
            *repetition++ = 0;
            *definition++ = null ? 0 : empty;
            continue;
        }
        memset(definition, empty + 1, k);
        memset(repetition, 1, k);
        repetition[0] = 0;
        definition += k;
        repetition += k;
    }
}

static void value_levels_fill(const struct parquet_field *f, const bool *nulls, size_t n_levels,
                              const uint8_t *key_definition, uint8_t *definition)
{
    const uint8_t present = (uint8_t)(f->optional + 1);
    size_t entry = 0;
    for (size_t i = 0; i < n_levels; i++) {
        definition[i] = key_definition[i];
        if (key_definition[i] == present) {
            bool null = nulls != NULL && nulls[entry++];
            definition[i] = (uint8_t)(definition[i] + (f->optional_values && !null));
        }
    }
}

static bool take_repeated(const struct rows_source *at, size_t n, struct rows_scratch *scratch,
                          struct leaf_rows *out, size_t *n_entries, struct err *e)
{
    const struct parquet_field *f = at->field;
    const struct parquet_column *c = at->column;
    size_t n_levels;
    if (!count_levels(at, n, &n_levels, n_entries, e)) {
        return false;
    }
    const bool *nulls = c->value_nulls == NULL ? NULL : c->value_nulls + at->entry;
    if (!f->optional_values && !check_required(nulls, *n_entries, "entry", e)) {
        return false;
    }
    buf_reset(&scratch->repetition);
    buf_reset(&scratch->key_definition);
    buf_reset(&scratch->definition);
    uint8_t *repetition = buf_extend(&scratch->repetition, n_levels);
    uint8_t *key_definition = buf_extend(&scratch->key_definition, n_levels);
    uint8_t *definition = buf_extend(&scratch->definition, n_levels);
    if (repetition == NULL || key_definition == NULL || definition == NULL) {
        return no_room(e);
    }
    levels_fill(at, n, repetition, key_definition);
    value_levels_fill(f, nulls, n_levels, key_definition, definition);
    struct leaf_rows *values = out;
    if (f->form == PARQUET_MAP) {
        *out = (struct leaf_rows){.n_rows = n,
                                  .n_levels = n_levels,
                                  .n_values = *n_entries,
                                  .repetition = repetition,
                                  .definition = key_definition,
                                  .values = *n_entries == 0 ? NULL : c->keys + at->entry};
        values = out + 1;
    }
    *values = (struct leaf_rows){
        .n_rows = n, .n_levels = n_levels, .repetition = repetition, .definition = definition};
    size_t stride = stride_of(f->type);
    const uint8_t *first =
        *n_entries == 0 ? NULL : (const uint8_t *)c->values.any + at->entry * stride;
    return compact(first, stride, f->optional_values ? nulls : NULL, *n_entries, &scratch->values,
                   values) ||
           no_room(e);
}

bool rows_take(struct rows_source *from, size_t n, struct rows_scratch *scratch,
               struct leaf_rows *out, struct err *e)
{
    size_t n_entries = 0;
    bool ok = from->field->form == PARQUET_ONE
                  ? take_single(from, n, scratch, out, e)
                  : take_repeated(from, n, scratch, out, &n_entries, e);
    from->row += n;
    from->entry += n_entries;
    return ok;
}
