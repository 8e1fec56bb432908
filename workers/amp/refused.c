#include "named.h"
#include "shard.h"

#include <stdlib.h>

enum { TEXT_BYTES = 512, MAX_LIMIT_RUN = 3, MAX_PROBE_SERIES = 1024 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

static bool series_known(struct sender *s, const struct piece *p)
{
    return known_shape(p->scrape, s->wall_ms) || known_has(&s->known, p, s->wall_ms);
}

/* --- the series limit --- */

static bool is_limited(const struct shard *shard)
{
    bool probing = shard->current != NULL && shard->current->probe;
    for (const struct work *w = shard->stack; w != NULL; w = w->next) {
        probing = probing || w->probe;
    }
    return probing || shard->parked.n > 0;
}

void limited_update(struct sender *s)
{
    bool limited = false;
    for (uint32_t i = 0; i < s->o.n_shards; i++) {
        limited = limited || is_limited(&s->shards[i]);
    }
    if (limited != s->limited) {
        s->limited = limited;
        cell_set(s->cells.limited, limited ? 1 : 0);
        s->hooks.notice(s->hooks.ctx, limited ? NOTICE_LIMITED : NOTICE_NOT_LIMITED, 0,
                        s->limit_text);
    }
}

static bool park(struct sender *s, struct shard *shard, const struct piece *p, bool maybe_there,
                 int64_t now_ms, struct err *e)
{
    if (shard->parked.n == 0) {
        shard->n_probe_failures = 0;
        shard->n_probe_series = 1;
        shard->probe_ms = now_ms + backoff_ms(s, 0);
    }
    if (!parked_put(&shard->parked, *p, now_ms, maybe_there)) {
        return no_memory(e);
    }
    return true;
}

static bool park_all(struct sender *s, struct shard *shard, const struct work *w, int64_t now_ms,
                     struct err *e)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < w->n_pieces; i++) {
        ok = park(s, shard, &w->pieces[i], w->maybe_there, now_ms, e);
    }
    return ok;
}

/* After several single points in a row the rest that a limit may explain waits untried: a probe
 * will tell, and a full store is not asked a thousand times. */
static bool park_suspects(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
{
    bool ok = true;
    while (ok && shard->stack != NULL && shard->stack->suspect) {
        struct work *w = shard->stack;
        shard->stack = w->next;
        ok = park_all(s, shard, w, now_ms, e);
        free(w);
    }
    return ok;
}

void limited_taken(struct shard *shard, int64_t now_ms)
{
    shard->n_probe_failures = 0;
    shard->n_probe_series *= shard->n_probe_series < MAX_PROBE_SERIES ? 2 : 1;
    shard->probe_ms = now_ms;
}

static bool probe_failed(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
{
    struct work *w = shard->current;
    uint32_t n_failures = shard->n_probe_failures + 1;
    shard->current = NULL;
    bool ok = park_all(s, shard, w, now_ms, e); /* with nothing else there a count begins anew */
    shard->n_probe_failures = n_failures;
    shard->n_probe_series = 1;
    shard->probe_ms = now_ms + backoff_ms(s, n_failures);
    free(w);
    return ok;
}

static bool give_up_parked(void *ctx, const struct parked_point *point, struct err *e)
{
    struct sender *s = ctx;
    if (!s->hooks.owns(s->hooks.ctx, point->piece.scrape->partition)) {
        settle_lost(s, &point->piece);
    } else if (point->maybe_there || point->piece.scrape->redelivered) {
        settle_already_there(s, &point->piece);
    } else {
        return settle_dead(s, &point->piece, refusal_reason(REFUSAL_LIMIT), "", e);
    }
    return true;
}

bool limited_expire(struct sender *s, struct shard *shard, int64_t before_ms, struct err *e)
{
    return parked_expire(&shard->parked, before_ms, give_up_parked, s, e);
}

/* Since when the longest waits, if what waits takes half of the room or more; INT64_MAX: it does
 * not. The other half is for the known series. */
static int64_t crowded_since_ms(const struct sender *s)
{
    size_t n = 0;
    size_t n_bytes = 0;
    int64_t oldest_ms = INT64_MAX;
    for (uint32_t i = 0; i < s->o.n_shards; i++) {
        const struct parked *p = &s->shards[i].parked;
        n += p->n;
        n_bytes += p->n_bytes;
        oldest_ms = p->oldest_ms < oldest_ms ? p->oldest_ms : oldest_ms;
    }
    bool crowded = n > s->o.max_queued_samples / 2 || n_bytes > s->o.max_queued_bytes / 2;
    return crowded ? oldest_ms : INT64_MAX;
}

/* The oldest quarter of the time at once: not all is gone through for each point. */
bool limited_make_room(struct sender *s, int64_t now_ms, struct err *e)
{
    enum { QUARTER = 4 };
    int64_t since_ms;
    bool ok = true;
    while (ok && (since_ms = crowded_since_ms(s)) != INT64_MAX) {
        int64_t before_ms = since_ms + (now_ms - since_ms) / QUARTER;
        for (uint32_t i = 0; ok && i < s->o.n_shards; i++) {
            ok = limited_expire(s, &s->shards[i], before_ms, e);
        }
    }
    return ok;
}

/* The known ones stay first: they are not to wait. */
static struct work *part_unknown(struct sender *s, struct work *w)
{
    struct work *unknown = work_like(w, w->n_pieces);
    if (unknown == NULL) {
        return NULL;
    }
    uint32_t n = w->n_pieces;
    w->n_pieces = 0;
    w->n_points = 0;
    w->parted = true;
    unknown->parted = true;
    for (uint32_t i = 0; i < n; i++) {
        struct piece p = w->pieces[i];
        work_add(series_known(s, &p) ? w : unknown, p);
    }
    return unknown;
}

static bool all_known(const struct sender *s, const struct work *w)
{
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        if (!known_shape(w->pieces[i].scrape, s->wall_ms)) {
            return false;
        }
    }
    return true;
}

/* A known series waits, too, when it was refused with the words of a limit. */
static bool any_behind(struct shard *shard, const struct work *w)
{
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        const struct piece *p = &w->pieces[i];
        for (uint32_t at = p->from; at < p->to; at++) {
            if (parked_has(&shard->parked, p->scrape->shape->series[at].id)) {
                return true;
            }
        }
    }
    return false;
}

/* Behind parked points of their series. */
static bool divert_behind(struct sender *s, struct shard *shard, struct work *w, int64_t now_ms,
                          struct err *e)
{
    uint32_t n = w->n_pieces;
    w->n_pieces = 0;
    w->n_points = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct piece p = w->pieces[i];
        if (!parked_has(&shard->parked, piece_series(&p)->id)) {
            work_add(w, p);
        } else if (!park(s, shard, &p, w->maybe_there, now_ms, e)) {
            return false;
        }
    }
    return true;
}

bool limited_divert(struct sender *s, struct shard *shard, struct work **w, int64_t now_ms,
                    struct err *e)
{
    bool may_pass = (*w)->probe || all_known(s, *w);
    if (shard->parked.n == 0 || (may_pass && !any_behind(shard, *w))) {
        return true;
    }
    if (!(*w)->singles) {
        struct work *singles = work_singles(*w);
        if (singles == NULL) {
            return no_memory(e);
        }
        free(*w);
        *w = singles;
    }
    if (!divert_behind(s, shard, *w, now_ms, e)) {
        return false;
    }
    if (!(*w)->parted && (*w)->n_pieces > 1) {
        struct work *unknown = part_unknown(s, *w);
        if (unknown == NULL) {
            return no_memory(e);
        }
        unknown->suspect = true;
        if (unknown->n_pieces > 0) {
            work_push(shard, unknown);
        } else {
            free(unknown);
        }
    }
    if ((*w)->n_pieces == 0) {
        free(*w);
        *w = NULL;
    }
    return true;
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
        ok = park(s, shard, &p, w->maybe_there, now_ms, e) &&
             (shard->n_limit_run < MAX_LIMIT_RUN || park_suspects(s, shard, now_ms, e));
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
        struct work *unknown = part_unknown(s, w);
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
        return probe_failed(s, shard, now_ms, e);
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
