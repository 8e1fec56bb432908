/* Ranges: however little memory there was, the same objects; what disks, sinks and bad batches do.
 * The values in the files are tests/flow/test_parquet_rows.py's. */
#include "../runner.h"
#include "failing_sink.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "game_load.h"
#include "merge.h"
#include "parquet/verify.h"
#include "range.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { SMALL = 8 << 20, LARGE = 256 << 20, MOST_OBJECTS = 64 };

#define HOUR_MS INT64_C(3600000)
#define BASE_MS (INT64_C(494444) * HOUR_MS)

/* The hour ends in the middle. Many shapes fill the memory sooner than many scrapes. */
static const struct game_load_options two_hours = {.n_servers = 350,
                                                   .n_metrics = 60,
                                                   .n_scrapes = 2,
                                                   .base_ms = BASE_MS + HOUR_MS - 10000,
                                                   .histograms = true};

static struct range *range_new(size_t rows_bytes, bool tenant_level)
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
static int fill(struct range *r, const struct game_load_options *o)
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

static size_t plan(struct range *r)
{
    struct err e = ERR_INIT;
    size_t n;
    ck_assert_msg(range_plan(r, 100, 9999, &n, &e), "%s", e.text);
    ck_assert(n <= MOST_OBJECTS);
    return n;
}

static struct buf written(struct range *r, size_t i)
{
    const struct parquet_pair pair = {"intent", "{}"};
    struct sink s = sink_of(-1);
    struct err e = ERR_INIT;
    ck_assert_msg(range_write(r, i, &pair, 1, sink_write, &s, &e), "%s", e.text);
    ck_assert(buf_ok(&s.bytes));
    return s.bytes;
}

static int64_t verified_rows(struct slice bytes)
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

static void check_equal(struct range *x, struct range *y)
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

START_TEST(little_memory_gives_the_same_objects)
{
    struct range *large = range_new(LARGE, false);
    struct range *small = range_new(SMALL, false);
    ck_assert_int_eq(fill(large, &two_hours), 0);
    ck_assert_int_gt(fill(small, &two_hours), 1);
    ck_assert_uint_eq(range_n_rows(small), 350 * 60 * 2);
    ck_assert_uint_eq(plan(small), 2);
    check_equal(large, small);
    range_close(large);
    range_close(small);
}
END_TEST

/* As many shapes as servers: they fill the memory more often than there may be scratch files. */
START_TEST(scratch_files_are_joined)
{
    const struct game_load_options many = {
        .n_servers = 3300, .n_metrics = 60, .n_scrapes = 1, .base_ms = BASE_MS};
    struct range *large = range_new(LARGE, false);
    struct range *small = range_new(SMALL, false);
    ck_assert_int_eq(fill(large, &many), 0);
    ck_assert_int_ge(fill(small, &many), MERGE_MAX_SOURCES); /* one more than there may be runs */
    check_equal(large, small);
    range_close(large);
    range_close(small);
}
END_TEST

static void fill_by_tenants(struct range *r, const struct game_load_options *o, size_t n_tenants)
{
    struct game_load *load = game_load_new(o);
    struct batch b;
    struct err e = ERR_INIT;
    char tenant[16];
    for (int64_t offset = 100; game_load_next(load, &b); offset++) {
        (void)snprintf(tenant, sizeof tenant, "t%zu", (size_t)offset % n_tenants);
        b.tenant = slice_str(tenant);
        ck_assert_msg(range_add(r, &b, offset, &e), "%s", e.text);
    }
    game_load_free(load);
}

/* From one object to the next readers come and go, at the same address perhaps. */
START_TEST(scratch_files_of_many_objects_are_joined)
{
    const struct game_load_options many = {
        .n_servers = 3300, .n_metrics = 61, .n_scrapes = 1, .base_ms = BASE_MS};
    struct range *small = range_new(SMALL, true);
    fill_by_tenants(small, &many, MOST_OBJECTS);
    ck_assert_uint_eq(plan(small), MOST_OBJECTS);
    for (size_t i = 0; i < MOST_OBJECTS; i++) {
        struct buf bytes = written(small, i);
        ck_assert_int_eq(verified_rows(buf_slice(&bytes)), (int64_t)range_facts(small, i).n_rows);
        buf_fini(&bytes);
    }
    range_close(small);
}
END_TEST

/* --- rollups --- */

enum { ROLLUP_SERIES = 60, ROLLUP_BYTES = ROLLUP_SERIES * GAUGE_COLUMNS * 8 };

/* A row of the batch's shape, which has counters and gauges alone, and late amounts of the two
 * windows before. */
struct rollup_load {
    struct game_load *load;
    struct arena arena;
    struct buf columns;
    uint32_t samples[ROLLUP_SERIES];
    int64_t last_ms[ROLLUP_SERIES];
    uint8_t values[ROLLUP_BYTES];
    uint32_t n_counters;
    uint32_t n_gauges;
    struct batch batch;
    struct rollup_amend amends[2];
    struct rollup rollup;
};

static struct rollup_load *rollup_load_new(const struct game_load_options *o)
{
    struct rollup_load *l = calloc(1, sizeof *l);
    ck_assert_ptr_nonnull(l);
    l->load = game_load_new(o);
    arena_init(&l->arena, 16 << 20);
    buf_init(&l->columns, 1 << 20);
    for (uint32_t i = 0; i < ROLLUP_SERIES; i++) {
        l->samples[i] = i;
        l->last_ms[i] = BASE_MS + i;
    }
    return l;
}

static void rollup_load_free(struct rollup_load *l)
{
    game_load_free(l->load);
    arena_fini(&l->arena);
    buf_fini(&l->columns);
    free(l);
}

static void shape_count(struct rollup_load *l)
{
    struct shape s;
    struct err e = ERR_INIT;
    arena_reset(&l->arena);
    ck_assert(
        shape_decode(l->batch.shape, l->batch.tenant, &shape_default_caps, &l->arena, &s, &e));
    ck_assert_uint_eq(s.n_series, ROLLUP_SERIES);
    l->n_gauges = 0;
    for (uint32_t i = 0; i < s.n_series; i++) {
        l->n_gauges += s.series[i].kind == SERIES_GAUGE;
    }
    l->n_counters = s.n_scalars - l->n_gauges;
}

static void amends_make(struct rollup_load *l)
{
    const struct rollup_amend_columns c = {
        .n_series = ROLLUP_SERIES,
        .samples = l->samples,
        .counters = slice_of(l->values, l->n_counters * sizeof(double)),
        .gauges = slice_of(l->values, l->n_gauges * AMEND_GAUGE_COLUMNS * sizeof(double))};
    buf_reset(&l->columns);
    rollup_amend_encode(&c, &l->columns);
    for (int i = 0; i < 2; i++) {
        l->amends[i] = (struct rollup_amend){l->batch.times.base_ms + (i - 2) * 60000,
                                             l->batch.shape, buf_slice(&l->columns)};
    }
}

static bool rollup_load_next(struct rollup_load *l)
{
    if (!game_load_next(l->load, &l->batch)) {
        return false;
    }
    shape_count(l);
    amends_make(l);
    l->rollup = (struct rollup){
        .tenant = l->batch.tenant,
        .class = l->batch.class,
        .source = l->batch.source,
        .window_ms = 60000,
        .end_ms = l->batch.times.base_ms,
        .closed_at = game_load_offset(l->load),
        .shape = l->batch.shape,
        .n_series = ROLLUP_SERIES,
        .samples = l->samples,
        .last_ms = l->last_ms,
        .counters = slice_of(l->values, l->n_counters * COUNTER_COLUMNS * sizeof(double)),
        .gauges = slice_of(l->values, l->n_gauges * GAUGE_COLUMNS * sizeof(double)),
        .n_amends = 2,
        .amends = l->amends};
    return true;
}

static int rollups_fill(struct range *r, const struct game_load_options *o, size_t max_bytes)
{
    struct rollup_load *l = rollup_load_new(o);
    struct err e = ERR_INIT;
    int n_spills = 0;
    uint64_t before = 0;
    for (int64_t offset = 100; rollup_load_next(l); offset++) {
        ck_assert_msg(range_add_rollup(r, &l->rollup, offset, &e), "%s", e.text);
        ck_assert_uint_le(range_held_bytes(r), max_bytes);
        n_spills += range_scratch_bytes(r) > before;
        before = range_scratch_bytes(r);
    }
    rollup_load_free(l);
    return n_spills;
}

START_TEST(rollups_in_little_memory_give_the_same_objects)
{
    struct game_load_options o = two_hours;
    o.histograms = false;
    struct range *large = range_new(LARGE, false);
    struct range *small = range_new(SMALL, false);
    ck_assert_int_eq(rollups_fill(large, &o, LARGE), 0);
    ck_assert_int_gt(rollups_fill(small, &o, SMALL), 1);
    ck_assert_uint_eq(range_n_rows(small), o.n_servers * o.n_scrapes * ROLLUP_SERIES * 3); /* with two amends */
    check_equal(large, small);
    ck_assert_int_eq(range_facts(small, 0).table, TABLE_ROLLUP_1M);
    ck_assert(strstr(range_key(small, 0), "p/rollup_1m/dt=") == range_key(small, 0));
    range_close(large);
    range_close(small);
}
END_TEST

START_TEST(bad_rollups_are_refused_and_leave_nothing)
{
    const struct game_load_options one = {
        .n_servers = 1, .n_metrics = ROLLUP_SERIES, .n_scrapes = 1, .base_ms = BASE_MS};
    struct rollup_load *l = rollup_load_new(&one);
    struct range *r = range_new(LARGE, false);
    struct err e = ERR_INIT;
    static const uint8_t junk[] = {3, 0xff, 0xff, 0xff};
    ck_assert(rollup_load_next(l));
    struct rollup bad[] = {l->rollup, l->rollup, l->rollup, l->rollup, l->rollup};
    struct rollup_amend amends[] = {l->amends[0], l->amends[1]};
    amends[1].columns.len -= 1; /* behind a row and an amend that are sound */
    bad[0].counters.len -= 8;
    bad[1].shape = slice_of(junk, sizeof junk);
    bad[2].window_ms = 120000;
    bad[3].exp = slice_of(junk, sizeof junk);
    bad[4].amends = amends;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!range_add_rollup(r, &bad[i], 1, &e));
        ck_assert_msg(e.kind == ERR_BAD_INPUT, "%zu: %s", i, e.text);
    }
    struct rollup heartbeat = {.kind = ROLLUP_HEARTBEAT};
    ck_assert(range_add_rollup(r, &heartbeat, 2, &e));
    ck_assert_uint_eq(range_n_rows(r), 0);
    ck_assert_uint_eq(plan(r), 0);
    ck_assert(range_add_rollup(r, &l->rollup, 3, &e));
    l->rollup.kind = ROLLUP_AMEND; /* its own columns are no rows */
    ck_assert(range_add_rollup(r, &l->rollup, 4, &e));
    ck_assert_uint_eq(range_n_rows(r), ROLLUP_SERIES * 5);
    rollup_load_free(l);
    range_close(r);
}
END_TEST

/* --- all --- */

/* n late windows, each of another hour. */
static struct rollup_amend *many_amends(const struct rollup_load *l, uint32_t n)
{
    struct rollup_amend *amends = calloc(n, sizeof *amends);
    ck_assert_ptr_nonnull(amends);
    for (uint32_t i = 0; i < n; i++) {
        amends[i] = l->amends[0];
        amends[i].end_ms = BASE_MS - (int64_t)(n - i) * HOUR_MS;
    }
    return amends;
}

/* What a record takes grows with what it has, and what can't be taken is refused, not waited for. */
START_TEST(a_record_of_many_late_windows)
{
    const struct game_load_options one = {
        .n_servers = 1, .n_metrics = ROLLUP_SERIES, .n_scrapes = 1, .base_ms = BASE_MS};
    enum { MANY = 3000, TOO_MANY = 400000 };
    struct rollup_load *l = rollup_load_new(&one);
    struct range *r = range_new(LARGE, false);
    struct err e = ERR_INIT;
    ck_assert(rollup_load_next(l));
    struct rollup_amend *amends = many_amends(l, TOO_MANY);
    l->rollup.amends = amends;
    l->rollup.n_amends = TOO_MANY;
    ck_assert(!range_add_rollup(r, &l->rollup, 1, &e));
    ck_assert_msg(e.kind == ERR_BAD_INPUT, "%s", e.text);
    l->rollup.n_amends = MANY;
    ck_assert_msg(range_add_rollup(r, &l->rollup, 2, &e), "%s", e.text);
    ck_assert_uint_eq(range_n_rows(r), (MANY + 1) * ROLLUP_SERIES);
    ck_assert_uint_lt(range_held_bytes(r), 64 << 20);
    free(amends);
    rollup_load_free(l);
    range_close(r);
}
END_TEST

START_TEST(memory_stays_below_its_ceiling)
{
    struct range *r = range_new(SMALL, false);
    struct game_load *load = game_load_new(&two_hours);
    struct batch b;
    struct err e = ERR_INIT;
    size_t before = mallinfo2().uordblks;
    for (int64_t offset = 100; game_load_next(load, &b); offset++) {
        ck_assert_msg(range_add(r, &b, offset, &e), "%s", e.text);
        ck_assert_uint_le(range_held_bytes(r), SMALL);
        ck_assert(SANITIZED || mallinfo2().uordblks <= before + SMALL);
    }
    game_load_free(load);
    range_close(r);
}
END_TEST

START_TEST(a_full_disk_loses_nothing)
{
    struct range *whole = range_new(LARGE, false);
    struct range *r = range_new(SMALL, false);
    struct game_load *load = game_load_new(&two_hours);
    struct rlimit limit;
    struct batch b;
    struct err e = ERR_INIT;
    int n_refused = 0;
    ck_assert_int_eq(fill(whole, &two_hours), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    for (int64_t offset = 100; game_load_next(load, &b); offset++) {
        struct rlimit full = {.rlim_cur = 100000, .rlim_max = limit.rlim_max};
        /* Nothing of Check's in between, which has a file, too. */
        bool limited = setrlimit(RLIMIT_FSIZE, &full) == 0;
        bool ok = range_add(r, &b, offset, &e);
        ck_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0 && limited);
        if (!ok) {
            uint64_t n_rows = range_n_rows(r);
            ck_assert_int_eq(e.kind, ERR_RETRY);
            ck_assert_msg(strstr(e.text, "scratch file cannot be written") != NULL, "%s", e.text);
            ck_assert_msg(range_add(r, &b, offset, &e), "%s", e.text);
            ck_assert_uint_gt(range_n_rows(r), n_rows);
            n_refused++;
        }
    }
    ck_assert_int_gt(n_refused, 0);
    game_load_free(load);
    check_equal(whole, r);
    range_close(whole);
    range_close(r);
}
END_TEST

/* The scratch file that has no name, opened once more. */
static int scratch_open(void)
{
    for (int fd = 3; fd < 256; fd++) {
        char path[64];
        char target[256];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n < 0 ? 0 : n] = '\0';
        if (strncmp(target, "/tmp/", 5) == 0 && strstr(target, "check_") == NULL &&
            strstr(target, "(deleted)") != NULL) {
            return open(path, O_RDWR | O_CLOEXEC);
        }
    }
    return -1;
}

START_TEST(a_scratch_file_that_changes_is_found)
{
    struct range *r = range_new(SMALL, false);
    struct sink s = sink_of(-1);
    struct err e = ERR_INIT;
    uint8_t byte;
    ck_assert_int_gt(fill(r, &two_hours), 0);
    ck_assert_uint_gt(plan(r), 0);
    int fd = scratch_open();
    ck_assert_int_ge(fd, 0);
    ck_assert(pread(fd, &byte, 1, 5000) == 1);
    byte ^= 1;
    ck_assert(pwrite(fd, &byte, 1, 5000) == 1);
    ck_assert(!range_write(r, 0, NULL, 0, sink_write, &s, &e) && e.kind == ERR_FATAL);
    ck_assert_msg(strstr(e.text, "scratch file is damaged") != NULL, "%s", e.text);
    ck_assert(ftruncate(fd, 5000) == 0);
    ck_assert(!range_write(r, 0, NULL, 0, sink_write, &s, &e) && e.kind == ERR_RETRY);
    ck_assert_msg(strstr(e.text, "scratch file cannot be read") != NULL, "%s", e.text);
    ck_assert(close(fd) == 0);
    buf_fini(&s.bytes);
    range_close(r);
}
END_TEST

START_TEST(a_sink_that_fails_may_be_tried_again)
{
    const struct game_load_options one = {
        .n_servers = 2, .n_metrics = 40, .n_scrapes = 20, .base_ms = BASE_MS, .histograms = true};
    struct range *r = range_new(LARGE, false);
    ck_assert_int_eq(fill(r, &one), 0);
    ck_assert_uint_eq(plan(r), 1);
    struct buf whole = written(r, 0);
    for (int at = 0;; at++) {
        struct sink s = sink_of(at);
        struct err e = ERR_INIT;
        const struct parquet_pair pair = {"intent", "{}"};
        bool ok = range_write(r, 0, &pair, 1, sink_write, &s, &e);
        ck_assert(ok || (e.kind == ERR_RETRY && e.code == 28));
        ck_assert(ok || s.bytes.len < whole.len);
        ck_assert(ok || memcmp(s.bytes.ptr == NULL ? whole.ptr : s.bytes.ptr, whole.ptr,
                               s.bytes.len) == 0);
        ck_assert(!ok || slice_eq(buf_slice(&s.bytes), buf_slice(&whole)));
        buf_fini(&s.bytes);
        if (ok) {
            ck_assert_int_gt(at, 10);
            break;
        }
    }
    buf_fini(&whole);
    range_close(r);
}
END_TEST

START_TEST(bad_batches_are_refused_and_leave_nothing)
{
    const struct game_load_options one = {
        .n_servers = 1, .n_metrics = 20, .n_scrapes = 2, .base_ms = BASE_MS, .histograms = true};
    struct game_load *load = game_load_new(&one);
    struct range *r = range_new(LARGE, false);
    struct batch good;
    struct err e = ERR_INIT;
    ck_assert(game_load_next(load, &good));
    static const uint8_t junk[] = {3, 0xff, 0xff, 0xff};
    struct batch bad[] = {good, good, good, good};
    bad[0].values.len -= 8;
    bad[1].shape = slice_of(junk, sizeof junk);
    bad[2].exp.len -= 1;
    bad[3].exp = slice_of(junk, sizeof junk); /* as many as the shape has, but no histograms */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!range_add(r, &bad[i], 1, &e));
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    }
    struct batch heartbeat = {.tenant = good.tenant};
    ck_assert(range_add(r, &heartbeat, 2, &e));
    ck_assert_uint_eq(range_n_rows(r), 0);
    ck_assert_uint_eq(plan(r), 0);
    ck_assert(range_add(r, &good, 3, &e));
    ck_assert_uint_eq(plan(r), 1);
    ck_assert_uint_eq(range_facts(r, 0).n_rows, 20);
    game_load_free(load);
    range_close(r);
}
END_TEST

START_TEST(tenants_have_objects_of_their_own)
{
    struct range *r = range_new(SMALL, true);
    static const char *const tenants[] = {"b", "a", "c/d"};
    struct err e = ERR_INIT;
    struct game_load *load = game_load_new(&two_hours);
    struct batch b;
    for (int64_t offset = 0; game_load_next(load, &b); offset++) {
        b.tenant = slice_str(tenants[offset % 3]);
        ck_assert_msg(range_add(r, &b, offset, &e), "%s", e.text);
    }
    ck_assert_uint_eq(plan(r), 6);
    ck_assert(strstr(range_key(r, 0), "p/samples/tenant=a/dt=") == range_key(r, 0));
    ck_assert(strstr(range_key(r, 5), "p/samples/tenant=c%2Fd/dt=") == range_key(r, 5));
    uint64_t n_rows = 0;
    for (size_t i = 0; i < 6; i++) {
        struct buf bytes = written(r, i);
        ck_assert_int_eq(verified_rows(buf_slice(&bytes)), (int64_t)range_facts(r, i).n_rows);
        n_rows += range_facts(r, i).n_rows;
        buf_fini(&bytes);
    }
    ck_assert_uint_eq(n_rows, range_n_rows(r));
    game_load_free(load);
    range_close(r);
}
END_TEST

START_TEST(options_that_cannot_be)
{
    struct range_options o = {.topic = "t", .topic_id = "i", .scratch_dir = "/nowhere"};
    struct layout l;
    struct range *r;
    struct err e = ERR_INIT;
    ck_assert(layout_init(&l, "", 1, false, NULL, 0, &e));
    ck_assert(!range_open(&o, &l, &r, &e) && e.kind == ERR_CONFIG);
    ck_assert(strstr(e.text, "/nowhere") != NULL);
    o.scratch_dir = "/tmp";
    o.max_rows_bytes = 1000;
    ck_assert(!range_open(&o, &l, &r, &e) && e.kind == ERR_CONFIG);
    o.max_rows_bytes = 0;
    o.max_writer_bytes = 1000;
    ck_assert(!range_open(&o, &l, &r, &e) && e.kind == ERR_CONFIG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("range");
    TCase *tests = tcase_create("range");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, little_memory_gives_the_same_objects);
    tcase_add_test(tests, scratch_files_are_joined);
    tcase_add_test(tests, scratch_files_of_many_objects_are_joined);
    tcase_add_test(tests, rollups_in_little_memory_give_the_same_objects);
    tcase_add_test(tests, bad_rollups_are_refused_and_leave_nothing);
    tcase_add_test(tests, a_record_of_many_late_windows);
    tcase_add_test(tests, memory_stays_below_its_ceiling);
    tcase_add_test(tests, a_full_disk_loses_nothing);
    tcase_add_test(tests, a_scratch_file_that_changes_is_found);
    tcase_add_test(tests, a_sink_that_fails_may_be_tried_again);
    tcase_add_test(tests, bad_batches_are_refused_and_leave_nothing);
    tcase_add_test(tests, tenants_have_objects_of_their_own);
    tcase_add_test(tests, options_that_cannot_be);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
