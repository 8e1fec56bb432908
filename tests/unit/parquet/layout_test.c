#include "../runner.h"

#include <stdio.h>
#include <time.h>

#include "key.h"

static const char *const labels[] = {"region", "", "az"};

static struct layout layout_of(const char *prefix, int hours, bool tenant_level)
{
    struct layout l;
    struct err e = ERR_INIT;
    ck_assert_msg(layout_init(&l, prefix, hours, tenant_level, labels, 3, &e), "%s", e.text);
    return l;
}

static struct buf text_of(const struct layout *l)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    layout_text(l, &b);
    ck_assert(buf_ok(&b));
    return b;
}

START_TEST(a_layout_comes_back_from_its_text)
{
    static const struct {
        const char *prefix;
        int hours;
        bool tenant_level;
    } rows[] = {{"", 1, false}, {"a/b-c", 3, true}, {"metrics", 6, false}, {"x=1,y", 24, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct layout l = layout_of(rows[i].prefix, rows[i].hours, rows[i].tenant_level);
        struct layout back;
        struct err e = ERR_INIT;
        struct buf text = text_of(&l);
        ck_assert_msg(layout_parse(buf_slice(&text), &back, &e), "%s", e.text);
        struct buf again = text_of(&back);
        ck_assert(slice_eq(buf_slice(&text), buf_slice(&again)));
        ck_assert_int_eq(back.hours, rows[i].hours);
        ck_assert_str_eq(back.prefix, rows[i].prefix);
        ck_assert(back.tenant_level == rows[i].tenant_level);
        ck_assert_uint_eq(back.n_label_columns, 2);
        for (size_t n = 0; n < text.len; n++) { /* every prefix is refused */
            ck_assert(!layout_parse(slice_of(text.ptr, n), &back, &e));
            ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        }
        buf_fini(&text);
        buf_fini(&again);
    }
}
END_TEST

START_TEST(the_text_is_canonical)
{
    struct layout l = layout_of("metrics/raw", 1, false);
    struct buf text = text_of(&l);
    ck_assert_str_eq(
        buf_c_str(&text),
        "{\"hours\":1,\"label_columns\":[\"region\",\"az\"],\"prefix\":\"metrics/raw\","
        "\"tenant_level\":false}");
    buf_fini(&text);
}
END_TEST

START_TEST(what_cannot_be_is_named)
{
    static const char long_name[] =
        "a23456789012345678901234567890123456789012345678901234567890123456789";
    static const struct {
        const char *prefix;
        int hours;
        const char *label;
        const char *says;
    } rows[] = {{"/a", 1, "az", "slash"},
                {"a/", 1, "az", "slash"},
                {"a\"b", 1, "az", "byte 1"},
                {"a b", 1, "az", "byte 1"},
                {"a", 2, "az", "hours is 2"},
                {"a", 1, "Value", "a table has a column"},
                {"a", 1, "dt", "a table has a column"},
                {"a", 1, "Last", "a table has a column"},
                {"a", 1, "late_bucket_counts", "a table has a column"},
                {"a", 1, "REGION", "twice"},
                {"a", 1, "a-b", "no label name"},
                {"a", 1, "0a", "no label name"},
                {"a", 1, long_name, "more than 63 bytes"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct layout l;
        struct err e = ERR_INIT;
        const char *const names[] = {"region", rows[i].label};
        ck_assert(!layout_init(&l, rows[i].prefix, rows[i].hours, false, names, 2, &e));
        ck_assert_int_eq(e.kind, ERR_CONFIG);
        ck_assert_msg(strstr(e.text, rows[i].says) != NULL, "%s: %s", rows[i].says, e.text);
    }
}
END_TEST

START_TEST(a_text_has_room_in_metadata)
{
    char names[LAYOUT_MAX_LABEL_COLUMNS][LAYOUT_MAX_NAME];
    const char *pointers[LAYOUT_MAX_LABEL_COLUMNS];
    for (int i = 0; i < LAYOUT_MAX_LABEL_COLUMNS; i++) {
        (void)snprintf(names[i], sizeof names[i], "label_%02d_%s", i,
                       "a_long_name_that_goes_on_until_there_is_no_room_left");
        pointers[i] = names[i];
    }
    for (size_t n = 0; n <= LAYOUT_MAX_LABEL_COLUMNS; n++) {
        struct layout l;
        struct err e = ERR_INIT;
        bool ok = layout_init(&l, "p", 1, false, pointers, n, &e);
        ck_assert(ok == (n <= 17));
        ck_assert(ok || strstr(e.text, "more than 1200 bytes as text") != NULL);
    }
}
END_TEST

START_TEST(texts_that_are_none_are_refused)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"hours\":1,\"label_columns\":[],\"prefix\":\"\",\"table\":\"samples\"}",
        "{\"hours\":1,\"label_columns\":[],\"prefix\":\"\",\"table\":\"other\",\"tenant_level\":"
        "true}",
        "{\"hours\":5,\"label_columns\":[],\"prefix\":\"\",\"table\":\"samples\",\"tenant_level\":"
        "true}",
        "{\"hours\":1,\"label_columns\":[1],\"prefix\":\"\",\"table\":\"samples\",\"tenant_level\":"
        "true}",
        "{\"hours\":1,\"label_columns\":{},\"prefix\":\"\",\"table\":\"samples\",\"tenant_level\":"
        "true}",
        "{\"hours\":1,\"label_columns\":[],\"prefix\":\"\",\"table\":\"samples\",\"tenant_level\":"
        "true,"
        "\"more\":1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct layout l;
        struct err e = ERR_INIT;
        ck_assert_msg(!layout_parse(slice_str(texts[i]), &l, &e), "%s", texts[i]);
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        ck_assert(strstr(e.text, "layout: ") == e.text);
    }
}
END_TEST

START_TEST(texts_from_before_rollups_name_a_table)
{
    static const char before[] = "{\"hours\":1,\"label_columns\":[\"az\"],\"prefix\":\"p\","
                                 "\"table\":\"samples\",\"tenant_level\":true}";
    struct layout l;
    struct err e = ERR_INIT;
    ck_assert_msg(layout_parse(slice_str(before), &l, &e), "%s", e.text);
    ck_assert(l.tenant_level && l.n_label_columns == 1);
    ck_assert_str_eq(l.prefix, "p");
}
END_TEST

static struct buf key_of(const struct layout *l, int64_t ts_ms, struct slice tenant)
{
    static const struct key_range range = {"metrics.admitted", "Xq-_9", 7, 12, 3456789012};
    struct buf key;
    buf_init(&key, 4096);
    key_put(l, TABLE_SAMPLES, &range, key_slot(ts_ms, l->hours), tenant, &key);
    ck_assert(buf_ok(&key));
    return key;
}

START_TEST(keys)
{
    static const struct {
        const char *prefix;
        int hours;
        int64_t ts_ms;
        const char *tenant; /* NULL: no level */
        const char *folder;
    } rows[] = {{"", 1, 0, NULL, "samples/dt=1970-01-01/hour=00"},
                {"p/q", 1, 3599999, NULL, "p/q/samples/dt=1970-01-01/hour=00"},
                {"p", 1, 3600000, NULL, "p/samples/dt=1970-01-01/hour=01"},
                {"p", 1, -1, NULL, "p/samples/dt=1969-12-31/hour=23"},
                {"p", 1, 1709251199999, NULL, "p/samples/dt=2024-02-29/hour=23"},
                {"p", 3, 1709251199999, NULL, "p/samples/dt=2024-02-29/hour=21"},
                {"p", 6, 1709251199999, NULL, "p/samples/dt=2024-02-29/hour=18"},
                {"p", 24, 1709251199999, NULL, "p/samples/dt=2024-02-29/hour=00"},
                {"p", 1, 1709251200000, NULL, "p/samples/dt=2024-03-01/hour=00"},
                {"p", 1, INT64_MIN, NULL, "p/samples/dt=0001-01-01/hour=00"},
                {"p", 1, INT64_MAX, NULL, "p/samples/dt=9999-12-31/hour=23"},
                {"p", 1, 0, "studio-a", "p/samples/tenant=studio-a/dt=1970-01-01/hour=00"},
                {"p", 1, 0, "../a b/ü=%",
                 "p/samples/tenant=..%2Fa%20b%2F%C3%BC%3D%25/dt=1970-01-01/hour=00"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct layout l = layout_of(rows[i].prefix, rows[i].hours, rows[i].tenant != NULL);
        struct buf key = key_of(&l, rows[i].ts_ms,
                                rows[i].tenant == NULL ? SLICE_NONE : slice_str(rows[i].tenant));
        char want[512];
        (void)snprintf(want, sizeof want, "%s/metrics.admitted-Xq-_9-7-12-3456789012.parquet",
                       rows[i].folder);
        ck_assert_str_eq(buf_c_str(&key), want);
        buf_fini(&key);
    }
}
END_TEST

START_TEST(dates_are_those_of_the_c_library)
{
    struct layout l = layout_of("", 1, false);
    for (int64_t day = -700000; day < 2900000; day += 37) {
        time_t t = (time_t)(day * 86400 + 7 * 3600);
        struct tm tm;
        char want[64];
        if (gmtime_r(&t, &tm) == NULL || tm.tm_year + 1900 < 1 || tm.tm_year + 1900 > 9999) {
            continue;
        }
        (void)snprintf(want, sizeof want, "samples/dt=%04d-%02d-%02d/hour=07/", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday);
        struct buf key = key_of(&l, t * 1000, SLICE_NONE);
        ck_assert_msg(slice_starts_with(buf_slice(&key), slice_str(want)), "%s: %s", want,
                      buf_c_str(&key));
        buf_fini(&key);
    }
}
END_TEST

START_TEST(long_tenants_end_in_a_hash)
{
    struct layout l = layout_of("p", 1, true);
    char tenant[1024];
    memset(tenant, '/', sizeof tenant);
    struct buf one = key_of(&l, 0, slice_of(tenant, sizeof tenant));
    tenant[sizeof tenant - 1] = '-';
    struct buf other = key_of(&l, 0, slice_of(tenant, sizeof tenant));
    ck_assert(one.len < 400 && other.len < 400);
    ck_assert(!slice_eq(buf_slice(&one), buf_slice(&other)));
    buf_fini(&one);
    buf_fini(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layout");
    TCase *tests = tcase_create("layout");
    tcase_add_test(tests, a_layout_comes_back_from_its_text);
    tcase_add_test(tests, the_text_is_canonical);
    tcase_add_test(tests, what_cannot_be_is_named);
    tcase_add_test(tests, a_text_has_room_in_metadata);
    tcase_add_test(tests, texts_that_are_none_are_refused);
    tcase_add_test(tests, texts_from_before_rollups_name_a_table);
    tcase_add_test(tests, keys);
    tcase_add_test(tests, dates_are_those_of_the_c_library);
    tcase_add_test(tests, long_tenants_end_in_a_hash);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
