#include "explain_print.h"

#include <inttypes.h>
#include <jansson.h>

/* Series' verdicts tell of these already. */
static bool is_told(const struct explanation *x, const struct reject *r)
{
    for (const struct explained *s = x->first; s != NULL; s = s->next) {
        if (s->reason == r->reason && slice_eq(s->sent, r->metric)) {
            return true;
        }
    }
    return false;
}

static void field(FILE *out, const char *name, struct slice value)
{
    if (value.len > 0) {
        (void)fprintf(out, "  %s %.*s", name, SLICE_ARG(value));
    }
}

static void series_print(const struct explained *s, FILE *out)
{
    bool ok = s->reason == REASON_NONE;
    (void)fprintf(out, "%-8s  %.*s  %.*s", ok ? "accepted" : "refused",
                  SLICE_ARG(ok ? s->stored : s->sent), SLICE_ARG(s->kind));
    field(out, "unit", s->unit);
    field(out, "source", s->source);
    field(out, "class", s->class);
    field(out, "reason", ok ? SLICE_NONE : slice_str(reason_name(s->reason)));
    field(out, "label", s->label);
    field(out, "by", s->rule);
    for (uint32_t i = 0; i < s->n_more; i++) {
        (void)fprintf(out, "%s%.*s (%s)", i == 0 ? "  also " : ", ", SLICE_ARG(s->more[i].label),
                      reason_name(s->more[i].reason));
    }
    (void)fprintf(out, "%s\n", s->is_stripped ? "  labels left out" : "");
    if (s->what.len > 0) {
        (void)fprintf(out, "          %.*s\n", SLICE_ARG(s->what));
    }
}

static void reject_print(const struct reject *r, FILE *out)
{
    (void)fprintf(out, "refused   %.*s  %" PRIu64 " samples", SLICE_ARG(r->metric), r->n_samples);
    field(out, "reason", slice_str(reason_name(r->reason)));
    if (r->has_place) {
        (void)fprintf(out, "  first at resource %" PRIu32 ": metric %" PRIu32 ": point %" PRIu32,
                      r->place.resource, r->place.metric, r->place.point);
    }
    (void)fprintf(out, "\n          %.*s\n", SLICE_ARG(r->what));
}

void explanation_print(const struct explanation *x, FILE *out)
{
    (void)fprintf(out, "tenant %.*s, policy %s, %s\n", SLICE_ARG(x->tenant), x->policy_version,
                  x->format);
    if (x->record_reason != REASON_NONE) {
        (void)fprintf(out, "refused   the whole message  reason %s\n          %.*s | %s\n",
                      reason_name(x->record_reason), SLICE_ARG(x->record_text),
                      reason_info(x->record_reason)->help);
        return;
    }
    for (const struct explained *s = x->first; s != NULL; s = s->next) {
        series_print(s, out);
    }
    for (const struct reject *r = x->rejects; r != NULL; r = r->next) {
        if (!is_told(x, r)) {
            reject_print(r, out);
        }
    }
    (void)fprintf(out,
                  "%" PRIu32 " series accepted, %" PRIu32 " refused; of %" PRIu64
                  " samples %" PRIu64 " refused\n",
                  x->n_accepted, x->n_refused, x->n_samples, x->n_samples_refused);
}

/* --- JSON --- */

static void text_put(json_t *object, const char *key, struct slice s)
{
    if (s.len > 0) {
        (void)json_object_set_new(object, key, json_stringn((const char *)s.ptr, s.len));
    }
}

static void more_put(json_t *object, const struct explained *s)
{
    json_t *list = s->n_more == 0 ? NULL : json_array();
    for (uint32_t i = 0; i < s->n_more; i++) {
        json_t *label = json_object();
        text_put(label, "label", s->more[i].label);
        text_put(label, "reason", slice_str(reason_name(s->more[i].reason)));
        (void)json_array_append_new(list, label);
    }
    if (list != NULL) {
        (void)json_object_set_new(object, "more_labels", list);
    }
}

static json_t *series_json(const struct explained *s)
{
    json_t *o = json_object();
    bool ok = s->reason == REASON_NONE;
    (void)json_object_set_new(o, "accepted", json_boolean(ok));
    text_put(o, "metric", s->sent);
    text_put(o, "series", s->stored);
    text_put(o, "kind", s->kind);
    text_put(o, "unit", s->unit);
    text_put(o, "source", s->source);
    text_put(o, "class", s->class);
    text_put(o, "reason", ok ? SLICE_NONE : slice_str(reason_name(s->reason)));
    text_put(o, "label", s->label);
    more_put(o, s);
    text_put(o, "rule", s->rule);
    text_put(o, "what", s->what);
    text_put(o, "help", s->help);
    if (s->is_stripped) {
        (void)json_object_set_new(o, "stripped", json_true());
    }
    return o;
}

static json_t *reject_json(const struct reject *r)
{
    json_t *o = json_object();
    text_put(o, "metric", r->metric);
    text_put(o, "reason", slice_str(reason_name(r->reason)));
    text_put(o, "label", r->culprit == NULL ? SLICE_NONE : r->culprit->label);
    text_put(o, "what", r->what);
    (void)json_object_set_new(o, "samples", json_integer((json_int_t)r->n_samples));
    return o;
}

static bool json_print(json_t *o, FILE *out)
{
    bool ok = o != NULL && json_dumpf(o, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(o);
    return ok;
}

bool explanation_print_json(const struct explanation *x, FILE *out)
{
    json_t *o = json_object();
    json_t *series = json_array();
    json_t *refused = json_array();
    for (const struct explained *s = x->first; s != NULL; s = s->next) {
        (void)json_array_append_new(series, series_json(s));
    }
    for (const struct reject *r = x->rejects; r != NULL; r = r->next) {
        (void)json_array_append_new(refused, reject_json(r));
    }
    text_put(o, "tenant", x->tenant);
    text_put(o, "policy", slice_str(x->policy_version));
    text_put(o, "format", slice_str(x->format));
    if (x->record_reason != REASON_NONE) {
        text_put(o, "reason", slice_str(reason_name(x->record_reason)));
        text_put(o, "what", x->record_text);
    }
    (void)json_object_set_new(o, "series", series);
    (void)json_object_set_new(o, "refused", refused);
    (void)json_object_set_new(o, "samples", json_integer((json_int_t)x->n_samples));
    (void)json_object_set_new(o, "samples_refused", json_integer((json_int_t)x->n_samples_refused));
    return json_print(o, out);
}

/* --- reasons --- */

void reasons_print(FILE *out)
{
    (void)fprintf(out,
                  "| reason | of a | kind | what it means, what to change |\n|---|---|---|---|\n");
    for (int i = REASON_NONE + 1; i < N_REASONS; i++) {
        const struct reason_info *r = reason_info((enum reason)i);
        (void)fprintf(out, "| `%s` | %s | %s | %s |\n", r->name, reason_unit_name(r->unit),
                      reason_fate_name(r->fate), r->help);
    }
}

bool reasons_print_json(FILE *out)
{
    json_t *all = json_array();
    for (int i = REASON_NONE + 1; i < N_REASONS; i++) {
        const struct reason_info *r = reason_info((enum reason)i);
        json_t *o = json_object();
        text_put(o, "reason", slice_str(r->name));
        text_put(o, "of", slice_str(reason_unit_name(r->unit)));
        text_put(o, "kind", slice_str(reason_fate_name(r->fate)));
        text_put(o, "help", slice_str(r->help));
        (void)json_array_append_new(all, o);
    }
    return json_print(all, out);
}
