#include "policy/judge_parts.h"

#include "base/utf8.h"
#include "policy/names.h"

enum {
    MAX_RAW_NAME_BYTES = 512,
    MAX_UNIT_BYTES = 63,
    MAX_SOURCE_BYTES = 1024,
    NAME_SPACE_BYTES = 2048
};

bool judge_refuse(struct judgement *j, enum reason reason, const struct raw_label *culprit)
{
    j->out->reason = reason;
    j->out->label = culprit == NULL ? SLICE_NONE : culprit->name;
    j->out->value = culprit == NULL || !culprit->is_text ? SLICE_NONE : culprit->value;
    return false;
}

bool judge_decided(struct judgement *j, enum rule_key key, int32_t index, struct slice member)
{
    j->out->rule = (struct rule_place){key, index, member};
    return false;
}

bool judge_no_memory(struct judgement *j)
{
    j->no_memory = true;
    return false;
}

bool judge_is_clean(struct slice s)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (uint64_t word; s.len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, s.ptr + i, sizeof word);
        if (((word | (word - ones)) & high_bits) != 0) { /* a byte that is not ASCII, or is 0 */
            break;
        }
    }
    while (i < s.len && s.ptr[i] - 1U < 0x7f) {
        i++;
    }
    return i == s.len || (utf8_valid(s) && memchr(s.ptr, '\0', s.len) == NULL);
}

/* Refused by a rule, no label is to blame. */
static bool refuse_by(struct judgement *j, enum reason reason, enum rule_key key)
{
    (void)judge_refuse(j, reason, NULL);
    return judge_decided(j, key, -1, SLICE_NONE);
}

static bool in_scope(const struct text_list *prefixes, struct slice name)
{
    for (uint32_t i = 0; i < prefixes->n; i++) {
        if (slice_starts_with(name, prefixes->items[i])) {
            return true;
        }
    }
    return prefixes->n == 0;
}

static bool judge_allowed_name(struct judgement *j, struct slice name)
{
    if (name.len > (size_t)j->rules->max_name_bytes) {
        return refuse_by(j, REASON_NAME_INVALID, RULE_NAME_BYTES);
    }
    if (!in_scope(&j->rules->scope, name)) {
        return refuse_by(j, REASON_NAME_OUT_OF_SCOPE, RULE_SCOPE);
    }
    return j->rules->open || glob_any(&j->rules->names, name) ||
           refuse_by(j, REASON_NAME_NOT_ALLOWED, RULE_NAME_ALLOW);
}

static bool judge_name(struct judgement *j)
{
    const struct raw_series *raw = j->raw;
    uint8_t *space = arena_alloc(j->a, NAME_SPACE_BYTES);
    if (space == NULL) {
        return judge_no_memory(j);
    }
    if (raw->unit.len > MAX_UNIT_BYTES || !judge_is_clean(raw->unit)) {
        return judge_refuse(j, REASON_UNIT_INVALID, NULL);
    }
    if (raw->metric.len == 0 || raw->metric.len > MAX_RAW_NAME_BYTES || !utf8_valid(raw->metric)) {
        return judge_refuse(j, REASON_NAME_INVALID, NULL);
    }
    struct buf name = {.ptr = space, .cap = NAME_SPACE_BYTES, .max_bytes = NAME_SPACE_BYTES};
    enum name_kind kind = raw->kind == SERIES_COUNTER                     ? NAME_COUNTER
                          : raw->kind == SERIES_GAUGE && !raw->is_up_down ? NAME_GAUGE
                                                                          : NAME_OTHER;
    bool is_part = raw->suffix.len > 0 || raw->extra.name.len > 0; /* of a summary */
    bool ok = raw->is_final;
    if (raw->is_final) {
        buf_put_slice(&name, raw->metric);
    } else {
        ok = name_translate(raw->metric, raw->unit, is_part ? NAME_OTHER : kind, &name);
    }
    buf_put_slice(&name, raw->suffix);
    if (!ok || !buf_ok(&name) || !name_valid(buf_slice(&name))) {
        return judge_refuse(j, REASON_NAME_INVALID, NULL);
    }
    j->out->series.metric = buf_slice(&name);
    return judge_allowed_name(j, buf_slice(&name));
}

static bool contradicts(struct judgement *j, const char *what)
{
    (void)judge_refuse(j, REASON_METRIC_CONTRADICTS, NULL);
    j->out->detail = what;
    return judge_decided(j, RULE_METRICS, -1, j->listed.entry->name);
}

/* What the dictionary says of it. Remote write tells no kinds and seldom units: it takes them from
 * here. */
static bool judge_listed(struct judgement *j)
{
    struct series *s = &j->out->series;
    s->kind = j->raw->kind;
    s->unit = j->raw->unit;
    j->listed = dictionary_find(j->rules, s->metric, j->raw->kind_is_guess);
    const struct metric_entry *entry = j->listed.entry;
    if (entry == NULL) {
        return j->rules->open || !j->rules->listed_only ||
               refuse_by(j, REASON_METRIC_NOT_LISTED, RULE_DICTIONARY);
    }
    enum series_kind want = j->listed.is_part ? SERIES_COUNTER : entry->kind;
    if (entry->has_kind && j->raw->kind_is_guess &&
        (want == SERIES_COUNTER || want == SERIES_GAUGE)) {
        s->kind = want;
    }
    if (entry->has_unit && j->raw->is_final && s->unit.len == 0) {
        s->unit = entry->unit;
    }
    if (j->rules->open) {
        return true;
    }
    if (entry->has_kind && s->kind != want) {
        return contradicts(j, "its kind is not that of its entry in the dictionary");
    }
    return !entry->has_unit || slice_eq(s->unit, entry->unit) ||
           contradicts(j, "its unit is not that of its entry in the dictionary");
}

static bool judge_kind(struct judgement *j)
{
    const struct kind_rules *kinds = &j->rules->kinds;
    enum series_kind kind = j->out->series.kind;
    struct slice name = j->out->series.metric;
    bool listed = j->listed.entry != NULL && j->listed.entry->has_kind;
    bool ok =
        j->rules->open || kinds->allowed[kind] || listed ||
        (kind == SERIES_GAUGE && glob_any(&kinds->gauge_metrics, name)) ||
        (kind == SERIES_CLASSIC_HISTOGRAM && glob_any(&kinds->classic_histogram_metrics, name));
    if (!ok) {
        return refuse_by(j, REASON_KIND_NOT_ALLOWED, RULE_KIND_ALLOW);
    }
    return !j->raw->delta || j->rules->open || kinds->delta ||
           refuse_by(j, REASON_DELTA_NOT_ALLOWED, RULE_KIND_DELTA);
}

static struct slice label_value(const struct judgement *j, struct slice name)
{
    for (uint32_t i = 0; i < j->n_labels; i++) {
        if (slice_eq(j->labels[i].name, name)) {
            return j->labels[i].value;
        }
    }
    return SLICE_NONE;
}

static struct slice source_from_attributes(const struct judgement *j)
{
    const struct text_list *wanted = &j->rules->source.attributes;
    for (uint32_t i = 0; i < wanted->n; i++) {
        for (uint32_t k = 0; k < j->raw->attributes.n; k++) {
            const struct raw_label *attribute = &j->raw->attributes.items[k];
            if (attribute->is_text && attribute->value.len > 0 &&
                slice_eq(attribute->name, wanted->items[i])) {
                return attribute->value;
            }
        }
    }
    return SLICE_NONE;
}

static struct slice source_from_labels(const struct judgement *j)
{
    const struct text_list *wanted = &j->rules->source.labels;
    if (wanted->n == 0) {
        return label_value(j, j->rules->labels.identity);
    }
    for (uint32_t i = 0; i < wanted->n; i++) {
        struct slice value = label_value(j, wanted->items[i]);
        if (value.len > 0) {
            return value;
        }
    }
    return SLICE_NONE;
}

static bool judge_source(struct judgement *j)
{
    struct slice identity = j->rules->labels.identity;
    if (!j->rules->open && identity.len > 0 && label_value(j, identity).len == 0) {
        (void)judge_refuse(j, REASON_IDENTITY_MISSING, &(struct raw_label){.name = identity});
        return judge_decided(j, RULE_LABEL_IDENTITY, -1, SLICE_NONE);
    }
    struct slice name = j->raw->source;
    name = name.len > 0 ? name : source_from_attributes(j);
    name = name.len > 0 ? name : source_from_labels(j);
    if (name.len == 0 && j->rules->open) {
        name = SLICE_LITERAL("unknown");
    }
    if (name.len == 0) {
        return refuse_by(j, REASON_SOURCE_MISSING, RULE_SOURCE_ATTRIBUTES);
    }
    if (name.len > MAX_SOURCE_BYTES || !judge_is_clean(name)) {
        return judge_refuse(j, REASON_SOURCE_INVALID, NULL);
    }
    j->out->source_name = name;
    return true;
}

static void class_choose(struct judgement *j)
{
    const struct class_rules *classes = &j->rules->classes;
    struct slice metric = j->out->series.metric;
    j->out->class = classes->fallback;
    (void)judge_decided(j, RULE_CLASS_DEFAULT, -1, SLICE_NONE);
    for (uint32_t i = 0; i < classes->n; i++) {
        if (glob_any(&classes->items[i].metrics, metric)) {
            j->out->class = classes->items[i].class;
            (void)judge_decided(j, RULE_CLASSES, (int32_t)i, SLICE_NONE);
            return;
        }
    }
}

static bool no_room(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
}

bool policy_judge_metric(const struct rules *rules, const struct raw_series *raw, struct arena *a,
                         struct judged_metric *out, struct err *e)
{
    struct verdict v = {.reason = REASON_NONE};
    struct judgement j = {.rules = rules, .raw = raw, .a = a, .out = &v};
    if (judge_name(&j) && judge_listed(&j) && judge_kind(&j)) {
        class_choose(&j);
    } else if (j.no_memory) {
        return no_room(e);
    }
    *out = (struct judged_metric){.reason = v.reason,
                                  .name = v.series.metric,
                                  .unit = v.series.unit,
                                  .kind = v.series.kind,
                                  .class = v.class,
                                  .listed = j.listed,
                                  .rule = v.rule,
                                  .detail = v.detail};
    return true;
}

/* False: the metric as a whole is refused. */
static bool metric_apply(struct judgement *j, const struct judged_metric *m)
{
    struct verdict *v = j->out;
    v->reason = m->reason;
    v->rule = m->rule;
    v->detail = m->detail;
    v->class = m->class;
    v->series.metric = m->name;
    v->series.unit = m->unit;
    v->series.kind = m->kind;
    j->listed = m->listed;
    return m->reason == REASON_NONE;
}

bool policy_judge(const struct rules *rules, struct slice tenant, const struct raw_series *raw,
                  struct arena *a, struct verdict *out, struct err *e)
{
    struct judgement j = {.rules = rules, .raw = raw, .a = a, .out = out};
    struct judged_metric own;
    const struct judged_metric *metric = raw->metric_judged;
    *out = (struct verdict){.reason = REASON_NONE};
    if (metric == NULL) {
        if (!policy_judge_metric(rules, raw, a, &own, e)) {
            return false;
        }
        metric = &own;
    }
    if (!metric_apply(&j, metric) || !judge_labels(&j) || !judge_source(&j)) {
        return !j.no_memory || no_room(e);
    }
    struct series *s = &out->series;
    s->delta = raw->delta;
    s->labels = j.labels;
    s->n_labels = j.n_labels;
    s->bounds = raw->bounds;
    s->n_bounds = raw->n_bounds;
    s->id = series_id(tenant, s->metric, s->labels, s->n_labels);
    return true;
}
