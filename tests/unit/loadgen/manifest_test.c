#include "manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../runner.h"
#include "load.h"

static char path[] = "/tmp/loadgen-manifest-XXXXXX";

static void path_make(void)
{
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(comes_back_as_it_was)
{
    struct manifest f;
    struct manifest g;
    struct err e = ERR_INIT;
    manifest_init(&f);
    manifest_init(&g);
    f.params = load_unruly();
    f.params.late = 0.1 + 0.2; /* not a short decimal */
    f.keyed = f.remote_write = true;
    f.state = MANIFEST_INTERRUPTED;
    f.n_scrapes = 12345;
    f.counts = (struct manifest_counts){1, 2, 3, 4, 5, 6, 7};
    (void)snprintf(f.brokers, sizeof f.brokers, "a:1,b:2");
    (void)snprintf(f.topic, sizeof f.topic, "metrics.ingest.demo");
    ck_assert(manifest_list_add(&f.doubts, (struct manifest_doubt){9, false}));
    ck_assert(manifest_list_add(&f.doubts, (struct manifest_doubt){7, true}));
    ck_assert(manifest_list_add(&f.doubts, (struct manifest_doubt){9, false}));
    ck_assert(manifest_list_add(&f.repeats, (struct manifest_doubt){8, false}));
    path_make();
    ck_assert_msg(manifest_write(&f, path, &e), "%s", e.text);
    ck_assert_msg(manifest_read(&g, path, &e), "%s", e.text);
    ck_assert_mem_eq(&f.params, &g.params, sizeof f.params);
    ck_assert_mem_eq(&f.counts, &g.counts, sizeof f.counts);
    ck_assert_str_eq(g.brokers, f.brokers);
    ck_assert_str_eq(g.topic, f.topic);
    ck_assert_int_eq(g.state, MANIFEST_INTERRUPTED);
    ck_assert_int_eq(g.n_scrapes, 12345);
    ck_assert(g.keyed && g.remote_write);
    ck_assert_uint_eq(manifest_list_count(&g.doubts, 9, false), 2);
    ck_assert_uint_eq(manifest_list_count(&g.doubts, 9, true), 0);
    ck_assert_uint_eq(manifest_list_count(&g.doubts, 7, true), 1);
    ck_assert_uint_eq(manifest_list_count(&g.doubts, 8, false), 0);
    ck_assert_uint_eq(manifest_list_count(&g.doubts, 10, false), 0);
    ck_assert_uint_eq(manifest_list_count(&g.repeats, 8, false), 1);
    ck_assert_uint_eq(manifest_list_count(&g.repeats, 9, false), 0);
    unlink(path);
    manifest_fini(&f);
    manifest_fini(&g);
}
END_TEST

START_TEST(bad_files_are_refused)
{
    static const char *const texts[] = {
        "", "[]", "{}", "{\"version\":2}", "{\"version\":1,\"state\":\"done\"}",
        "{\"version\":1,\"state\":\"gone\",\"brokers\":\"b\",\"topic\":\"t\",\"n_scrapes\":1}",
        "{\"version\":1,\"state\":\"done\",\"brokers\":\"b\",\"topic\":\"t\",\"n_scrapes\":-1}",
        "{\"version\":1,\"state\":\"done\",\"brokers\":\"b\",\"topic\":\"t\",\"n_scrapes\":1,"
        "\"model\":{\"seed\":1,\"servers\":0}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct manifest f;
        struct err e = ERR_INIT;
        manifest_init(&f);
        path_make();
        FILE *file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        (void)fputs(texts[i], file);
        (void)fclose(file);
        ck_assert_msg(!manifest_read(&f, path, &e), "%s", texts[i]);
        ck_assert_int_eq(e.kind, ERR_CONFIG);
        unlink(path);
        manifest_fini(&f);
    }
    struct manifest f;
    struct err e = ERR_INIT;
    manifest_init(&f);
    ck_assert(!manifest_read(&f, "/nonexistent/file", &e));
    ck_assert(!manifest_write(&f, "/nonexistent/file", &e));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen manifest");
    TCase *all = tcase_create("all");
    suite_add_tcase(suite, all);
    tcase_add_test(all, comes_back_as_it_was);
    tcase_add_test(all, bad_files_are_refused);
    return run_suite(suite);
}
