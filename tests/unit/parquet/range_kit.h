/* Ranges made of the benches' load, and whether two of them give the same objects. */
#pragma once

#include <check.h>

#include "failing_sink.h"
#include "game_load.h"
#include "parquet/verify.h"
#include "range.h"

enum { SMALL = 8 << 20, LARGE = 256 << 20, MOST_OBJECTS = 64 };

#define HOUR_MS INT64_C(3600000)
#define BASE_MS (INT64_C(494444) * HOUR_MS)

static const struct game_load_options two_hours = {.n_servers = 350,
                                                   .n_metrics = 60,
                                                   .n_scrapes = 2,
                                                   .base_ms = BASE_MS + HOUR_MS - 10000,
                                                   .histograms = true};

static inline struct range *range_new(size_t rows_bytes, bool tenant_level)
{
    static const char *const labels[] = {"region", "az", "absent"};
    const struct range_options o = {.topic = "metrics.admitted",
                                    .topic_id = "id",
                                    .partition = 3,
                                    .scratch_dir = "/tmp",
                                    .max_rows_bytes = rows_bytes,
                                    .max_writer_bytes = RANGE_LEAST_WRITER_BYTES};
    struct layout l;
    struct range *r;
    struct err e = ERR_INIT;
    ck_assert_msg(layout_init(&l, "p", 1, tenant_level, labels, 3, &e), "%s", e.text);
    ck_assert_msg(range_open(&o, &l, &r, &e), "%s", e.text);
    return r;
}

/* How often rows went to a scratch file. */
static inline int fill(struct range *r, const struct game_load_options *o)
{
    struct game_load *load = game_load_new(o);
    struct batch b;
    struct err e = ERR_INIT;
    int n_spills = 0;
    uint64_t before = 0;
    for (int64_t offset = 100; game_load_next(load, &b); offset++) {
        ck_assert_msg(range_add(r, &b, offset, &e), "%s", e.text);
        n_spills += range_scratch_bytes(r) > before;
        before = range_scratch_bytes(r);
    }
    game_load_free(load);
    return n_spills;
}

static inline size_t plan(struct range *r)
{
    struct err e = ERR_INIT;
    size_t n;
    ck_assert_msg(range_plan(r, 100, 9999, &n, &e), "%s", e.text);
    ck_assert(n <= MOST_OBJECTS);
    return n;
}

static inline struct buf written(struct range *r, size_t i)
{
    const struct parquet_pair pair = {"intent", "{}"};
    struct sink s = sink_of(-1);
    struct err e = ERR_INIT;
    ck_assert_msg(range_write(r, i, &pair, 1, sink_write, &s, &e), "%s", e.text);
    ck_assert(buf_ok(&s.bytes));
    return s.bytes;
}

static inline int64_t verified_rows(struct slice bytes)
{
    struct verify_totals totals;
    struct parquet_file f;
    struct arena a;
    struct err e = ERR_INIT;
    arena_init(&a, 64 << 20);
    ck_assert_msg(file_open(bytes, &a, &f, &e) && verify_file(&f, 64 << 20, &totals, &e), "%s",
                  e.text);
    ck_assert_int_eq(totals.n_sorted_rows, f.n_rows);
    int64_t n = f.n_rows;
    arena_fini(&a);
    return n;
}

static inline void check_equal(struct range *x, struct range *y)
{
    size_t n = plan(x);
    ck_assert_uint_eq(plan(y), n);
    for (size_t i = 0; i < n; i++) {
        struct object_facts a = range_facts(x, i);
        struct object_facts b = range_facts(y, i);
        ck_assert_str_eq(range_key(x, i), range_key(y, i));
        ck_assert(a.n_rows == b.n_rows && a.min_ts_ms == b.min_ts_ms &&
                  a.max_ts_ms == b.max_ts_ms && slice_eq(a.tenant, b.tenant));
        struct buf from_x = written(x, i);
        struct buf from_y = written(y, i);
        ck_assert(slice_eq(buf_slice(&from_x), buf_slice(&from_y)));
        ck_assert_int_eq(verified_rows(buf_slice(&from_x)), (int64_t)a.n_rows);
        buf_fini(&from_x);
        buf_fini(&from_y);
    }
}
