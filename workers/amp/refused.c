#include "named.h"
#include "shard.h"

#include <stdlib.h>

enum { TEXT_BYTES = 512, MAX_LIMIT_RUN = 3 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

/* --- the single point --- */

/* Of a point that was in a refused request before. */
static bool maybe_kept(const struct work *w, const struct piece *p, enum refusal refusal)
{
    switch (refusal) {
    case REFUSAL_ORDER: /* behind a newer one: was that in the request? */
        return p->shadowed;
    case REFUSAL_OLD:
        return p->shadowed || !w->has_late || scrape_time_ms(p->scrape, p->from) > w->late_ms;
    case REFUSAL_DUPLICATE:
        return true;
    default: /* words that tell nothing */
        return p->shadowed;
    }
}

static bool maybe_there(const struct work *w, const struct piece *p, enum refusal refusal)
{
    return p->scrape->redelivered || w->maybe_there ||
           (w->sent_before && !p->named && maybe_kept(w, p, refusal));
}

/* Rather a reference too many in the DLQ than points that are lost without a trace. */
static bool can_mean_there(enum refusal refusal)
{
    return refusal != REFUSAL_OWN && refusal != REFUSAL_OTHER;
}

/* A limit shows in its text; or in silence, and for a series that the store did not have. */
static bool is_limit(struct sender *s, const struct piece *p, enum refusal refusal)
{
    return refusal == REFUSAL_LIMIT || (refusal == REFUSAL_SILENT && !series_known(s, p));
}

/* The store's word on a point that is not a matter of a limit. */
static bool judge_point(struct sender *s, const struct work *w, const struct piece *p,
                        enum refusal refusal, const char *text, struct err *e)
{
    if (can_mean_there(refusal) && maybe_there(w, p, refusal)) {
        settle_already_there(s, p);
        return true;
    }
    return settle_dead(s, p, refusal_reason(refusal), text, e);
}

/* Without bisection: what was refused is not sent again in any part. */
static bool give_up(struct sender *s, struct shard *shard, const struct sender_answer *a,
                    struct err *e)
{
    struct work *w = shard->current;
    char text[TEXT_BYTES];
    bool ok = true;
    store_text(a->body, text, sizeof text);
    s->hooks.notice(s->hooks.ctx, NOTICE_REFUSED, a->status, text);
    shard->current = NULL;
    for (uint32_t i = 0; ok && i < w->n_pieces; i++) {
        ok = judge_point(s, w, &w->pieces[i], refusal_of(a->status, a->body), text, e);
    }
    free(w);
    return ok;
}

static bool judge_single(struct sender *s, struct shard *shard, enum verdict verdict,
                         const struct sender_answer *a, int64_t now_ms, struct err *e)
{
    struct work *w = shard->current;
    struct piece p = w->pieces[0];
    enum refusal refusal = refusal_of(a->status, a->body);
    char text[TEXT_BYTES];
    store_text(a->body, text, sizeof text);
    shard->current = NULL;
    bool ok;
    if (verdict == VERDICT_TOO_LARGE) {
        ok = settle_dead(s, &p, "store_too_large", text, e);
    } else if (is_limit(s, &p, refusal)) {
        shard->n_limit_run++;
        store_text(a->body, s->limit_text, sizeof s->limit_text);
        ok = limited_park(s, shard, &p, w->maybe_there, now_ms, e) &&
             (shard->n_limit_run < MAX_LIMIT_RUN || limited_park_suspects(s, shard, now_ms, e));
    } else {
        if (!can_mean_there(refusal) || !maybe_there(w, &p, refusal)) {
            s->hooks.notice(s->hooks.ctx, NOTICE_REFUSED, a->status, text);
        }
        ok = judge_point(s, w, &p, refusal, text, e);
    }
    free(w);
    return ok;
}

/* --- taking apart --- */

/* Delta-temporality points were never in the request. */
static struct work *singles_of(struct sender *s, const struct work *w)
{
    struct work *all = work_singles(w);
    if (all == NULL) {
        return NULL;
    }
    uint32_t n = all->n_pieces;
    all->n_pieces = 0;
    all->n_points = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct piece p = all->pieces[i];
        if (piece_series(&p)->delta) {
            settle_taken(s, &p);
        } else {
            work_add(all, p);
        }
    }
    return all;
}

static bool by_limit(const struct sender_answer *a)
{
    enum refusal refusal = refusal_of(a->status, a->body);
    return refusal == REFUSAL_LIMIT || refusal == REFUSAL_SILENT;
}

static bool take_apart(struct sender *s, struct shard *shard, enum verdict verdict,
                       const struct sender_answer *a, struct err *e)
{
    struct work *w = shard->current;
    w->sent_before = w->sent_before || verdict == VERDICT_REFUSED;
    cell_add(s->cells.bisections, 1);
    if (verdict == VERDICT_REFUSED && by_limit(a) && !w->parted) {
        struct work *unknown = limited_part_unknown(s, w);
        if (unknown == NULL) {
            return no_memory(e);
        }
        unknown->suspect = true;
        shard->current = NULL;
        if (w->n_pieces > 0 && unknown->n_pieces > 0) {
            work_push(shard, unknown);
            work_push(shard, w);
            return true;
        }
        struct work *empty = w->n_pieces > 0 ? unknown : w;
        w = w->n_pieces > 0 ? w : unknown;
        free(empty);
    }
    shard->current = NULL;
    uint32_t named = by_limit(a) ? w->n_pieces : named_first(w, a->body);
    bool ok = verdict == VERDICT_REFUSED ? bisect_refused(shard, w, named, e)
                                         : bisect_too_large(shard, w, e);
    free(w);
    return ok;
}

/* The point that the store names when it sees the request for the first time: that one was not
 * there. */
static void name_culprit(struct work *w, const struct sender_answer *a)
{
    int64_t time_ms;
    if (w->sent_before || w->maybe_there || !named_time(a->body, &time_ms)) {
        return;
    }
    uint32_t i = named_piece(w, a->body);
    if (i < w->n_pieces && !w->pieces[i].scrape->redelivered) {
        w->pieces[i].named = true;
        w->has_late = refusal_of(a->status, a->body) == REFUSAL_OLD;
        w->late_ms = time_ms;
    }
}

bool refused_handle(struct sender *s, struct shard *shard, enum verdict verdict,
                    const struct sender_answer *a, int64_t now_ms, struct err *e)
{
    struct work *w = shard->current;
    if (w->probe && verdict == VERDICT_REFUSED && by_limit(a)) {
        return limited_probe_failed(s, shard, now_ms, e);
    }
    if (!w->singles) {
        struct work *singles = singles_of(s, w);
        if (singles == NULL) {
            return no_memory(e);
        }
        free(w);
        shard->current = singles;
        w = singles;
    }
    if (verdict == VERDICT_REFUSED) {
        name_culprit(w, a);
    }
    if (w->n_pieces > 1 && verdict == VERDICT_REFUSED && !s->o.bisect && !by_limit(a)) {
        return give_up(s, shard, a, e);
    }
    if (w->n_pieces > 1) {
        return take_apart(s, shard, verdict, a, e);
    }
    return bisect_refused(shard, w, 0, e) && judge_single(s, shard, verdict, a, now_ms, e);
}
