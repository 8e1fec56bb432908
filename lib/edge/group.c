#include "edge/group.h"

#include <stdlib.h>

const char histogram_too_large[] = "packed it has more than 64 KiB: send fewer buckets";

enum { FIRST_POINTS = 16, MAX_PACKED_BYTES = 64 << 20 };

void groups_init(struct groups *g, size_t max_bytes)
{
    *g = (struct groups){.last = &g->first};
    arena_init(&g->arena, max_bytes);
    buf_init(&g->packed, MAX_PACKED_BYTES);
    buf_init(&g->encoded, batch_default_caps.max_bytes);
}

void groups_fini(struct groups *g)
{
    arena_fini(&g->arena);
    buf_fini(&g->packed);
    buf_fini(&g->encoded);
}

void groups_reset(struct groups *g)
{
    arena_reset(&g->arena);
    buf_reset(&g->packed);
    g->first = NULL;
    g->last = &g->first;
    g->pass++;
}

static bool too_large(struct err *e)
{
    return err_set_code(e, ERR_BAD_INPUT, REASON_TOO_LARGE, "takes more memory than a message may");
}

static bool group_alloc(struct arena *a, struct group *group, uint32_t cap)
{
    const size_t n = cap;
    void *entries = arena_alloc(a, n * sizeof *group->entries);
    void *times = arena_alloc(a, n * sizeof *group->times_ms);
    void *starts = arena_alloc(a, n * sizeof *group->starts_ms);
    void *values = arena_alloc(a, n * sizeof *group->values);
    if (entries == NULL || times == NULL || starts == NULL || values == NULL) {
        return false;
    }
    if (group->n > 0) {
        memcpy(entries, group->entries, group->n * sizeof *group->entries);
        memcpy(times, group->times_ms, group->n * sizeof *group->times_ms);
        memcpy(starts, group->starts_ms, group->n * sizeof *group->starts_ms);
        memcpy(values, group->values, group->n * sizeof *group->values);
    }
    group->entries = entries;
    group->times_ms = times;
    group->starts_ms = starts;
    group->values = values;
    group->cap = cap;
    return true;
}

static struct group *group_open(struct groups *g, struct stream *s)
{
    struct group *group = arena_calloc(&g->arena, 1, sizeof *group);
    if (group == NULL ||
        !group_alloc(&g->arena, group, s->n_last > FIRST_POINTS ? s->n_last : FIRST_POINTS)) {
        return NULL;
    }
    group->stream = s;
    *g->last = group;
    g->last = &group->next;
    s->group = group;
    s->pass = g->pass;
    return group;
}

struct group *group_room(struct groups *g, struct stream *s)
{
    if (s->pass != g->pass) {
        return group_open(g, s);
    }
    return group_alloc(&g->arena, s->group, s->group->cap * 2) ? s->group : NULL;
}

/* Room for n more. */
static struct group *group_reserve(struct groups *g, struct stream *s, uint32_t n)
{
    struct group *group = s->pass == g->pass ? s->group : group_open(g, s);
    if (group == NULL || group->cap - group->n >= n) {
        return group;
    }
    uint32_t cap = group->cap * 2;
    while (cap - group->n < n) {
        cap *= 2;
    }
    return group_alloc(&g->arena, group, cap) ? group : NULL;
}

bool group_add_all(struct groups *g, struct stream *s, uint32_t n, const struct entry *const *entries,
                   const struct group_columns *c)
{
    struct group *group = group_reserve(g, s, n);
    if (group == NULL) {
        return false;
    }
    uint32_t at = group->n;
    memcpy(group->entries + at, entries, n * sizeof *entries);
    memcpy(group->times_ms + at, c->times_ms, n * sizeof *c->times_ms);
    memcpy(group->starts_ms + at, c->starts_ms, n * sizeof *c->starts_ms);
    memcpy(group->values + at, c->values, n * sizeof *c->values);
    for (uint32_t i = 0; i < n; i++) {
        group->time_diff |= (uint64_t)(c->times_ms[i] ^ group->times_ms[0]);
        group->start_diff |= (uint64_t)(c->starts_ms[i] ^ group->starts_ms[0]);
    }
    group->n += n;
    return true;
}

/* n times into the batch's form: one value, or a delta for each in the shape's order. */
static bool times_fill(struct arena *a, const int64_t *times_ms, bool all_equal,
                       const struct plan *plan, uint32_t n, struct batch_times *out)
{
    *out = (struct batch_times){.base_ms = times_ms[plan->order[0]]};
    if (all_equal) {
        return true;
    }
    int64_t *deltas = arena_alloc(a, n * sizeof *deltas);
    if (deltas == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        deltas[i] = times_ms[plan->order[i]] - out->base_ms;
    }
    out->n_deltas = n;
    out->deltas = deltas;
    return true;
}

/* The histograms of a column, in its order. */
static bool packed_fill(struct groups *g, const struct group *group, const uint32_t *points,
                        uint32_t n, struct slice *out)
{
    size_t n_bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_bytes += group->values[points[i]] & UINT32_MAX;
    }
    uint8_t *to = arena_alloc(&g->arena, n_bytes);
    if (to == NULL) {
        return false;
    }
    *out = slice_of(to, n_bytes);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t place = group->values[points[i]];
        memcpy(to, g->packed.ptr + (place >> 32), place & UINT32_MAX);
        to += place & UINT32_MAX;
    }
    return true;
}

static bool columns_fill(struct groups *g, const struct group *group, const struct plan *plan,
                         struct batch *b)
{
    uint64_t *values = arena_alloc(&g->arena, plan->n_scalars * sizeof *values);
    if (values == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < plan->n_scalars; i++) {
        values[i] = group->values[plan->columns[i]];
    }
    b->values = slice_of(values, plan->n_scalars * sizeof *values);
    const uint32_t *exponential = plan->columns + plan->n_scalars;
    return packed_fill(g, group, exponential, plan->n_exp, &b->exp) &&
           packed_fill(g, group, exponential + plan->n_exp, plan->n_classic, &b->classic) &&
           times_fill(&g->arena, group->times_ms, group->time_diff == 0, plan, group->n,
                      &b->times) &&
           times_fill(&g->arena, group->starts_ms, group->start_diff == 0, plan, group->n,
                      &b->starts);
}

static bool batch_put(struct groups *g, const struct group *group, const struct plan *plan,
                      struct batch_target *t, struct err *e)
{
    const struct stream *s = group->stream;
    struct batch b = {
        .tenant = s->tenant,
        .class = s->class,
        .source = s->source,
        .received_ms = t->received_ms,
        .origin = t->origin,
        .shape = plan->shape,
    };
    if (!columns_fill(g, group, plan, &b)) {
        return too_large(e);
    }
    buf_reset(&g->encoded);
    batch_encode(&b, &g->encoded);
    if (!buf_ok(&g->encoded)) {
        return err_set_code(e, ERR_BAD_INPUT, REASON_TOO_LARGE, "a batch larger than %zu bytes",
                            g->encoded.max_bytes);
    }
    t->origin.index += t->origin.topic.len > 0;
    t->n_samples += group->n;
    return t->put(t->ctx, &b, group->n, buf_slice(&g->encoded), e);
}

/* A point of a group with a series twice or too many, on its way into order. */
struct candidate {
    const struct known_series *known;
    int64_t time_ms;
    uint32_t point;
    uint32_t round;
};

/* Of two series of the same identity, which is kept, must not depend on their order of arrival. */
static int variant_cmp(const struct known_series *x, const struct known_series *y)
{
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->delta != y->delta) {
        return x->delta ? 1 : -1;
    }
    int order = slice_cmp(x->unit, y->unit);
    if (order == 0) {
        order = slice_cmp(slice_of(x->bounds, x->n_bounds * sizeof *x->bounds),
                          slice_of(y->bounds, y->n_bounds * sizeof *y->bounds));
    }
    return order != 0 ? order : (x->stripped > y->stripped) - (x->stripped < y->stripped);
}

static int identity_cmp(const struct known_series *x, const struct known_series *y)
{
    if (x->id.hi != y->id.hi) {
        return x->id.hi < y->id.hi ? -1 : 1;
    }
    return (x->id.lo > y->id.lo) - (x->id.lo < y->id.lo);
}

static int candidate_cmp(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    int order = identity_cmp(x->known, y->known);
    order = order != 0 ? order : variant_cmp(x->known, y->known);
    order = order != 0 ? order : (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
    return order != 0 ? order : (x->point > y->point) - (x->point < y->point);
}

static int round_cmp(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return x->round != y->round ? (x->round > y->round) - (x->round < y->round)
                                : (x->point > y->point) - (x->point < y->point);
}

static bool same_value(const struct groups *g, const struct group *group, const struct candidate *x,
                       const struct candidate *y)
{
    uint64_t a = group->values[x->point];
    uint64_t b = group->values[y->point];
    if (group->starts_ms[x->point] != group->starts_ms[y->point]) {
        return false;
    }
    if (x->known->kind == SERIES_COUNTER || x->known->kind == SERIES_GAUGE) {
        return a == b;
    }
    return slice_eq(slice_of(g->packed.ptr + (a >> 32), a & UINT32_MAX),
                    slice_of(g->packed.ptr + (b >> 32), b & UINT32_MAX));
}

static bool reject_candidate(struct batch_target *t, const struct candidate *c, enum reason reason,
                             struct err *e)
{
    const struct rejected_point p = {
        .reason = reason, .metric = c->known->metric, .id = &c->known->id, .time_ms = c->time_ms};
    return reject_add(t->rejects, &p, e);
}

/* Why c can't go along; before is the point of its series kept last. */
static enum reason reason_of(const struct groups *g, const struct group *group,
                             const struct candidate *winner, const struct candidate *before,
                             const struct candidate *c)
{
    if (variant_cmp(winner->known, c->known) != 0) {
        return REASON_SERIES_COLLISION;
    }
    if (before->time_ms == c->time_ms) {
        return same_value(g, group, before, c) ? REASON_DUPLICATE_SAME : REASON_DUPLICATE_POINT;
    }
    return REASON_NONE;
}

/* Sorts the points into rounds: round k takes the k-th point of each series, in order of time.
 * What can't go along is rejected. *n_kept are left, in front. */
static bool rounds_of(const struct groups *g, const struct group *group, struct candidate *all,
                      struct batch_target *t, uint32_t *n_kept, struct err *e)
{
    qsort(all, group->n, sizeof *all, candidate_cmp);
    struct candidate winner = {0}; /* the series' first point */
    struct candidate before = {0};
    int64_t n_series = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < group->n; i++) {
        struct candidate c = all[i];
        bool is_first = i == 0 || identity_cmp(winner.known, c.known) != 0;
        enum reason reason = is_first ? REASON_NONE : reason_of(g, group, &winner, &before, &c);
        if (is_first) {
            winner = c;
            n_series++;
        }
        if (n_series > t->max_series) {
            reason = REASON_TOO_MANY_SERIES;
        }
        if (reason != REASON_NONE) {
            if (!reject_candidate(t, &c, reason, e)) {
                return false;
            }
            continue;
        }
        c.round = is_first ? 0 : before.round + 1;
        all[n++] = c;
        before = c;
    }
    *n_kept = n;
    return true;
}

static bool sub_group(struct groups *g, const struct group *group, const struct candidate *points,
                      uint32_t n, struct group *out)
{
    *out = (struct group){.stream = group->stream};
    if (!group_alloc(&g->arena, out, n)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = points[i].point;
        group_add(out, group->entries[at], group->times_ms[at], group->starts_ms[at],
                  group->values[at]);
    }
    return true;
}

/* The way for groups with a series twice, or with too many. */
static bool resolve(struct groups *g, const struct group *group, struct plan_cache *plans,
                    const struct series_cache *series, struct batch_target *t, struct err *e)
{
    struct candidate *all = arena_alloc(&g->arena, group->n * sizeof *all);
    if (all == NULL) {
        return too_large(e);
    }
    for (uint32_t i = 0; i < group->n; i++) {
        all[i] = (struct candidate){group->entries[i]->known, group->times_ms[i], i, 0};
    }
    uint32_t n = 0;
    if (!rounds_of(g, group, all, t, &n, e)) {
        return false;
    }
    qsort(all, n, sizeof *all, round_cmp);
    for (uint32_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && all[to].round == all[from].round; to++) {
        }
        struct group sub;
        const struct plan *plan;
        if (!sub_group(g, group, all + from, to - from, &sub)) {
            return too_large(e);
        }
        if (!plan_for(plans, series, sub.entries, sub.n, &plan, e) ||
            !batch_put(g, &sub, plan, t, e)) {
            return false;
        }
    }
    return true;
}

static bool group_emit(struct groups *g, const struct group *group, struct plan_cache *plans,
                       const struct series_cache *series, struct batch_target *t, struct err *e)
{
    const struct plan *plan = NULL;
    group->stream->n_last = group->n;
    if (group->n > t->max_series) {
        return resolve(g, group, plans, series, t, e);
    }
    if (!plan_for(plans, series, group->entries, group->n, &plan, e)) {
        return false;
    }
    return plan->is_clean ? batch_put(g, group, plan, t, e)
                          : resolve(g, group, plans, series, t, e);
}

bool groups_emit(struct groups *g, struct plan_cache *plans, const struct series_cache *series,
                 struct batch_target *target, struct err *e)
{
    for (const struct group *group = g->first; group != NULL; group = group->next) {
        if (!group_emit(g, group, plans, series, target, e)) {
            return false;
        }
    }
    return true;
}
