#include <stdlib.h>

#include "base/utf8.h"
#include "policy/judge_parts.h"
#include "policy/names.h"

/* What the operators call it, if they rename it. */
static const struct label_rename *renamed(const struct judgement *j, struct slice raw)
{
    const struct label_rules *rules = &j->rules->labels;
    for (uint32_t i = 0; i < rules->n_renames; i++) {
        if (slice_eq(rules->renames[i].from, raw)) {
            return &rules->renames[i];
        }
    }
    return NULL;
}

/* The label's final name, but for a renaming; false when there is none. */
static bool plain_name(struct judgement *j, struct slice raw, struct slice *out)
{
    if (raw.len == 0 || raw.len > (size_t)j->rules->labels.max_name_bytes || !utf8_valid(raw)) {
        return false;
    }
    if (label_name_valid(raw) &&
        (j->raw->is_final || raw.ptr[0] != '_' || (raw.len > 1 && raw.ptr[1] == '_'))) {
        *out = raw;
        return true;
    }
    if (j->raw->is_final) {
        return false;
    }
    const size_t most = raw.len + 4;
    uint8_t *space = arena_alloc(j->a, most);
    if (space == NULL) {
        return judge_no_memory(j);
    }
    struct buf b = {.ptr = space, .cap = most, .max_bytes = most};
    bool ok = label_name_translate(raw, &b);
    *out = buf_slice(&b);
    return ok;
}

/* A label that is forbidden under its own name stays so under another. */
static bool label_name(struct judgement *j, struct slice raw, struct slice *out)
{
    const struct label_rename *r = renamed(j, raw);
    if (r == NULL) {
        return plain_name(j, raw, out);
    }
    bool known = plain_name(j, raw, out);
    if (!known || !text_list_has(&j->rules->labels.forbid, *out)) {
        *out = r->to;
    }
    return !j->no_memory;
}

static bool is_reserved(const struct judgement *j, struct slice name)
{
    bool histogram =
        j->raw->kind == SERIES_CLASSIC_HISTOGRAM || j->raw->kind == SERIES_EXP_HISTOGRAM;
    return slice_starts_with(name, SLICE_LITERAL("__")) ||
           (histogram && slice_eq_str(name, "le")) ||
           (j->raw->extra.name.len > 0 && slice_eq(name, j->raw->extra.name));
}

static bool label_has(const struct judgement *j, uint32_t from, uint32_t to, struct slice name)
{
    for (uint32_t i = from; i < to; i++) {
        if (slice_eq(j->labels[i].name, name)) {
            return true;
        }
    }
    return false;
}

static const struct value_rule *value_rule(const struct label_rules *rules, struct slice label)
{
    for (uint32_t i = 0; i < rules->n_values; i++) {
        if (slice_eq(rules->values[i].label, label)) {
            return &rules->values[i];
        }
    }
    return NULL;
}

static bool matches_any(const struct value_rule *rule, struct slice value)
{
    for (uint32_t i = 0; i < rule->n_patterns; i++) {
        if (value_pattern_match(&rule->patterns[i], value)) {
            return true;
        }
    }
    return rule->n_patterns == 0;
}

static bool too_long(struct judgement *j, const struct raw_label *raw, enum rule_key key,
                     struct slice member)
{
    (void)judge_refuse(j, REASON_LABEL_VALUE_TOO_LONG, raw);
    return judge_decided(j, key, -1, member);
}

/* The value against the label's own rule and the detectors; not in mode open. */
static bool judge_value(struct judgement *j, const struct raw_label *raw, struct slice name)
{
    static const enum rule_key keys[N_PERSONAL] = {
        [PERSONAL_NONE] = RULE_NONE,          [PERSONAL_EMAIL] = RULE_DETECT_EMAIL,
        [PERSONAL_UUID] = RULE_DETECT_UUID,   [PERSONAL_IPV6] = RULE_DETECT_IPV6,
        [PERSONAL_IPV4] = RULE_DETECT_IPV4,   [PERSONAL_DIGITS] = RULE_DETECT_DIGITS,
    };
    const struct label_rules *rules = &j->rules->labels;
    const struct value_rule *rule = value_rule(rules, name);
    if (rule != NULL && rule->max_bytes > 0 && raw->value.len > (size_t)rule->max_bytes) {
        return too_long(j, raw, RULE_LABEL_VALUES, rule->label);
    }
    if (rule != NULL && !matches_any(rule, raw->value)) {
        (void)judge_refuse(j, REASON_LABEL_VALUE_NOT_ALLOWED, raw);
        return judge_decided(j, RULE_LABEL_VALUES, -1, rule->label);
    }
    enum personal_data found = personal_data_find(&rules->detectors, name, raw->value);
    if (found != PERSONAL_NONE) {
        (void)judge_refuse(j, REASON_PERSONAL_DATA, raw);
        j->out->detail = personal_data_text(found);
        return judge_decided(j, keys[found], -1, SLICE_NONE);
    }
    return true;
}

/* An empty value is no label. */
static bool label_add(struct judgement *j, const struct raw_label *raw, struct slice name)
{
    if (!raw->is_text || !judge_is_clean(raw->value)) {
        return judge_refuse(j, REASON_LABEL_VALUE_INVALID, raw);
    }
    if (raw->value.len > (size_t)j->rules->labels.max_value_bytes) {
        return too_long(j, raw, RULE_LABEL_VALUE_BYTES, SLICE_NONE);
    }
    if (raw->value.len == 0) {
        return true;
    }
    j->labels[j->n_labels++] = (struct label){name, raw->value};
    return j->rules->open || judge_value(j, raw, name);
}

/* The order of the labels must not matter: the sum. */
static void strip(struct judgement *j, struct slice name, struct slice value)
{
    uint64_t h = hash64(name) * UINT64_C(0x9e3779b97f4a7c15) ^ hash64(value);
    j->out->stripped += h | 1;
    j->out->stripped += j->out->stripped == 0;
}

/* Does the metric's dictionary entry speak for or against the label? */
enum listed { LISTED_NOTHING, LISTED_YES, LISTED_NO };

static enum listed listed_label(const struct judgement *j, struct slice name)
{
    const struct metric_entry *entry = j->rules->open ? NULL : j->listed.entry;
    if (entry == NULL || !entry->has_labels || slice_eq(name, j->rules->labels.identity)) {
        return LISTED_NOTHING;
    }
    bool yes = text_list_has(&entry->labels, name) ||
               (j->listed.is_bucket && slice_eq_str(name, "le"));
    return yes ? LISTED_YES : LISTED_NO;
}

static bool contradicts(struct judgement *j, const struct raw_label *raw)
{
    (void)judge_refuse(j, REASON_METRIC_CONTRADICTS, raw);
    j->out->detail = "the metric's entry in the dictionary does not list this label";
    return judge_decided(j, RULE_METRICS, -1, j->listed.entry->name);
}

static bool unknown_label(struct judgement *j, const struct raw_label *raw, struct slice name)
{
    if (j->rules->labels.strip_unknown) {
        strip(j, name, raw->value);
        return true;
    }
    (void)judge_refuse(j, REASON_LABEL_NOT_ALLOWED, raw);
    return judge_decided(j, RULE_LABEL_ALLOW, -1, SLICE_NONE);
}

static bool judge_own_label(struct judgement *j, const struct raw_label *raw)
{
    const struct label_rules *rules = &j->rules->labels;
    struct slice name;
    if (!label_name(j, raw->name, &name)) {
        return j->no_memory ? false : judge_refuse(j, REASON_LABEL_NAME_INVALID, raw);
    }
    if (is_reserved(j, name)) {
        return judge_refuse(j, REASON_LABEL_RESERVED, raw);
    }
    int32_t forbidden = text_list_find(&rules->forbid, name);
    if (forbidden >= 0) {
        (void)judge_refuse(j, REASON_LABEL_FORBIDDEN, raw);
        return judge_decided(j, RULE_LABEL_FORBID, forbidden, SLICE_NONE);
    }
    enum listed listed = listed_label(j, name);
    if (listed == LISTED_NO) {
        return contradicts(j, raw);
    }
    if (listed == LISTED_NOTHING && !j->rules->open && !text_list_has(&rules->allow, name)) {
        return unknown_label(j, raw, name);
    }
    if (label_has(j, 0, j->n_labels, name)) {
        return judge_refuse(j, REASON_LABEL_TWICE, raw);
    }
    return label_add(j, raw, name);
}

static bool judge_attribute(struct judgement *j, const struct raw_label *raw)
{
    const struct label_rules *rules = &j->rules->labels;
    struct slice name;
    if (!label_name(j, raw->name, &name)) {
        return !j->no_memory;
    }
    if (!text_list_has(&rules->allow, name) || text_list_has(&rules->forbid, name) ||
        is_reserved(j, name) || label_has(j, 0, j->n_own, name)) {
        return true;
    }
    if (label_has(j, j->n_own, j->n_labels, name)) {
        return judge_refuse(j, REASON_LABEL_TWICE, raw);
    }
    return label_add(j, raw, name);
}

static int label_cmp(const void *a, const void *b)
{
    return slice_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static bool too_many(struct judgement *j)
{
    (void)judge_refuse(j, REASON_TOO_MANY_LABELS, NULL);
    return judge_decided(j, RULE_MAX_LABELS, -1, SLICE_NONE);
}

bool judge_labels(struct judgement *j)
{
    const struct raw_series *raw = j->raw;
    j->labels = ARENA_ARRAY(j->a, struct label, (size_t)raw->labels.n + raw->attributes.n + 1);
    if (j->labels == NULL) {
        return judge_no_memory(j);
    }
    for (uint32_t i = 0; i < raw->labels.n; i++) {
        /* Before the search for doubles grows with the square. */
        if (j->n_labels > (uint32_t)j->rules->max_labels) {
            return too_many(j);
        }
        if (!judge_own_label(j, &raw->labels.items[i])) {
            return false;
        }
    }
    j->n_own = j->n_labels;
    for (uint32_t i = 0; i < raw->attributes.n; i++) {
        if (!judge_attribute(j, &raw->attributes.items[i])) {
            return false;
        }
    }
    if (raw->extra.name.len > 0 && !label_add(j, &raw->extra, raw->extra.name)) {
        return false;
    }
    if (j->n_labels > (uint32_t)j->rules->max_labels) {
        return too_many(j);
    }
    if (j->n_labels > 1) {
        qsort(j->labels, j->n_labels, sizeof *j->labels, label_cmp);
    }
    return true;
}
