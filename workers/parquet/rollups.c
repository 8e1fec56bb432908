/* The tables of rollups: a row per series and window, and one per late amount; all three have the
 * same columns. Payload: rollup_row.h. */
#include <math.h>
#include <stdlib.h>

#include "histogram_columns.h"
#include "rollup_row.h"
#include "table_def.h"

enum set { SET_TOTAL, SET_DELTA, SET_LATE, SET_LAST, N_SETS };
enum { SET_COLUMNS = N_HISTOGRAM_COLUMNS - 1 }; /* all but the bounds, which are the series' */

enum column {
    REVISION,
    TOTAL,
    DELTA,
    LATE,
    SUM,
    COUNT,
    MIN,
    MAX,
    LAST,
    LAST_TS_MS,
    ENDED,
    SETS,
    BOUNDS = SETS + N_SETS * SET_COLUMNS,
    N_COLUMNS
};

struct optional_doubles {
    double v[CHUNK_ROWS];
    bool no[CHUNK_ROWS];
};

enum { N_DOUBLES = 7 };
static const enum column doubles_at[N_DOUBLES] = {TOTAL, DELTA, LATE, SUM, MIN, MAX, LAST};

struct values {
    int64_t revision[CHUNK_ROWS];
    struct optional_doubles doubles[N_DOUBLES];
    int64_t count[CHUNK_ROWS];
    int64_t last_ts_ms[CHUNK_ROWS];
    bool no_last_ts[CHUNK_ROWS];
    bool ended[CHUNK_ROWS];
    struct histogram_columns sets[N_SETS];
};

#define SET_NAMES(set)                                                                             \
    set "_count", set "_sum", set "_exp_schema", set "_exp_zero_threshold", set "_exp_zero_count", \
        set "_exp_positive_index", set "_exp_positive_count", set "_exp_negative_index",           \
        set "_exp_negative_count", set "_bucket_counts"

static const char *const column_names[N_COLUMNS] = {"revision",
                                                    "total",
                                                    "delta",
                                                    "late",
                                                    "sum",
                                                    "count",
                                                    "min",
                                                    "max",
                                                    "last",
                                                    "last_ts_ms",
                                                    "ended",
                                                    SET_NAMES("total"),
                                                    SET_NAMES("delta"),
                                                    SET_NAMES("late"),
                                                    SET_NAMES("last"),
                                                    "bucket_bounds"};

/* --- fields --- */

static void rollup_fields(bool portable, struct parquet_field *out)
{
    struct parquet_field set[N_HISTOGRAM_COLUMNS] = {{.name = NULL}};
    out[REVISION].type = out[COUNT].type = out[LAST_TS_MS].type = PARQUET_INT64;
    out[REVISION].encoding = out[COUNT].encoding = PARQUET_DICTIONARY;
    out[LAST_TS_MS].encoding = PARQUET_PLAIN; /* as the times of samples */
    out[LAST_TS_MS].optional = true;
    for (unsigned i = 0; i < N_DOUBLES; i++) {
        out[doubles_at[i]] =
            (struct parquet_field){.type = PARQUET_DOUBLE,
                                   .encoding = portable ? PARQUET_PLAIN : PARQUET_SPLIT,
                                   .optional = true};
    }
    out[ENDED].type = PARQUET_BOOL;
    histogram_fields(portable, set);
    for (unsigned i = 0; i < N_SETS; i++) {
        struct parquet_field *to = out + SETS + (size_t)i * SET_COLUMNS;
        memcpy(to, set, BUCKET_BOUNDS * sizeof *set);
        to[SET_COLUMNS - 1] = set[BUCKET_COUNTS];
    }
    out[BOUNDS] = set[BUCKET_BOUNDS];
}

/* --- rows --- */

static struct values *rollup_new(void)
{
    struct values *v = calloc(1, sizeof *v);
    for (unsigned i = 0; v != NULL && i < N_SETS; i++) {
        histogram_columns_init(&v->sets[i]);
    }
    return v;
}

static void rollup_free(struct values *v)
{
    for (unsigned i = 0; v != NULL && i < N_SETS; i++) {
        histogram_columns_fini(&v->sets[i]);
    }
    free(v);
}

static void rollup_reset(struct values *v)
{
    for (unsigned i = 0; i < N_SETS; i++) {
        histogram_columns_reset(&v->sets[i]);
    }
}

static size_t rollup_list_bytes(const struct values *v)
{
    size_t most = 0;
    for (unsigned i = 0; i < N_SETS; i++) {
        size_t n = histogram_columns_bytes(&v->sets[i]);
        most = n > most ? n : most;
    }
    return most;
}

static void double_set(struct values *v, size_t row, enum column column, double value)
{
    for (unsigned i = 0; i < N_DOUBLES; i++) {
        if (doubles_at[i] == column) {
            v->doubles[i].v[row] = value;
            v->doubles[i].no[row] = false;
        }
    }
}

/* NaN stands for none: it is no sample, so that no least or last value is one. */
static void known_set(struct values *v, size_t row, enum column column, double value)
{
    if (!isnan(value)) {
        double_set(v, row, column, value);
    }
}

static void counter_put(struct values *v, size_t row, unsigned flags, struct cursor *in)
{
    if ((flags & ROLLUP_IS_AMEND) != 0) {
        double_set(v, row, DELTA, cursor_double(in));
        return;
    }
    double_set(v, row, TOTAL, cursor_double(in));
    double_set(v, row, DELTA, cursor_double(in));
    known_set(v, row, LAST, cursor_double(in));
    if ((flags & ROLLUP_HAS_LATE) != 0) {
        double_set(v, row, LATE, cursor_double(in));
    }
}

static void gauge_put(struct values *v, size_t row, unsigned flags, struct cursor *in)
{
    double_set(v, row, SUM, cursor_double(in));
    known_set(v, row, MIN, cursor_double(in));
    known_set(v, row, MAX, cursor_double(in));
    if ((flags & ROLLUP_IS_AMEND) == 0) {
        known_set(v, row, LAST, cursor_double(in));
    }
}

/* In the order in which they are packed. */
static bool histograms_put(struct values *v, size_t row, unsigned flags, const struct series *s,
                           struct cursor *in, struct err *e)
{
    bool is_row = (flags & ROLLUP_IS_AMEND) == 0;
    const bool has[] = {is_row, true, (flags & ROLLUP_HAS_LAST) != 0,
                        (flags & ROLLUP_HAS_LATE) != 0};
    static const enum set sets[] = {SET_TOTAL, SET_DELTA, SET_LAST, SET_LATE};
    bool stale;
    for (size_t i = 0; i < sizeof has / sizeof *has; i++) {
        if (has[i] && !histogram_put(&v->sets[sets[i]], row, s, in, &stale, e)) {
            return false;
        }
    }
    return true;
}

static void row_clear(struct values *v, size_t row)
{
    for (unsigned i = 0; i < N_DOUBLES; i++) {
        v->doubles[i].v[row] = 0;
        v->doubles[i].no[row] = true;
    }
    for (unsigned i = 0; i < N_SETS; i++) {
        histogram_none(&v->sets[i], row);
    }
}

static bool rollup_put(struct values *v, size_t row, const struct series *s, struct slice payload,
                       struct err *e)
{
    struct cursor in = cursor_of(payload);
    unsigned flags = cursor_u8(&in);
    bool is_amend = (flags & ROLLUP_IS_AMEND) != 0;
    bool ok = true;
    row_clear(v, row);
    v->revision[row] = is_amend ? (int64_t)cursor_varint(&in) : 0;
    v->count[row] = (int64_t)cursor_varint(&in);
    v->last_ts_ms[row] = is_amend ? 0 : cursor_zigzag(&in);
    v->no_last_ts[row] = v->last_ts_ms[row] == 0;
    v->ended[row] = (flags & ROLLUP_ENDED) != 0;
    if (s->kind == SERIES_COUNTER) {
        counter_put(v, row, flags, &in);
    } else if (s->kind == SERIES_GAUGE) {
        gauge_put(v, row, flags, &in);
    } else {
        ok = histograms_put(v, row, flags, s, &in, e);
    }
    return ok && (cursor_ok(&in) || err_set(e, ERR_BAD_INPUT, "a rollup's row is cut off"));
}

static void rollup_columns(const struct values *v, struct parquet_column *out)
{
    struct parquet_column set[N_HISTOGRAM_COLUMNS];
    out[REVISION].values.int64s = v->revision;
    out[COUNT].values.int64s = v->count;
    out[LAST_TS_MS] =
        (struct parquet_column){.values.int64s = v->last_ts_ms, .nulls = v->no_last_ts};
    for (unsigned i = 0; i < N_DOUBLES; i++) {
        out[doubles_at[i]] =
            (struct parquet_column){.values.doubles = v->doubles[i].v, .nulls = v->doubles[i].no};
    }
    out[ENDED].values.bools = v->ended;
    for (unsigned i = 0; i < N_SETS; i++) {
        struct parquet_column *to = out + SETS + (size_t)i * SET_COLUMNS;
        memset(set, 0, sizeof set);
        histogram_columns_get(&v->sets[i], set);
        memcpy(to, set, BUCKET_BOUNDS * sizeof *set);
        to[SET_COLUMNS - 1] = set[BUCKET_COUNTS];
        if (i == SET_DELTA) { /* which each row has */
            out[BOUNDS] = set[BUCKET_BOUNDS];
        }
    }
}

#define ROLLUP_TABLE                                                                               \
    {                                                                                              \
        .column_names = column_names, .n_columns = N_COLUMNS, .fields = rollup_fields,             \
        .values_new = rollup_new, .values_free = rollup_free, .values_reset = rollup_reset,        \
        .put = rollup_put, .list_bytes = rollup_list_bytes, .columns = rollup_columns              \
    }

const struct table_def rollup_1m_table = ROLLUP_TABLE;
const struct table_def rollup_5m_table = ROLLUP_TABLE;
const struct table_def rollup_1h_table = ROLLUP_TABLE;
