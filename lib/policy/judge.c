#include "policy/judge.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "policy/names.h"

enum {
    MAX_RAW_NAME_BYTES = 512,
    MAX_UNIT_BYTES = 63,
    MAX_SOURCE_BYTES = 1024,
    NAME_SPACE_BYTES = 2048
};

struct judgement {
    const struct rules *rules;
    const struct raw_series *raw;
    struct arena *a;
    struct verdict *out;
    struct label *labels;
    uint32_t n_labels;
    uint32_t n_own; /* labels[0 … n_own) are the point's own */
    bool no_memory;
};

/* Sets the reason and gives false, so that a check reads `return refuse(…)`. */
static bool refuse(struct judgement *j, enum reason reason, const struct raw_label *culprit)
{
    j->out->reason = reason;
    j->out->label = culprit == NULL ? SLICE_NONE : culprit->name;
    j->out->value = culprit == NULL || !culprit->is_text ? SLICE_NONE : culprit->value;
    return false;
}

static bool out_of_memory(struct judgement *j)
{
    j->no_memory = true;
    return false;
}

static bool is_clean(struct slice s)
{
    return s.len == 0 || (utf8_valid(s) && memchr(s.ptr, '\0', s.len) == NULL);
}

static bool judge_name(struct judgement *j)
{
    const struct raw_series *raw = j->raw;
    uint8_t *space = arena_alloc(j->a, NAME_SPACE_BYTES);
    if (space == NULL) {
        return out_of_memory(j);
    }
    if (raw->unit.len > MAX_UNIT_BYTES || !is_clean(raw->unit)) {
        return refuse(j, REASON_UNIT_INVALID, NULL);
    }
    if (raw->metric.len == 0 || raw->metric.len > MAX_RAW_NAME_BYTES || !utf8_valid(raw->metric)) {
        return refuse(j, REASON_NAME_INVALID, NULL);
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
    if (!ok || !buf_ok(&name) || !name_valid(buf_slice(&name)) ||
        name.len > (size_t)j->rules->max_name_bytes) {
        return refuse(j, REASON_NAME_INVALID, NULL);
    }
    j->out->series.metric = buf_slice(&name);
    return j->rules->open || glob_any(&j->rules->names, buf_slice(&name)) ||
           refuse(j, REASON_NAME_NOT_ALLOWED, NULL);
}

static bool judge_kind(struct judgement *j)
{
    const struct kind_rules *kinds = &j->rules->kinds;
    enum series_kind kind = j->raw->kind;
    struct slice name = j->out->series.metric;
    bool ok =
        j->rules->open || kinds->allowed[kind] ||
        (kind == SERIES_GAUGE && glob_any(&kinds->gauge_metrics, name)) ||
        (kind == SERIES_CLASSIC_HISTOGRAM && glob_any(&kinds->classic_histogram_metrics, name));
    return ok || refuse(j, REASON_KIND_NOT_ALLOWED, NULL);
}

/* The label's final name; false when there is none. */
static bool label_name(struct judgement *j, struct slice raw, struct slice *out)
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
        return out_of_memory(j);
    }
    struct buf b = {.ptr = space, .cap = most, .max_bytes = most};
    bool ok = label_name_translate(raw, &b);
    *out = buf_slice(&b);
    return ok;
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

/* An empty value is no label. */
static bool label_add(struct judgement *j, const struct raw_label *raw, struct slice name)
{
    if (!raw->is_text || !is_clean(raw->value)) {
        return refuse(j, REASON_LABEL_VALUE_INVALID, raw);
    }
    if (raw->value.len > (size_t)j->rules->labels.max_value_bytes) {
        return refuse(j, REASON_LABEL_VALUE_TOO_LONG, raw);
    }
    if (raw->value.len > 0) {
        j->labels[j->n_labels++] = (struct label){name, raw->value};
    }
    return true;
}

/* The order of the labels must not matter: the sum. */
static void strip(struct judgement *j, struct slice name, struct slice value)
{
    uint64_t h = hash64(name) * UINT64_C(0x9e3779b97f4a7c15) ^ hash64(value);
    j->out->stripped += h | 1;
    j->out->stripped += j->out->stripped == 0;
}

static bool judge_own_label(struct judgement *j, const struct raw_label *raw)
{
    struct slice name;
    if (!label_name(j, raw->name, &name)) {
        return j->no_memory ? false : refuse(j, REASON_LABEL_NAME_INVALID, raw);
    }
    if (is_reserved(j, name)) {
        return refuse(j, REASON_LABEL_RESERVED, raw);
    }
    const struct label_rules *rules = &j->rules->labels;
    if (text_list_has(&rules->forbid, name)) {
        return refuse(j, REASON_LABEL_FORBIDDEN, raw);
    }
    if (!j->rules->open && !text_list_has(&rules->allow, name)) {
        if (!rules->strip_unknown) {
            return refuse(j, REASON_LABEL_NOT_ALLOWED, raw);
        }
        strip(j, name, raw->value);
        return true;
    }
    if (label_has(j, 0, j->n_labels, name)) {
        return refuse(j, REASON_LABEL_TWICE, raw);
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
        return refuse(j, REASON_LABEL_TWICE, raw);
    }
    return label_add(j, raw, name);
}

static int label_cmp(const void *a, const void *b)
{
    return slice_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static bool judge_labels(struct judgement *j)
{
    const struct raw_series *raw = j->raw;
    j->labels = ARENA_ARRAY(j->a, struct label, (size_t)raw->labels.n + raw->attributes.n + 1);
    if (j->labels == NULL) {
        return out_of_memory(j);
    }
    for (uint32_t i = 0; i < raw->labels.n; i++) {
        /* Before the search for doubles grows with the square. */
        if (j->n_labels > (uint32_t)j->rules->max_labels) {
            return refuse(j, REASON_TOO_MANY_LABELS, NULL);
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
        return refuse(j, REASON_TOO_MANY_LABELS, NULL);
    }
    if (j->n_labels > 1) {
        qsort(j->labels, j->n_labels, sizeof *j->labels, label_cmp);
    }
    return true;
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
        return refuse(j, REASON_IDENTITY_MISSING, &(struct raw_label){.name = identity});
    }
    struct slice name = j->raw->source;
    name = name.len > 0 ? name : source_from_attributes(j);
    name = name.len > 0 ? name : source_from_labels(j);
    if (name.len == 0 && j->rules->open) {
        name = SLICE_LITERAL("unknown");
    }
    if (name.len == 0) {
        return refuse(j, REASON_SOURCE_MISSING, NULL);
    }
    if (name.len > MAX_SOURCE_BYTES || !is_clean(name)) {
        return refuse(j, REASON_SOURCE_INVALID, NULL);
    }
    j->out->source_name = name;
    return true;
}

static enum batch_class class_of(const struct class_rules *classes, struct slice metric)
{
    for (uint32_t i = 0; i < classes->n; i++) {
        if (glob_any(&classes->items[i].metrics, metric)) {
            return classes->items[i].class;
        }
    }
    return classes->fallback;
}

bool policy_judge(const struct rules *rules, struct slice tenant, const struct raw_series *raw,
                  struct arena *a, struct verdict *out, struct err *e)
{
    struct judgement j = {.rules = rules, .raw = raw, .a = a, .out = out};
    *out = (struct verdict){.reason = REASON_NONE};
    if (!judge_name(&j) || !judge_kind(&j) || !judge_labels(&j) || !judge_source(&j)) {
        return !j.no_memory || err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
    }
    struct series *s = &out->series;
    s->unit = raw->unit;
    s->kind = raw->kind;
    s->delta = raw->delta;
    s->labels = j.labels;
    s->n_labels = j.n_labels;
    s->bounds = raw->bounds;
    s->n_bounds = raw->n_bounds;
    s->id = series_id(tenant, s->metric, s->labels, s->n_labels);
    out->class = class_of(&rules->classes, s->metric);
    return true;
}
