#include "allocator.h"

#include <stdlib.h>

static void allocation_free(void *value)
{
    struct allocation *x = value;
    scope_free(&x->scope);
    free(x->granted);
    free(x);
}

void allocator_init(struct allocator *a, uint32_t n_partitions)
{
    *a = (struct allocator){.n_partitions = n_partitions};
    table_init(&a->by_scope, 0, allocation_free);
}

void allocator_fini(struct allocator *a)
{
    table_fini(&a->by_scope);
}

static struct allocation *allocation_of(struct allocator *a, const struct scope *s)
{
    struct allocation *x = table_find(&a->by_scope, scope_key(s));
    if (x != NULL) {
        return x;
    }
    x = calloc(1, sizeof *x);
    if (x == NULL) {
        return NULL;
    }
    x->room = ROOM_AMPLE;
    x->granted = calloc(a->n_partitions + 1, sizeof *x->granted);
    if (x->granted == NULL || !scope_copy(s, &x->scope) ||
        !table_put(&a->by_scope, scope_key(s), x, sizeof *x)) {
        allocation_free(x);
        return NULL;
    }
    return x;
}

bool allocator_restore(struct allocator *a, const struct grants_record *r, struct err *e)
{
    struct allocation *x = allocation_of(a, &r->scope);
    if (x == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (r->n > a->n_partitions) {
        return err_set(e, ERR_FATAL, "grants for %u partitions, where there are %u", r->n,
                       a->n_partitions);
    }
    x->number = r->number;
    x->value = r->value;
    x->base = r->base;
    x->room = r->room;
    x->is_over = r->is_over;
    for (uint32_t i = 0; i < r->n; i++) {
        x->granted[i] = r->granted[i];
    }
    return true;
}

/* --- sharing out --- */

struct wish {
    uint32_t partition;
    int64_t n;
};

static int smallest_first(const void *x, const void *y)
{
    const struct wish *a = x;
    const struct wish *b = y;
    return (a->n > b->n) - (a->n < b->n);
}

static int64_t even_half(const struct allocator *a, int64_t value)
{
    return value / (2 * (int64_t)a->n_partitions);
}

/* What exceeds the leases that are out; a stale report only overstates them. Where a budget is new,
 * more may be used than was ever leased. */
static int64_t free_of(const struct allocator *a, const struct allocation *x, const struct posted *p, int64_t *leased)
{
    bool is_rate = x->scope.kind == SCOPE_RATE; /* half of it is not leased */
    *leased = 0;
    for (uint32_t q = 0; q < a->n_partitions; q++) {
        int64_t lease = x->granted[q] - (q < p->n ? p->reports[q].returned : 0);
        int64_t use = q < p->n && !is_rate ? p->reports[q].use : 0;
        *leased += lease > use ? lease : use;
    }
    return x->value - (is_rate ? even_half(a, x->value) * (int64_t)a->n_partitions : 0) - *leased;
}

static uint32_t wishes_of(const struct allocator *a, const struct allocation *x,
                          const struct posted *p, struct wish *out)
{
    uint32_t n = 0;
    for (uint32_t q = 0; q < a->n_partitions && q < p->n; q++) {
        int64_t lease = x->granted[q] - p->reports[q].returned;
        if (p->reports[q].need > lease) {
            out[n++] = (struct wish){q, p->reports[q].need - lease};
        }
    }
    qsort(out, n, sizeof *out, smallest_first);
    return n;
}

/* Equal shares of what is free, but to nobody more than it wants. True: something was granted. */
static bool share_out(struct allocation *x, int64_t available, const struct wish *wishes, uint32_t n)
{
    bool has_granted = false;
    for (uint32_t i = 0; i < n; i++) {
        int64_t share = available / (int64_t)(n - i);
        int64_t given = wishes[i].n < share ? wishes[i].n : share;
        has_granted |= given > 0;
        x->granted[wishes[i].partition] += given;
        available -= given;
    }
    return has_granted;
}

/* Does the demand fit, does everybody's headroom? What a holder keeps on top is two units at most, or
 * what its counters started with (lease.c). */
static enum room room_of(const struct allocator *a, const struct allocation *x, const struct posted *p, int64_t start)
{
    int64_t unit = headroom_of(x->value, a->n_partitions);
    int64_t demand = 0;
    int64_t with_headroom = 0;
    for (uint32_t q = 0; q < a->n_partitions; q++) {
        int64_t n = q < p->n ? p->reports[q].demand : 0;
        demand += n;
        with_headroom += n + 2 * unit > start ? n + 2 * unit : start;
    }
    return demand > x->value ? ROOM_SHORT : with_headroom > x->value ? ROOM_TIGHT : ROOM_AMPLE;
}

/* Of a rate that is short: the largest share with which the leased half goes round, so that a
 * partition whose demand comes later finds its part. */
static int64_t fair_share(const struct allocator *a, const struct allocation *x, const struct posted *p,
                          struct wish *wishes)
{
    uint32_t n = 0;
    int64_t left = x->value - even_half(a, x->value) * (int64_t)a->n_partitions;
    for (uint32_t q = 0; q < a->n_partitions && q < p->n; q++) {
        int64_t demand = p->reports[q].demand - even_half(a, x->value);
        if (demand > 0) {
            wishes[n++] = (struct wish){q, demand};
        }
    }
    qsort(wishes, n, sizeof *wishes, smallest_first);
    for (uint32_t i = 0; i < n; i++) {
        int64_t share = left / (int64_t)(n - i);
        if (wishes[i].n > share) {
            return share;
        }
        left -= wishes[i].n;
    }
    return left;
}

static struct allocation *tenant_of(struct allocator *a, const struct scope *s)
{
    return table_find(&a->by_scope, scope_key(&(struct scope){SCOPE_TENANT, s->tenant, SLICE_NONE}));
}

/* A metric's counters start at its tenant's base, so none has to ask for its first series. The base is
 * set once, before any metric has counters. True: now. */
static bool base_set(struct allocator *a, struct allocation *x, int64_t metric_budget)
{
    const struct allocation *other;
    if (x->scope.kind != SCOPE_TENANT || x->base > 0 || even_half(a, metric_budget) == 0) {
        return false;
    }
    for (size_t at = 0; (other = table_next(&a->by_scope, &at)) != NULL;) {
        if (other->scope.kind == SCOPE_METRIC && slice_eq(other->scope.tenant, x->scope.tenant)) {
            return false;
        }
    }
    x->base = even_half(a, metric_budget);
    return true;
}

static int64_t start_of(struct allocator *a, const struct allocation *x)
{
    const struct allocation *tenant = x->scope.kind == SCOPE_METRIC ? tenant_of(a, &x->scope) : NULL;
    return tenant == NULL ? 0 : tenant->base;
}

static void counters_start(const struct allocator *a, struct allocation *x, int64_t start)
{
    for (uint32_t q = 0; q < a->n_partitions; q++) {
        x->granted[q] = x->granted[q] > start ? x->granted[q] : start;
    }
}

/* True: there is something new to say. */
static bool allocate(struct allocator *a, struct allocation *x, const struct posted *p, int64_t value,
                     struct wish *wishes)
{
    enum room room_before = x->room;
    bool was_over = x->is_over;
    int64_t start = start_of(a, x);
    int64_t leased;
    bool is_new = x->number == 0 || value != x->value;
    if (x->number == 0) {
        counters_start(a, x, start);
    }
    if (is_new) {
        x->number++;
        x->value = value;
    }
    int64_t available = free_of(a, x, p, &leased);
    a->is_leasing |= leased > 0;
    x->is_over = x->value > 0 && available < 0;
    x->room = x->value == 0 ? ROOM_AMPLE : room_of(a, x, p, start); /* 0: no budget, no leases */
    if (x->scope.kind == SCOPE_RATE && x->value > 0) {
        int64_t share = fair_share(a, x, p, wishes);
        is_new |= share != x->base && x->room == ROOM_SHORT;
        x->base = share;
    }
    if (x->value > 0 && available > 0) {
        is_new |= share_out(x, available, wishes, wishes_of(a, x, p, wishes));
    }
    return is_new || x->room != room_before || x->is_over != was_over;
}

static bool one(struct allocator *a, const struct posted *p, const struct budget_source *budgets, struct wish *wishes,
                const struct lease_outputs *o, struct err *e)
{
    struct allocation *x = allocation_of(a, &p->scope);
    if (x == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    const struct scope any_metric = {SCOPE_METRIC, p->scope.tenant, SLICE_NONE};
    x->is_dirty |= base_set(a, x, budgets->of(budgets->ctx, &any_metric));
    x->is_dirty |= allocate(a, x, p, budgets->of(budgets->ctx, &p->scope), wishes);
    if (!x->is_dirty) {
        return true;
    }
    a->is_leasing = true;
    const struct grants_record r = {.scope = x->scope,
                                    .number = x->number,
                                    .value = x->value,
                                    .base = x->base,
                                    .room = x->room,
                                    .is_over = x->is_over,
                                    .n = a->n_partitions,
                                    .granted = x->granted};
    x->is_dirty = !grants_record_put(o, &r, e);
    return !x->is_dirty;
}

bool allocator_run(struct allocator *a, struct board *board,
                   const struct budget_source *budgets, uint64_t rules_version, const struct lease_outputs *o, struct err *e)
{
    if (a->board_version == board->version && a->rules_version == rules_version) {
        return true;
    }
    struct wish *wishes = calloc(a->n_partitions + 1, sizeof *wishes);
    bool ok = wishes != NULL || err_set(e, ERR_FATAL, "out of memory");
    const struct posted *p;
    a->is_leasing = false;
    for (int pass = 0; pass < 2; pass++) { /* tenants first: they say where their metrics start */
        for (size_t at = 0; ok && (p = table_next(&board->posts, &at)) != NULL;) {
            bool is_metric = p->scope.kind == SCOPE_METRIC;
            ok = is_metric != (pass == 1) || one(a, p, budgets, wishes, o, e);
        }
    }
    free(wishes);
    if (ok) {
        a->board_version = board->version;
        a->rules_version = rules_version;
    }
    return ok;
}

void allocator_retell(struct allocator *a)
{
    struct allocation *x;
    for (size_t at = 0; (x = table_next(&a->by_scope, &at)) != NULL;) {
        x->is_dirty = true;
    }
    a->rules_version = UINT64_MAX; /* so that the next run looks at all */
    a->ticked_ms = 0;
}

bool allocator_tick(struct allocator *a, int64_t now_ms, int64_t every_ms,
                    const struct lease_outputs *o, struct err *e)
{
    bool is_due = now_ms - a->ticked_ms >= every_ms || now_ms < a->ticked_ms;
    if (!a->is_leasing || !is_due) {
        return true;
    }
    a->ticked_ms = now_ms;
    return tick_record_put(o, now_ms, e);
}
