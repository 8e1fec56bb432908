#include "policy/policy_json.h"

#include <inttypes.h>
#include <stdio.h>

enum { PATH_BYTES = 160, MAX_BUDGET = 1000000000 };
#define MAX_QUOTA_BYTES INT64_C(1000000000000)

enum value_type { VALUE_TEXTS, VALUE_TEXT, VALUE_INT, VALUE_CHOICE, VALUE_OTHER };

/* One key of an object: where its value goes in struct rules. */
struct key {
    const char *name;
    enum value_type type;
    size_t offset;
    int64_t min; /* VALUE_INT */
    int64_t max;
    const char *const *choices; /* VALUE_CHOICE: NULL-ended; the index is put, as a bool */
    bool (*read)(const struct policy_reader *r, json_t *value, const char *path,
                 struct rules *rules); /* VALUE_OTHER */
};

#define AT(field) offsetof(struct rules, field)

static bool complain(const struct policy_reader *r, const char *path, const char *what)
{
    return err_set(r->e, ERR_CONFIG, "%s: %s", path[0] == '\0' ? "policy" : path, what);
}

static void path_join(char *out, const char *path, const char *name)
{
    (void)snprintf(out, PATH_BYTES, "%.100s%s%.50s", path, path[0] == '\0' ? "" : ".", name);
}

static bool read_text(const struct policy_reader *r, json_t *value, const char *path,
                      struct slice *out)
{
    if (!json_is_string(value)) {
        return complain(r, path, "must be a string");
    }
    struct slice copy =
        arena_copy(r->arena, slice_of(json_string_value(value), json_string_length(value)));
    if (copy.ptr == NULL) {
        return complain(r, path, "the policy takes too much memory");
    }
    *out = copy;
    return true;
}

static bool read_texts(const struct policy_reader *r, json_t *value, const char *path,
                       struct text_list *out)
{
    if (!json_is_array(value)) {
        return complain(r, path, "must be a list of strings");
    }
    size_t n = json_array_size(value);
    struct slice *items = ARENA_ARRAY(r->arena, struct slice, n);
    if (items == NULL) {
        return complain(r, path, "the policy takes too much memory");
    }
    for (size_t i = 0; i < n; i++) {
        char place[PATH_BYTES];
        (void)snprintf(place, sizeof place, "%.120s[%zu]", path, i);
        if (!read_text(r, json_array_get(value, i), place, &items[i])) {
            return false;
        }
        if (items[i].len == 0) {
            return complain(r, place, "is empty");
        }
    }
    *out = (struct text_list){(uint32_t)n, items};
    return true;
}

static bool read_int(const struct policy_reader *r, json_t *value, const char *path,
                     const struct key *key, int64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < key->min ||
        json_integer_value(value) > key->max) {
        return err_set(r->e, ERR_CONFIG, "%s: must be an integer from %" PRId64 " to %" PRId64,
                       path, key->min, key->max);
    }
    *out = json_integer_value(value);
    return true;
}

/* The index in choices, or -1 with the error set. */
static int read_choice(const struct policy_reader *r, json_t *value, const char *path,
                       const char *const *choices)
{
    char list[120] = "";
    for (int i = 0; choices[i] != NULL; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), choices[i]) == 0) {
            return i;
        }
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", choices[i]);
    }
    (void)err_set(r->e, ERR_CONFIG, "%s: must be one of %s", path, list);
    return -1;
}

static bool read_key(const struct policy_reader *r, const struct key *key, json_t *value,
                     const char *path, struct rules *rules)
{
    void *at = (uint8_t *)rules + key->offset;
    switch (key->type) {
    case VALUE_TEXTS:
        return read_texts(r, value, path, at);
    case VALUE_TEXT:
        return read_text(r, value, path, at);
    case VALUE_INT:
        return read_int(r, value, path, key, at);
    case VALUE_CHOICE: {
        int choice = read_choice(r, value, path, key->choices);
        *(bool *)at = choice > 0;
        return choice >= 0;
    }
    default:
        return key->read(r, value, path, rules);
    }
}

static bool is_one_of(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_object(const struct policy_reader *r, json_t *object, const char *path,
                        const struct key *keys, const char *const *also, struct rules *rules)
{
    if (!json_is_object(object)) {
        return complain(r, path, "must be an object");
    }
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char place[PATH_BYTES];
        path_join(place, path, name);
        const struct key *key = keys;
        while (key->name != NULL && strcmp(key->name, name) != 0) {
            key++;
        }
        if (key->name == NULL && is_one_of(also, name)) {
            continue;
        }
        if (key->name == NULL) {
            return complain(r, place, "is not a key of the policy");
        }
        if (!read_key(r, key, value, place, rules)) {
            return false;
        }
    }
    return true;
}

static const char *const unknown_choices[] = {"reject", "strip", NULL};
static const struct key label_keys[] = {
    {"allow", VALUE_TEXTS, AT(labels.allow), 0, 0, NULL, NULL},
    {"forbid", VALUE_TEXTS, AT(labels.forbid), 0, 0, NULL, NULL},
    {"max_name_bytes", VALUE_INT, AT(labels.max_name_bytes), 1, 1024, NULL, NULL},
    {"max_value_bytes", VALUE_INT, AT(labels.max_value_bytes), 1, 1024, NULL, NULL},
    {"unknown", VALUE_CHOICE, AT(labels.strip_unknown), 0, 0, unknown_choices, NULL},
    {"identity", VALUE_TEXT, AT(labels.identity), 0, 0, NULL, NULL},
    {0},
};

static bool read_labels(const struct policy_reader *r, json_t *value, const char *path,
                        struct rules *rules)
{
    return read_object(r, value, path, label_keys, NULL, rules);
}

static const struct key name_keys[] = {
    {"allow", VALUE_TEXTS, AT(names), 0, 0, NULL, NULL},
    {"max_bytes", VALUE_INT, AT(max_name_bytes), 1, 1024, NULL, NULL},
    {0},
};

static bool read_names(const struct policy_reader *r, json_t *value, const char *path,
                       struct rules *rules)
{
    return read_object(r, value, path, name_keys, NULL, rules);
}

/* In the order of enum series_kind. */
static const char *const kind_choices[] = {"counter", "gauge", "exponential_histogram",
                                           "classic_histogram", NULL};

static bool read_allowed_kinds(const struct policy_reader *r, json_t *value, const char *path,
                               struct rules *rules)
{
    if (!json_is_array(value)) {
        return complain(r, path, "must be a list of kinds");
    }
    bool allowed[4] = {false};
    for (size_t i = 0; i < json_array_size(value); i++) {
        int kind = read_choice(r, json_array_get(value, i), path, kind_choices);
        if (kind < 0) {
            return false;
        }
        allowed[kind] = true;
    }
    memcpy(rules->kinds.allowed, allowed, sizeof allowed);
    return true;
}

static const struct key kind_keys[] = {
    {"allow", VALUE_OTHER, 0, 0, 0, NULL, read_allowed_kinds},
    {"gauge_metrics", VALUE_TEXTS, AT(kinds.gauge_metrics), 0, 0, NULL, NULL},
    {"classic_histogram_metrics", VALUE_TEXTS, AT(kinds.classic_histogram_metrics), 0, 0, NULL,
     NULL},
    {0},
};

static bool read_kinds(const struct policy_reader *r, json_t *value, const char *path,
                       struct rules *rules)
{
    return read_object(r, value, path, kind_keys, NULL, rules);
}

static const struct key source_keys[] = {
    {"attributes", VALUE_TEXTS, AT(source.attributes), 0, 0, NULL, NULL},
    {"labels", VALUE_TEXTS, AT(source.labels), 0, 0, NULL, NULL},
    {0},
};

static bool read_source(const struct policy_reader *r, json_t *value, const char *path,
                        struct rules *rules)
{
    return read_object(r, value, path, source_keys, NULL, rules);
}

/* In the order of enum batch_class. */
static const char *const class_choices[] = {"critical", "standard", "verbose", NULL};

static bool read_class_rule(const struct policy_reader *r, json_t *value, const char *path,
                            struct class_rule *out)
{
    static const char *const both[] = {"metrics", "class", NULL};
    static const struct key none[] = {{0}};
    char place[PATH_BYTES];
    if (!read_object(r, value, path, none, both, NULL)) {
        return false;
    }
    path_join(place, path, "metrics");
    if (!read_texts(r, json_object_get(value, "metrics"), place, &out->metrics)) {
        return false;
    }
    path_join(place, path, "class");
    int class = read_choice(r, json_object_get(value, "class"), place, class_choices);
    out->class = class < 0 ? CLASS_STANDARD : (enum batch_class) class;
    return class >= 0;
}

static bool read_class_rules(const struct policy_reader *r, json_t *value, const char *path,
                             struct rules *rules)
{
    if (!json_is_array(value)) {
        return complain(r, path, "must be a list of {metrics, class}");
    }
    size_t n = json_array_size(value);
    struct class_rule *items = ARENA_ARRAY(r->arena, struct class_rule, n);
    if (items == NULL) {
        return complain(r, path, "the policy takes too much memory");
    }
    for (size_t i = 0; i < n; i++) {
        char place[PATH_BYTES];
        (void)snprintf(place, sizeof place, "%.120s[%zu]", path, i);
        if (!read_class_rule(r, json_array_get(value, i), place, &items[i])) {
            return false;
        }
    }
    rules->classes.n = (uint32_t)n;
    rules->classes.items = items;
    return true;
}

static bool read_class_default(const struct policy_reader *r, json_t *value, const char *path,
                               struct rules *rules)
{
    int class = read_choice(r, value, path, class_choices);
    rules->classes.fallback = class < 0 ? CLASS_STANDARD : (enum batch_class) class;
    return class >= 0;
}

static const struct key class_keys[] = {
    {"default", VALUE_OTHER, 0, 0, 0, NULL, read_class_default},
    {"rules", VALUE_OTHER, 0, 0, 0, NULL, read_class_rules},
    {0},
};

static bool read_classes(const struct policy_reader *r, json_t *value, const char *path,
                         struct rules *rules)
{
    return read_object(r, value, path, class_keys, NULL, rules);
}

/* Rollup's forget bound contains ten minutes of future. */
static const struct key time_keys[] = {
    {"max_age_ms", VALUE_INT, AT(max_age_ms), 1000, INT64_C(31622400000), NULL, NULL},
    {"max_future_ms", VALUE_INT, AT(max_future_ms), 0, 600000, NULL, NULL},
    {0},
};

static bool read_time(const struct policy_reader *r, json_t *value, const char *path,
                      struct rules *rules)
{
    return read_object(r, value, path, time_keys, NULL, rules);
}

static const char *const over_choices[] = {"drop", "shadow", NULL};
static const struct key limit_keys[] = {
    {"series_per_message", VALUE_INT, AT(max_series), 1, 20000, NULL, NULL},
    {"labels_per_series", VALUE_INT, AT(max_labels), 1, 64, NULL, NULL},
    {"series_per_source", VALUE_INT, AT(budgets.source.max), 1, 20000, NULL, NULL},
    {"series_per_metric", VALUE_INT, AT(budgets.metric.max), 0, MAX_BUDGET, NULL, NULL},
    {"series_per_tenant", VALUE_INT, AT(budgets.tenant.max), 0, MAX_BUDGET, NULL, NULL},
    {"samples_per_second", VALUE_INT, AT(budgets.rate.max), 0, MAX_BUDGET, NULL, NULL},
    {"over_source", VALUE_CHOICE, AT(budgets.source.shadow), 0, 0, over_choices, NULL},
    {"over_metric", VALUE_CHOICE, AT(budgets.metric.shadow), 0, 0, over_choices, NULL},
    {"over_tenant", VALUE_CHOICE, AT(budgets.tenant.shadow), 0, 0, over_choices, NULL},
    {"over_samples", VALUE_CHOICE, AT(budgets.rate.shadow), 0, 0, over_choices, NULL},
    {0},
};

static bool read_limits(const struct policy_reader *r, json_t *value, const char *path,
                        struct rules *rules)
{
    return read_object(r, value, path, limit_keys, NULL, rules);
}

static const struct key quota_keys[] = {
    {"samples_per_second", VALUE_INT, AT(quota.samples_per_second), 0, MAX_BUDGET, NULL, NULL},
    {"bytes_per_second", VALUE_INT, AT(quota.bytes_per_second), 0, MAX_QUOTA_BYTES, NULL, NULL},
    {"requests_per_second", VALUE_INT, AT(quota.requests_per_second), 0, MAX_BUDGET, NULL, NULL},
    {"burst_seconds", VALUE_INT, AT(quota.burst_seconds), 1, 3600, NULL, NULL},
    {0},
};

static bool read_quota(const struct policy_reader *r, json_t *value, const char *path,
                       struct rules *rules)
{
    return read_object(r, value, path, quota_keys, NULL, rules);
}

static const char *const mode_choices[] = {"strict", "open", NULL};
static const struct key rule_keys[] = {
    {"mode", VALUE_CHOICE, AT(open), 0, 0, mode_choices, NULL},
    {"labels", VALUE_OTHER, 0, 0, 0, NULL, read_labels},
    {"names", VALUE_OTHER, 0, 0, 0, NULL, read_names},
    {"kinds", VALUE_OTHER, 0, 0, 0, NULL, read_kinds},
    {"source", VALUE_OTHER, 0, 0, 0, NULL, read_source},
    {"classes", VALUE_OTHER, 0, 0, 0, NULL, read_classes},
    {"time", VALUE_OTHER, 0, 0, 0, NULL, read_time},
    {"limits", VALUE_OTHER, 0, 0, 0, NULL, read_limits},
    {"quota", VALUE_OTHER, 0, 0, 0, NULL, read_quota},
    {0},
};

bool policy_read_rules(const struct policy_reader *r, json_t *object, const char *path,
                       const char *const *also, struct rules *rules)
{
    return read_object(r, object, path, rule_keys, also, rules);
}

bool policy_read_principals(const struct policy_reader *r, json_t *tenant, const char *path,
                            struct text_list *out)
{
    char place[PATH_BYTES];
    json_t *value = json_object_get(tenant, "principals");
    path_join(place, path, "principals");
    return value == NULL || read_texts(r, value, place, out);
}
