/* Rows come in chunks to the Parquet writer, whose bounds, as those of row groups, follow from the
 * rows alone: the same rows are the same file. A row group ends where a metric ends, so that a
 * reader who wants one metric finds it in one of them. */
#include "table_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "histogram_columns.h"
#include "table_def.h"

enum {
    CHUNK_ENTRIES = 1 << 15,    /* of maps or lists; the last row's come on top */
    CHUNK_TEXT_BYTES = 1 << 20, /* as well */
    ENTRIES_MAX_BYTES = 64 << 20,
    GROUP_LEAST_ROWS = 110000,
    GROUP_MOST_ROWS = 1 << 19,
    PAGE_ROWS = 1 << 19, /* pages end by their bytes, or with the group */
    PAGE_BYTES = 4 << 20,
    DICTIONARY_BYTES = 2 << 20,
    SERIES_BYTES = 32
};

enum head_column {
    TENANT,
    METRIC,
    KIND,
    TEMPORALITY,
    UNIT,
    CLASS,
    SERIES,
    SOURCE,
    N_TEXTS, /* what is above: the same for all rows of a head */
    LABELS = N_TEXTS,
    TS,
    TS_MS,
    N_HEAD_COLUMNS
};
enum { KAFKA_PARTITION, KAFKA_OFFSET, N_PLACE_COLUMNS };
enum { MAX_COLUMNS = 160 };

static const char *const head_names[N_HEAD_COLUMNS] = {"tenant", "metric", "kind",   "temporality",
                                                       "unit",   "class",  "series", "source",
                                                       "labels", "ts",     "ts_ms"};
static const char *const place_names[N_PLACE_COLUMNS] = {"kafka_partition", "kafka_offset"};
static const char *const folder_names[] = {"dt", "hour"};

struct chunk {
    size_t n_rows;
    struct slice texts[N_TEXTS][CHUNK_ROWS];
    struct slice label_columns[LAYOUT_MAX_LABEL_COLUMNS][CHUNK_ROWS];
    bool label_nulls[LAYOUT_MAX_LABEL_COLUMNS][CHUNK_ROWS];
    uint32_t n_labels[CHUNK_ROWS];
    struct buf label_names; /* struct slice each */
    struct buf label_values;
    int64_t ts_ms[CHUNK_ROWS];
    int32_t partition[CHUNK_ROWS];
    int64_t offset[CHUNK_ROWS];
    bool no_temporality[CHUNK_ROWS]; /* gauges */
    struct arena texts_arena;        /* the heads' */
};

struct table_file {
    const struct table_def *table;
    const struct layout *layout;
    int32_t partition;
    struct parquet_field fields[MAX_COLUMNS];
    size_t n_fields;
    struct values *values; /* the table's own columns of the chunk */
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

/* --- columns --- */

static void head_fields(struct parquet_field *fields)
{
    for (unsigned i = 0; i < N_TEXTS; i++) {
        fields[i].type = PARQUET_STRING;
    }
    fields[SERIES].bloom = true;
    fields[TEMPORALITY].optional = true;
    fields[LABELS] = (struct parquet_field){.type = PARQUET_STRING, .form = PARQUET_MAP};
    /* Times are the same for all series of a source: in plain pages that hold several metrics zstd
     * finds them again, at a third of what DELTA_BINARY_PACKED or a dictionary takes. */
    fields[TS] = (struct parquet_field){.type = PARQUET_TIMESTAMP_MS, .encoding = PARQUET_PLAIN};
    fields[TS_MS] = (struct parquet_field){.type = PARQUET_INT64, .encoding = PARQUET_PLAIN};
    for (unsigned i = 0; i < N_HEAD_COLUMNS; i++) {
        fields[i].name = head_names[i];
    }
}

static void place_fields(struct parquet_field *fields, bool portable)
{
    fields[KAFKA_PARTITION] =
        (struct parquet_field){.type = PARQUET_INT32, .encoding = PARQUET_DICTIONARY};
    fields[KAFKA_OFFSET] = (struct parquet_field){
        .type = PARQUET_INT64, .encoding = portable ? PARQUET_PLAIN : PARQUET_DELTA};
    for (unsigned i = 0; i < N_PLACE_COLUMNS; i++) {
        fields[i].name = place_names[i];
    }
}

static void fields_init(struct table_file *w, bool portable)
{
    const struct table_def *t = w->table;
    struct parquet_field *own = w->fields + N_HEAD_COLUMNS;
    struct parquet_field *labels = own + t->n_columns + N_PLACE_COLUMNS;
    assert(N_HEAD_COLUMNS + t->n_columns + N_PLACE_COLUMNS + LAYOUT_MAX_LABEL_COLUMNS <=
           MAX_COLUMNS);
    head_fields(w->fields);
    t->fields(portable, own);
    for (size_t i = 0; i < t->n_columns; i++) {
        own[i].name = t->column_names[i];
    }
    place_fields(own + t->n_columns, portable);
    for (size_t i = 0; i < w->layout->n_label_columns; i++) {
        labels[i] = (struct parquet_field){
            .name = w->layout->label_columns[i], .type = PARQUET_STRING, .optional = true};
    }
    w->n_fields = N_HEAD_COLUMNS + t->n_columns + N_PLACE_COLUMNS + w->layout->n_label_columns;
}

static void chunk_columns(const struct table_file *w, struct parquet_column *columns)
{
    const struct chunk *c = &w->chunk;
    struct parquet_column *own = columns + N_HEAD_COLUMNS;
    struct parquet_column *places = own + w->table->n_columns;
    for (unsigned i = 0; i < N_TEXTS; i++) {
        columns[i].values.texts = c->texts[i];
    }
    columns[TEMPORALITY].nulls = c->no_temporality;
    columns[LABELS] =
        (struct parquet_column){.values.any = c->label_values.ptr,
                                .keys = (const struct slice *)(const void *)c->label_names.ptr,
                                .n_entries = c->n_labels};
    columns[TS].values.int64s = columns[TS_MS].values.int64s = c->ts_ms;
    w->table->columns(w->values, own);
    places[KAFKA_PARTITION].values.int32s = c->partition;
    places[KAFKA_OFFSET].values.int64s = c->offset;
    for (size_t i = 0; i < w->layout->n_label_columns; i++) {
        places[N_PLACE_COLUMNS + i] = (struct parquet_column){.values.texts = c->label_columns[i],
                                                              .nulls = c->label_nulls[i]};
    }
}

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

static void texts_fill(struct table_file *w, size_t from, size_t to)
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

static bool labels_fill(struct table_file *w, size_t from, size_t to, struct err *e)
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
static bool head_fill(struct table_file *w, struct err *e)
{
    size_t from = w->head_from;
    w->head_from = w->chunk.n_rows;
    if (from == w->chunk.n_rows) {
        return true;
    }
    texts_fill(w, from, w->chunk.n_rows);
    return labels_fill(w, from, w->chunk.n_rows, e);
}

static void chunk_reset(struct table_file *w)
{
    struct chunk *c = &w->chunk;
    c->n_rows = 0;
    buf_reset(&c->label_names);
    buf_reset(&c->label_values);
    w->table->values_reset(w->values);
    arena_reset(&c->texts_arena);
    w->seen = NULL;
    w->head_from = 0;
}

static bool chunk_flush(struct table_file *w, struct err *e)
{
    struct parquet_column columns[MAX_COLUMNS] = {{.nulls = NULL}};
    if (w->chunk.n_rows == 0) {
        return true;
    }
    if (!head_fill(w, e)) {
        return false;
    }
    chunk_columns(w, columns);
    if (!parquet_append(w->parquet, columns, w->chunk.n_rows, e)) {
        return false;
    }
    w->group_rows += w->chunk.n_rows;
    chunk_reset(w);
    return true;
}

static bool chunk_is_full(const struct table_file *w)
{
    const struct chunk *c = &w->chunk;
    size_t n_labels = c->label_names.len / sizeof(struct slice) +
                      (c->n_rows - w->head_from) * w->head.series.n_labels;
    return c->n_rows == CHUNK_ROWS || c->texts_arena.used_bytes >= CHUNK_TEXT_BYTES ||
           n_labels >= CHUNK_ENTRIES ||
           w->table->list_bytes(w->values) >= CHUNK_ENTRIES * sizeof(int64_t);
}

/* --- a row --- */

static bool head_see(struct table_file *w, const struct head *head, struct err *e)
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
static bool metric_see(struct table_file *w, const struct head *head, struct err *e)
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

bool table_file_put(struct table_file *w, const struct row *row, struct err *e)
{
    struct chunk *c = &w->chunk;
    if (w->seen != row->head && !(metric_see(w, row->head, e) && head_see(w, row->head, e))) {
        return false;
    }
    size_t n = c->n_rows;
    c->ts_ms[n] = row->ts_ms;
    c->partition[n] = w->partition;
    c->offset[n] = row->offset;
    if (!w->table->put(w->values, n, &w->head.series, row->payload, e)) {
        return false;
    }
    c->n_rows++;
    return !chunk_is_full(w) || chunk_flush(w, e);
}

/* --- files --- */

void table_file_free(struct table_file *w)
{
    if (w == NULL) {
        return;
    }
    parquet_free(w->parquet);
    w->table->values_free(w->values);
    buf_fini(&w->chunk.label_names);
    buf_fini(&w->chunk.label_values);
    arena_fini(&w->chunk.texts_arena);
    free(w);
}

static void file_init(struct table_file *w, const struct table_file_options *o)
{
    w->table = table_def_of(o->table);
    w->layout = o->layout;
    w->partition = o->partition;
    w->values = w->table->values_new();
    arena_init(&w->chunk.texts_arena, ENTRIES_MAX_BYTES);
    buf_init(&w->chunk.label_names, ENTRIES_MAX_BYTES);
    buf_init(&w->chunk.label_values, ENTRIES_MAX_BYTES);
    fields_init(w, o->portable);
}

bool table_file_open(const struct table_file_options *o, parquet_sink sink, void *sink_context,
                     struct table_file **out, struct err *e)
{
    static const struct parquet_sorting sorting[] = {{TENANT}, {METRIC}, {SERIES}, {TS}};
    *out = NULL;
    struct table_file *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return no_memory(e);
    }
    file_init(w, o);
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
    if ((w->values == NULL && !no_memory(e)) ||
        !parquet_new(&options, sink, sink_context, &w->parquet, e)) {
        table_file_free(w);
        return false;
    }
    *out = w;
    return true;
}

bool table_file_close(struct table_file *w, struct err *e)
{
    return chunk_flush(w, e) && parquet_close(w->parquet, e);
}

/* --- names --- */

static bool is_among(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool table_has_column(const char *name)
{
    bool has = is_among(name, head_names, N_HEAD_COLUMNS) ||
               is_among(name, place_names, N_PLACE_COLUMNS) ||
               is_among(name, folder_names, sizeof folder_names / sizeof *folder_names);
    for (unsigned i = 0; i < N_TABLES; i++) {
        const struct table_def *t = table_def_of((enum table_id)i);
        has = has || is_among(name, t->column_names, t->n_columns);
    }
    return has;
}
