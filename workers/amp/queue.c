/* A shard's queue of scrapes, and how requests are cut off it. */
#include "shard.h"

void work_push(struct shard *shard, struct work *w)
{
    w->next = shard->stack;
    shard->stack = w;
}

int64_t queue_due_ms(const struct sender *s, const struct shard *shard)
{
    if (shard->first == NULL) {
        return INT64_MAX;
    }
    bool full = shard->n_points >= s->o.max_samples || shard->n_bytes >= s->o.max_bytes;
    return full ? 0 : shard->first->taken_ms + s->o.batch_deadline_ms;
}

/* Of the oldest scrape's points as many as a request of that size has room for, at least one. A
 * scrape that fits into a request of its own is not cut: templates are for whole ones. */
static uint32_t points_that_fit(const struct sender *s, const struct shard *shard,
                                const struct work *w, size_t n_bytes)
{
    const struct scrape *scrape = shard->first;
    uint32_t n_series = scrape->shape->n_series;
    uint32_t left = n_series - shard->first_at;
    size_t per_point = scrape->n_wire_bytes / n_series + 1;
    size_t by_bytes = n_bytes < s->o.max_bytes ? (s->o.max_bytes - n_bytes) / per_point : 0;
    uint32_t room = w->n_points < s->o.max_samples ? s->o.max_samples - w->n_points : 0;
    room = by_bytes < room ? (uint32_t)by_bytes : room;
    room = room == 0 && w->n_points == 0 ? 1 : room;
    if (room < left && w->n_points > 0 && left <= s->o.max_samples &&
        scrape->n_wire_bytes <= s->o.max_bytes) {
        return 0;
    }
    return room < left ? room : left;
}

struct work *queue_cut(struct sender *s, struct shard *shard)
{
    size_t n_scrapes = 0;
    uint32_t n_points = 0;
    for (const struct scrape *c = shard->first; c != NULL && n_points <= s->o.max_samples;
         c = c->next) {
        n_points += c->shape->n_series;
        n_scrapes++;
    }
    struct work *w = work_new(n_scrapes + 1);
    size_t n_bytes = 0;
    while (w != NULL && shard->first != NULL && w->n_pieces <= n_scrapes) {
        struct scrape *scrape = shard->first;
        uint32_t n = points_that_fit(s, shard, w, n_bytes);
        if (n == 0) {
            break;
        }
        size_t n_piece_bytes = scrape->n_wire_bytes / scrape->shape->n_series * n;
        work_add(w, (struct piece){
                        .scrape = scrape, .from = shard->first_at, .to = shard->first_at + n});
        n_bytes += n_piece_bytes;
        shard->n_points -= n;
        shard->first_at += n;
        if (shard->first_at < scrape->shape->n_series) {
            break;
        }
        shard->n_bytes -= scrape->n_wire_bytes;
        shard->first = scrape->next;
        shard->first_at = 0;
    }
    return w;
}

bool scrape_is_ours(const struct sender *s, const struct scrape *c)
{
    return c->partition != NULL && s->hooks.owns(s->hooks.ctx, c->partition);
}

static void forget(struct scrape *c, const struct partition *p)
{
    if (c->offset == NO_OFFSET && c->partition == p) {
        c->partition = NULL;
    }
}

static void works_forget(const struct work *w, const struct partition *p)
{
    for (; w != NULL; w = w->next) {
        for (uint32_t i = 0; i < w->n_pieces; i++) {
            forget(w->pieces[i].scrape, p);
        }
    }
}

void sender_forget(struct sender *s, const struct partition *p)
{
    for (uint32_t i = 0; i < s->o.n_shards; i++) {
        const struct shard *shard = &s->shards[i];
        for (struct scrape *c = shard->first; c != NULL; c = c->next) {
            forget(c, p);
        }
        works_forget(shard->current, p);
        works_forget(shard->stack, p);
        for (size_t k = 0; k < shard->parked.n; k++) {
            forget(shard->parked.points[k].piece.scrape, p);
        }
    }
}

/* Of the partition, in the shard. */
static size_t shard_points_of(const struct shard *shard, const struct partition *p)
{
    size_t n = 0;
    for (const struct scrape *c = shard->first; c != NULL; c = c->next) {
        n += c->partition == p ? c->shape->n_series : 0;
    }
    const struct work *works[] = {shard->current, shard->stack};
    for (int i = 0; i < 2; i++) {
        for (const struct work *w = works[i]; w != NULL; w = w->next) {
            for (uint32_t k = 0; k < w->n_pieces; k++) {
                const struct piece *piece = &w->pieces[k];
                n += piece->scrape->partition == p ? piece->to - piece->from : 0;
            }
        }
    }
    return n;
}

bool sender_holds_up(const struct sender *s, const struct partition *p)
{
    enum { SHARES = 8 };
    size_t n = 0;
    for (uint32_t i = 0; i < s->o.n_shards; i++) {
        n += s->shards[i].n_failures > 0 ? shard_points_of(&s->shards[i], p) : 0;
    }
    return n > 0 && n >= s->o.max_queued_samples / SHARES;
}
