/* The table of raw samples: a row per sample.
 *
 * Rows come in chunks to the Parquet writer, whose bounds, as those of row groups, follow from the
 * rows alone: the same rows are the same file. A row group ends where a metric ends, so that a
 * reader who wants one metric finds it in one of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram.h"
#include "table_def.h"

enum {
    CHUNK_ROWS = 2048,
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

enum column {
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
    VALUE,
    STALE,
    COUNT,
    SUM,
    EXP_SCHEMA,
    EXP_ZERO_THRESHOLD,
    EXP_ZERO_COUNT,
    EXP_POSITIVE_INDEX,
    EXP_POSITIVE_COUNT,
    EXP_NEGATIVE_INDEX,
    EXP_NEGATIVE_COUNT,
    BUCKET_BOUNDS,
    BUCKET_COUNTS,
    KAFKA_PARTITION,
    KAFKA_OFFSET,
    N_COLUMNS /* label columns come behind */
};

static const char *const column_names[] = {
    "tenant", "metric", "kind", "temporality", "unit", "class", "series", "source", "labels", "ts",
    "ts_ms", "value", "stale", "count", "sum", "exp_schema", "exp_zero_threshold", "exp_zero_count",
    "exp_positive_index", "exp_positive_count", "exp_negative_index", "exp_negative_count",
    "bucket_bounds", "bucket_counts", "kafka_partition", "kafka_offset",
    /* partition columns of the path */
    "dt", "hour", NULL};

enum { MAX_COLUMNS = N_COLUMNS + LAYOUT_MAX_LABEL_COLUMNS };

/* A LIST column of the chunk. */
struct list {
    struct buf values;
    uint32_t n[CHUNK_ROWS];
};

enum { N_LISTS = BUCKET_COUNTS - EXP_POSITIVE_INDEX + 1 };

struct chunk {
    size_t n_rows;
    struct slice texts[N_TEXTS][CHUNK_ROWS];
    struct slice label_columns[LAYOUT_MAX_LABEL_COLUMNS][CHUNK_ROWS];
    bool label_nulls[LAYOUT_MAX_LABEL_COLUMNS][CHUNK_ROWS];
    uint32_t n_labels[CHUNK_ROWS];
    struct buf label_names; /* struct slice each */
    struct buf label_values;
    int64_t ts_ms[CHUNK_ROWS];
    double value[CHUNK_ROWS];
    bool stale[CHUNK_ROWS];
    int64_t count[CHUNK_ROWS];
    double sum[CHUNK_ROWS];
    int32_t exp_schema[CHUNK_ROWS];
    double exp_zero_threshold[CHUNK_ROWS];
    int64_t exp_zero_count[CHUNK_ROWS];
    struct list lists[N_LISTS];
    int32_t partition[CHUNK_ROWS];
    int64_t offset[CHUNK_ROWS];
    bool no_temporality[CHUNK_ROWS]; /* gauges */
    bool no_value[CHUNK_ROWS];       /* histograms */
    bool no_count[CHUNK_ROWS];       /* scalars */
    bool no_sum[CHUNK_ROWS];
    bool no_exp[CHUNK_ROWS];
    bool no_classic[CHUNK_ROWS];
    struct arena texts_arena; /* the heads' */
};

struct table_writer {
    const struct layout *layout;
    int32_t partition;
    struct parquet_field fields[MAX_COLUMNS];
    size_t n_fields;
    struct parquet_writer *parquet;
    uint64_t group_rows;
    struct arena histogram;
    /* The head of the last row, its texts in the chunk's arena. */
    const struct head *seen; /* NULL: not in this chunk */
    uint64_t metric;         /* hash of its tenant and metric; 0: no row so far */
    struct head head;
    size_t head_from; /* its first row in the chunk; what it says is filled in at its end */
    struct slice series_text;
    struct chunk chunk;
};

/* --- columns --- */

static void texts_set(struct parquet_field *fields)
{
    for (unsigned i = 0; i < N_TEXTS; i++) {
        fields[i].type = PARQUET_STRING;
    }
    fields[SERIES].bloom = true;
    fields[TEMPORALITY].optional = true;
    fields[LABELS] = (struct parquet_field){.type = PARQUET_STRING, .form = PARQUET_MAP};
}

/* Times are the same for all series of a source: in plain pages that hold several metrics zstd
 * finds them again, at a third of what DELTA_BINARY_PACKED or a dictionary takes. Offsets rise
 * evenly. */
static void numbers_set(struct parquet_field *fields, bool portable)
{
    enum parquet_encoding value = portable ? PARQUET_PLAIN : PARQUET_SPLIT;
    fields[TS] = (struct parquet_field){.type = PARQUET_TIMESTAMP_MS, .encoding = PARQUET_PLAIN};
    fields[TS_MS] = (struct parquet_field){.type = PARQUET_INT64, .encoding = PARQUET_PLAIN};
    fields[VALUE] =
        (struct parquet_field){.type = PARQUET_DOUBLE, .encoding = value, .optional = true};
    fields[STALE] = (struct parquet_field){.type = PARQUET_BOOL};
    fields[COUNT] = (struct parquet_field){.type = PARQUET_INT64, .optional = true};
    fields[SUM] =
        (struct parquet_field){.type = PARQUET_DOUBLE, .encoding = value, .optional = true};
    fields[EXP_SCHEMA] = (struct parquet_field){
        .type = PARQUET_INT32, .encoding = PARQUET_DICTIONARY, .optional = true};
    fields[EXP_ZERO_THRESHOLD] = (struct parquet_field){
        .type = PARQUET_DOUBLE, .encoding = PARQUET_DICTIONARY, .optional = true};
    fields[EXP_ZERO_COUNT] = (struct parquet_field){.type = PARQUET_INT64, .optional = true};
    fields[KAFKA_PARTITION] =
        (struct parquet_field){.type = PARQUET_INT32, .encoding = PARQUET_DICTIONARY};
    fields[KAFKA_OFFSET] = (struct parquet_field){
        .type = PARQUET_INT64, .encoding = portable ? PARQUET_PLAIN : PARQUET_DELTA};
}

static void lists_set(struct parquet_field *fields)
{
    static const enum parquet_type types[N_LISTS] = {PARQUET_INT32, PARQUET_INT64,  PARQUET_INT32,
                                                     PARQUET_INT64, PARQUET_DOUBLE, PARQUET_INT64};
    for (unsigned i = 0; i < N_LISTS; i++) {
        fields[EXP_POSITIVE_INDEX + i] = (struct parquet_field){.type = types[i],
                                                                .form = PARQUET_LIST,
                                                                .encoding = PARQUET_DICTIONARY,
                                                                .optional = true};
    }
}

static void fields_set(struct table_writer *w, bool portable)
{
    const struct layout *l = w->layout;
    texts_set(w->fields);
    numbers_set(w->fields, portable);
    lists_set(w->fields);
    for (unsigned i = 0; i < N_COLUMNS; i++) {
        w->fields[i].name = column_names[i];
    }
    for (size_t i = 0; i < l->n_label_columns; i++) {
        w->fields[N_COLUMNS + i] = (struct parquet_field){
            .name = l->label_columns[i], .type = PARQUET_STRING, .optional = true};
    }
    w->n_fields = N_COLUMNS + l->n_label_columns;
}

static void columns_set(const struct table_writer *w, struct parquet_column *columns)
{
    const struct chunk *c = &w->chunk;
    for (unsigned i = 0; i < N_TEXTS; i++) {
        columns[i].values.texts = c->texts[i];
    }
    columns[TEMPORALITY].nulls = c->no_temporality;
    columns[LABELS] =
        (struct parquet_column){.values.any = c->label_values.ptr,
                                .keys = (const struct slice *)(const void *)c->label_names.ptr,
                                .n_entries = c->n_labels};
    columns[TS].values.int64s = columns[TS_MS].values.int64s = c->ts_ms;
    columns[VALUE] = (struct parquet_column){.values.doubles = c->value, .nulls = c->no_value};
    columns[STALE].values.bools = c->stale;
    columns[COUNT] = (struct parquet_column){.values.int64s = c->count, .nulls = c->no_count};
    columns[SUM] = (struct parquet_column){.values.doubles = c->sum, .nulls = c->no_sum};
    columns[EXP_SCHEMA] =
        (struct parquet_column){.values.int32s = c->exp_schema, .nulls = c->no_exp};
    columns[EXP_ZERO_THRESHOLD] =
        (struct parquet_column){.values.doubles = c->exp_zero_threshold, .nulls = c->no_exp};
    columns[EXP_ZERO_COUNT] =
        (struct parquet_column){.values.int64s = c->exp_zero_count, .nulls = c->no_exp};
    for (unsigned i = 0; i < N_LISTS; i++) {
        bool classic = EXP_POSITIVE_INDEX + i >= BUCKET_BOUNDS;
        columns[EXP_POSITIVE_INDEX + i] =
            (struct parquet_column){.values.any = c->lists[i].values.ptr,
                                    .n_entries = c->lists[i].n,
                                    .nulls = classic ? c->no_classic : c->no_exp};
    }
    columns[KAFKA_PARTITION].values.int32s = c->partition;
    columns[KAFKA_OFFSET].values.int64s = c->offset;
    for (size_t i = 0; i < w->layout->n_label_columns; i++) {
        columns[N_COLUMNS + i] = (struct parquet_column){.values.texts = c->label_columns[i],
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
    columns_set(w, columns);
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

/* Counts above 63 bits are told as the most that the column can hold. */
static int64_t as_count(uint64_t v)
{
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static struct list *list_of(struct chunk *c, enum column column)
{
    return &c->lists[column - EXP_POSITIVE_INDEX];
}

static bool counts_put(struct chunk *c, size_t row, enum column column, const uint64_t *counts,
                       uint32_t n)
{
    struct list *list = list_of(c, column);
    list->n[row] = n;
    int64_t *to = n == 0 ? NULL : (int64_t *)(void *)buf_extend(&list->values, n * sizeof *to);
    for (uint32_t i = 0; i < n && to != NULL; i++) {
        to[i] = as_count(counts[i]);
    }
    return n == 0 || to != NULL;
}

static bool side_put(struct chunk *c, size_t row, enum column index, const struct exp_buckets *side)
{
    struct list *list = list_of(c, index);
    uint32_t n = side->n_counts;
    list->n[row] = n;
    int32_t *to = n == 0 ? NULL : (int32_t *)(void *)buf_extend(&list->values, n * sizeof *to);
    int32_t next = 0;
    for (uint32_t i = 0; i < side->n_spans && to != NULL; i++) {
        next += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].n; k++) {
            *to++ = next++;
        }
    }
    return (n == 0 || to != NULL) && counts_put(c, row, index + 1, side->counts, n);
}

static bool exp_put(struct table_writer *w, size_t row, struct slice payload, struct err *e)
{
    struct chunk *c = &w->chunk;
    struct exp_histogram h;
    struct cursor in = cursor_of(payload);
    if (!exp_histogram_decode(&in, HISTOGRAM_MAX_BYTES, &w->histogram, &h, e)) {
        return false;
    }
    c->no_exp[row] = c->no_sum[row] = false;
    c->stale[row] = double_is_stale(h.sum);
    c->count[row] = as_count(h.count);
    c->sum[row] = h.sum;
    c->exp_schema[row] = h.schema;
    c->exp_zero_threshold[row] = h.zero_threshold;
    c->exp_zero_count[row] = as_count(h.zero_count);
    return (side_put(c, row, EXP_POSITIVE_INDEX, &h.positive) &&
            side_put(c, row, EXP_NEGATIVE_INDEX, &h.negative)) ||
           no_memory(e);
}

static bool classic_put(struct table_writer *w, size_t row, struct slice payload, struct err *e)
{
    struct chunk *c = &w->chunk;
    const struct series *s = &w->head.series;
    struct classic_histogram h;
    struct cursor in = cursor_of(payload);
    if (!classic_histogram_decode(&in, s->n_bounds, &w->histogram, &h, e)) {
        return false;
    }
    c->no_classic[row] = false;
    c->no_sum[row] = !h.has_sum;
    c->stale[row] = h.stale;
    c->count[row] = as_count(h.count);
    c->sum[row] = h.sum;
    struct list *bounds = list_of(c, BUCKET_BOUNDS);
    bounds->n[row] = s->n_bounds;
    buf_put(&bounds->values, s->bounds, s->n_bounds * sizeof *s->bounds);
    return (buf_ok(&bounds->values) && counts_put(c, row, BUCKET_COUNTS, h.counts, h.n_counts)) ||
           no_memory(e);
}

static void scalar_put(struct chunk *c, size_t row, struct slice payload)
{
    memcpy(&c->value[row], payload.ptr, sizeof(double));
    c->stale[row] = double_is_stale(c->value[row]);
}

static bool payload_put(struct table_writer *w, size_t row, struct slice payload, struct err *e)
{
    struct chunk *c = &w->chunk;
    enum series_kind kind = w->head.series.kind;
    bool scalar = kind == SERIES_COUNTER || kind == SERIES_GAUGE;
    c->no_value[row] = !scalar;
    c->no_count[row] = scalar;
    c->no_sum[row] = c->no_exp[row] = c->no_classic[row] = true;
    for (unsigned i = 0; i < N_LISTS; i++) {
        c->lists[i].n[row] = 0;
    }
    if (scalar) {
        scalar_put(c, row, payload);
        return true;
    }
    arena_reset(&w->histogram);
    return kind == SERIES_EXP_HISTOGRAM ? exp_put(w, row, payload, e)
                                        : classic_put(w, row, payload, e);
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
    if (!payload_put(w, n, row->payload, e)) {
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
    arena_fini(&w->histogram);
    free(w);
}

static void samples_init(struct table_writer *w, const struct table_options *o)
{
    w->layout = o->layout;
    w->partition = o->partition;
    arena_init(&w->histogram, HISTOGRAM_ARENA_BYTES);
    arena_init(&w->chunk.texts_arena, ENTRIES_MAX_BYTES);
    buf_init(&w->chunk.label_names, ENTRIES_MAX_BYTES);
    buf_init(&w->chunk.label_values, ENTRIES_MAX_BYTES);
    for (unsigned i = 0; i < N_LISTS; i++) {
        buf_init(&w->chunk.lists[i].values, ENTRIES_MAX_BYTES);
    }
    fields_set(w, o->portable);
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
                                        .column_names = column_names,
                                        .open = samples_open,
                                        .put = samples_put,
                                        .close = samples_close,
                                        .free = samples_free};
