#include "policy/control.h"

#include <stdio.h>

#include "runner.h"

#define COMMON                                                                                     \
    "\"id\":\"k-1\",\"who\":\"ana\",\"reason\":\"a "                                               \
    "flood\",\"created_ms\":1000,\"expires_ms\":8200"
#define KILL "{\"kind\":\"kill\"," COMMON ",\"tenant\":\"studio-a\""
#define LIMIT "{\"kind\":\"limit\"," COMMON ",\"tenant\":\"studio-a\""
#define PAUSE "{\"kind\":\"pause\"," COMMON
#define SHED "{\"kind\":\"shed\"," COMMON
#define TEXT_16 "0123456789abcdef"
#define TEXT_128 TEXT_16 TEXT_16 TEXT_16 TEXT_16 TEXT_16 TEXT_16 TEXT_16 TEXT_16
#define TEXT_512 TEXT_128 TEXT_128 TEXT_128 TEXT_128

static bool parse(const char *id, const char *json, struct control_rule **out, uint32_t *n_unknown,
                  struct err *e)
{
    return control_parse(slice_str(id), slice_str(json), out, n_unknown, e);
}

static struct control_rule *rule(const char *json)
{
    struct err e = ERR_INIT;
    struct control_rule *r = NULL;
    uint32_t n_unknown = 0;
    ck_assert_msg(parse("k-1", json, &r, &n_unknown, &e), "%s: %s", json, e.text);
    ck_assert_msg(r != NULL && n_unknown == 0, "%s: not known", json);
    return r;
}

struct bad_row {
    const char *name;
    const char *id;
    const char *json;
    const char *want; /* part of the error */
};

static const struct bad_row bad_rows[] = {
    {"nothing", "k-1", "", "k-1: not a JSON object"},
    {"a list", "k-1", "[]", "k-1: not a JSON object"},
    {"behind the end", "k-1", KILL ",\"action\":\"drop\"} x", "k-1: not a JSON object"},
    {"a field twice", "k-1", KILL ",\"tenant\":\"b\",\"action\":\"drop\"}", "duplicate"},
    {"not UTF-8", "k-1", "{\"kind\":\"\xff\"}", "k-1: not a JSON object"},
    {"no key", "", KILL ",\"action\":\"drop\"}", "key: must be"},
    {"a key with a blank", "k 1", KILL ",\"action\":\"drop\"}", "key: must be"},
    {"another's key", "k-2", KILL ",\"action\":\"drop\"}", "k-2: id: is not the record's key"},
    {"no kind", "k-1", "{" COMMON "}", "kind: is missing"},
    {"a kind that is a number", "k-1", "{\"kind\":1}", "kind: must be a string"},
    {"no id", "k-1", "{\"kind\":\"shed\",\"class\":\"verbose\"}", "id: is missing"},
    {"no who", "k-1", "{\"kind\":\"shed\",\"id\":\"k-1\"}", "who: is missing"},
    {"an empty reason", "k-1", "{\"kind\":\"shed\",\"id\":\"k-1\",\"who\":\"a\",\"reason\":\"\"}",
     "reason: must be a string"},
    {"a long reason", "k-1",
     "{\"kind\":\"shed\",\"id\":\"k-1\",\"who\":\"a\",\"reason\":\"" TEXT_512 "x\"}",
     "reason: must be a string of 1 to 512 bytes"},
    {"no TTL", "k-1",
     "{\"kind\":\"shed\",\"id\":\"k-1\",\"who\":\"a\",\"reason\":\"b\",\"created_ms\":5,\"class\":"
     "\"verbose\"}",
     "expires_ms: is missing"},
    {"over before it began", "k-1",
     "{\"kind\":\"shed\",\"id\":\"k-1\",\"who\":\"a\",\"reason\":\"b\",\"created_ms\":5,\"expires_"
     "ms\":5,"
     "\"class\":\"verbose\"}",
     "expires_ms: must be after created_ms"},
    {"longer than 30 d", "k-1",
     "{\"kind\":\"shed\",\"id\":\"k-1\",\"who\":\"a\",\"reason\":\"b\",\"created_ms\":5,\"expires_"
     "ms\":2592000006,"
     "\"class\":\"verbose\"}",
     "by 30 days at most"},
    {"a time that is text", "k-1",
     "{\"kind\":\"shed\",\"id\":\"k-1\",\"who\":\"a\",\"reason\":\"b\",\"created_ms\":\"5\"}",
     "created_ms: must be an integer"},
    {"kill without tenant", "k-1", "{\"kind\":\"kill\"," COMMON ",\"action\":\"drop\"}",
     "tenant: is missing"},
    {"kill: a pattern as tenant", "k-1",
     "{\"kind\":\"kill\"," COMMON ",\"tenant\":\"*\",\"action\":\"drop\"}",
     "tenant: a tenant's name has"},
    {"kill: an empty metric", "k-1", KILL ",\"metric\":\"\",\"action\":\"drop\"}",
     "metric: must be a string"},
    {"kill: labels as a list", "k-1", KILL ",\"labels\":[],\"action\":\"drop\"}",
     "labels: must be an object"},
    {"kill: a label that is a number", "k-1", KILL ",\"labels\":{\"a\":1},\"action\":\"drop\"}",
     "labels: must be a string"},
    {"kill: a label without a name", "k-1", KILL ",\"labels\":{\"\":\"x\"},\"action\":\"drop\"}",
     "a label's name is empty"},
    {"kill without action", "k-1", KILL "}", "action: is missing"},
    {"kill: unknown action", "k-1", KILL ",\"action\":\"pause\"}",
     "action: must be one of drop, sample"},
    {"sample without n", "k-1", KILL ",\"action\":\"sample\"}", "sample_n: is missing"},
    {"sample one in one", "k-1", KILL ",\"action\":\"sample\",\"sample_n\":1}",
     "sample_n: must be an integer from 2"},
    {"sample one in too many", "k-1", KILL ",\"action\":\"sample\",\"sample_n\":1000001}",
     "from 2 to 1000000"},
    {"drop with n", "k-1", KILL ",\"action\":\"drop\",\"sample_n\":2}",
     "sample_n: goes with the action sample"},
    {"limit without budget", "k-1", LIMIT ",\"value\":5}", "budget: is missing"},
    {"limit: unknown budget", "k-1", LIMIT ",\"budget\":\"bytes\",\"value\":5}",
     "budget: must be one of source, metric, tenant, samples_per_second"},
    {"limit: no value", "k-1", LIMIT ",\"budget\":\"tenant\"}", "value: is missing"},
    {"limit: 0, which would read as none", "k-1", LIMIT ",\"budget\":\"tenant\",\"value\":0}",
     "value: must be an integer from 1"},
    {"limit: a broken number", "k-1", LIMIT ",\"budget\":\"tenant\",\"value\":1.5}",
     "value: must be an integer"},
    {"limit: a source with too many", "k-1", LIMIT ",\"budget\":\"source\",\"value\":20001}",
     "from 1 to 20000"},
    {"limit by metric without one", "k-1", LIMIT ",\"budget\":\"metric\",\"value\":5}",
     "metric: is missing"},
    {"limit by tenant with a metric", "k-1",
     LIMIT ",\"budget\":\"tenant\",\"value\":5,\"metric\":\"m\"}",
     "metric: goes with the budget metric"},
    {"shed critical", "k-1", SHED ",\"class\":\"critical\"}",
     "class: must be one of standard, verbose"},
    {"shed without class", "k-1", SHED "}", "class: is missing"},
    {"pause of no group", "k-1", PAUSE "}", "group: is missing"},
    {"pause of a group too long", "k-1", PAUSE ",\"group\":\"" TEXT_512 "\"}", "group: must be a string of 1 to 249"},
    {"partitions of no topic", "k-1", PAUSE ",\"group\":\"g\",\"partitions\":[0]}",
     "partitions: goes with a topic only"},
    {"no partitions", "k-1", PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"partitions\":[]}",
     "partitions: must be an array of 1 to 512"},
    {"a partition that is none", "k-1", PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"partitions\":[-1]}",
     "partitions: must be numbers from 0 on"},
    {"a partition that is text", "k-1", PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"partitions\":[\"1\"]}",
     "partitions: must be numbers from 0 on"},
    {"leaves, as a number", "k-1", PAUSE ",\"group\":\"g\",\"leaves\":1}", "leaves: must be true or false"},
    {"leaves one topic", "k-1", PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"leaves\":true}",
     "leaves: goes with the whole group only"},
};

START_TEST(a_bad_record_is_refused_and_its_field_named)
{
    const struct bad_row *row = &bad_rows[_i];
    struct err e = ERR_INIT;
    struct control_rule *r = NULL;
    uint32_t n_unknown;
    ck_assert_msg(!parse(row->id, row->json, &r, &n_unknown, &e), "%s: taken", row->name);
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    ck_assert_ptr_null(r);
    ck_assert_msg(strstr(e.text, row->want) != NULL, "%s: got \"%s\", want \"%s\"", row->name,
                  e.text, row->want);
}
END_TEST

static const char *const good_rows[] = {
    KILL ",\"action\":\"drop\"}",
    KILL ",\"metric\":\"debug_*\",\"action\":\"drop\"}",
    KILL ",\"metric\":\"debug_*\",\"labels\":{\"queue\":\"rank*\",\"az\":\"b\"},\"action\":"
         "\"sample\",\"sample_n\":10}",
    LIMIT ",\"budget\":\"source\",\"value\":20000}",
    LIMIT ",\"budget\":\"metric\",\"value\":1000,\"metric\":\"tick_seconds\"}",
    LIMIT ",\"budget\":\"samples_per_second\",\"value\":1000000000}",
    SHED ",\"class\":\"verbose\"}",
    SHED ",\"tenant\":\"t\",\"class\":\"standard\"}",
    PAUSE ",\"group\":\"sluice-amp\"}",
    PAUSE ",\"group\":\"sluice-amp\",\"leaves\":true}",
    PAUSE ",\"group\":\"sluice-amp\",\"topic\":\"metrics.admitted\"}",
    PAUSE ",\"group\":\"sluice-amp\",\"topic\":\"metrics.admitted\",\"partitions\":[0,23,2147483647]}",
};

START_TEST(a_good_record_is_written_and_read_as_the_same)
{
    struct err e = ERR_INIT;
    struct control_rule *r = rule(good_rows[_i]);
    struct buf out;
    struct buf again;
    buf_init(&out, 65536);
    buf_init(&again, 65536);
    ck_assert(control_write(r, &out, &e));
    struct control_rule *second = rule(buf_c_str(&out));
    ck_assert(control_write(second, &again, &e));
    ck_assert(slice_eq(buf_slice(&out), buf_slice(&again)));
    ck_assert_uint_eq(out.len, strlen(good_rows[_i])); /* nothing left out, nothing added */
    control_free(second);
    control_free(r);
    buf_fini(&out);
    buf_fini(&again);
}
END_TEST

static const struct {
    const char *rule, *group, *topic;
    int32_t partition;
    bool pauses;
} pause_rows[] = {
    {PAUSE ",\"group\":\"g\"}", "g", "t", 0, true},
    {PAUSE ",\"group\":\"g\"}", "g2", "t", 0, false},
    {PAUSE ",\"group\":\"g\",\"leaves\":true}", "g", "t", 7, true},
    {PAUSE ",\"group\":\"g\",\"topic\":\"t\"}", "g", "t", 3, true},
    {PAUSE ",\"group\":\"g\",\"topic\":\"t\"}", "g", "t2", 3, false},
    {PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"partitions\":[0,3]}", "g", "t", 3, true},
    {PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"partitions\":[0,3]}", "g", "t", 1, false},
    {PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"partitions\":[0,3]}", "g", "t2", 3, false},
    {SHED ",\"class\":\"verbose\"}", "", "", 0, false},
};

START_TEST(a_pause_is_of_a_group_and_maybe_of_some_partitions)
{
    struct control_rule *r = rule(pause_rows[_i].rule);
    ck_assert(control_pauses(r, slice_str(pause_rows[_i].group), slice_str(pause_rows[_i].topic),
                             pause_rows[_i].partition) == pause_rows[_i].pauses);
    control_free(r);
}
END_TEST

START_TEST(every_prefix_is_bad_input)
{
    const char *json = good_rows[_i];
    for (size_t n = 0; n < strlen(json); n++) {
        struct err e = ERR_INIT;
        struct control_rule *r = NULL;
        uint32_t n_unknown;
        char *copy = malloc(n + 1); /* of its own, so that overruns show */
        memcpy(copy, json, n);
        ck_assert_msg(!control_parse(SLICE_LITERAL("k-1"), slice_of(copy, n), &r, &n_unknown, &e),
                      "%zu of %s", n, json);
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        free(copy);
    }
}
END_TEST

START_TEST(fields_go_where_they_belong)
{
    struct control_rule *r = rule(
        KILL ",\"metric\":\"m*\",\"labels\":{\"q\":\"r*\"},\"action\":\"sample\",\"sample_n\":7}");
    ck_assert(r->kind == CONTROL_KILL && r->sample_n == 7 && r->n_labels == 1);
    ck_assert(slice_eq_str(r->id, "k-1") && slice_eq_str(r->tenant, "studio-a") &&
              slice_eq_str(r->metric, "m*"));
    ck_assert(slice_eq_str(r->labels[0].name, "q") && slice_eq_str(r->labels[0].value, "r*"));
    ck_assert(slice_eq_str(r->who, "ana") && slice_eq_str(r->reason, "a flood"));
    ck_assert(r->created_ms == 1000 && r->expires_ms == 8200);
    control_free(r);
    r = rule(LIMIT ",\"budget\":\"metric\",\"value\":12,\"metric\":\"x\"}");
    ck_assert(r->kind == CONTROL_LIMIT && r->budget == CONTROL_METRIC && r->value == 12 &&
              slice_eq_str(r->metric, "x"));
    control_free(r);
    r = rule(SHED ",\"class\":\"verbose\"}");
    ck_assert(r->kind == CONTROL_SHED && r->class == CLASS_VERBOSE && r->tenant.len == 0);
    control_free(r);
    r = rule(PAUSE ",\"group\":\"g\",\"topic\":\"t\",\"partitions\":[3,5]}");
    ck_assert(r->kind == CONTROL_PAUSE && slice_eq_str(r->group, "g") && slice_eq_str(r->topic, "t") && !r->leaves);
    ck_assert(r->n_partitions == 2 && r->partitions[0] == 3 && r->partitions[1] == 5 && r->tenant.len == 0);
    control_free(r);
}
END_TEST

START_TEST(what_a_newer_tool_wrote_is_left_out_and_counted)
{
    struct err e = ERR_INIT;
    struct control_rule *r = NULL;
    uint32_t n_unknown = 99;
    ck_assert(
        parse("k-1", "{\"kind\":\"reroute\"," COMMON ",\"group\":\"amp\"}", &r, &n_unknown, &e));
    ck_assert_ptr_null(r);
    ck_assert(parse("k-1", SHED ",\"class\":\"verbose\",\"ticket\":1,\"labels\":{\"a\":[]}}", &r,
                    &n_unknown, &e));
    ck_assert_ptr_nonnull(r);
    ck_assert_uint_eq(n_unknown, 2);
    control_free(r);
}
END_TEST

START_TEST(a_record_has_a_ceiling)
{
    char json[CONTROL_MAX_BYTES + 2];
    for (int over = 0; over < 2; over++) {
        size_t n = CONTROL_MAX_BYTES + (size_t)over;
        size_t head = (size_t)snprintf(json, sizeof json, "%s", SHED ",\"class\":\"verbose\"");
        memset(json + head, ' ', n - head - 1);
        json[n - 1] = '}';
        struct err e = ERR_INIT;
        struct control_rule *r = NULL;
        uint32_t n_unknown;
        ck_assert_int_eq(control_parse(SLICE_LITERAL("k-1"), slice_of(json, n), &r, &n_unknown, &e),
                         over == 0);
        ck_assert(over == 0 || (e.kind == ERR_BAD_INPUT && strstr(e.text, "4097 bytes") != NULL));
        control_free(r);
    }
}
END_TEST

struct match_row {
    const char *name;
    const char *rest; /* of the rule */
    const char *tenant;
    const char *metric;
    bool want;
    bool total;
};

/* The series has queue="ranked", az="b". */
static const struct match_row match_rows[] = {
    {"the tenant alone", "", "studio-a", "debug_x", true, true},
    {"another tenant", "", "studio-b", "debug_x", false, true},
    {"a tenant that begins alike", "", "studio-ab", "debug_x", false, true},
    {"all metrics", ",\"metric\":\"**\"", "studio-a", "debug_x", true, true},
    {"the metric", ",\"metric\":\"debug_*\"", "studio-a", "debug_x", true, false},
    {"another metric", ",\"metric\":\"debug_*\"", "studio-a", "tick", false, false},
    {"a metric is matched whole", ",\"metric\":\"debug\"", "studio-a", "debug_x", false, false},
    {"a label", ",\"labels\":{\"queue\":\"rank*\"}", "studio-a", "debug_x", true, false},
    {"another value", ",\"labels\":{\"queue\":\"casual\"}", "studio-a", "debug_x", false, false},
    {"both labels", ",\"labels\":{\"queue\":\"ranked\",\"az\":\"b\"}", "studio-a", "debug_x", true,
     false},
    {"one of two labels", ",\"labels\":{\"queue\":\"ranked\",\"az\":\"c\"}", "studio-a", "debug_x",
     false, false},
    {"a label that is not there", ",\"labels\":{\"region\":\"*\"}", "studio-a", "debug_x", false,
     false},
    {"metric and label", ",\"metric\":\"*_x\",\"labels\":{\"az\":\"*\"}", "studio-a", "debug_x",
     true, false},
    {"the label but not the metric", ",\"metric\":\"*_y\",\"labels\":{\"az\":\"*\"}", "studio-a",
     "debug_x", false, false},
};

START_TEST(a_kill_switch_matches_what_it_says)
{
    const struct match_row *row = &match_rows[_i];
    const struct label labels[] = {{SLICE_LITERAL("az"), SLICE_LITERAL("b")},
                                   {SLICE_LITERAL("queue"), SLICE_LITERAL("ranked")}};
    const struct series s = {.metric = slice_str(row->metric), .labels = labels, .n_labels = 2};
    char json[512];
    (void)snprintf(json, sizeof json, "%s%s,\"action\":\"drop\"}", KILL, row->rest);
    struct control_rule *r = rule(json);
    ck_assert_msg(control_kill_matches(r, slice_str(row->tenant), &s) == row->want, "%s",
                  row->name);
    ck_assert_msg(control_kill_is_total(r) == row->total, "%s: total", row->name);
    control_free(r);
}
END_TEST

START_TEST(only_a_kill_switch_kills)
{
    const struct series s = {.metric = SLICE_LITERAL("m")};
    struct control_rule *r = rule(LIMIT ",\"budget\":\"tenant\",\"value\":5}");
    ck_assert(!control_kill_matches(r, SLICE_LITERAL("studio-a"), &s) && !control_kill_is_total(r));
    control_free(r);
}
END_TEST

START_TEST(sampling_passes_one_batch_in_n)
{
    struct control_rule *r = rule(KILL ",\"action\":\"sample\",\"sample_n\":10}");
    int n_passed = 0;
    for (int i = 0; i < 100000; i++) {
        n_passed +=
            control_sample_passes(r, (uint64_t)i % 500, INT64_C(1790000000000) + i / 500 * 10000);
    }
    ck_assert_msg(n_passed > 9700 && n_passed < 10300, "%d of 100000", n_passed);
    control_free(r);
}
END_TEST

/* The same on every machine and in every version: XXH3-64 of source and base_ms, little-endian. */
START_TEST(the_batches_that_pass_are_always_the_same)
{
    struct control_rule *r = rule(KILL ",\"action\":\"sample\",\"sample_n\":4}");
    char got[33] = "";
    for (int i = 0; i < 32; i++) {
        got[i] = control_sample_passes(r, UINT64_C(0xfedcba9876543210),
                                       INT64_C(1790000000000) + i * 10000)
                     ? '1'
                     : '0';
    }
    ck_assert_str_eq(got, "00000000100001100000010010010001");
    control_free(r);
    r = rule(KILL ",\"action\":\"drop\"}");
    for (int i = 0; i < 1000; i++) {
        ck_assert(!control_sample_passes(r, (uint64_t)i, i));
    }
    control_free(r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tc = tcase_create("control");
    tcase_add_loop_test(tc, a_bad_record_is_refused_and_its_field_named, 0,
                        sizeof bad_rows / sizeof bad_rows[0]);
    tcase_add_loop_test(tc, a_good_record_is_written_and_read_as_the_same, 0,
                        sizeof good_rows / sizeof good_rows[0]);
    tcase_add_loop_test(tc, a_pause_is_of_a_group_and_maybe_of_some_partitions, 0,
                        sizeof pause_rows / sizeof pause_rows[0]);
    tcase_add_loop_test(tc, every_prefix_is_bad_input, 0, sizeof good_rows / sizeof good_rows[0]);
    tcase_add_test(tc, fields_go_where_they_belong);
    tcase_add_test(tc, what_a_newer_tool_wrote_is_left_out_and_counted);
    tcase_add_test(tc, a_record_has_a_ceiling);
    tcase_add_loop_test(tc, a_kill_switch_matches_what_it_says, 0,
                        sizeof match_rows / sizeof match_rows[0]);
    tcase_add_test(tc, only_a_kill_switch_kills);
    tcase_add_test(tc, sampling_passes_one_batch_in_n);
    tcase_add_test(tc, the_batches_that_pass_are_always_the_same);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
