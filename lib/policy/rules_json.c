#include "policy/policy_json.h"

enum { MAX_BUDGET = 1000000000 };
#define MAX_QUOTA_BYTES INT64_C(1000000000000)

#define AT(field) offsetof(struct rules, field)
#define TEXTS(name, field, rule)                                                                   \
    {                                                                                              \
        name, VALUE_TEXTS, AT(field), 0, 0, NULL, NULL, rule                                       \
    }
#define INT(name, field, min, max, rule)                                                           \
    {                                                                                              \
        name, VALUE_INT, AT(field), min, max, NULL, NULL, rule                                     \
    }
#define CHOICE(name, field, choices, rule)                                                         \
    {                                                                                              \
        name, VALUE_CHOICE, AT(field), 0, 0, choices, NULL, rule                                   \
    }
#define OTHER(name, read, rule)                                                                    \
    {                                                                                              \
        name, VALUE_OTHER, 0, 0, 0, NULL, read, rule                                               \
    }

static const struct policy_key name_keys[] = {
    TEXTS("allow", names, RULE_NAME_ALLOW),
    INT("max_bytes", max_name_bytes, 1, 1024, RULE_NAME_BYTES),
    {0},
};

static bool read_names(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, name_keys, NULL, into);
}

const char *const policy_kind_choices[] = {"counter", "gauge", "exponential_histogram",
                                           "classic_histogram", NULL};

static bool read_allowed_kinds(const struct policy_reader *r, json_t *value, const char *path,
                               void *into)
{
    struct rules *rules = into;
    bool allowed[4] = {false};
    if (!json_is_array(value)) {
        return policy_complain(r, path, "must be a list of kinds");
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        int kind = policy_read_choice(r, json_array_get(value, i), path, policy_kind_choices);
        if (kind < 0) {
            return false;
        }
        allowed[kind] = true;
    }
    memcpy(rules->kinds.allowed, allowed, sizeof allowed);
    return true;
}

static const char *const delta_choices[] = {"reject", "rollup", NULL};
static const struct policy_key kind_keys[] = {
    OTHER("allow", read_allowed_kinds, RULE_KIND_ALLOW),
    TEXTS("gauge_metrics", kinds.gauge_metrics, RULE_KIND_GAUGES),
    TEXTS("classic_histogram_metrics", kinds.classic_histogram_metrics, RULE_KIND_CLASSICS),
    CHOICE("delta", kinds.delta, delta_choices, RULE_KIND_DELTA),
    {0},
};

static bool read_kinds(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, kind_keys, NULL, into);
}

static const struct policy_key source_keys[] = {
    TEXTS("attributes", source.attributes, RULE_SOURCE_ATTRIBUTES),
    TEXTS("labels", source.labels, RULE_SOURCE_LABELS),
    {0},
};

static bool read_source(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, source_keys, NULL, into);
}

/* In the order of enum batch_class. */
static const char *const class_choices[] = {"critical", "standard", "verbose", NULL};

static bool read_class(const struct policy_reader *r, json_t *value, const char *path,
                       enum batch_class *out)
{
    int class = policy_read_choice(r, value, path, class_choices);
    *out = class < 0 ? CLASS_STANDARD : (enum batch_class) class;
    return class >= 0;
}

static bool read_class_rule(const struct policy_reader *r, json_t *value, const char *path,
                            struct class_rule *out)
{
    static const char *const both[] = {"metrics", "class", NULL};
    static const struct policy_key none[] = {{0}};
    char place[POLICY_PATH_BYTES];
    if (!policy_read_object(r, value, path, none, both, NULL)) {
        return false;
    }
    policy_path_join(place, path, "metrics");
    if (!policy_read_texts(r, json_object_get(value, "metrics"), place, &out->metrics)) {
        return false;
    }
    policy_path_join(place, path, "class");
    return read_class(r, json_object_get(value, "class"), place, &out->class);
}

static bool read_class_rules(const struct policy_reader *r, json_t *value, const char *path,
                             void *into)
{
    struct rules *rules = into;
    if (!json_is_array(value)) {
        return policy_complain(r, path, "must be a list of {metrics, class}");
    }
    size_t n = json_array_size(value);
    struct class_rule *items = ARENA_ARRAY(r->arena, struct class_rule, n);
    if (items == NULL) {
        return policy_no_memory(r, path);
    }
    for (size_t i = 0; i < n; i++) {
        char place[POLICY_PATH_BYTES];
        policy_path_index(place, path, i);
        if (!read_class_rule(r, json_array_get(value, i), place, &items[i])) {
            return false;
        }
    }
    rules->classes.n = (uint32_t)n;
    rules->classes.items = items;
    return true;
}

static bool read_class_default(const struct policy_reader *r, json_t *value, const char *path,
                               void *into)
{
    return read_class(r, value, path, &((struct rules *)into)->classes.fallback);
}

static const struct policy_key class_keys[] = {
    OTHER("default", read_class_default, RULE_CLASS_DEFAULT),
    OTHER("rules", read_class_rules, RULE_CLASSES),
    {0},
};

static bool read_classes(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, class_keys, NULL, into);
}

/* Rollup's forget bound contains ten minutes of future. */
static const struct policy_key time_keys[] = {
    INT("max_age_ms", max_age_ms, 1000, INT64_C(31622400000), RULE_MAX_AGE),
    INT("max_future_ms", max_future_ms, 0, 600000, RULE_MAX_FUTURE),
    {0},
};

static bool read_time(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, time_keys, NULL, into);
}

static const char *const over_choices[] = {"drop", "shadow", NULL};
static const struct policy_key limit_keys[] = {
    INT("series_per_message", max_series, 1, 20000, RULE_MAX_SERIES),
    INT("labels_per_series", max_labels, 1, 64, RULE_MAX_LABELS),
    INT("series_per_source", budgets.source.max, 1, 20000, RULE_NONE),
    INT("series_per_metric", budgets.metric.max, 0, MAX_BUDGET, RULE_NONE),
    INT("series_per_tenant", budgets.tenant.max, 0, MAX_BUDGET, RULE_NONE),
    INT("samples_per_second", budgets.rate.max, 0, MAX_BUDGET, RULE_NONE),
    CHOICE("over_source", budgets.source.shadow, over_choices, RULE_NONE),
    CHOICE("over_metric", budgets.metric.shadow, over_choices, RULE_NONE),
    CHOICE("over_tenant", budgets.tenant.shadow, over_choices, RULE_NONE),
    CHOICE("over_samples", budgets.rate.shadow, over_choices, RULE_NONE),
    {0},
};

static bool read_limits(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, limit_keys, NULL, into);
}

static const struct policy_key quota_keys[] = {
    INT("samples_per_second", quota.samples_per_second, 0, MAX_BUDGET, RULE_NONE),
    INT("bytes_per_second", quota.bytes_per_second, 0, MAX_QUOTA_BYTES, RULE_NONE),
    INT("requests_per_second", quota.requests_per_second, 0, MAX_BUDGET, RULE_NONE),
    INT("burst_seconds", quota.burst_seconds, 1, 3600, RULE_NONE),
    {0},
};

static bool read_quota(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, quota_keys, NULL, into);
}

static const char *const mode_choices[] = {"strict", "open", NULL};
static const char *const dictionary_choices[] = {"check", "only", NULL};
static const struct policy_key rule_keys[] = {
    CHOICE("mode", open, mode_choices, RULE_MODE),
    TEXTS("metric_prefixes", scope, RULE_SCOPE),
    OTHER("labels", policy_read_labels, RULE_NONE),
    OTHER("names", read_names, RULE_NONE),
    OTHER("kinds", read_kinds, RULE_NONE),
    CHOICE("dictionary", listed_only, dictionary_choices, RULE_DICTIONARY),
    OTHER("metrics", policy_read_metrics, RULE_METRICS),
    OTHER("source", read_source, RULE_NONE),
    OTHER("classes", read_classes, RULE_NONE),
    OTHER("time", read_time, RULE_NONE),
    OTHER("limits", read_limits, RULE_NONE),
    OTHER("quota", read_quota, RULE_NONE),
    {0},
};

bool policy_read_rules(const struct policy_reader *r, json_t *object, const char *path,
                       const char *const *also, struct rules *rules)
{
    return policy_read_object(r, object, path, rule_keys, also, rules);
}
