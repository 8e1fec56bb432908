#include "budgets.h"

#include <math.h>
#include <stdlib.h>

#include "base/json_text.h"

void budgets_note(struct board *b)
{
    struct posted *p;
    for (size_t at = 0; (p = table_next(&b->posts, &at)) != NULL;) {
        p->use_before = p->use_now;
        p->use_now = posted_use(p);
    }
}

static int64_t growth_of(const struct posted *p)
{
    return p->use_before == 0 ? 0 : p->use_now - p->use_before;
}

/* By the last minute's growth; infinite when it does not grow. */
static double seconds_to_full(const struct posted *p, int64_t use)
{
    int64_t growth = growth_of(p);
    if (p->value > 0 && use >= p->value) {
        return 0;
    }
    return growth <= 0 || p->value == 0 ? INFINITY : (double)(p->value - use) * 60 / (double)growth;
}

static void cells_set(const struct tenants *ts, const struct posted *p, int64_t use)
{
    const struct tenant *t = tenants_find((struct tenants *)(uintptr_t)ts, p->scope.tenant);
    const struct slice labels[] = {t->label, p->scope.kind == SCOPE_RATE
                                                 ? SLICE_LITERAL("samples_per_second")
                                                 : SLICE_LITERAL("tenant")};
    cell_set(metrics_cell(ts->metrics, M_BUDGET_USED, labels), (double)use);
    cell_set(metrics_cell(ts->metrics, M_BUDGET_LEASED, labels), (double)posted_leased(p));
    if (p->scope.kind == SCOPE_TENANT) {
        cell_set(metrics_cell(ts->metrics, M_BUDGET_FULL, &t->label), seconds_to_full(p, use));
    }
}

static const char *room_name(const struct posted *p)
{
    static const char *const names[N_ROOMS] = {"short", "tight", "ample"};
    return p->number == 0 ? "unknown" : p->is_over ? "over" : names[p->room];
}

static void posted_print(const struct posted *p, struct buf *out)
{
    int64_t use = posted_use(p);
    double full_s = seconds_to_full(p, use);
    buf_printf(out, "{\"tenant\":");
    json_slice(out, p->scope.tenant);
    if (p->scope.kind == SCOPE_METRIC) {
        buf_printf(out, ",\"metric\":");
        json_slice(out, p->scope.metric);
    }
    buf_printf(out,
               ",\"unit\":\"%s\",\"budget\":%lld,\"used\":%lld,\"leased\":%lld,\"room\":\"%s\","
               "\"growth_per_minute\":%lld",
               p->scope.kind == SCOPE_RATE ? "samples_per_second" : "series", (long long)p->value,
               (long long)use, (long long)posted_leased(p), room_name(p), (long long)growth_of(p));
    if (isfinite(full_s)) {
        buf_printf(out, ",\"full_in_seconds\":%.0f", full_s);
    }
    buf_printf(out, "}");
}

static double fullness(const struct posted *p)
{
    return p->value == 0 ? 0 : (double)posted_use(p) / (double)p->value;
}

static int fullest_first(const void *x, const void *y)
{
    const struct posted *a = *(const struct posted *const *)x;
    const struct posted *b = *(const struct posted *const *)y;
    if ((a->scope.kind == SCOPE_METRIC) != (b->scope.kind == SCOPE_METRIC)) {
        return a->scope.kind == SCOPE_METRIC ? 1 : -1;
    }
    return (fullness(a) < fullness(b)) - (fullness(a) > fullness(b));
}

void budgets_look(struct board *b, struct tenants *tenants, uint32_t max_metrics, struct buf *out)
{
    const struct posted **all = calloc(b->posts.n + 1, sizeof(const struct posted *));
    size_t n = 0;
    const struct posted *p;
    for (size_t at = 0; all != NULL && (p = table_next(&b->posts, &at)) != NULL;) {
        all[n++] = p;
        if (p->scope.kind != SCOPE_METRIC) {
            cells_set(tenants, p, posted_use(p));
        }
    }
    if (all != NULL) {
        qsort(all, n, sizeof all[0], fullest_first);
    }
    buf_printf(out, "{\"budgets\":[");
    uint32_t n_metrics = 0;
    for (size_t i = 0; i < n && n_metrics < max_metrics; i++) {
        n_metrics += all[i]->scope.kind == SCOPE_METRIC;
        buf_printf(out, "%s", i == 0 ? "" : ",");
        posted_print(all[i], out);
    }
    buf_printf(out, "]}\n");
    free(all);
}
