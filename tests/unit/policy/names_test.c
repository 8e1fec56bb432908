/* The rows of the first table follow prometheus/otlptranslator's own cases (suffixes on, no UTF-8).
 */
#include "policy/names.h"

#include <stdio.h>

#include "policy/glob.h"
#include "runner.h"

struct name_row {
    const char *what;
    const char *name;
    const char *unit;
    enum name_kind kind;
    const char *want; /* NULL = refused */
};

static const struct name_row name_rows[] = {
    {"counter gets _total", "requests", "", NAME_COUNTER, "requests_total"},
    {"gauge of unit 1 gets _ratio", "cpu_usage", "1", NAME_GAUGE, "cpu_usage_ratio"},
    {"counter of unit 1 gets none", "items", "1", NAME_COUNTER, "items_total"},
    {"histogram of unit 1 gets none", "items", "1", NAME_OTHER, "items"},
    {"time", "response_time", "ms", NAME_GAUGE, "response_time_milliseconds"},
    {"bytes", "memory_usage", "By", NAME_GAUGE, "memory_usage_bytes"},
    {"per unit", "requests", "1/s", NAME_GAUGE, "requests_per_second"},
    {"unit per unit", "throughput", "By/s", NAME_GAUGE, "throughput_bytes_per_second"},
    {"unknown unit", "custom_metric", "custom_unit", NAME_GAUGE, "custom_metric_custom_unit"},
    {"annotation", "custom_metric", "{custom}", NAME_GAUGE, "custom_metric"},
    {"per annotation", "custom_metric", "By/{custom}", NAME_GAUGE, "custom_metric_bytes"},
    {"total is there", "requests_total", "", NAME_COUNTER, "requests_total"},
    {"total in the middle moves", "total.requests", "", NAME_COUNTER, "requests_total"},
    {"ratio is there", "cpu_usage_ratio", "1", NAME_GAUGE, "cpu_usage_ratio"},
    {"unit is there", "response_time_seconds", "s", NAME_GAUGE, "response_time_seconds"},
    {"unit and total are there", "cpu_seconds_total", "s", NAME_COUNTER, "cpu_seconds_total"},
    {"runs of underscores", "metric__with__multiple__underscores", "unit__multiple__underscores",
     NAME_GAUGE, "metric_with_multiple_underscores_unit_multiple_underscores"},
    {"other characters in the unit", "custom_metric", "unit@with#special/chars", NAME_GAUGE,
     "custom_metric_unit_with_special_per_chars"},
    {"other characters alone", "@#$%", "", NAME_GAUGE, NULL},
    {"first a digit", "123_requests", "", NAME_COUNTER, "_123_requests_total"},
    {"days", "uptime", "d", NAME_GAUGE, "uptime_days"},
    {"percent", "cpu", "%", NAME_GAUGE, "cpu_percent"},
    {"celsius", "gpu.temp", "Cel", NAME_GAUGE, "gpu_temp_celsius"},
    {"per minute", "errors", "{error}/m", NAME_GAUGE, "errors_per_minute"},
    {"space around the unit", "x", " s / s ", NAME_GAUGE, "x_seconds_per_second"},
    {"no unit left of the slash", "x", "/s", NAME_GAUGE, "x_per_second"},
    {"nothing right of it", "x", "s/", NAME_GAUGE, "x_seconds"},
    {"colons stay", "job:rate.5m", "", NAME_GAUGE, "job:rate_5m"},
    {"a letter beyond ASCII", "caf\xc3\xa9.visits", "", NAME_COUNTER, "caf_visits_total"},
    {"dots", "game.logins", "{login}", NAME_COUNTER, "game_logins_total"},
    {"seconds of a counter", "game.tick.time", "s", NAME_COUNTER, "game_tick_time_seconds_total"},
    {"empty", "", "", NAME_OTHER, NULL},
};

static void check_text(const char *what, bool ok, const struct buf *got, const char *want)
{
    if (want == NULL) {
        ck_assert_msg(!ok, "%s: not refused: %.*s", what, (int)got->len, (const char *)got->ptr);
        return;
    }
    ck_assert_msg(ok && slice_eq_str(buf_slice(got), want), "%s: got %d %.*s, want %s", what, ok,
                  (int)got->len, (const char *)got->ptr, want);
}

START_TEST(metric_names)
{
    const struct name_row *row = &name_rows[_i];
    struct buf b;
    buf_init(&b, 4096);
    bool ok = name_translate(slice_str(row->name), slice_str(row->unit), row->kind, &b);
    check_text(row->what, ok, &b, row->want);
    ck_assert_msg(!ok || name_valid(buf_slice(&b)), "%s: not a valid name", row->what);
    buf_fini(&b);
}
END_TEST

static const struct name_row label_rows[] = {
    {"as it is", "region", "", NAME_OTHER, "region"},
    {"dots", "http.method", "", NAME_OTHER, "http_method"},
    {"first a digit", "123invalid", "", NAME_OTHER, "key_123invalid"},
    {"first an underscore", "_private", "", NAME_OTHER, "key_private"},
    {"two underscores stay", "__reserved__", "", NAME_OTHER, "__reserved__"},
    {"runs of underscores stay", "a..b", "", NAME_OTHER, "a__b"},
    {"one character beyond ASCII, one underscore", "\xc3\xa9t\xc3\xa9", "", NAME_OTHER, "key_t_"},
    {"colon", "a:b", "", NAME_OTHER, "a_b"},
    {"nothing usable", "..", "", NAME_OTHER, NULL},
    {"empty", "", "", NAME_OTHER, NULL},
};

START_TEST(label_names)
{
    const struct name_row *row = &label_rows[_i];
    struct buf b;
    buf_init(&b, 4096);
    bool ok = label_name_translate(slice_str(row->name), &b);
    check_text(row->what, ok, &b, row->want);
    buf_fini(&b);
}
END_TEST

/* tests/vectors/names: what Prometheus's translator itself makes of names. One row, its fields cut
 * at the tabs; false at the end. */
static bool row_read(FILE *f, char *line, size_t size, char **fields, size_t n)
{
    if (fgets(line, (int)size, f) == NULL) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    char *rest = line;
    for (size_t i = 0; i < n; i++) {
        fields[i] = strsep(&rest, "\t");
        ck_assert_ptr_nonnull(fields[i]);
    }
    ck_assert_ptr_null(rest);
    return true;
}

static void check_row(const char *const *fields, bool ok, const struct buf *got, const char *want)
{
    char what[512];
    (void)snprintf(what, sizeof what, "%s|%s|%s", fields[0], fields[1], fields[2]);
    check_text(what, ok, got, want[0] == '\0' ? NULL : want);
}

START_TEST(metric_names_are_those_of_prometheus)
{
    char line[512];
    char *f[4];
    size_t n = 0;
    FILE *file = fopen(VECTORS "/names/metrics.tsv", "re");
    ck_assert_ptr_nonnull(file);
    while (row_read(file, line, sizeof line, f, 4)) {
        struct buf b;
        buf_init(&b, 4096);
        enum name_kind kind = strcmp(f[0], "counter") == 0 ? NAME_COUNTER
                              : strcmp(f[0], "gauge") == 0 ? NAME_GAUGE
                                                           : NAME_OTHER;
        bool ok = name_translate(slice_str(f[1]), slice_str(f[2]), kind, &b);
        check_row((const char *const[]){f[0], f[1], f[2]}, ok, &b, f[3]);
        buf_fini(&b);
        n++;
    }
    ck_assert_uint_ge(n, 500);
    ck_assert_int_eq(fclose(file), 0);
}
END_TEST

START_TEST(label_names_are_those_of_prometheus)
{
    char line[512];
    char *f[2];
    size_t n = 0;
    FILE *file = fopen(VECTORS "/names/labels.tsv", "re");
    ck_assert_ptr_nonnull(file);
    while (row_read(file, line, sizeof line, f, 2)) {
        struct buf b;
        buf_init(&b, 4096);
        bool ok = label_name_translate(slice_str(f[0]), &b);
        check_row((const char *const[]){"label", f[0], ""}, ok, &b, f[1]);
        buf_fini(&b);
        n++;
    }
    ck_assert_uint_ge(n, 300);
    ck_assert_int_eq(fclose(file), 0);
}
END_TEST

struct glob_row {
    const char *pattern;
    const char *text;
    bool want;
};

static const struct glob_row glob_rows[] = {
    {"*", "", true},
    {"*", "x", true},
    {"a*", "abc", true},
    {"a*", "b", false},
    {"*c", "abc", true},
    {"a*c", "abc", true},
    {"a*c", "abcd", false},
    {"a*b*c", "aXbXbYc", true},
    {"abc", "abc", true},
    {"abc", "ab", false},
    {"", "", true},
    {"", "a", false},
    {"a**b", "ab", true},
    {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

START_TEST(globs)
{
    const struct glob_row *row = &glob_rows[_i];
    ck_assert_msg(glob_match(slice_str(row->pattern), slice_str(row->text)) == row->want,
                  "%s on %s", row->pattern, row->text);
}
END_TEST

START_TEST(long_names_are_cut_not_overrun)
{
    char name[2048];
    for (size_t i = 0; i < sizeof name; i++) {
        name[i] = i % 2 == 0 ? 'a' : '.';
    }
    struct buf b;
    buf_init(&b, 64);
    ck_assert(!name_translate(slice_of(name, sizeof name), slice_of(name, sizeof name),
                              NAME_COUNTER, &b));
    buf_fini(&b);
    buf_init(&b, 1 << 20);
    ck_assert(
        name_translate(slice_of(name, sizeof name), slice_of(name, sizeof name), NAME_COUNTER, &b));
    ck_assert(b.len < sizeof name);
    buf_fini(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("names");
    TCase *t = tcase_create("names");
    tcase_add_loop_test(t, metric_names, 0, sizeof name_rows / sizeof name_rows[0]);
    tcase_add_loop_test(t, label_names, 0, sizeof label_rows / sizeof label_rows[0]);
    tcase_add_test(t, metric_names_are_those_of_prometheus);
    tcase_add_test(t, label_names_are_those_of_prometheus);
    tcase_add_loop_test(t, globs, 0, sizeof glob_rows / sizeof glob_rows[0]);
    tcase_add_test(t, long_names_are_cut_not_overrun);
    suite_add_tcase(s, t);
    return run_suite(s);
}
