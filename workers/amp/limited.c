/* The store's series limit: known series flow on; what it refused for the limit waits, in order,
 * and is tried again by probes. */
#include "shard.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_PROBE_SERIES = 1024 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

bool series_known(struct sender *s, const struct piece *p)
{
    return known_shape(p->scrape, s->wall_ms) || known_has(&s->known, p, s->wall_ms);
}

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

bool limited_park(struct sender *s, struct shard *shard, const struct piece *p, bool maybe_there,
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
        ok = limited_park(s, shard, &w->pieces[i], w->maybe_there, now_ms, e);
    }
    return ok;
}

/* After several single points in a row the rest that a limit may explain waits untried: a probe
 * will tell, and a full store is not asked a thousand times. */
bool limited_park_suspects(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
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

bool limited_probe_failed(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
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
    if (!scrape_is_ours(s, point->piece.scrape)) {
        settle_lost(s, &point->piece);
    } else if (point->maybe_there || point->piece.scrape->redelivered) {
        settle_already_there(s, &point->piece);
    } else {
        char text[sizeof s->limit_text + 96];
        bool any = s->limit_text[0] != '\0';
        (void)snprintf(text, sizeof text, "waited for the store's series limit; %s%s",
                       any ? "its last word of it: " : "the store says nothing of it", s->limit_text);
        return settle_dead(s, &point->piece, refusal_reason(REFUSAL_LIMIT), text, e);
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
struct work *limited_part_unknown(struct sender *s, struct work *w)
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
        } else if (!limited_park(s, shard, &p, w->maybe_there, now_ms, e)) {
            return false;
        }
    }
    return true;
}

bool limited_divert(struct sender *s, struct shard *shard, struct work **w, int64_t now_ms,
                    struct err *e)
{
    if (shard->parked.n == 0 || (((*w)->probe || all_known(s, *w)) && !any_behind(shard, *w))) {
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
        struct work *unknown = limited_part_unknown(s, *w);
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
