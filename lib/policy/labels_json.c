/* The policy's section "labels". */
#include "policy/names.h"
#include "policy/policy_json.h"

#define AT(field) offsetof(struct rules, labels.field)

static bool read_rename(const struct policy_reader *r, const char *from, json_t *value,
                        const char *path, struct label_rename *out)
{
    if (!policy_read_text(r, value, path, &out->to)) {
        return false;
    }
    if (!label_name_valid(out->to) || slice_starts_with(out->to, SLICE_LITERAL("__"))) {
        return policy_complain(r, path, "must be the name of a label, not beginning with __");
    }
    out->from = arena_copy(r->arena, slice_str(from));
    if (out->from.ptr == NULL) {
        return policy_no_memory(r, path);
    }
    return out->from.len > 0 || policy_complain(r, path, "a label's name is empty");
}

static bool read_renames(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    struct label_rules *rules = &((struct rules *)into)->labels;
    if (!json_is_object(value)) {
        return policy_complain(r, path, "must be an object of {as sent: as stored}");
    }
    struct label_rename *items =
        ARENA_ARRAY(r->arena, struct label_rename, json_object_size(value));
    if (items == NULL) {
        return policy_no_memory(r, path);
    }
    uint32_t n = 0;
    const char *from;
    json_t *to;
    json_object_foreach(value, from, to)
    {
        char place[POLICY_PATH_BYTES];
        policy_path_join(place, path, from);
        if (!read_rename(r, from, to, place, &items[n++])) {
            return false;
        }
    }
    rules->renames = items;
    rules->n_renames = n;
    return true;
}

static bool read_patterns(const struct policy_reader *r, json_t *value, const char *path,
                          void *into)
{
    struct value_rule *out = into;
    struct text_list texts;
    if (!policy_read_texts(r, value, path, &texts)) {
        return false;
    }
    struct value_pattern *patterns = ARENA_ARRAY(r->arena, struct value_pattern, texts.n);
    if (patterns == NULL) {
        return policy_no_memory(r, path);
    }
    for (uint32_t i = 0; i < texts.n; i++) {
        char place[POLICY_PATH_BYTES];
        policy_path_index(place, path, i);
        if (!value_pattern_compile(texts.items[i], r->arena, &patterns[i], r->e)) {
            return err_wrap(r->e, "%s", place);
        }
    }
    out->patterns = patterns;
    out->n_patterns = texts.n;
    return true;
}

static const struct policy_key value_keys[] = {
    {"patterns", VALUE_OTHER, 0, 0, 0, NULL, read_patterns, RULE_NONE},
    {"max_bytes", VALUE_INT, offsetof(struct value_rule, max_bytes), 1, 1024, NULL, NULL,
     RULE_NONE},
    {0},
};

static bool read_values(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    struct label_rules *rules = &((struct rules *)into)->labels;
    if (!json_is_object(value)) {
        return policy_complain(r, path, "must be an object of {label: {patterns, max_bytes}}");
    }
    struct value_rule *items = ARENA_ARRAY(r->arena, struct value_rule, json_object_size(value));
    if (items == NULL) {
        return policy_no_memory(r, path);
    }
    uint32_t n = 0;
    const char *label;
    json_t *rule;
    json_object_foreach(value, label, rule)
    {
        char place[POLICY_PATH_BYTES];
        policy_path_join(place, path, label);
        items[n].label = arena_copy(r->arena, slice_str(label));
        if (items[n].label.ptr == NULL) {
            return policy_no_memory(r, place);
        }
        if (items[n].label.len == 0) {
            return policy_complain(r, place, "a label's name is empty");
        }
        if (!policy_read_object(r, rule, place, value_keys, NULL, &items[n++])) {
            return false;
        }
    }
    rules->values = items;
    rules->n_values = n;
    return true;
}

#define DETECTOR(name, kind, rule)                                                                 \
    {                                                                                              \
        name, VALUE_BOOL, AT(detectors.on[kind]), 0, 0, NULL, NULL, rule                           \
    }

static const struct policy_key detector_keys[] = {
    DETECTOR("email", PERSONAL_EMAIL, RULE_DETECT_EMAIL),
    DETECTOR("uuid", PERSONAL_UUID, RULE_DETECT_UUID),
    DETECTOR("ipv6", PERSONAL_IPV6, RULE_DETECT_IPV6),
    DETECTOR("ipv4", PERSONAL_IPV4, RULE_DETECT_IPV4),
    DETECTOR("digits", PERSONAL_DIGITS, RULE_DETECT_DIGITS),
    {"digit_run", VALUE_INT, AT(detectors.digit_run), 6, 64, NULL, NULL, RULE_DIGIT_RUN},
    {"exempt", VALUE_TEXTS, AT(detectors.exempt), 0, 0, NULL, NULL, RULE_DETECT_EXEMPT},
    {0},
};

static bool read_detectors(const struct policy_reader *r, json_t *value, const char *path,
                           void *into)
{
    return policy_read_object(r, value, path, detector_keys, NULL, into);
}

static const char *const unknown_choices[] = {"reject", "strip", NULL};
static const struct policy_key label_keys[] = {
    {"allow", VALUE_TEXTS, AT(allow), 0, 0, NULL, NULL, RULE_LABEL_ALLOW},
    {"forbid", VALUE_TEXTS, AT(forbid), 0, 0, NULL, NULL, RULE_LABEL_FORBID},
    {"max_name_bytes", VALUE_INT, AT(max_name_bytes), 1, 1024, NULL, NULL, RULE_LABEL_NAME_BYTES},
    {"max_value_bytes", VALUE_INT, AT(max_value_bytes), 1, 1024, NULL, NULL,
     RULE_LABEL_VALUE_BYTES},
    {"unknown", VALUE_CHOICE, AT(strip_unknown), 0, 0, unknown_choices, NULL, RULE_LABEL_UNKNOWN},
    {"identity", VALUE_TEXT, AT(identity), 0, 0, NULL, NULL, RULE_LABEL_IDENTITY},
    {"rename", VALUE_OTHER, 0, 0, 0, NULL, read_renames, RULE_LABEL_RENAME},
    {"values", VALUE_OTHER, 0, 0, 0, NULL, read_values, RULE_LABEL_VALUES},
    {"detectors", VALUE_OTHER, 0, 0, 0, NULL, read_detectors, RULE_NONE},
    {0},
};

bool policy_read_labels(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    return policy_read_object(r, value, path, label_keys, NULL, into);
}
