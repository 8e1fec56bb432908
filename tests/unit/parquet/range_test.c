/* Ranges: however little memory there was, the same objects; what disks, sinks and bad batches do.
 * The values in the files are tests/flow/test_parquet_rows.py's, rollup rows range_rollups_test.c's. */
#include "../runner.h"
#include "range_kit.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "merge.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

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
