#include "policy/policy_file.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "policy/reason.h"
#include "runner.h"

struct error_row {
    const char *json;
    const char *want; /* part of the error */
};

static const struct error_row error_rows[] = {
    {"{", "line 1"},
    {"[]", "policy: must be an object"},
    {"{\"labels\": {}, \"labels\": {}}", "duplicate"},
    {"{\"lables\": {}}", "lables: is not a key of the policy"},
    {"{\"labels\": {\"alow\": []}}", "labels.alow: is not a key"},
    {"{\"labels\": {\"allow\": \"region\"}}", "labels.allow: must be a list of strings"},
    {"{\"labels\": {\"allow\": [\"a\", 3]}}", "labels.allow[1]: must be a string"},
    {"{\"labels\": {\"allow\": [\"\"]}}", "labels.allow[0]: is empty"},
    {"{\"labels\": {\"unknown\": \"drop\"}}", "labels.unknown: must be one of reject, strip"},
    {"{\"labels\": {\"max_value_bytes\": 4096}}",
     "labels.max_value_bytes: must be an integer from 1 to 1024"},
    {"{\"labels\": {\"max_value_bytes\": 1.5}}", "labels.max_value_bytes"},
    {"{\"labels\": []}", "labels: must be an object"},
    {"{\"mode\": \"lax\"}", "mode: must be one of strict, open"},
    {"{\"kinds\": {\"allow\": [\"summary\"]}}", "kinds.allow: must be one of counter"},
    {"{\"classes\": {\"rules\": [{\"metrics\": [\"a\"], \"class\": \"best\"}]}}",
     "classes.rules[0].class"},
    {"{\"classes\": {\"rules\": [{\"metrics\": [\"a\"]}]}}", "classes.rules[0].class"},
    {"{\"classes\": {\"rules\": [{\"class\": \"verbose\", \"metric\": []}]}}",
     "classes.rules[0].metric: is not a key"},
    {"{\"time\": {\"max_future_ms\": 600001}}",
     "time.max_future_ms: must be an integer from 0 to 600000"},
    {"{\"limits\": {\"series_per_message\": 20001}}", "limits.series_per_message"},
    {"{\"labels\": {\"detectors\": {\"ipv4\": 1}}}",
     "labels.detectors.ipv4: must be true or false"},
    {"{\"labels\": {\"detectors\": {\"ip\": true}}}", "labels.detectors.ip: is not a key"},
    {"{\"labels\": {\"detectors\": {\"digit_run\": 5}}}",
     "labels.detectors.digit_run: must be an integer from 6 to 64"},
    {"{\"labels\": {\"values\": {\"region\": {\"pattern\": []}}}}",
     "labels.values.region.pattern: is not a key"},
    {"{\"labels\": {\"values\": {\"region\": {\"patterns\": [\"a\", \"[z\"]}}}}",
     "labels.values.region.patterns[1]: pattern: byte 2: [ without ]"},
    {"{\"labels\": {\"values\": {\"\": {}}}}", "a label's name is empty"},
    {"{\"labels\": {\"rename\": {\"host\": \"__host\"}}}", "labels.rename.host: must be the name"},
    {"{\"labels\": {\"rename\": {\"host\": \"a.b\"}}}", "labels.rename.host: must be the name"},
    {"{\"labels\": {\"rename\": [\"host\"]}}", "labels.rename: must be an object"},
    {"{\"metric_prefixes\": \"game_\"}", "metric_prefixes: must be a list"},
    {"{\"dictionary\": \"off\"}", "dictionary: must be one of check, only"},
    {"{\"metrics\": []}", "metrics: must be an object"},
    {"{\"metrics\": {\"a.b\": {}}}", "metrics.a.b: a metric's name"},
    {"{\"metrics\": {\"a\": {\"kind\": \"summary\"}}}", "metrics.a.kind: must be one of counter"},
    {"{\"tenants\": {\"t\": {\"metrics\": {\"a\": {\"labels\": 3}}}}}",
     "tenants.t.metrics.a.labels: must be a list"},
    {"{\"kinds\": {\"delta\": \"pass\"}}", "kinds.delta: must be one of reject, rollup"},
    {"{\"tenants\": []}", "tenants: must be an object"},
    {"{\"tenants\": {\"a b\": {}}}", "tenants.a b: a tenant's name"},
    {"{\"tenants\": {\"a\": {\"time\": {\"max_age\": 1}}}}",
     "tenants.a.time.max_age: is not a key"},
    {"{\"tenants\": {\"a\": {\"tenants\": {}}}}", "tenants.a.tenants: is not a key"},
    {"{\"version\": 3}", "version: must be a string"},
    {"{\"quota\": {\"samples_per_second\": -1}}", "quota.samples_per_second: must be an integer"},
    {"{\"quota\": {\"burst_seconds\": 0}}", "quota.burst_seconds: must be an integer from 1"},
    {"{\"quota\": {\"samples\": 1}}", "quota.samples: is not a key"},
    {"{\"principals\": []}", "principals: is not a key"},
    {"{\"tenants\": {\"a\": {\"principals\": \"CN=a\"}}}", "tenants.a.principals: must be a list"},
    {"{\"tenants\": {\"a\": {\"principals\": [\"CN=x\"]}, \"b\": {\"principals\": [\"CN=y\", \"CN=x\"]}}}",
     "tenants.b.principals[1]: is tenant a's already"},
};

START_TEST(errors_name_the_place)
{
    const struct error_row *row = &error_rows[_i];
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    ck_assert_msg(!policy_parse(slice_str(row->json), &p, &e), "taken: %s", row->json);
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, row->want) != NULL, "%s: got \"%s\", want \"%s\"", row->json,
                  e.text, row->want);
}
END_TEST

static struct policy *parse(const char *json)
{
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    ck_assert_msg(policy_parse(slice_str(json), &p, &e), "%s", e.text);
    return p;
}

START_TEST(quotas_and_principals)
{
    struct policy *p = parse("{\"quota\": {\"requests_per_second\": 5}, \"tenants\": {\"a\": "
                             "{\"quota\": {\"samples_per_second\": 7}, \"principals\": [\"CN=a\", \"spiffe://x/a\"]}, "
                             "\"b\": {}}}");
    const struct policy_tenant *a = policy_tenant(p, SLICE_LITERAL("a"));
    const struct policy_tenant *b = policy_tenant(p, SLICE_LITERAL("b"));
    ck_assert_int_eq(a->rules.quota.samples_per_second, 7);
    ck_assert_int_eq(a->rules.quota.requests_per_second, 5);
    ck_assert_int_eq(b->rules.quota.samples_per_second, 0);
    ck_assert_int_eq(b->rules.quota.burst_seconds, 10);
    ck_assert_ptr_eq(policy_principal(p, SLICE_LITERAL("spiffe://x/a")), a);
    ck_assert_ptr_eq(policy_principal(p, SLICE_LITERAL("CN=a")), a);
    ck_assert(policy_principal(p, SLICE_LITERAL("CN=b")) == NULL);
    policy_free(p);
}
END_TEST

START_TEST(defaults)
{
    struct policy *p = parse("{}");
    ck_assert_uint_eq(p->n_tenants, 0);
    ck_assert(policy_tenant(p, SLICE_LITERAL("anyone")) == NULL);
    ck_assert(!p->rules.open && !p->rules.labels.strip_unknown);
    ck_assert(text_list_has(&p->rules.labels.allow, SLICE_LITERAL("region")));
    ck_assert(text_list_has(&p->rules.labels.forbid, SLICE_LITERAL("player_id")));
    ck_assert(p->rules.kinds.allowed[SERIES_COUNTER] &&
              p->rules.kinds.allowed[SERIES_EXP_HISTOGRAM]);
    ck_assert(!p->rules.kinds.allowed[SERIES_GAUGE] &&
              !p->rules.kinds.allowed[SERIES_CLASSIC_HISTOGRAM]);
    ck_assert(slice_eq_str(p->rules.labels.identity, "shard_id"));
    ck_assert_int_eq(p->rules.max_future_ms, 600000);
    ck_assert_uint_eq(strlen(p->version), 16);
    policy_free(p);
}
END_TEST

START_TEST(a_tenant_changes_the_top_level_which_changes_the_defaults)
{
    struct policy *p = parse(
        "{\"tenants\": {\"a\": {\"labels\": {\"unknown\": \"strip\"}}, \"b\": {\"mode\": "
        "\"open\"}, \"c\": {}},"
        "\"labels\": {\"allow\": [\"x\"]}, \"time\": {\"max_age_ms\": 5000}, \"version\": \"7\"}");
    const struct policy_tenant *a = policy_tenant(p, SLICE_LITERAL("a"));
    const struct policy_tenant *b = policy_tenant(p, SLICE_LITERAL("b"));
    const struct policy_tenant *c = policy_tenant(p, SLICE_LITERAL("c"));
    ck_assert(a != NULL && b != NULL && c != NULL && policy_tenant(p, SLICE_LITERAL("d")) == NULL);
    ck_assert(a->rules.labels.strip_unknown && !b->rules.labels.strip_unknown &&
              !c->rules.labels.strip_unknown);
    ck_assert(b->rules.open && !a->rules.open);
    ck_assert_uint_eq(a->rules.labels.allow.n, 1);
    ck_assert_int_eq(c->rules.max_age_ms, 5000);
    ck_assert_int_eq(c->rules.max_future_ms, 600000);
    ck_assert_msg(strncmp(p->version, "7-", 2) == 0 && strlen(p->version) == 18, "%s", p->version);
    policy_free(p);
}
END_TEST

/* A section's default, or those of its keys; to be released. */
static json_t *default_of(json_t *section, const char *name)
{
    json_t *keys = json_object_get(section, "properties");
    json_t *said = json_object_get(section, "default");
    if (keys == NULL) {
        ck_assert_msg(said != NULL, "%s has no default", name);
        return json_incref(said);
    }
    json_t *object = json_object();
    const char *key;
    json_t *property;
    json_object_foreach(keys, key, property)
    {
        json_object_set_new(object, key, default_of(property, key));
    }
    return object;
}

/* What the schema says is the default is what the code does. */
START_TEST(the_schema_and_the_example_agree_with_the_code)
{
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    ck_assert_msg(policy_load(SCHEMAS "/policy.example.json", &p, &e), "%s", e.text);
    ck_assert_uint_eq(p->n_tenants, 3);
    policy_free(p);

    json_error_t why;
    json_t *schema = json_load_file(SCHEMAS "/policy.schema.json", 0, &why);
    ck_assert_ptr_nonnull(schema);
    json_t *from_schema = json_object();
    const char *section;
    json_t *value;
    json_object_foreach(json_object_get(schema, "$defs"), section, value)
    {
        if (json_object_get(json_object_get(schema, "properties"), section) != NULL) {
            json_object_set_new(from_schema, section, default_of(value, section));
        }
    }
    char *text = json_dumps(from_schema, 0);
    struct policy *said = parse(text);
    struct policy *done = parse("{}");
    const struct rules *a = &said->rules;
    const struct rules *b = &done->rules;
    const struct text_list *lists[][2] = {
        {&a->labels.allow, &b->labels.allow},
        {&a->labels.forbid, &b->labels.forbid},
        {&a->labels.detectors.exempt, &b->labels.detectors.exempt},
        {&a->scope, &b->scope},
        {&a->names, &b->names},
        {&a->kinds.gauge_metrics, &b->kinds.gauge_metrics},
        {&a->source.attributes, &b->source.attributes},
        {&a->source.labels, &b->source.labels}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        ck_assert_uint_eq(lists[i][0]->n, lists[i][1]->n);
        for (uint32_t k = 0; k < lists[i][0]->n; k++) {
            ck_assert(slice_eq(lists[i][0]->items[k], lists[i][1]->items[k]));
        }
    }
    ck_assert_int_eq(a->open, b->open);
    ck_assert_int_eq(a->labels.strip_unknown, b->labels.strip_unknown);
    ck_assert_int_eq(a->labels.max_name_bytes, b->labels.max_name_bytes);
    ck_assert_int_eq(a->labels.max_value_bytes, b->labels.max_value_bytes);
    ck_assert(slice_eq(a->labels.identity, b->labels.identity));
    ck_assert_int_eq(
        memcmp(a->labels.detectors.on, b->labels.detectors.on, sizeof a->labels.detectors.on), 0);
    ck_assert_int_eq(a->labels.detectors.digit_run, b->labels.detectors.digit_run);
    ck_assert(a->labels.n_values == 0 && a->labels.n_renames == 0 && b->labels.n_values == 0);
    ck_assert_int_eq(a->listed_only, b->listed_only);
    ck_assert_int_eq(a->kinds.delta, b->kinds.delta);
    ck_assert_int_eq(a->max_name_bytes, b->max_name_bytes);
    ck_assert_int_eq(memcmp(a->kinds.allowed, b->kinds.allowed, sizeof a->kinds.allowed), 0);
    ck_assert_int_eq(a->classes.fallback, b->classes.fallback);
    ck_assert_int_eq(a->max_age_ms, b->max_age_ms);
    ck_assert_int_eq(a->max_future_ms, b->max_future_ms);
    ck_assert_int_eq(a->max_series, b->max_series);
    ck_assert_int_eq(a->max_labels, b->max_labels);
    policy_free(said);
    policy_free(done);
    free(text);
    json_decref(from_schema);
    json_decref(schema);
}
END_TEST

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_changed_file_is_read_again_and_a_bad_one_is_refused_once)
{
    char path[] = "/tmp/policy-test-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    put_file(path, "{\"tenants\": {\"a\": {}}}");
    struct policy_file f;
    struct policy *p = NULL;
    struct err e = ERR_INIT;
    ck_assert(policy_file_open(&f, path, &p, &e));
    policy_free(p);
    ck_assert_int_eq(policy_file_poll(&f, &p, &e), POLICY_SAME);
    put_file(path, "{\"tenants\": {\"a\": {}, \"bb\": {}}}");
    ck_assert_int_eq(policy_file_poll(&f, &p, &e), POLICY_NEW);
    ck_assert_uint_eq(p->n_tenants, 2);
    policy_free(p);
    put_file(path, "{\"tenant\": {}}");
    ck_assert_int_eq(policy_file_poll(&f, &p, &e), POLICY_REFUSED);
    ck_assert(strstr(e.text, "tenant: is not a key") != NULL && strstr(e.text, path) != NULL);
    ck_assert_int_eq(policy_file_poll(&f, &p, &e), POLICY_SAME);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(policy_file_poll(&f, &p, &e), POLICY_REFUSED);
    ck_assert_int_eq(policy_file_poll(&f, &p, &e), POLICY_SAME);
    ck_assert(!policy_file_open(&f, path, &p, &e));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
}
END_TEST

START_TEST(every_reason_has_a_name_of_its_own_and_says_what_to_change)
{
    for (int i = 0; i < N_REASONS; i++) {
        const struct reason_info *info = reason_info((enum reason)i);
        ck_assert(info->name != NULL && strlen(info->help) > 10);
        for (int k = 0; k < i; k++) {
            ck_assert_str_ne(info->name, reason_name((enum reason)k));
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy");
    TCase *t = tcase_create("policy");
    tcase_add_loop_test(t, errors_name_the_place, 0, sizeof error_rows / sizeof error_rows[0]);
    tcase_add_test(t, defaults);
    tcase_add_test(t, quotas_and_principals);
    tcase_add_test(t, a_tenant_changes_the_top_level_which_changes_the_defaults);
    tcase_add_test(t, the_schema_and_the_example_agree_with_the_code);
    tcase_add_test(t, a_changed_file_is_read_again_and_a_bad_one_is_refused_once);
    tcase_add_test(t, every_reason_has_a_name_of_its_own_and_says_what_to_change);
    suite_add_tcase(s, t);
    return run_suite(s);
}
