#include "known.h"

/* Of an entry: more than a slot's own, so that the set's ceiling bounds its slots. */
enum { KNOWN_COST_BYTES = 64 };
/* What was learned so lately is not learned again: by so much less a series may be known. */
enum { MINUTE_MS = 60000, KNOWN_MINUTES = 90, LEARNED_MINUTES = 10 };

static uint32_t minute_of(int64_t ms)
{
    int64_t minute = ms / MINUTE_MS;
    return minute < 0 ? 0 : minute > UINT32_MAX ? UINT32_MAX : (uint32_t)minute;
}

/* When a sample was taken, and its own time, in minutes; 0 = never. */
static uint64_t taken_at(int64_t wall_ms, int64_t sample_ms)
{
    return (uint64_t)minute_of(wall_ms) << 32 | minute_of(sample_ms);
}

/* A late sample, or a wall clock that was set back, does not make it longer ago. */
static bool within(uint64_t taken, int64_t minutes, int64_t wall_ms, int64_t sample_ms)
{
    int64_t wall_minutes = (int64_t)minute_of(wall_ms) - (int64_t)(taken >> 32);
    int64_t sample_minutes = (int64_t)minute_of(sample_ms) - (int64_t)(uint32_t)taken;
    return taken != 0 && wall_minutes <= minutes && sample_minutes <= minutes;
}

void known_init(struct known *k, size_t max_bytes)
{
    table_init(&k->series, max_bytes, NULL);
}

void known_fini(struct known *k)
{
    table_fini(&k->series);
}

void known_learn(struct known *k, const struct piece *p, int64_t wall_ms)
{
    struct wire_shape *w = p->scrape->shape;
    if (within(w->known, LEARNED_MINUTES, wall_ms, p->scrape->max_ms)) {
        return;
    }
    for (uint32_t i = p->from; i < p->to; i++) {
        uint64_t taken = taken_at(wall_ms, scrape_time_ms(p->scrape, i));
        if (taken != 0) {
            /* Without memory the series stays unknown: it may wait longer at a limit. */
            (void)table_put(&k->series, w->series[i].id, (void *)(uintptr_t)taken,
                            KNOWN_COST_BYTES);
        }
    }
    if (p->to - p->from == w->n_series) {
        w->known = taken_at(wall_ms, p->scrape->min_ms);
    }
}

bool known_shape(const struct scrape *s, int64_t wall_ms)
{
    return within(s->shape->known, KNOWN_MINUTES, wall_ms, s->max_ms);
}

bool known_has(struct known *k, const struct piece *p, int64_t wall_ms)
{
    uint64_t taken =
        (uint64_t)(uintptr_t)table_find(&k->series, p->scrape->shape->series[p->from].id);
    return within(taken, KNOWN_MINUTES, wall_ms, scrape_time_ms(p->scrape, p->from));
}
