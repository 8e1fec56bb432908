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
    if (raw.len == 0 || raw.len > (size_t)j->rules->labels.max_name_bytes) {
        return false;
    }
    if (label_name_valid(raw) &&
        (j->raw->is_final || raw.ptr[0] != '_' || (raw.len > 1 && raw.ptr[1] == '_'))) {
        *out = raw;
        return true;
    }
    if (j->raw->is_final || !utf8_valid(raw)) {
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
        [PERSONAL_NONE] = RULE_NONE,        [PERSONAL_EMAIL] = RULE_DETECT_EMAIL,
        [PERSONAL_UUID] = RULE_DETECT_UUID, [PERSONAL_IPV6] = RULE_DETECT_IPV6,
        [PERSONAL_IPV4] = RULE_DETECT_IPV4, [PERSONAL_DIGITS] = RULE_DETECT_DIGITS,
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
    /* The identity label names a server, often by a UUID: it is exempt like those listed. */
    bool is_server = slice_eq(name, rules->identity) && found != PERSONAL_EMAIL;
    if (found != PERSONAL_NONE && !is_server) {
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
    bool yes =
        text_list_has(&entry->labels, name) || (j->listed.is_bucket && slice_eq_str(name, "le"));
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

static int label_cmp(const struct label *a, const struct label *b)
{
    /* Most differ in the first byte already: a call less. */
    int order = a->name.len > 0 && b->name.len > 0 ? a->name.ptr[0] - b->name.ptr[0] : 0;
    return order != 0 ? order : slice_cmp(a->name, b->name);
}

/* Few, and mostly in order. */
static void labels_sort(struct label *labels, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct label l = labels[i];
        uint32_t k = i;
        for (; k > 0 && label_cmp(&labels[k - 1], &l) > 0; k--) {
            labels[k] = labels[k - 1];
        }
        labels[k] = l;
    }
}

/* --- the resource's attributes --- */

struct judged_attribute {
    struct label label;
    const struct raw_label *raw;
    enum reason reason; /* if it counts: REASON_NONE, or why the series is refused */
    struct rule_place rule;
    const char *detail;
};

/* Its verdict is taken over, so that a series that has the label itself is not refused for it. */
static bool attribute_judge(struct judgement *j, const struct raw_label *raw,
                            struct judged_attribute *out, uint32_t *n)
{
    const struct label_rules *rules = &j->rules->labels;
    struct slice name;
    if (!label_name(j, raw->name, &name)) {
        return !j->no_memory;
    }
    if (!text_list_has(&rules->allow, name) || text_list_has(&rules->forbid, name)) {
        return true;
    }
    *j->out = (struct verdict){.reason = REASON_NONE};
    if (label_has(j, 0, j->n_labels, name)) {
        (void)judge_refuse(j, REASON_LABEL_TWICE, raw);
    } else {
        uint32_t before = j->n_labels;
        (void)label_add(j, raw, name);
        if (j->out->reason == REASON_NONE && j->n_labels == before) {
            return true; /* empty */
        }
    }
    *out = (struct judged_attribute){
        {name, raw->value}, raw, j->out->reason, j->out->rule, j->out->detail};
    (*n)++;
    return true;
}

bool policy_judge_attributes(const struct rules *rules, const struct raw_series *raw,
                             struct arena *a, struct judged_attributes *out, struct err *e)
{
    struct verdict verdict;
    struct judgement j = {.rules = rules, .raw = raw, .a = a, .out = &verdict};
    uint32_t n = 0;
    j.labels = ARENA_ARRAY(a, struct label, (size_t)raw->attributes.n + 1);
    struct judged_attribute *items = ARENA_ARRAY(a, struct judged_attribute, raw->attributes.n);
    bool ok = j.labels != NULL && items != NULL;
    for (uint32_t i = 0; ok && i < raw->attributes.n; i++) {
        ok = attribute_judge(&j, &raw->attributes.items[i], &items[n], &n);
    }
    *out = (struct judged_attributes){n, items};
    return ok || err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
}

static bool attribute_apply(struct judgement *j, const struct judged_attribute *attribute)
{
    if (is_reserved(j, attribute->label.name) || label_has(j, 0, j->n_own, attribute->label.name)) {
        return true;
    }
    if (attribute->reason == REASON_NONE) {
        j->labels[j->n_labels++] = attribute->label;
        return true;
    }
    (void)judge_refuse(j, attribute->reason, attribute->raw);
    j->out->rule = attribute->rule;
    j->out->detail = attribute->detail;
    return false;
}

static bool attributes_judged(struct judgement *j, struct judged_attributes *out)
{
    struct err e = ERR_INIT;
    *out = (struct judged_attributes){0};
    if (j->raw->judged != NULL) {
        *out = *j->raw->judged;
    } else if (j->raw->attributes.n > 0 &&
               !policy_judge_attributes(j->rules, j->raw, j->a, out, &e)) {
        return judge_no_memory(j);
    }
    return true;
}

/* --- what else is refused --- */

struct notes {
    struct slice first; /* the label that decided */
    uint32_t n;
    struct refused_label *items; /* room for VERDICT_MAX_MORE */
};

static bool is_noted(const struct notes *notes, struct slice label)
{
    bool found = slice_eq(notes->first, label);
    for (uint32_t i = 0; i < notes->n; i++) {
        found = found || slice_eq(notes->items[i].label, label);
    }
    return found;
}

static void note(struct notes *notes, const struct verdict *v)
{
    if (v->label.len > 0 && !is_noted(notes, v->label)) {
        notes->items[notes->n++] = (struct refused_label){v->label, v->value, v->reason};
    }
}

static bool may_look_on(const struct judgement *j, const struct notes *notes)
{
    return notes->n < VERDICT_MAX_MORE && j->n_labels <= (uint32_t)j->rules->max_labels &&
           !j->no_memory;
}

/* The series is refused for a label; the verdict stays, what follows is only noted: the point's
 * labels from this one on, then the resource's attributes. Always false. */
static bool look_on(struct judgement *j, uint32_t label, uint32_t attribute)
{
    const struct raw_labels *labels = &j->raw->labels;
    struct verdict first = *j->out;
    struct notes notes = {.first = first.label};
    struct judged_attributes judged;
    notes.items = j->no_memory ? NULL : ARENA_ARRAY(j->a, struct refused_label, VERDICT_MAX_MORE);
    if (notes.items == NULL) {
        return false;
    }
    for (; label < labels->n && may_look_on(j, &notes); label++) {
        *j->out = (struct verdict){.reason = REASON_NONE};
        if (!judge_own_label(j, &labels->items[label])) {
            note(&notes, j->out);
        }
    }
    if (attribute == 0) {
        j->n_own = j->n_labels;
    }
    for (bool ok = attributes_judged(j, &judged);
         ok && attribute < judged.n && may_look_on(j, &notes); attribute++) {
        *j->out = (struct verdict){.reason = REASON_NONE};
        if (!attribute_apply(j, &judged.items[attribute])) {
            note(&notes, j->out);
        }
    }
    *j->out = first;
    j->out->n_more = notes.n;
    j->out->more = notes.items;
    j->no_memory = false; /* then it is not noted */
    return false;
}

static bool attributes_apply(struct judgement *j)
{
    struct judged_attributes judged;
    if (!attributes_judged(j, &judged)) {
        return false;
    }
    for (uint32_t i = 0; i < judged.n; i++) {
        if (!attribute_apply(j, &judged.items[i])) {
            return look_on(j, j->raw->labels.n, i + 1);
        }
    }
    return true;
}

/* --- all labels --- */

static uint32_t n_attributes(const struct raw_series *raw)
{
    return raw->judged != NULL ? raw->judged->n : raw->attributes.n;
}

static bool too_many(struct judgement *j)
{
    (void)judge_refuse(j, REASON_TOO_MANY_LABELS, NULL);
    return judge_decided(j, RULE_MAX_LABELS, -1, SLICE_NONE);
}

bool judge_labels(struct judgement *j)
{
    const struct raw_series *raw = j->raw;
    j->labels = ARENA_ARRAY(j->a, struct label, (size_t)raw->labels.n + n_attributes(raw) + 1);
    if (j->labels == NULL) {
        return judge_no_memory(j);
    }
    for (uint32_t i = 0; i < raw->labels.n; i++) {
        /* Before the search for doubles grows with the square. */
        if (j->n_labels > (uint32_t)j->rules->max_labels) {
            return too_many(j);
        }
        if (!judge_own_label(j, &raw->labels.items[i])) {
            return look_on(j, i + 1, 0);
        }
    }
    j->n_own = j->n_labels;
    if (!attributes_apply(j)) {
        return false;
    }
    if (raw->extra.name.len > 0 && !label_add(j, &raw->extra, raw->extra.name)) {
        return false;
    }
    if (j->n_labels > (uint32_t)j->rules->max_labels) {
        return too_many(j);
    }
    labels_sort(j->labels, j->n_labels);
    return true;
}
