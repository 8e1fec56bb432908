#include "letters.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "stage/dlq.h"

enum { LETTER_BYTES = 8 << 20, TEXT_BYTES = 512 };

/* What a letter says beyond its origin. */
struct letter {
    enum reason reason;
    struct slice metric;
    struct slice text;
    const struct culprit *culprit;
    int32_t index;
    uint64_t n_samples;
    uint64_t n_points;
    uint64_t n_suppressed;
    const struct dead_letter_point *points;
    uint32_t n_more;
    const struct culprit_label *more;
};

/* The letter's other labels, in the caller's room; how many. */
static uint32_t more_of(const struct letter *l, struct dead_letter_label out[VERDICT_MAX_MORE])
{
    for (uint32_t i = 0; i < l->n_more; i++) {
        const struct culprit_label *label = &l->more[i];
        out[i] = (struct dead_letter_label){
            .label = label->label,
            .reason = reason_name(label->reason),
            .masked_value = label->is_masked ? slice_of(label->mask, MASK_BYTES) : SLICE_NONE};
    }
    return l->n_more;
}

static void letter_encode(const struct letter_origin *o, const struct letter *l,
                          const struct letter_target *t, struct buf *b)
{
    const struct culprit *culprit = l->culprit;
    bool is_masked = culprit != NULL && culprit->is_masked;
    bool has_key = is_masked;
    struct dead_letter_label more[VERDICT_MAX_MORE];
    uint32_t n_more = more_of(l, more);
    for (uint32_t i = 0; i < n_more; i++) {
        has_key = has_key || l->more[i].is_masked;
    }
    const struct dead_letter letter = {
        .tenant = o->tenant_name,
        .stage = "validate",
        .reason = reason_name(l->reason),
        .metric = l->metric,
        .received_ms = o->received_ms,
        .topic = o->topic,
        .topic_id = o->in->partition->topic_id,
        .partition = o->in->partition->number,
        .offset = o->in->offset,
        .index = l->index,
        .n_samples = (int64_t)l->n_samples,
        .n_points = (uint32_t)l->n_points,
        .points = l->points,
        .label = culprit == NULL ? SLICE_NONE : culprit->label,
        .masked_value = is_masked ? slice_of(culprit->mask, MASK_BYTES) : SLICE_NONE,
        .text = l->text,
        .mask_key = has_key ? t->mask_key : SLICE_NONE,
        .policy_version = t->policy_version,
        .n_suppressed = l->n_suppressed,
        .n_more = n_more,
        .more = more,
    };
    dead_letter_encode(&letter, b);
}

static bool count(struct outbox *out, struct cell *cell, uint64_t n, struct err *e)
{
    return n == 0 || tally_add(&out->tally, cell, (double)n) ||
           err_set(e, ERR_RETRY, "no memory for a count");
}

static bool letter_put(const struct letter_origin *o, const struct letter *l,
                       const struct letter_target *t, struct err *e)
{
    struct buf b;
    if (t->fault_lose) {
        return true;
    }
    buf_init(&b, LETTER_BYTES);
    letter_encode(o, l, t, &b);
    const struct outgoing r = {.output = t->output,
                               .partition = -1,
                               .key = o->tenant_name.len > 0 ? o->tenant_name : SLICE_NONE,
                               .value = buf_slice(&b)};
    bool ok = buf_ok(&b) || err_set(e, ERR_FATAL, "out of memory");
    ok = ok && outbox_put(t->out, &r, e) &&
         count(t->out,
               tenant_cell(t->metrics, o->cells, o->cells->letters, M_DLQ_RECORDS, l->reason), 1,
               e);
    buf_fini(&b);
    return ok;
}

static const struct dead_letter_point *points_of(struct arena *a, const struct reject *reject,
                                                 uint64_t n)
{
    struct dead_letter_point *points = ARENA_ARRAY(a, struct dead_letter_point, n);
    for (uint64_t i = 0; points != NULL && i < n; i++) {
        const struct reject_point *p = &reject->points[i];
        points[i] = (struct dead_letter_point){p->series, p->has_series, p->time_ms};
    }
    return points;
}

static struct slice text_of(const struct reject *reject, char text[TEXT_BYTES])
{
    const struct point_place *place = &reject->place;
    char where[64] = "";
    if (reject->has_place) {
        (void)snprintf(where, sizeof where,
                       "resource %" PRIu32 ": metric %" PRIu32 ": point %" PRIu32 ": ",
                       place->resource, place->metric, place->point);
    }
    (void)snprintf(text, TEXT_BYTES, "%s%.*s", where, SLICE_ARG(reject->what));
    return slice_str(text);
}

static bool reject_put(struct arena *a, const struct reject *reject, const struct letter_origin *o,
                       const struct letter_target *t, int32_t *n_letters, struct err *e)
{
    struct tenant_cells *c = o->cells;
    if (!count(t->out, tenant_cell(t->metrics, c, c->rejected, M_SAMPLES_REJECTED, reject->reason),
               reject->n_samples, e)) {
        return false;
    }
    if (!reason_info(reject->reason)->redrivable) {
        return true;
    }
    struct cap_grant grant;
    if (!caps_take(t->caps, c->label, reject->reason, o->received_ms, reject->n_samples, &grant,
                   e) ||
        !count(t->out, tenant_cell(t->metrics, c, c->suppressed, M_DLQ_SUPPRESSED, reject->reason),
               reject->n_samples - grant.n, e)) {
        return false;
    }
    if (grant.n == 0) {
        return true;
    }
    char text[TEXT_BYTES];
    struct letter l = {
        .reason = reject->reason,
        .metric = reject->metric,
        .text = text_of(reject, text),
        .culprit = reject->culprit,
        .index = (*n_letters)++,
        .n_samples = reject->n_samples,
        .n_points = grant.n < reject->n_points ? grant.n : reject->n_points,
        .n_suppressed = grant.n_suppressed,
        .n_more = reject->n_more,
        .more = reject->more,
    };
    l.points = points_of(a, reject, l.n_points);
    if (l.points == NULL) {
        return err_set_code(e, ERR_BAD_INPUT, REASON_TOO_LARGE,
                            "takes more memory than a message may");
    }
    return letter_put(o, &l, t, e);
}

bool rejects_put(struct rejects *r, const struct letter_origin *o, const struct letter_target *t,
                 struct err *e)
{
    int32_t n_letters = 0;
    for (const struct reject *reject = r->first; reject != NULL; reject = reject->next) {
        if (!reject_put(&r->arena, reject, o, t, &n_letters, e)) {
            return false;
        }
    }
    return true;
}

bool reject_record(const struct letter_origin *o, enum reason reason, const char *detail,
                   const struct letter_target *t, struct err *e)
{
    struct tenant_cells *c = o->cells;
    if (!count(t->out, tenant_cell(t->metrics, c, c->records_rejected, M_RECORDS_REJECTED, reason),
               1, e)) {
        return false;
    }
    if (!reason_info(reason)->redrivable) {
        return true;
    }
    struct cap_grant grant;
    if (!caps_take(t->caps, c->label, reason, o->received_ms, 1, &grant, e)) {
        return false;
    }
    if (grant.n == 0) {
        return true;
    }
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%s%s%s", detail == NULL ? "" : detail,
                   detail == NULL ? "" : " | ", reason_info(reason)->help);
    const struct letter l = {
        .reason = reason, .text = slice_str(text), .n_suppressed = grant.n_suppressed};
    return letter_put(o, &l, t, e);
}
