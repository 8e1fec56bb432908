/* Any bytes as a policy: taken, or refused with a place and a reason. One that is taken judges
 * series of each kind: each verdict has a reason, a place that can be printed, and is the same when
 * it is asked again. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

#define LABEL(name, value)                                                                         \
    {                                                                                              \
        SLICE_LITERAL_INIT(name), SLICE_LITERAL_INIT(value), true                                  \
    }
#define SLICE_LITERAL_INIT(s)                                                                      \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }

static const struct raw_label attributes[] = {LABEL("service.instance.id", "gs-1"),
                                              LABEL("shard_id", "s1"), LABEL("host.name", "h"),
                                              LABEL("cloud.region", "eu-west-1")};
static const struct raw_label labels[] = {LABEL("region", "eu-west-1"),
                                          LABEL("queue", "203.0.113.7 a@b.cd"),
                                          LABEL("build_id", "0123456789abcdef"), LABEL("az", "")};

static const struct raw_series series[] = {
    {.metric = SLICE_LITERAL_INIT("game.logins"),
     .unit = SLICE_LITERAL_INIT("s"),
     .kind = SERIES_COUNTER},
    {.metric = SLICE_LITERAL_INIT("a_total"),
     .kind = SERIES_COUNTER,
     .is_final = true,
     .kind_is_guess = true},
    {.metric = SLICE_LITERAL_INIT("a_bucket"),
     .kind = SERIES_COUNTER,
     .is_final = true,
     .kind_is_guess = true},
    {.metric = SLICE_LITERAL_INIT("b"), .kind = SERIES_GAUGE},
    {.metric = SLICE_LITERAL_INIT("c"), .kind = SERIES_EXP_HISTOGRAM, .delta = true},
};

static void check_verdict(const struct rules *rules, struct slice tenant,
                          const struct raw_series *raw)
{
    struct arena a;
    struct buf place;
    struct verdict v[2];
    struct err e = ERR_INIT;
    arena_init(&a, 1 << 20);
    buf_init(&place, 1 << 20);
    for (int i = 0; i < 2; i++) {
        if (!policy_judge(rules, tenant, raw, &a, &v[i], &e)) {
            fail("not judged", e.text);
        }
    }
    rule_place_print(rules, tenant, &v[0].rule, &place);
    if (!buf_ok(&place) || (v[0].reason == REASON_NONE && place.len == 0)) {
        fail("no place", reason_name(v[0].reason));
    }
    if (v[0].reason != v[1].reason || v[0].rule.key != v[1].rule.key ||
        (v[0].reason == REASON_NONE && !hash128_eq(v[0].series.id, v[1].series.id))) {
        fail("another verdict", reason_name(v[1].reason));
    }
    arena_fini(&a);
    buf_fini(&place);
}

static void check_rules(const struct rules *rules, struct slice tenant)
{
    for (size_t i = 0; i < sizeof series / sizeof series[0]; i++) {
        for (uint32_t n = 0; n <= sizeof labels / sizeof labels[0]; n++) {
            struct raw_series raw = series[i];
            raw.labels = (struct raw_labels){n, labels};
            raw.attributes =
                (struct raw_labels){sizeof attributes / sizeof attributes[0], attributes};
            check_verdict(rules, tenant, &raw);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *p = NULL;
    struct err e = ERR_INIT;
    const struct slice text = {size == 0 ? (const uint8_t *)"" : data, size};
    if (!policy_parse(text, &p, &e)) {
        if (e.kind != ERR_CONFIG || e.text[0] == '\0') {
            fail("refused without a reason", e.text);
        }
        return 0;
    }
    check_rules(&p->rules, SLICE_NONE);
    for (uint32_t i = 0; i < p->n_tenants && i < 8; i++) {
        if (policy_tenant(p, p->tenants[i].name) != &p->tenants[i]) {
            fail("a tenant isn't found", "");
        }
        check_rules(&p->tenants[i].rules, p->tenants[i].name);
    }
    policy_free(p);
    return 0;
}
