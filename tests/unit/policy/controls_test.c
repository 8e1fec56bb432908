#include "policy/controls.h"

#include <inttypes.h>
#include <stdio.h>

#include "runner.h"

static uint64_t draw;

static void setup(struct controls *c)
{
    draw = 40;
    controls_init(c, &draw);
}

/* body: what the kind needs. */
static void put(struct controls *c, const char *id, int64_t created_ms, int64_t expires_ms,
                const char *body)
{
    char json[512];
    struct err e = ERR_INIT;
    (void)snprintf(json, sizeof json,
                   "{\"id\":\"%s\",\"who\":\"w\",\"reason\":\"r\",\"created_ms\":%" PRId64
                   ",\"expires_ms\":%" PRId64 ",%s}",
                   id, created_ms, expires_ms, body);
    ck_assert_msg(controls_take(c, slice_str(id), slice_str(json), 0, &e), "%s", e.text);
}

static void revoke(struct controls *c, const char *id)
{
    struct err e = ERR_INIT;
    ck_assert(controls_take(c, slice_str(id), SLICE_NONE, 0, &e));
}

#define DROP(tenant) "\"kind\":\"kill\",\"action\":\"drop\",\"tenant\":\"" tenant "\""
#define LIMIT(tenant, budget, value)                                                               \
    "\"kind\":\"limit\",\"tenant\":\"" tenant "\",\"budget\":\"" budget "\",\"value\":" value
#define SHED(class) "\"kind\":\"shed\",\"class\":\"" class "\""

static const char *id_of(const struct control_rule *r)
{
    static char text[80];
    (void)snprintf(text, sizeof text, "%.*s", r == NULL ? 4 : (int)r->id.len,
                   r == NULL ? "none" : (const char *)r->id.ptr);
    return text;
}

static size_t n_kills(const struct controls *c, const char *tenant)
{
    size_t n = 0;
    for (const struct control_rule *r = controls_kills(c, slice_str(tenant)); r != NULL;
         r = r->next) {
        n++;
    }
    return n;
}

START_TEST(rules_come_and_go_by_id)
{
    struct controls c;
    setup(&c);
    put(&c, "k-1", 1000, 5000, DROP("a"));
    put(&c, "k-2", 2000, 5000, DROP("a"));
    put(&c, "k-3", 1500, 5000, DROP("b"));
    ck_assert_uint_eq(c.n_rules, 3);
    ck_assert_uint_eq(n_kills(&c, "a"), 2);
    ck_assert_uint_eq(n_kills(&c, "b"), 1);
    ck_assert_uint_eq(n_kills(&c, "none"), 0);
    ck_assert_str_eq(id_of(controls_kills(&c, SLICE_LITERAL("a"))), "k-2"); /* the newest first */
    put(&c, "k-2", 2000, 5000, DROP("b")); /* replaced: now another tenant's */
    ck_assert_uint_eq(c.n_rules, 3);
    ck_assert_uint_eq(c.n_by_kind[CONTROL_KILL], 3);
    ck_assert_uint_eq(n_kills(&c, "a"), 1);
    ck_assert_uint_eq(n_kills(&c, "b"), 2);
    revoke(&c, "k-1");
    revoke(&c, "k-3");
    ck_assert_uint_eq(n_kills(&c, "a"), 0);
    ck_assert_str_eq(id_of(controls_kills(&c, SLICE_LITERAL("b"))), "k-2");
    revoke(&c, "k-2");
    ck_assert_uint_eq(c.n_rules, 0);
    ck_assert_uint_eq(c.by_tenant.n, 0);
    ck_assert_uint_eq(
        c.n_by_kind[CONTROL_KILL] + c.n_by_kind[CONTROL_LIMIT] + c.n_by_kind[CONTROL_SHED], 0);
    controls_fini(&c);
}
END_TEST

START_TEST(the_order_of_a_tenants_rules_is_not_that_of_their_arrival)
{
    static const char *const ids[] = {"k-1", "k-2", "k-3", "k-4"};
    char orders[2][64] = {"", ""};
    for (int backward = 0; backward < 2; backward++) {
        struct controls c;
        setup(&c);
        for (int i = 0; i < 4; i++) {
            const char *id = ids[backward ? 3 - i : i];
            put(&c, id, strcmp(id, "k-1") == 0 ? 9 : 5, 5000, DROP("a"));
        }
        for (const struct control_rule *r = controls_kills(&c, SLICE_LITERAL("a")); r != NULL;
             r = r->next) {
            strcat(strcat(orders[backward], id_of(r)), " ");
        }
        controls_fini(&c);
    }
    ck_assert_str_eq(orders[0], "k-1 k-4 k-3 k-2 ");
    ck_assert_str_eq(orders[1], orders[0]);
}
END_TEST

START_TEST(rules_end_by_themselves)
{
    struct controls c;
    setup(&c);
    put(&c, "k-1", 1000, 5000, DROP("a"));
    put(&c, "k-2", 1000, 6000, DROP("a"));
    put(&c, "s-1", 1000, 7000, SHED("verbose"));
    uint64_t version = c.version;
    ck_assert(!controls_expire(&c, 4999));
    ck_assert_uint_eq(c.version, version);
    ck_assert(controls_expire(&c, 5000));
    ck_assert_uint_ne(c.version, version);
    ck_assert_str_eq(id_of(controls_kills(&c, SLICE_LITERAL("a"))), "k-2");
    ck_assert(!controls_expire(&c, 5999));
    ck_assert(controls_expire(&c, 100000));
    ck_assert_uint_eq(c.n_rules, 0);
    ck_assert(!controls_expire(&c, INT64_MAX - 1));
    controls_fini(&c);
}
END_TEST

START_TEST(what_is_over_when_it_comes_is_left_out)
{
    struct controls c;
    struct err e = ERR_INIT;
    setup(&c);
    put(&c, "k-1", 1000, 9000, DROP("a"));
    static const char json[] =
        "{\"id\":\"k-1\",\"who\":\"w\",\"reason\":\"r\",\"created_ms\":1,\"expires_ms\":5000," DROP(
            "a") "}";
    ck_assert(controls_take(&c, SLICE_LITERAL("k-1"), slice_str(json), 5000, &e));
    ck_assert_uint_eq(c.n_rules, 0); /* and it replaced the one that was live */
    ck_assert(controls_take(&c, SLICE_LITERAL("k-1"), slice_str(json), 4999, &e));
    ck_assert_uint_eq(c.n_rules, 1);
    controls_fini(&c);
}
END_TEST

START_TEST(the_version_moves_with_the_live_rules_and_never_repeats)
{
    struct controls c;
    setup(&c);
    uint64_t seen[8];
    int n = 0;
    seen[n++] = c.version;
    put(&c, "k-1", 1000, 5000, DROP("a"));
    seen[n++] = c.version;
    put(&c, "k-1", 1000, 5000, DROP("a")); /* read again */
    revoke(&c, "k-9");                     /* was not there */
    ck_assert_uint_eq(c.version, seen[n - 1]);
    put(&c, "k-1", 1000, 5001, DROP("a"));
    seen[n++] = c.version;
    revoke(&c, "k-1");
    seen[n++] = c.version;
    controls_fini(&c);
    controls_init(&c, &draw); /* another set in the same process */
    seen[n++] = c.version;
    controls_fini(&c);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) {
            ck_assert_uint_ne(seen[i], seen[k]);
        }
    }
}
END_TEST

START_TEST(a_bad_or_unknown_record_replaces_its_rule)
{
    static const char *const values[] = {"{", "{\"kind\":\"reroute\"}", ""};
    struct controls c;
    struct err e = ERR_INIT;
    setup(&c);
    put(&c, "k-1", 1000, 5000, DROP("a"));
    bool bad = _i != 1;
    ck_assert_int_eq(controls_take(&c, SLICE_LITERAL("k-1"), slice_str(values[_i]), 0, &e), !bad);
    ck_assert_uint_eq(c.n_rules, 0);
    ck_assert_uint_eq(c.n_bad, bad);
    ck_assert_uint_eq(c.n_unknown_kinds, !bad);
    controls_fini(&c);
}
END_TEST

START_TEST(limits_are_found_by_budget)
{
    struct controls c;
    setup(&c);
    put(&c, "l-1", 1, 5000, LIMIT("a", "tenant", "10"));
    put(&c, "l-2", 2, 5000, LIMIT("a", "tenant", "20"));
    put(&c, "l-3", 3, 5000, LIMIT("a", "source", "30"));
    put(&c, "l-4", 4, 5000, LIMIT("a", "metric", "40") ",\"metric\":\"m\"");
    put(&c, "l-5", 5, 5000, LIMIT("a", "samples_per_second", "50"));
    struct slice a = SLICE_LITERAL("a");
    ck_assert_str_eq(id_of(controls_limit(&c, a, CONTROL_TENANT, SLICE_NONE)),
                     "l-2"); /* the newest */
    ck_assert_str_eq(id_of(controls_limit(&c, a, CONTROL_SOURCE, SLICE_NONE)), "l-3");
    ck_assert_str_eq(id_of(controls_limit(&c, a, CONTROL_METRIC, SLICE_LITERAL("m"))), "l-4");
    ck_assert_str_eq(id_of(controls_limit(&c, a, CONTROL_METRIC, SLICE_LITERAL("n"))), "none");
    ck_assert_str_eq(id_of(controls_limit(&c, a, CONTROL_SAMPLES_PER_SECOND, SLICE_NONE)), "l-5");
    ck_assert_str_eq(id_of(controls_limit(&c, SLICE_LITERAL("b"), CONTROL_TENANT, SLICE_NONE)),
                     "none");
    revoke(&c, "l-2");
    ck_assert_str_eq(id_of(controls_limit(&c, a, CONTROL_TENANT, SLICE_NONE)), "l-1");
    controls_fini(&c);
}
END_TEST

struct shed_row {
    const char *name;
    const char *body;
    const char *want[2][N_CLASSES]; /* tenants a, b: critical, standard, verbose */
};

static const struct shed_row shed_rows[] = {
    {"verbose of all", SHED("verbose"), {{"none", "none", "s-1"}, {"none", "none", "s-1"}}},
    {"standard of all, so verbose too",
     SHED("standard"),
     {{"none", "s-1", "s-1"}, {"none", "s-1", "s-1"}}},
    {"verbose of a",
     SHED("verbose") ",\"tenant\":\"a\"",
     {{"none", "none", "s-1"}, {"none", "none", "none"}}},
    {"standard of a",
     SHED("standard") ",\"tenant\":\"a\"",
     {{"none", "s-1", "s-1"}, {"none", "none", "none"}}},
};

START_TEST(shedding_is_by_class_and_never_critical)
{
    const struct shed_row *row = &shed_rows[_i];
    struct controls c;
    setup(&c);
    put(&c, "s-1", 1, 5000, row->body);
    for (int t = 0; t < 2; t++) {
        for (int class = 0; class < N_CLASSES; class ++) {
            const struct control_rule *r =
                controls_shed(&c, (enum batch_class) class, slice_str(t == 0 ? "a" : "b"));
            ck_assert_msg(strcmp(id_of(r), row->want[t][class]) == 0, "%s: tenant %d, class %d: %s",
                          row->name, t, class, id_of(r));
        }
    }
    controls_fini(&c);
}
END_TEST

START_TEST(there_is_a_ceiling_and_room_is_given_back)
{
    struct controls c;
    struct err e = ERR_INIT;
    setup(&c);
    char id[24];
    for (int i = 0; i < CONTROL_MAX_RULES; i++) {
        (void)snprintf(id, sizeof id, "k-%d", i);
        put(&c, id, 1 + i % 7, 5000 + i, i % 2 == 0 ? DROP("a") : DROP("b"));
    }
    ck_assert_uint_eq(c.n_rules, CONTROL_MAX_RULES);
    static const char more[] =
        "{\"id\":\"k-x\",\"who\":\"w\",\"reason\":\"r\",\"created_ms\":1,\"expires_ms\":5000," DROP(
            "a") "}";
    ck_assert(!controls_take(&c, SLICE_LITERAL("k-x"), slice_str(more), 0, &e));
    ck_assert(e.kind == ERR_BAD_INPUT && strstr(e.text, "k-x") != NULL);
    put(&c, "k-5", 3, 4000, DROP("a")); /* one that is there can be replaced */
    ck_assert_uint_eq(c.n_rules, CONTROL_MAX_RULES);
    ck_assert(controls_expire(&c, 5000 + CONTROL_MAX_RULES / 2));
    ck_assert_uint_eq(c.n_rules, CONTROL_MAX_RULES / 2 - 1);
    ck_assert_uint_eq(n_kills(&c, "a") + n_kills(&c, "b"), c.n_rules);
    ck_assert(controls_take(&c, SLICE_LITERAL("k-x"), slice_str(more), 0, &e));
    controls_fini(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("controls");
    TCase *tc = tcase_create("controls");
    tcase_add_test(tc, rules_come_and_go_by_id);
    tcase_add_test(tc, the_order_of_a_tenants_rules_is_not_that_of_their_arrival);
    tcase_add_test(tc, rules_end_by_themselves);
    tcase_add_test(tc, what_is_over_when_it_comes_is_left_out);
    tcase_add_test(tc, the_version_moves_with_the_live_rules_and_never_repeats);
    tcase_add_loop_test(tc, a_bad_or_unknown_record_replaces_its_rule, 0, 3);
    tcase_add_test(tc, limits_are_found_by_budget);
    tcase_add_loop_test(tc, shedding_is_by_class_and_never_critical, 0,
                        sizeof shed_rows / sizeof shed_rows[0]);
    tcase_add_test(tc, there_is_a_ceiling_and_room_is_given_back);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
