/* The table of raw samples: a row per sample.
 *
 * Rows come in chunks to the Parquet writer, whose bounds, as those of row groups, follow from the
 * rows alone: the same rows are the same file. A row group ends where a metric ends, so that a
 * reader who wants one metric finds it in one of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "samples_chunk.h"
#include "table_def.h"

enum {
    CHUNK_ENTRIES = 1 << 15,    /* of maps or lists; the last row's come on top */
    CHUNK_TEXT_BYTES = 1 << 20, /* as well */
    ENTRIES_MAX_BYTES = 64 << 20,
    HISTOGRAM_ARENA_BYTES = 32 << 20,
    GROUP_LEAST_ROWS = 110000,
    GROUP_MOST_ROWS = 1 << 19,
    PAGE_ROWS = 1 << 19, /* pages end by their bytes, or with the group */
    PAGE_BYTES = 4 << 20,
    DICTIONARY_BYTES = 2 << 20,
    SERIES_BYTES = 32
};

struct table_writer {
    const struct layout *layout;
    int32_t partition;
    struct parquet_field fields[MAX_COLUMNS];
    size_t n_fields;
    struct parquet_writer *parquet;
    uint64_t group_rows;
    /* The head of the last row, its texts in the chunk's arena. */
    const struct head *seen; /* NULL: not in this chunk */
    uint64_t metric;         /* hash of its tenant and metric; 0: no row so far */
    struct head head;
    size_t head_from; /* its first row in the chunk; what it says is filled in at its end */
    struct slice series_text;
    struct chunk chunk;
};

/* --- chunks --- */

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_RETRY, "out of memory for rows of a file");
}

static const struct label *label_find(const struct series *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_labels; i++) {
        if (slice_eq_str(s->labels[i].name, name)) {
            return &s->labels[i];
        }
    }
    return NULL;
}

static void text_fill(struct slice *column, size_t from, size_t to, struct slice text)
{
    for (size_t i = from; i < to; i++) {
        column[i] = text;
    }
}

static void texts_fill(struct table_writer *w, size_t from, size_t to)
{
    struct chunk *c = &w->chunk;
    const struct series *s = &w->head.series;
    const struct slice texts[N_TEXTS] = {[TENANT] = w->head.tenant,
                                         [METRIC] = s->metric,
                                         [KIND] = slice_str(series_kind_name(s->kind)),
                                         [TEMPORALITY] = s->delta ? SLICE_LITERAL("delta")
                                                                  : SLICE_LITERAL("cumulative"),
                                         [UNIT] = s->unit,
                                         [CLASS] = slice_str(batch_class_name(w->head.class)),
                                         [SERIES] = w->series_text,
                                         [SOURCE] = w->head.source};
    for (unsigned i = 0; i < N_TEXTS; i++) {
        text_fill(c->texts[i], from, to, texts[i]);
    }
    memset(c->no_temporality + from, s->kind == SERIES_GAUGE, to - from);
    for (size_t i = 0; i < w->layout->n_label_columns; i++) {
        const struct label *label = label_find(s, w->layout->label_columns[i]);
        text_fill(c->label_columns[i], from, to, label == NULL ? SLICE_LITERAL("") : label->value);
        memset(c->label_nulls[i] + from, label == NULL, to - from);
    }
}

static bool labels_fill(struct table_writer *w, size_t from, size_t to, struct err *e)
{
    struct chunk *c = &w->chunk;
    const struct series *s = &w->head.series;
    size_t n_bytes = (to - from) * s->n_labels * sizeof(struct slice);
    for (size_t i = from; i < to; i++) {
        c->n_labels[i] = s->n_labels;
    }
    if (n_bytes == 0) {
        return true;
    }
    struct slice *names = (struct slice *)(void *)buf_extend(&c->label_names, n_bytes);
    struct slice *values = (struct slice *)(void *)buf_extend(&c->label_values, n_bytes);
    if (names == NULL || values == NULL) {
        return no_memory(e);
    }
    for (size_t i = from; i < to; i++) {
        for (uint32_t k = 0; k < s->n_labels; k++) {
            *names++ = s->labels[k].name;
            *values++ = s->labels[k].value;
        }
    }
    return true;
}

/* The head's columns of its rows so far. */
static bool head_fill(struct table_writer *w, struct err *e)
{
    size_t from = w->head_from;
    w->head_from = w->chunk.n_rows;
    if (from == w->chunk.n_rows) {
        return true;
    }
    texts_fill(w, from, w->chunk.n_rows);
    return labels_fill(w, from, w->chunk.n_rows, e);
}

static void chunk_reset(struct table_writer *w)
{
    struct chunk *c = &w->chunk;
    c->n_rows = 0;
    buf_reset(&c->label_names);
    buf_reset(&c->label_values);
    for (unsigned i = 0; i < N_LISTS; i++) {
        buf_reset(&c->lists[i].values);
    }
    arena_reset(&c->texts_arena);
    w->seen = NULL;
    w->head_from = 0;
}

static bool chunk_flush(struct table_writer *w, struct err *e)
{
    struct parquet_column columns[MAX_COLUMNS] = {{.nulls = NULL}};
    if (w->chunk.n_rows == 0) {
        return true;
    }
    if (!head_fill(w, e)) {
        return false;
    }
    chunk_columns(&w->chunk, w->layout, columns);
    if (!parquet_append(w->parquet, columns, w->chunk.n_rows, e)) {
        return false;
    }
    w->group_rows += w->chunk.n_rows;
    chunk_reset(w);
    return true;
}

static bool chunk_is_full(const struct table_writer *w)
{
    const struct chunk *c = &w->chunk;
    size_t n_labels = c->label_names.len / sizeof(struct slice) +
                      (c->n_rows - w->head_from) * w->head.series.n_labels;
    bool full = c->n_rows == CHUNK_ROWS || c->texts_arena.used_bytes >= CHUNK_TEXT_BYTES ||
                n_labels >= CHUNK_ENTRIES;
    for (unsigned i = 0; i < N_LISTS; i++) {
        full = full || c->lists[i].values.len >= CHUNK_ENTRIES * sizeof(int64_t);
    }
    return full;
}

/* --- a row --- */

static bool head_see(struct table_writer *w, const struct head *head, struct err *e)
{
    /* The same from another scratch file must not count, or chunks would depend on the memory. */
    bool is_same = w->seen != NULL && head_eq(head, &w->head);
    w->seen = head;
    if (is_same) {
        return true;
    }
    if (!head_fill(w, e)) {
        return false;
    }
    uint8_t *text = arena_alloc(&w->chunk.texts_arena, SERIES_BYTES + 1);
    if (text == NULL || !head_copy(head, &w->chunk.texts_arena, &w->head)) {
        return no_memory(e);
    }
    (void)snprintf((char *)text, SERIES_BYTES + 1, "%016" PRIx64 "%016" PRIx64, head->series.id.hi,
                   head->series.id.lo);
    w->series_text = slice_of(text, SERIES_BYTES);
    return true;
}

/* Ends the row group where a metric ends, if it is large enough. */
static bool metric_see(struct table_writer *w, const struct head *head, struct err *e)
{
    uint64_t metric = source_id(head->tenant, head->series.metric) | 1;
    bool another = w->metric != 0 && w->metric != metric;
    w->metric = metric;
    if (!another || w->group_rows + w->chunk.n_rows < GROUP_LEAST_ROWS) {
        return true;
    }
    if (!chunk_flush(w, e) || !parquet_end_group(w->parquet, e)) {
        return false;
    }
    w->group_rows = 0;
    return true;
}

static bool samples_put(struct table_writer *w, const struct row *row, struct err *e)
{
    struct chunk *c = &w->chunk;
    if (w->seen != row->head && !(metric_see(w, row->head, e) && head_see(w, row->head, e))) {
        return false;
    }
    size_t n = c->n_rows;
    c->ts_ms[n] = row->ts_ms;
    c->partition[n] = w->partition;
    c->offset[n] = row->offset;
    if (!chunk_value(c, n, &w->head.series, row->payload, e)) {
        return false;
    }
    c->n_rows++;
    return !chunk_is_full(w) || chunk_flush(w, e);
}

/* --- files --- */

static void samples_free(struct table_writer *w)
{
    if (w == NULL) {
        return;
    }
    parquet_free(w->parquet);
    buf_fini(&w->chunk.label_names);
    buf_fini(&w->chunk.label_values);
    for (unsigned i = 0; i < N_LISTS; i++) {
        buf_fini(&w->chunk.lists[i].values);
    }
    arena_fini(&w->chunk.texts_arena);
    arena_fini(&w->chunk.histogram);
    free(w);
}

static void samples_init(struct table_writer *w, const struct table_options *o)
{
    w->layout = o->layout;
    w->partition = o->partition;
    arena_init(&w->chunk.histogram, HISTOGRAM_ARENA_BYTES);
    arena_init(&w->chunk.texts_arena, ENTRIES_MAX_BYTES);
    buf_init(&w->chunk.label_names, ENTRIES_MAX_BYTES);
    buf_init(&w->chunk.label_values, ENTRIES_MAX_BYTES);
    for (unsigned i = 0; i < N_LISTS; i++) {
        buf_init(&w->chunk.lists[i].values, ENTRIES_MAX_BYTES);
    }
    w->n_fields = samples_fields(o->layout, o->portable, w->fields);
}

static bool samples_open(const struct table_options *o, parquet_sink sink, void *sink_context,
                         struct table_writer **out, struct err *e)
{
    static const struct parquet_sorting sorting[] = {{TENANT}, {METRIC}, {SERIES}, {TS}};
    *out = NULL;
    struct table_writer *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return no_memory(e);
    }
    samples_init(w, o);
    const struct parquet_options options = {.fields = w->fields,
                                            .n_fields = w->n_fields,
                                            .sorting = sorting,
                                            .n_sorting = sizeof sorting / sizeof *sorting,
                                            .pairs = o->pairs,
                                            .n_pairs = o->n_pairs,
                                            .codec = o->codec,
                                            .zstd_level = o->zstd_level,
                                            .page_rows = PAGE_ROWS,
                                            .page_max_bytes = PAGE_BYTES,
                                            .group_max_rows = GROUP_MOST_ROWS,
                                            .dictionary_max_bytes = DICTIONARY_BYTES,
                                            .max_bytes = o->max_bytes};
    if (!parquet_new(&options, sink, sink_context, &w->parquet, e)) {
        samples_free(w);
        return false;
    }
    *out = w;
    return true;
}

static bool samples_close(struct table_writer *w, struct err *e)
{
    return chunk_flush(w, e) && parquet_close(w->parquet, e);
}

const struct table_def samples_table = {.name = "samples",
                                        .column_names = samples_column_names,
                                        .open = samples_open,
                                        .put = samples_put,
                                        .close = samples_close,
                                        .free = samples_free};
