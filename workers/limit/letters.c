#include "letters.h"

#include <stdio.h>

#include "base/utf8.h"
#include "stage/dlq.h"

enum { LETTER_BYTES = 8 << 20 };

static bool count(struct outbox *out, struct cell *cell, uint64_t n, struct err *e)
{
    return n == 0 || tally_add(&out->tally, cell, (double)n) ||
           err_set(e, ERR_RETRY, "no memory for a count");
}

static bool letter_put(const struct letters *l, const struct dead_letter *letter,
                       const struct tenant *tenant, enum reason reason, struct err *e)
{
    struct buf b;
    buf_init(&b, LETTER_BYTES);
    dead_letter_encode(letter, &b);
    const struct outgoing r = {.output = l->output,
                               .partition = -1,
                               .key = letter->tenant.len > 0 ? letter->tenant : SLICE_NONE,
                               .value = buf_slice(&b)};
    bool ok = (buf_ok(&b) || err_set(e, ERR_FATAL, "out of memory")) && outbox_put(l->out, &r, e) &&
              count(l->out, tenant_reason_cell(l->tenants, tenant, M_DLQ_RECORDS, reason), 1, e);
    buf_fini(&b);
    return ok;
}

/* --- refused series --- */

struct run {
    enum reason reason;
    uint32_t first;
    uint32_t n_points;
    uint32_t end;
};

static enum reason reason_of(const struct verdict *v, uint32_t i)
{
    return v->columns[i].refusal == 0 ? REASON_NONE : FIRST_REFUSAL + v->columns[i].refusal - 1;
}

/* Has the series a letter of its own coming? */
static bool is_lettered(const struct verdict *v, uint32_t i)
{
    return reason_of(v, i) != REASON_NONE && reason_info(reason_of(v, i))->redrivable;
}

/* The next series that are refused for one reason and are of one metric, which stand together. */
static bool run_next(const struct verdict *v, const struct shape *shape, struct run *r)
{
    uint32_t i = r->end;
    while (i < v->n_series && !is_lettered(v, i)) {
        i++;
    }
    if (i == v->n_series) {
        return false;
    }
    *r = (struct run){.reason = reason_of(v, i), .first = i, .end = i};
    while (r->end < v->n_series &&
           slice_eq(shape->series[r->end].metric, shape->series[i].metric) &&
           (reason_of(v, r->end) == r->reason || !is_lettered(v, r->end))) {
        r->n_points += is_lettered(v, r->end);
        r->end++;
    }
    return true;
}

static uint32_t points_fill(const struct verdict *v, const struct shape *shape, const struct run *r,
                            const int64_t *times, uint64_t max, struct dead_letter_point *out)
{
    uint32_t n = 0;
    for (uint32_t i = r->first; i < r->end && n < max; i++) {
        if (is_lettered(v, i)) {
            out[n++] = (struct dead_letter_point){shape->series[i].id, true, times[i]};
        }
    }
    return n;
}

static int64_t budget_of(const struct letters *l, const struct tenant *tenant, enum reason reason,
                         struct slice metric)
{
    return reason == REASON_OVER_SOURCE_BUDGET ? tenant->budgets.source.max
           : reason == REASON_OVER_METRIC_BUDGET
               ? tenants_metric_budget(l->tenants, tenant, metric).max
               : tenant->budgets.tenant.max;
}

static void text_of(int64_t budget, const struct shape *shape, enum reason reason, char *out,
                    size_t size)
{
    struct slice name = slice_of(shape->source_name.ptr, utf8_fit(shape->source_name, 200));
    (void)snprintf(out, size, "source %.*s, budget %lld series: %s", SLICE_ARG(name),
                   (long long)budget, reason_info(reason)->help);
}

struct runs {
    const struct batch *batch;
    const struct verdict *verdict;
    const struct shape *shape;
    const struct tenant *tenant;
    const int64_t *times;
    struct dead_letter_point *points;
};

/* An ingest record has several batches, each with letters of its own: of 31 bits, 16 tell the batch
 * and 15 where the run begins in it. */
static int64_t letter_index(const struct batch *b, const struct run *r)
{
    return (int64_t)((uint32_t)b->origin.index & 0xffff) << 15 | (r->first & 0x7fff);
}

static bool run_put(const struct letters *l, const struct runs *runs, const struct run *r,
                    struct err *e)
{
    const struct batch *b = runs->batch;
    struct cap_grant grant;
    char text[640];
    struct cell *suppressed =
        tenant_reason_cell(l->tenants, runs->tenant, M_DLQ_SUPPRESSED, r->reason);
    if (!caps_take(l->caps, b->tenant, r->reason, l->time_ms, r->n_points, &grant, e) ||
        !count(l->out, suppressed, r->n_points - grant.n, e)) {
        return false;
    }
    if (grant.n == 0) {
        return true;
    }
    struct slice metric = runs->shape->series[r->first].metric;
    text_of(budget_of(l, runs->tenant, r->reason, metric), runs->shape, r->reason, text,
            sizeof text);
    const struct dead_letter letter = {
        .tenant = b->tenant,
        .stage = "limit",
        .reason = reason_name(r->reason),
        .metric = metric,
        .received_ms = b->received_ms,
        .topic = b->origin.topic,
        .topic_id = b->origin.topic_id,
        .partition = b->origin.partition,
        .offset = b->origin.offset,
        .index = letter_index(b, r),
        .n_samples = r->n_points,
        .n_points = points_fill(runs->verdict, runs->shape, r, runs->times, grant.n, runs->points),
        .points = runs->points,
        .text = slice_str(text),
        .policy_version = l->policy_version,
        .n_suppressed = grant.n_suppressed,
    };
    return letter_put(l, &letter, runs->tenant, r->reason, e);
}

static bool counts_put(const struct letters *l, const struct verdict *v,
                       const struct tenant *tenant, struct err *e)
{
    for (int i = 0; i < N_REFUSALS; i++) {
        if (v->n_by_refusal[i] > 0) {
            struct cell *cell = tenant_reason_cell(l->tenants, tenant, M_SAMPLES_REJECTED,
                                                   (enum reason)(FIRST_REFUSAL + i));
            if (!count(l->out, cell, v->n_by_refusal[i], e)) {
                return false;
            }
        }
    }
    return true;
}

/* Is a letter allowed at all? Else the shape need not be looked at. */
static bool any_allowed(const struct letters *l, const struct batch *b, const struct verdict *v)
{
    for (int i = 0; i < N_REFUSALS; i++) {
        if (v->n_by_refusal[i] > 0 && reason_info((enum reason)(FIRST_REFUSAL + i))->redrivable &&
            caps_left(l->caps, b->tenant, (enum reason)(FIRST_REFUSAL + i), l->time_ms) > 0) {
            return true;
        }
    }
    return false;
}

/* The caps keep count of what no letter tells. */
static bool suppressed_put(const struct letters *l, const struct batch *b, const struct verdict *v,
                           const struct tenant *tenant, struct err *e)
{
    for (int i = 0; i < N_REFUSALS; i++) {
        enum reason reason = (enum reason)(FIRST_REFUSAL + i);
        struct cap_grant none;
        if (v->n_by_refusal[i] > 0 && reason_info(reason)->redrivable &&
            (!caps_take(l->caps, b->tenant, reason, l->time_ms, v->n_by_refusal[i], &none, e) ||
             !count(l->out, tenant_reason_cell(l->tenants, tenant, M_DLQ_SUPPRESSED, reason),
                    v->n_by_refusal[i], e))) {
            return false;
        }
    }
    return true;
}

bool letters_put(const struct letters *l, struct judge *j, const struct batch *b,
                 const struct verdict *v, const struct tenant *tenant, struct err *e)
{
    struct shape shape;
    if (v->n_refused == 0) {
        return true;
    }
    if (!counts_put(l, v, tenant, e)) {
        return false;
    }
    if (!any_allowed(l, b, v)) {
        return suppressed_put(l, b, v, tenant, e);
    }
    if (!judge_shape(j, b, &shape, e)) {
        return false;
    }
    int64_t *times = ARENA_ARRAY(&j->arena, int64_t, shape.n_series);
    struct dead_letter_point *points =
        ARENA_ARRAY(&j->arena, struct dead_letter_point, shape.n_series);
    if (times == NULL || points == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!batch_times_decode(&b->times, shape.n_series, times, e)) {
        return false;
    }
    struct runs runs = {b, v, &shape, tenant, times, points};
    for (struct run r = {0}; run_next(v, &shape, &r);) {
        if (!run_put(l, &runs, &r, e)) {
            return false;
        }
    }
    return true;
}

/* --- records --- */

bool letters_put_record(const struct letters *l, const struct record *r, enum reason reason,
                        const char *text, struct err *e)
{
    const struct partition *p = r->partition;
    const struct tenant *nobody = &l->tenants->nobody;
    struct cap_grant grant;
    if (!count(l->out, tenant_reason_cell(l->tenants, nobody, M_RECORDS_REJECTED, reason), 1, e) ||
        !caps_take(l->caps, SLICE_NONE, reason, r->timestamp_ms, 1, &grant, e) ||
        !count(l->out, tenant_reason_cell(l->tenants, nobody, M_DLQ_SUPPRESSED, reason),
               1 - grant.n, e)) {
        return false;
    }
    if (grant.n == 0) {
        return true;
    }
    const struct dead_letter letter = {
        .stage = "limit",
        .reason = reason_name(reason),
        .received_ms = r->timestamp_ms,
        .topic = p->topic,
        .topic_id = p->topic_id,
        .partition = p->number,
        .offset = r->offset,
        .text = slice_str(text),
        .policy_version = l->policy_version,
        .n_suppressed = grant.n_suppressed,
    };
    return letter_put(l, &letter, nobody, reason, e);
}
