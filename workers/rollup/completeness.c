#include "completeness.h"

#include <stdlib.h>

#include "rules.h"

/* So many windows before the one at hand make a source expected. */
enum { EXPECTING_WINDOWS = 5 };

enum { EXPECTED, CLOSED, N_STATES };

struct tenant_sources {
    struct cell *cells[N_STATES];
    uint64_t n[N_STATES];
};

void completeness_init(struct completeness *c, struct metrics *m)
{
    c->metrics = m;
    table_init(&c->tenants, 0, free);
}

void completeness_fini(struct completeness *c)
{
    table_fini(&c->tenants);
}

void completeness_begin(struct completeness *c)
{
    size_t at = 0;
    for (struct tenant_sources *t; (t = table_next(&c->tenants, &at)) != NULL;) {
        t->n[EXPECTED] = t->n[CLOSED] = 0;
    }
}

/* NULL: no memory; it is only a metric. */
static struct tenant_sources *tenant_of(struct completeness *c, struct slice tenant)
{
    static const char *const names[N_STATES] = {"expected", "closed"};
    struct hash128 key = hash128_seeded(tenant, 0);
    struct tenant_sources *t = table_find(&c->tenants, key);
    if (t != NULL) {
        return t;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL || !table_put(&c->tenants, key, t, sizeof *t)) {
        free(t);
        return NULL;
    }
    for (int i = 0; i < N_STATES; i++) {
        const struct slice labels[] = {tenant, slice_str(names[i])};
        t->cells[i] = metrics_cell(c->metrics, M_ROLLUP_WINDOW_SOURCES, labels);
    }
    return t;
}

void completeness_count(struct completeness *c, struct slice tenant, const struct history *h,
                        int64_t settled_ms, int64_t window_ms)
{
    int64_t end_ms = window_start(settled_ms, window_ms);
    bool is_closed = history_has(h, end_ms, window_ms);
    bool is_expected = is_closed;
    for (int i = 1; i <= EXPECTING_WINDOWS && !is_expected; i++) {
        is_expected = history_has(h, end_ms - i * window_ms, window_ms);
    }
    struct tenant_sources *t = is_expected ? tenant_of(c, tenant) : NULL;
    if (t != NULL) {
        t->n[EXPECTED]++;
        t->n[CLOSED] += is_closed;
    }
}

void completeness_end(struct completeness *c)
{
    size_t at = 0;
    for (struct tenant_sources *t; (t = table_next(&c->tenants, &at)) != NULL;) {
        for (int i = 0; i < N_STATES; i++) {
            cell_set(t->cells[i], (double)t->n[i]);
        }
    }
}
