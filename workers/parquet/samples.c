/* The table of raw samples: a row per sample. Payload: 8 bytes of a double, or a packed histogram
 * (batch/histogram.h). */
#include <stdlib.h>

#include "batch/histogram.h"
#include "histogram_columns.h"
#include "table_def.h"

enum column { VALUE, STALE, HISTOGRAM, N_COLUMNS = HISTOGRAM + N_HISTOGRAM_COLUMNS };

struct values {
    double value[CHUNK_ROWS];
    bool stale[CHUNK_ROWS];
    bool no_value[CHUNK_ROWS]; /* histograms */
    struct histogram_columns histogram;
};

static const char *const column_names[N_COLUMNS] = {"value",
                                                    "stale",
                                                    "count",
                                                    "sum",
                                                    "exp_schema",
                                                    "exp_zero_threshold",
                                                    "exp_zero_count",
                                                    "exp_positive_index",
                                                    "exp_positive_count",
                                                    "exp_negative_index",
                                                    "exp_negative_count",
                                                    "bucket_bounds",
                                                    "bucket_counts"};

static void samples_fields(bool portable, struct parquet_field *out)
{
    out[VALUE] = (struct parquet_field){.type = PARQUET_DOUBLE,
                                        .encoding = portable ? PARQUET_PLAIN : PARQUET_SPLIT,
                                        .optional = true};
    out[STALE] = (struct parquet_field){.type = PARQUET_BOOL};
    histogram_fields(portable, out + HISTOGRAM);
}

static struct values *samples_new(void)
{
    struct values *v = calloc(1, sizeof *v);
    if (v != NULL) {
        histogram_columns_init(&v->histogram);
    }
    return v;
}

static void samples_free(struct values *v)
{
    if (v != NULL) {
        histogram_columns_fini(&v->histogram);
    }
    free(v);
}

static void samples_reset(struct values *v)
{
    histogram_columns_reset(&v->histogram);
}

static size_t samples_list_bytes(const struct values *v)
{
    return histogram_columns_bytes(&v->histogram);
}

static bool samples_put(struct values *v, size_t row, const struct series *s, struct slice payload,
                        struct err *e)
{
    struct cursor packed = cursor_of(payload);
    bool scalar = s->kind == SERIES_COUNTER || s->kind == SERIES_GAUGE;
    v->no_value[row] = !scalar;
    if (!scalar) {
        return histogram_put(&v->histogram, row, s, &packed, &v->stale[row], e);
    }
    histogram_none(&v->histogram, row);
    v->value[row] = cursor_double(&packed);
    v->stale[row] = double_is_stale(v->value[row]);
    return true;
}

static void samples_columns(const struct values *v, struct parquet_column *out)
{
    out[VALUE] = (struct parquet_column){.values.doubles = v->value, .nulls = v->no_value};
    out[STALE].values.bools = v->stale;
    histogram_columns_get(&v->histogram, out + HISTOGRAM);
}

const struct table_def samples_table = {.column_names = column_names,
                                        .n_columns = N_COLUMNS,
                                        .fields = samples_fields,
                                        .values_new = samples_new,
                                        .values_free = samples_free,
                                        .values_reset = samples_reset,
                                        .put = samples_put,
                                        .list_bytes = samples_list_bytes,
                                        .columns = samples_columns};
