#include "samples_chunk.h"

const char *const samples_column_names[] = {
    "tenant", "metric", "kind", "temporality", "unit", "class", "series", "source", "labels", "ts",
    "ts_ms", "value", "stale", "count", "sum", "exp_schema", "exp_zero_threshold", "exp_zero_count",
    "exp_positive_index", "exp_positive_count", "exp_negative_index", "exp_negative_count",
    "bucket_bounds", "bucket_counts", "kafka_partition", "kafka_offset",
    /* partition columns of the path */
    "dt", "hour", NULL};

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

size_t samples_fields(const struct layout *l, bool portable, struct parquet_field *out)
{
    texts_set(out);
    numbers_set(out, portable);
    lists_set(out);
    for (unsigned i = 0; i < N_COLUMNS; i++) {
        out[i].name = samples_column_names[i];
    }
    for (size_t i = 0; i < l->n_label_columns; i++) {
        out[N_COLUMNS + i] = (struct parquet_field){
            .name = l->label_columns[i], .type = PARQUET_STRING, .optional = true};
    }
    return N_COLUMNS + l->n_label_columns;
}
void chunk_columns(const struct chunk *c, const struct layout *l, struct parquet_column *columns)
{
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
    for (size_t i = 0; i < l->n_label_columns; i++) {
        columns[N_COLUMNS + i] = (struct parquet_column){.values.texts = c->label_columns[i],
                                                         .nulls = c->label_nulls[i]};
    }
}
