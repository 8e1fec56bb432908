#include "lease.h"

#include <stdlib.h>

enum { WANT_MINUTES = 2 };

static void lease_free(void *value)
{
    struct lease *l = value;
    scope_free(&l->scope);
    series_set_fini(&l->wants);
    free(l);
}

void leases_init(struct leases *ls, struct board *board, uint32_t partition, uint32_t n_partitions)
{
    *ls = (struct leases){.board = board, .partition = partition, .n_partitions = n_partitions};
    table_init(&ls->by_scope, 0, lease_free);
    table_init(&ls->shares, 0, free);
}

void leases_fini(struct leases *ls)
{
    table_fini(&ls->by_scope);
    table_fini(&ls->shares);
    ls->first = NULL;
}

struct lease *leases_find(struct leases *ls, const struct scope *s)
{
    return ls->first == NULL ? NULL : table_find(&ls->by_scope, scope_key(s));
}

/* Where a metric's counters start on each partition, by the allocator's word on its tenant. */
static int64_t start_of(const struct leases *ls, const struct scope *s)
{
    const struct scope tenant = {SCOPE_TENANT, s->tenant, SLICE_NONE};
    const struct posted *p = s->kind == SCOPE_METRIC ? board_find(ls->board, &tenant) : NULL;
    return p == NULL ? 0 : p->base;
}

static bool learn(struct leases *ls, struct lease *l)
{
    const struct posted *posted = board_find(ls->board, &l->scope);
    bool was_over = l->posted != NULL && l->was_over;
    int64_t granted = posted_granted(posted, ls->partition);
    int64_t start = start_of(ls, &l->scope);
    granted = granted > start ? granted : start;
    int64_t base = posted == NULL ? 0 : posted->base;
    bool has_grown = granted > l->granted || base > l->base;
    bool has_word = posted != NULL && posted->number > 0;
    ls->has_new_base |= l->scope.kind == SCOPE_TENANT && has_word && (base > l->base || !l->had_word);
    l->had_word = has_word;
    l->posted = posted;
    l->base = base;
    l->was_over = has_word && posted->is_over;
    l->granted = granted > l->granted ? granted : l->granted;
    return has_grown || (was_over && !l->was_over);
}

/* NULL: out of memory. */
static struct lease_share *share_of(struct leases *ls, struct slice tenant)
{
    struct hash128 key = hash128(tenant);
    struct lease_share *share = table_find(&ls->shares, key);
    if (share != NULL) {
        return share;
    }
    share = calloc(1, sizeof *share);
    if (share == NULL || !table_put(&ls->shares, key, share, sizeof *share)) {
        free(share);
        return NULL;
    }
    return share;
}

static bool has_room_for_metric(struct leases *ls, struct slice tenant)
{
    const struct lease_share *share = share_of(ls, tenant);
    return ls->n_metrics < MAX_METRIC_LEASES && share != NULL &&
           share->n_metrics < MAX_TENANT_METRIC_LEASES;
}

static struct lease *lease_new(struct leases *ls, const struct scope *s)
{
    struct lease_share *share = share_of(ls, s->tenant);
    struct lease *l = calloc(1, sizeof *l);
    if (share == NULL || l == NULL || !scope_copy(s, &l->scope)) {
        free(l);
        return NULL;
    }
    l->share = share;
    if (!table_put(&ls->by_scope, scope_key(s), l, sizeof *l)) {
        lease_free(l);
        return NULL;
    }
    (void)learn(ls, l);
    l->next = ls->first;
    ls->first = l;
    ls->n_metrics += s->kind == SCOPE_METRIC;
    share->n_metrics += s->kind == SCOPE_METRIC;
    return l;
}

struct lease *leases_add(struct leases *ls, const struct scope *s)
{
    struct lease *l = leases_find(ls, s);
    if (l != NULL || (s->kind == SCOPE_METRIC && !has_room_for_metric(ls, s->tenant))) {
        return l;
    }
    return lease_new(ls, s);
}

bool leases_restore(struct leases *ls, const struct lease_record *r, struct err *e)
{
    struct lease *l = leases_find(ls, &r->scope);
    l = l != NULL ? l : lease_new(ls, &r->scope); /* what was told is never too much */
    if (l == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    l->granted = r->granted > l->granted ? r->granted : l->granted;
    l->returned = r->returned;
    l->told = *r;
    l->told.scope = l->scope;
    l->is_told = true;
    return true;
}

static bool is_short_metric(const struct posted *p)
{
    return p->scope.kind == SCOPE_METRIC && p->number > 0 && p->room != ROOM_AMPLE;
}

/* Has this partition more of it than its counters start with, by what was told? One that doesn't know has lost its state. */
static bool is_held(const struct leases *ls, const struct posted *p)
{
    int64_t start = start_of(ls, &p->scope);
    int64_t returned = posted_returned(p, ls->partition);
    return posted_granted(p, ls->partition) > (returned > start ? returned : start);
}

/* What nobody would give back otherwise. */
static void join(struct leases *ls)
{
    const struct posted *p;
    for (size_t at = 0; (p = table_next(&ls->board->posts, &at)) != NULL;) {
        if ((is_short_metric(p) || is_held(ls, p)) && leases_find(ls, &p->scope) == NULL) {
            ls->has_joined |= leases_add(ls, &p->scope) != NULL; /* else at the next change */
        }
    }
}

bool leases_learn(struct leases *ls)
{
    bool is_better = false;
    if (ls->board_version == ls->board->version) {
        return false;
    }
    ls->board_version = ls->board->version;
    join(ls);
    for (struct lease *l = ls->first; l != NULL; l = l->next) {
        is_better |= learn(ls, l);
    }
    return is_better;
}

bool lease_has_word(const struct lease *l)
{
    return l->posted != NULL && l->posted->number > 0;
}

/* The allocator's word on the budget, else the policy's. */
static int64_t value_in_force(const struct lease *l, int64_t policy_value)
{
    return lease_has_word(l) ? l->posted->value : policy_value;
}

static bool is_over(const struct lease *l)
{
    return lease_has_word(l) && l->posted->is_over;
}

/* Half of the budget, spread evenly. */
static int64_t even_half(const struct leases *ls, int64_t value)
{
    return value / (2 * (int64_t)(ls->n_partitions == 0 ? 1 : ls->n_partitions));
}

/* A budget comes into force by the allocator's word: a rollout reaches it last, maybe. */
static bool is_unbound(const struct lease *l)
{
    return lease_has_word(l) && l->posted->value == 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t lease_room(const struct leases *ls, const struct lease *l, int64_t policy_value)
{
    int64_t lease = l->granted - l->returned;
    if (is_unbound(l)) {
        return NO_BOUND;
    }
    if (l->scope.kind == SCOPE_METRIC && !lease_has_word(l)) {
        lease = least(lease, even_half(ls, policy_value)); /* the budget may have been lowered since */
    }
    return is_over(l) ? 0 : lease - l->use;
}

int64_t leases_start_room(const struct leases *ls, struct slice tenant, int64_t n_active, int64_t policy_value)
{
    const struct scope s = {SCOPE_METRIC, tenant, SLICE_NONE};
    return least(start_of(ls, &s), even_half(ls, policy_value)) - n_active;
}

int64_t lease_per_second(const struct leases *ls, const struct lease *l, int64_t policy_value)
{
    return is_unbound(l)
               ? NO_BOUND
               : even_half(ls, value_in_force(l, policy_value)) + l->granted - l->returned;
}

bool lease_may_grow(const struct lease *l)
{
    if (!lease_has_word(l)) {
        return l->waited_version == 0;
    }
    return l->posted->room != ROOM_SHORT && l->waited_version != l->posted->version;
}

void lease_despair(struct lease *l)
{
    l->waited_version = l->posted == NULL ? 1 : l->posted->version;
}

/* --- what was refused --- */

void lease_want(struct leases *ls, struct lease *l, struct hash128 id, uint32_t weight,
                uint16_t minute)
{
    uint32_t i = series_set_find(&l->wants, id);
    if (i != SERIES_NONE) {
        l->wants.slots[i].minute = minute;
        return;
    }
    const struct series_slot slot = {
        .id = id, .what = slot_what(0, weight, OVER_NONE), .minute = minute};
    bool has_room = ls->n_wants < MAX_WANTED && l->share->n_wants < MAX_TENANT_WANTED;
    if (has_room && series_set_add(&l->wants, &slot, 0) != SERIES_NONE) {
        ls->n_wants++;
        l->share->n_wants++;
        l->n_wanted += weight;
    }
}

void lease_unwant(struct leases *ls, struct lease *l, struct hash128 id)
{
    uint32_t weight = l->wants.n == 0 ? 0 : series_set_remove(&l->wants, id);
    if (weight > 0) {
        ls->n_wants--;
        l->share->n_wants--;
        l->n_wanted -= weight;
    }
}

static bool is_late(void *ctx, const struct series_slot *slot)
{
    const uint16_t *minute = ctx;
    return (uint16_t)(*minute - slot->minute) < WANT_MINUTES;
}

static void forget(struct leases *ls, struct lease *l, uint16_t minute)
{
    uint32_t n = 0;
    int64_t n_wanted = 0;
    for (uint32_t i = 0; i < l->wants.n_slots; i++) {
        const struct series_slot *slot = &l->wants.slots[i];
        if (slot_used(slot) && is_late(&minute, slot)) {
            n++;
            n_wanted += slot_weight(slot);
        }
    }
    uint32_t n_before = l->wants.n;
    if (n == 0) {
        series_set_fini(&l->wants);
    } else if (n < n_before && !series_set_filter(&l->wants, is_late, &minute, n, 0)) {
        return; /* no memory: they are forgotten the next time */
    }
    ls->n_wants -= n_before - n;
    l->share->n_wants -= n_before - n;
    l->n_wanted = n_wanted;
}

void leases_forget(struct leases *ls, uint16_t minute)
{
    if (ls->forgot_minute == minute) {
        return;
    }
    ls->forgot_minute = minute;
    for (struct lease *l = ls->first; l != NULL && ls->n_wants > 0; l = l->next) {
        forget(ls, l, minute);
    }
}

void leases_forget_all(struct leases *ls)
{
    for (struct lease *l = ls->first; l != NULL; l = l->next) {
        series_set_fini(&l->wants);
        l->n_wanted = 0;
        l->share->n_wants = 0;
    }
    ls->n_wants = 0;
}

/* --- what is said --- */

static bool has_headroom(const struct lease *l)
{
    return !lease_has_word(l) || (l->posted->room == ROOM_AMPLE && !l->posted->is_over);
}

static int64_t demand_of(const struct lease *l)
{
    return l->use + l->n_wanted;
}

/* While more is leased than there is and the demand exceeds it: what is used, so that all free room
 * goes back. */
static int64_t need_of(const struct leases *ls, const struct lease *l, int64_t policy_value)
{
    int64_t value = value_in_force(l, policy_value);
    int64_t unit = headroom_of(value, ls->n_partitions);
    int64_t base = l->scope.kind == SCOPE_RATE ? even_half(ls, value) : 0;
    int64_t n = (is_over(l) && l->posted->room == ROOM_SHORT ? l->use : demand_of(l)) - base;
    if (!has_headroom(l)) {
        bool is_capped = l->scope.kind == SCOPE_RATE && l->posted->room == ROOM_SHORT;
        n = is_capped ? least(n, l->posted->base) : n;
        return n > 0 ? n : 0;
    }
    if (n > -unit) {
        n = (n + 2 * unit - 1) / unit * unit; /* in whole units, so that not each series is a request */
    }
    int64_t start = start_of(ls, &l->scope); /* kept while there is room */
    return n > start ? n : start;
}

void leases_advance(struct leases *ls, int64_t now_ms)
{
    for (struct lease *l = ls->first; l != NULL; l = l->next) {
        if (l->scope.kind == SCOPE_RATE) {
            rate_advance(&l->rate, now_ms);
            l->use = l->rate.per_second;
        }
    }
}

static bool is_news(const struct lease *l, const struct lease_record *r)
{
    return !l->is_told || r->granted != l->told.granted || r->returned != l->told.returned ||
           r->use != l->told.use || r->demand != l->told.demand || r->need != l->told.need;
}

static bool put(struct leases *ls, struct lease *l, int64_t policy_value,
                const struct lease_outputs *o, struct err *e)
{
    int64_t need = policy_value == 0 ? 0 : need_of(ls, l, policy_value);
    int64_t lease = l->granted - l->returned;
    l->returned += lease > need ? lease - need : 0;
    const struct lease_record r = {.scope = l->scope,
                                   .partition = (int32_t)ls->partition,
                                   .granted = l->granted,
                                   .returned = l->returned,
                                   .use = l->use,
                                   .demand = demand_of(l),
                                   .need = need};
    if (!is_news(l, &r)) {
        return true;
    }
    l->told = r;
    l->is_told = lease_record_put(o, &r, e);
    return l->is_told;
}

bool leases_put(struct leases *ls, const struct budget_source *budgets,
                const struct lease_outputs *o, struct err *e)
{
    for (struct lease *l = ls->first; l != NULL; l = l->next) {
        if (!put(ls, l, budgets->of(budgets->ctx, &l->scope), o, e)) {
            return false;
        }
    }
    return true;
}

void leases_retell(struct leases *ls)
{
    for (struct lease *l = ls->first; l != NULL; l = l->next) {
        l->is_told = false;
    }
}
