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
    x->room = r->room;
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

/* What exceeds the leases that are out; a stale report only overstates them. */
static int64_t free_of(const struct allocator *a, const struct allocation *x,
                       const struct posted *p, int64_t *leased)
{
    int64_t pool = x->value;
    if (x->scope.kind != SCOPE_TENANT) {
        pool -= x->value / (2 * (int64_t)a->n_partitions) * (int64_t)a->n_partitions;
    }
    *leased = 0;
    for (uint32_t q = 0; q < a->n_partitions; q++) {
        int64_t lease = x->granted[q] - (q < p->n ? p->reports[q].returned : 0);
        *leased += lease > 0 ? lease : 0;
    }
    return pool - *leased;
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

/* Equal shares of what is free, but to nobody more than it wants. */
static bool share_out(struct allocation *x, int64_t available, const struct wish *wishes,
                      uint32_t n, uint32_t n_all)
{
    bool has_granted = false;
    bool is_short = false;
    for (uint32_t i = 0; i < n; i++) {
        int64_t share = available / (int64_t)(n - i);
        int64_t given = wishes[i].n < share ? wishes[i].n : share;
        is_short |= given < wishes[i].n;
        has_granted |= given > 0;
        x->granted[wishes[i].partition] += given;
        available -= given;
    }
    int64_t ample = 2 * (int64_t)n_all * headroom_of(x->value, n_all);
    x->room = is_short || available <= 0 ? ROOM_SHORT : available > ample ? ROOM_AMPLE : ROOM_SOME;
    return has_granted;
}

/* True: there is something new to say. */
static bool allocate(struct allocator *a, struct allocation *x, const struct posted *p,
                     int64_t value, struct wish *wishes)
{
    enum room room_before = x->room;
    int64_t leased;
    bool is_new = x->number == 0 || value != x->value;
    if (is_new) {
        x->number++;
        x->value = value;
    }
    int64_t available = free_of(a, x, p, &leased);
    a->is_leasing |= leased > 0;
    if (x->value == 0) {
        x->room = ROOM_AMPLE; /* no budget, no leases */
    } else if (available < 0) {
        x->room = ROOM_OVER;
    } else {
        is_new |= share_out(x, available, wishes, wishes_of(a, x, p, wishes), a->n_partitions);
    }
    return is_new || x->room != room_before;
}

static bool one(struct allocator *a, const struct posted *p, int64_t value, struct wish *wishes,
                const struct lease_outputs *o, struct err *e)
{
    struct allocation *x = allocation_of(a, &p->scope);
    if (x == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    x->is_dirty |= allocate(a, x, p, value, wishes);
    if (!x->is_dirty) {
        return true;
    }
    a->is_leasing = true;
    const struct grants_record r = {.scope = x->scope,
                                    .number = x->number,
                                    .value = x->value,
                                    .room = x->room,
                                    .n = a->n_partitions,
                                    .granted = x->granted};
    x->is_dirty = !grants_record_put(o, &r, e);
    return !x->is_dirty;
}

static void all_dirty(struct allocator *a)
{
    struct allocation *x;
    for (size_t at = 0; (x = table_next(&a->by_scope, &at)) != NULL;) {
        x->is_dirty = true;
    }
    a->rules_version = UINT64_MAX;
}

bool allocator_run(struct allocator *a, struct board *board, budget_fn budget, void *ctx,
                   uint64_t rules_version, const struct lease_outputs *o, struct err *e)
{
    if (a->board_version == board->version && a->rules_version == rules_version) {
        return true;
    }
    struct wish *wishes = calloc(a->n_partitions + 1, sizeof *wishes);
    bool ok = wishes != NULL || err_set(e, ERR_FATAL, "out of memory");
    const struct posted *p;
    a->is_leasing = false;
    for (size_t at = 0; ok && (p = table_next(&board->posts, &at)) != NULL;) {
        ok = one(a, p, budget(ctx, &p->scope), wishes, o, e);
    }
    free(wishes);
    if (ok) {
        a->board_version = board->version;
        a->rules_version = rules_version;
    } else {
        all_dirty(a); /* what was put is taken back, too */
    }
    return ok;
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
