/* The limiter's leaf modules: a slot's parts, highs, offenders, json_text. */
#include <stdio.h>
#include <stdlib.h>

#include "highs.h"
#include "base/json_text.h"
#include "offenders.h"
#include "runner.h"
#include "series_set.h"

/* --- slots --- */

START_TEST(a_slot_holds_its_parts)
{
    static const struct {
        uint32_t metric;
        uint32_t weight;
        enum over over;
    } rows[] = {{0, 1, OVER_NONE},
                {MAX_METRICS - 1, MAX_WEIGHT, OVER_TENANT},
                {MAX_METRICS - 1, 1, OVER_NONE},
                {0, MAX_WEIGHT, OVER_NONE},
                {0, 1, OVER_TENANT},
                {77, 1027, OVER_METRIC}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct series_slot s = {.what = slot_what(rows[i].metric, rows[i].weight, rows[i].over)};
        ck_assert(slot_used(&s) && slot_metric(&s) == rows[i].metric &&
                  slot_weight(&s) == rows[i].weight && slot_over(&s) == rows[i].over);
    }
    struct series_slot s = {.seen = 5 | SLOT_LAPSED};
    ck_assert(slot_lapsed(&s) && slot_steps_ago(&s, 5) == 0 && slot_steps_ago(&s, 9) == 4);
    ck_assert(slot_steps_ago(&s, (INT64_C(1) << 40) + 9) == 4); /* steps wrap */
    s.seen = SLOT_STEPS;
    ck_assert(!slot_lapsed(&s) && slot_steps_ago(&s, INT64_C(1) << 15) == 1);
}
END_TEST

/* --- highs --- */

struct high_row {
    const char *topic;
    uint8_t topic_id;
    int32_t partition;
    int64_t offset;
    int32_t index;
    bool is_seen; /* before it is raised */
};

static const struct high_row high_rows[] = {
    {"in", 1, 0, 10, 3, false},  {"in", 1, 0, 10, 3, true},  {"in", 1, 0, 10, 2, true},
    {"in", 1, 0, 9, 99, true},   {"in", 1, 0, 10, 4, false}, {"in", 1, 0, 11, 0, false},
    {"in", 1, 0, 10, 99, true},  {"in", 1, 1, 5, 0, false},  {"in", 2, 0, 0, 0, false},
    {"in.t", 1, 0, 0, 0, false}, {"in", 1, 1, 5, 0, true},   {"in", 1, 0, INT64_MAX, 0, false},
    {"in", 1, 0, 12, 0, true},   {"", 0, 0, 0, 0, false},    {"", 0, 0, 0, 0, true},
};

START_TEST(highs_are_raised_and_never_fall)
{
    struct highs h;
    highs_init(&h);
    for (size_t i = 0; i < sizeof high_rows / sizeof high_rows[0]; i++) {
        const struct high_row *row = &high_rows[i];
        char topic[8];
        (void)snprintf(topic, sizeof topic, "%s", row->topic);
        struct origin o = {
            slice_str(topic), {row->topic_id}, row->partition, row->offset, row->index};
        ck_assert_msg(highs_seen(&h, &o) == row->is_seen, "row %zu", i);
        ck_assert(highs_raise(&h, &o));
        ck_assert(highs_seen(&h, &o));
        memset(topic, 'x', sizeof topic); /* it has its own copy */
    }
    ck_assert_uint_eq(h.table.n, 5);
    highs_fini(&h);
}
END_TEST

/* --- offenders --- */

static void note_of(struct offenders *o, const char *tenant, const char *metric, const char *label,
                    int value, bool is_refused)
{
    char text[32];
    (void)snprintf(text, sizeof text, "v%d", value);
    const struct label labels[] = {{SLICE_LITERAL("az"), SLICE_LITERAL("1")},
                                   {slice_str(label), slice_str(text)}};
    const struct series s = {.metric = slice_str(metric), .n_labels = 2, .labels = labels};
    offenders_note(o, slice_str(tenant), &s, is_refused);
}

static void note(struct offenders *o, const char *metric, const char *label, int value,
                 bool is_refused)
{
    note_of(o, "t", metric, label, value, is_refused);
}

static const char *page_of(const struct offenders *o, uint32_t n)
{
    static struct buf page = {.max_bytes = 1 << 20};
    buf_reset(&page);
    offenders_print(o, n, &page);
    return buf_c_str(&page);
}

#define LABELS(n, more)                                                                            \
    "[{\"label\":\"session\",\"values\":" n ",\"at_least\":" more                                  \
    "},{\"label\":\"az\",\"values\":1,\"at_least\":false}]"

START_TEST(offenders_are_exact_up_to_a_cap)
{
    static const struct {
        int n_values;
        const char *labels;
    } rows[] = {{2, LABELS("2", "false")},
                {MAX_VALUES, LABELS("1024", "false")},
                {MAX_VALUES + 1, LABELS("1024", "true")}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct offenders o;
        offenders_init(&o, 32 << 20, 7);
        for (int round = 0; round < 2; round++) {
            for (int v = 0; v < rows[i].n_values; v++) {
                note(&o, "logins", "session", v, round == 1);
            }
        }
        char want[512];
        (void)snprintf(want, sizeof want,
                       "{\"since_ms\":7,\"offenders\":[{\"tenant\":\"t\",\"metric\":\"logins\","
                       "\"refused_series\":%d,"
                       "\"new_series\":%d,\"labels\":%s}]}\n",
                       rows[i].n_values, rows[i].n_values, rows[i].labels);
        ck_assert_str_eq(page_of(&o, 20), want);
        offenders_reset(&o, 8);
        ck_assert_str_eq(page_of(&o, 20), "{\"since_ms\":8,\"offenders\":[]}\n");
        offenders_fini(&o);
    }
}
END_TEST

START_TEST(the_worst_come_first)
{
    struct offenders o;
    offenders_init(&o, 32 << 20, 0);
    for (int i = 0; i < 5; i++) {
        note(&o, "many_new", "session", i, false);
    }
    note(&o, "refused", "session", 0, true);
    note(&o, "few_new", "session", 0, false);
    const char *page = page_of(&o, 2);
    const char *first = strstr(page, "\"refused\"");
    const char *second = strstr(page, "\"many_new\"");
    ck_assert_msg(first != NULL && second != NULL && first < second &&
                      strstr(page, "few_new") == NULL,
                  "%s", page);
    offenders_fini(&o);
}
END_TEST

static double shown(struct metrics *m, const char *tenant, const char *metric, const char *label)
{
    const struct slice labels[] = {slice_str(tenant), slice_str(metric), slice_str(label)};
    return cell_get(metrics_cell(m, M_OFFENDER, labels));
}

/* One tenant's names without end take no other's place in the metrics. */
START_TEST(a_tenants_names_do_not_hide_another)
{
    struct offenders o;
    struct metrics *m = metrics_new();
    char name[32];
    offenders_init(&o, 32 << 20, 0);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof name, "m%d", i);
        note(&o, name, "session", 1, true);
        note(&o, name, "session", 2, true);
        offenders_show(&o, m);
        offenders_reset(&o, i);
    }
    ck_assert_double_eq(shown(m, "t", "other", "other"), 2);
    note_of(&o, "u", "logins", "session", 1, true);
    note_of(&o, "u", "logins", "session", 2, true);
    note(&o, "m1", "session", 1, true);
    note(&o, "m1", "session", 2, true);
    note(&o, "later", "session", 1, true);
    note(&o, "still_later", "session", 1, true);
    offenders_show(&o, m);
    ck_assert_double_eq(shown(m, "u", "logins", "session"), 2);
    ck_assert_double_eq(shown(m, "t", "m1", "session"), 2);
    ck_assert_double_eq(shown(m, "t", "other", "other"), 2);
    offenders_reset(&o, 0);
    offenders_show(&o, m);
    ck_assert_double_eq(shown(m, "u", "logins", "session"), 0);
    ck_assert_double_eq(shown(m, "t", "other", "other"), 0);
    offenders_fini(&o);
    metrics_free(m);
}
END_TEST

/* However many metrics there are, and labels, and however long their names. */
START_TEST(offenders_are_bounded)
{
    enum { BYTES = 4 << 20 };
    struct offenders o;
    static char name[2000];
    offenders_init(&o, BYTES, 0);
    for (int m = 0; m < 1000; m++) {
        (void)snprintf(name, sizeof name, "m%d", m);
        note(&o, name, "session", m, true);
        ck_assert_uint_le(o.table.cost_bytes, BYTES);
    }
    ck_assert_uint_gt(o.table.n, 3);
    ck_assert_ptr_nonnull(strstr(page_of(&o, 1000), "\"m999\""));
    for (int l = 0; l < 3 * MAX_OFFENDER_LABELS; l++) {
        memset(name, 'a' + l % 26, sizeof name - 1);
        name[0] = (char)('0' + l / 26);
        note(&o, "m999", name, l, true);
    }
    size_t n_labels = 0;
    const char *page = page_of(&o, 1000);
    for (const char *at = strstr(page, "\"m999\""); (at = strstr(at, "{\"label\"")) != NULL; at++) {
        n_labels++;
        if (strstr(at, "{\"tenant\"") != NULL &&
            strstr(at, "{\"tenant\"") < strstr(at + 1, "{\"label\"")) {
            break;
        }
    }
    ck_assert_uint_le(n_labels, MAX_OFFENDER_LABELS);
    ck_assert_uint_gt(n_labels, 2);
    offenders_fini(&o);
}
END_TEST

/* --- json_text --- */

START_TEST(text_is_quoted)
{
    static const struct {
        struct slice text;
        const char *json;
    } rows[] = {
        {SLICE_LITERAL(""), "\"\""},
        {SLICE_LITERAL("plain"), "\"plain\""},
        {SLICE_LITERAL("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {SLICE_LITERAL("a\nb\tc\0d\x7f"), "\"a?b?c?d?\""},
        {SLICE_LITERAL("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
         "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {SLICE_LITERAL("\xff"), "\"?\""},
        {SLICE_LITERAL("a\xc3"), "\"a?\""},
        {SLICE_LITERAL("\xe2\x82"), "\"??\""},
        {SLICE_LITERAL("\xed\xa0\x80x"), "\"???x\""},
        {SLICE_LITERAL("\xc0\"\\"), "\"?\\\"\\\\\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b;
        buf_init(&b, 100);
        json_slice(&b, rows[i].text);
        ck_assert_str_eq(buf_c_str(&b), rows[i].json);
        buf_fini(&b);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("leaves");
    TCase *t = tcase_create("leaves");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_slot_holds_its_parts);
    tcase_add_test(t, highs_are_raised_and_never_fall);
    tcase_add_test(t, offenders_are_exact_up_to_a_cap);
    tcase_add_test(t, the_worst_come_first);
    tcase_add_test(t, a_tenants_names_do_not_hide_another);
    tcase_add_test(t, offenders_are_bounded);
    tcase_add_test(t, text_is_quoted);
    suite_add_tcase(s, t);
    return run_suite(s);
}
