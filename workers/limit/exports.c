#include "limit.h"

#include "budgets.h"
#include "completeness.h"
#include "inside.h"
#include "run/log.h"

enum {
    OFFENDERS_EVERY_MS = 600000,
    RELOAD_EVERY_MS = 1000,
    PAGES_EVERY_MS = 2000,
    GROWTH_EVERY_MS = 60000,
    SHEDDING_MS = 30000, /* who was shed that lately is being shed */
    MAX_SILENT_LISTED = 100,
    MAX_METRICS_LISTED = 100,
    WORST_OFFENDERS = 20
};

static void lookups_show(struct limit *l, const char *result, uint64_t n)
{
    struct slice value = slice_str(result);
    cell_set(metrics_cell(l->metrics, M_SHAPE_CACHE, &value), (double)n);
}

static void pages_make(struct limit *l)
{
    completeness_look(l->holdings, &l->rules.tenants, MAX_SILENT_LISTED,
                      pages_begin(&l->pages, PAGE_COMPLETENESS));
    pages_end(&l->pages);
    offenders_show(&l->offenders, l->metrics);
    offenders_print(&l->offenders, WORST_OFFENDERS, pages_begin(&l->pages, PAGE_OFFENDERS));
    pages_end(&l->pages);
    budgets_look(&l->board, &l->rules.tenants, MAX_METRICS_LISTED,
                 pages_begin(&l->pages, PAGE_BUDGETS));
    pages_end(&l->pages);
}

static bool is_due(int64_t *last_ms, int64_t now_ms, int64_t every_ms)
{
    if (now_ms >= *last_ms && now_ms - *last_ms < every_ms) {
        return false;
    }
    *last_ms = now_ms;
    return true;
}

static void gauges_set(struct limit *l, int64_t now_ms)
{
    size_t n_bytes = 0;
    for (const struct holding *h = l->holdings; h != NULL; h = h->next) {
        n_bytes += h->n_set_bytes;
    }
    cell_set(metrics_cell(l->metrics, M_LIMIT_BYTES, NULL), (double)n_bytes);
    cell_set(metrics_cell(l->metrics, M_SHAPE_CACHE_BYTES, NULL),
             (double)l->judge.verdicts.cost_bytes);
    lookups_show(l, "hit", l->judge.n_hits);
    lookups_show(l, "miss", l->judge.n_misses);
    for (int i = 0; i < N_CLASSES; i++) {
        struct slice name = slice_str(batch_class_name((enum batch_class)i));
        cell_set(metrics_cell(l->metrics, M_SHEDDING, &name), now_ms - l->shed_ms[i] < SHEDDING_MS);
    }
}

void limit_export(struct limit *l, int64_t now_ms)
{
    gauges_set(l, now_ms);
    if (now_ms - l->offenders.since_ms > OFFENDERS_EVERY_MS) {
        offenders_reset(&l->offenders, now_ms);
    }
    if (is_due(&l->growth_at_ms, now_ms, GROWTH_EVERY_MS)) {
        budgets_note(&l->board);
    }
    if (is_due(&l->pages_at_ms, now_ms, PAGES_EVERY_MS)) {
        pages_make(l);
    }
}

void limit_print_completeness(void *ctx, struct buf *body)
{
    pages_print(&((struct limit *)ctx)->pages, PAGE_COMPLETENESS, body);
}

void limit_print_offenders(void *ctx, struct buf *body)
{
    pages_print(&((struct limit *)ctx)->pages, PAGE_OFFENDERS, body);
}

void limit_print_budgets(void *ctx, struct buf *body)
{
    pages_print(&((struct limit *)ctx)->pages, PAGE_BUDGETS, body);
}

static void policy_reread(struct limit *l)
{
    struct err why = ERR_INIT;
    switch (limit_reload(l, &why)) {
    case POLICY_NEW:
        log_line(LOG_INFO, "a new policy is in force",
                 LOG_FIELDS(LOG_STR("version", limit_policy_version(l))));
        break;
    case POLICY_REFUSED:
        log_err(LOG_ERROR, "the changed policy is refused, the old one stays in force", &why);
        break;
    case POLICY_SAME:
        break;
    }
}

bool limit_tick(void *ctx, struct stage *s, int64_t now_ms, struct err *e)
{
    struct limit *l = ctx;
    (void)s;
    if (!rulebook_apply(&l->rules, now_ms, e)) {
        return false;
    }
    limit_spread_rules(l);
    if (is_due(&l->reloaded_ms, now_ms, RELOAD_EVERY_MS)) {
        limit_export(l, now_ms);
        policy_reread(l);
    }
    return true;
}
