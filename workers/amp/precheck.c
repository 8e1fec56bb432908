/* What the store would refuse, before it is sent: too old, behind its series, names that no store
 * of Prometheus's kind takes. Only what is certain; the store judges the rest. */
#include "shard.h"

#include <stdlib.h>

#define REASON_TOO_OLD "too_old_to_send"
#define REASON_DUPLICATE "duplicate"
#define REASON_UNWANTED "not_planned"

enum { MARGIN_REQUESTS = 2, MAX_MARGIN_PART = 10 };

enum finding { FIND_FIT, FIND_OLD, FIND_DUPLICATE, FIND_LATE, FIND_NAME, FIND_UNWANTED };

/* Samples from before are too old when they arrive. */
static int64_t age_limit_ms(const struct sender *s)
{
    if (s->o.max_sample_age_ms == 0) {
        return INT64_MIN;
    }
    int64_t margin_ms = (int64_t)(s->request_ms * MARGIN_REQUESTS);
    int64_t most_ms = s->o.max_sample_age_ms / MAX_MARGIN_PART;
    return s->wall_ms - s->o.max_sample_age_ms + (margin_ms < most_ms ? margin_ms : most_ms);
}

bool precheck_finds_old(const struct sender *s, const struct work *w)
{
    int64_t limit_ms = age_limit_ms(s);
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        if (w->pieces[i].scrape->min_ms < limit_ms) {
            return true;
        }
    }
    return false;
}

/* May some point of the piece be unfit? in_order: nothing of the work was sent before, so what the
 * store has of its series is not the work's own. (Of what was redelivered the store says more.) */
static bool is_suspect(struct sender *s, const struct piece *p, int64_t limit_ms, bool in_order)
{
    return p->scrape->min_ms < limit_ms || p->scrape->shape->n_unwanted > 0 ||
           (s->o.check_names && p->scrape->shape->n_bad_names > 0) ||
           (in_order && !p->scrape->redelivered && newest_is_behind(&s->newest, p->scrape));
}

static enum finding judge(struct sender *s, const struct scrape *scrape, uint32_t point,
                          int64_t limit_ms, bool in_order)
{
    const struct wire_series *series = &scrape->shape->series[point];
    int64_t t_ms = scrape_time_ms(scrape, point);
    if (series->unwanted) {
        return FIND_UNWANTED;
    }
    if (series->delta) {
        return FIND_FIT; /* never sent, counted elsewhere */
    }
    if (t_ms < limit_ms) {
        return FIND_OLD;
    }
    if (s->o.check_names && series->bad_name) {
        return FIND_NAME;
    }
    bool known = in_order && !scrape->redelivered;
    int64_t newest_ms = known ? newest_of(&s->newest, series->id) : INT64_MIN;
    if (known && newest_has(&s->newest, series->id, t_ms)) {
        return FIND_DUPLICATE;
    }
    bool late = s->o.out_of_order_ms > 0 && newest_ms != INT64_MIN &&
                t_ms < newest_ms - s->o.out_of_order_ms;
    return late ? FIND_LATE : FIND_FIT;
}

static bool skip_old(struct sender *s, const struct piece *p, int64_t now_ms, struct err *e)
{
    bool is_new;
    struct scrape *scrape = p->scrape;
    if (scrape->offset == NO_OFFSET) {
        settle_skipped(s, p, REASON_TOO_OLD);
        return true;
    }
    if (!gaps_add(&s->gaps, scrape, p->from, p->to, REASON_TOO_OLD, now_ms, &is_new)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (is_new) {
        s->hooks.hold(s->hooks.ctx, scrape->partition, scrape->offset);
    }
    settle_skipped(s, p, REASON_TOO_OLD);
    return true;
}

static bool drop(struct sender *s, const struct piece *p, enum finding finding, int64_t now_ms,
                 struct err *e)
{
    if (finding == FIND_OLD) {
        return skip_old(s, p, now_ms, e);
    }
    if (finding == FIND_NAME) {
        return settle_dead(
            s, p, refusal_reason(REFUSAL_OWN),
            "not sent: the name of the metric or of a label is not one of Prometheus's", e);
    }
    if (finding == FIND_DUPLICATE || finding == FIND_UNWANTED) {
        settle_skipped(s, p, finding == FIND_DUPLICATE ? REASON_DUPLICATE : REASON_UNWANTED);
        return true;
    }
    return settle_dead(s, p, refusal_reason(REFUSAL_OLD),
                       "not sent: further behind the newest sample of its series than "
                       "out_of_order_ms",
                       e);
}

/* The fit points of a piece, as runs, into made. */
static bool sift(struct sender *s, const struct piece *p, bool in_order, int64_t limit_ms,
                 int64_t now_ms, struct work *made, struct err *e)
{
    const struct wire_shape *shape = p->scrape->shape;
    if (p->scrape->max_ms < limit_ms && shape->n_delta == 0 && shape->n_unwanted == 0) {
        return skip_old(s, p, now_ms, e);
    }
    struct piece run = *p;
    run.to = run.from;
    bool ok = true;
    for (uint32_t at = p->from; ok && at < p->to; at++) {
        enum finding finding = judge(s, p->scrape, at, limit_ms, in_order);
        if (finding == FIND_FIT) {
            run.to = at + 1;
            continue;
        }
        if (run.to > run.from) {
            work_add(made, run);
        }
        run.from = run.to = at + 1;
        struct piece one = *p;
        one.from = at;
        one.to = at + 1;
        ok = drop(s, &one, finding, now_ms, e);
    }
    if (run.to > run.from) {
        work_add(made, run);
    }
    return ok;
}

bool precheck_work(struct sender *s, struct work **w, int64_t now_ms, struct err *e)
{
    const struct work *old = *w;
    int64_t limit_ms = age_limit_ms(s);
    bool in_order = !old->sent_before && !old->maybe_there && !old->probe;
    size_t n_pieces = old->n_pieces;
    for (uint32_t i = 0; i < old->n_pieces; i++) {
        const struct piece *p = &old->pieces[i];
        n_pieces += is_suspect(s, p, limit_ms, in_order) ? p->to - p->from : 0;
    }
    if (n_pieces == old->n_pieces) {
        return true;
    }
    struct work *made = work_like(old, n_pieces);
    if (made == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    bool ok = true;
    for (uint32_t i = 0; ok && i < old->n_pieces; i++) {
        const struct piece *p = &old->pieces[i];
        if (is_suspect(s, p, limit_ms, in_order)) {
            ok = sift(s, p, in_order, limit_ms, now_ms, made, e);
        } else {
            work_add(made, *p);
        }
    }
    free(*w);
    *w = made;
    return ok;
}

/* --- gaps --- */

bool gaps_flush(struct sender *s, int64_t now_ms, struct err *e)
{
    if (!gaps_due(&s->gaps, now_ms, s->n_queued == 0)) {
        return true;
    }
    size_t at = 0;
    const struct gap *g;
    while ((g = table_next(&s->gaps.rows, &at)) != NULL) {
        if (s->hooks.owns(s->hooks.ctx, g->partition) && !s->o.fault_no_gaps) {
            struct slice values[2] = {g->tenant, slice_str(g->reason)};
            if (!s->hooks.gap(s->hooks.ctx, g, e)) {
                return false;
            }
            cell_add(metrics_cell(s->metrics, M_GAPS, values), 1);
        }
        s->hooks.release(s->hooks.ctx, g->partition, g->first_offset);
    }
    table_clear(&s->gaps.rows);
    return true;
}
