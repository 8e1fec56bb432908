#include "verdict.h"

#include <stdlib.h>

enum { SHAPE_BYTES = 192 << 20 };

static void verdict_free(void *value)
{
    struct verdict *v = value;
    free(v->slots);
    free(v->columns);
    free((void *)(uintptr_t)v->kept.ptr);
    free(v);
}

void judge_init(struct judge *j, size_t max_cache_bytes, size_t max_set_bytes)
{
    *j = (struct judge){.max_set_bytes = max_set_bytes};
    table_init(&j->verdicts, max_cache_bytes, verdict_free);
    arena_init(&j->arena, SHAPE_BYTES);
}

void judge_fini(struct judge *j)
{
    table_fini(&j->verdicts);
    arena_fini(&j->arena);
}

bool judge_shape(struct judge *j, const struct batch *b, struct shape *out, struct err *e)
{
    arena_reset(&j->arena);
    if (!shape_decode(b->shape, b->tenant, &shape_default_caps, &j->arena, out, e)) {
        return false;
    }
    return out->source == b->source || err_set(e, ERR_BAD_INPUT, "the batch's source is not its shape's");
}

/* Classic histograms are stored as a series for each bucket, _sum and _count. */
static uint32_t weight_of(const struct series *s)
{
    return s->kind == SERIES_CLASSIC_HISTOGRAM ? s->n_bounds + 3 : 1;
}

/* --- judging --- */

struct trial {
    struct judge *judge;
    struct holding *holding;
    struct tenants *tenants;
    struct tenant_use *tenant;
    const struct shape *shape;
    struct source *source; /* NULL until something is let in */
    struct verdict *verdict;
};

/* Over the budget: refused, or let in and noted. */
static enum reason over_budget(const struct budget *b, int64_t share, int64_t n_active, uint32_t weight,
                               enum reason reason, enum over which, enum over *over)
{
    if (b->max_series == 0 || n_active + weight <= share) {
        return REASON_NONE;
    }
    if (!b->shadow) {
        return reason;
    }
    *over = *over == OVER_NONE ? which : *over;
    return REASON_NONE;
}

static enum reason refusal_of(const struct trial *t, const struct series *s, uint32_t weight, enum over *over)
{
    const struct budgets *b = t->tenant->tenant->budgets;
    const struct holding *h = t->holding;
    const struct metric_use *m = usage_metric_find(&t->holding->usage, t->tenant, s->metric);
    enum reason reason = over_budget(&b->source, b->source.max_series, t->source == NULL ? 0 : t->source->n_active,
                                     weight, REASON_OVER_SOURCE_BUDGET, OVER_SOURCE, over);
    if (reason == REASON_NONE) {
        reason = over_budget(&b->metric, holding_share(h, b->metric.max_series), m == NULL ? 0 : m->n_active, weight,
                             REASON_OVER_METRIC_BUDGET, OVER_METRIC, over);
    }
    if (reason == REASON_NONE) {
        reason = over_budget(&b->tenant, holding_share(h, b->tenant.max_series), t->tenant->n_active, weight,
                             REASON_OVER_TENANT_BUDGET, OVER_TENANT, over);
    }
    if (reason == REASON_NONE && h->n_set_bytes + t->judge->n_set_bytes >= t->judge->max_set_bytes) {
        reason = REASON_LIMITER_FULL;
    }
    return reason;
}

static bool let_in(struct trial *t, const struct series *s, uint32_t weight, enum over over, struct err *e)
{
    struct holding *h = t->holding;
    struct metric_use *m = usage_metric(&h->usage, t->tenant, s->metric);
    if (m != NULL && t->source == NULL) {
        t->source = holding_source_add(h, t->shape->source, t->tenant, t->shape->source_name);
    }
    if (m == NULL || t->source == NULL ||
        holding_add(h, t->source, s->id, m, weight, over, h->step) == SERIES_NONE) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    return true;
}

static bool series_judge(struct trial *t, uint32_t i, struct err *e)
{
    const struct series *s = &t->shape->series[i];
    uint32_t weight = weight_of(s);
    enum over over = OVER_NONE;
    if (t->source != NULL && series_set_find(&t->source->set, s->id) != SERIES_NONE) {
        return true;
    }
    enum reason reason = refusal_of(t, s, weight, &over);
    if (t->judge->news != NULL) {
        t->judge->news(t->judge->news_ctx, t->tenant, s, reason != REASON_NONE);
    }
    if (reason != REASON_NONE) {
        t->verdict->columns[i].refusal = (uint8_t)(reason - FIRST_REFUSAL + 1);
        t->verdict->n_by_refusal[reason - FIRST_REFUSAL]++;
        t->verdict->n_refused++;
        return true;
    }
    return let_in(t, s, weight, over, e);
}

/* Where the series stand once all are in: adding may have moved them. */
static void slots_find(const struct trial *t)
{
    struct verdict *v = t->verdict;
    for (uint32_t i = 0; i < v->n_series; i++) {
        v->slots[i] = v->columns[i].refusal != 0 ? SERIES_NONE
                                                 : series_set_find(&t->source->set, t->shape->series[i].id);
        if (v->slots[i] != SERIES_NONE) {
            v->n_over[slot_over(&t->source->set.slots[v->slots[i]])]++;
        }
    }
}

/* The shape without the refused series. */
static bool kept_encode(const struct trial *t, struct err *e)
{
    struct verdict *v = t->verdict;
    const struct series **kept = ARENA_ARRAY(&t->judge->arena, const struct series *, v->n_series);
    uint32_t n = 0;
    if (kept == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < v->n_series; i++) {
        if (v->columns[i].refusal == 0) {
            kept[n++] = &t->shape->series[i];
        }
    }
    struct buf out;
    buf_init(&out, shape_default_caps.max_bytes);
    bool ok = n == 0 || shape_encode(t->shape->source_name, kept, n, &t->judge->arena, &out, e);
    if (ok && !buf_ok(&out)) {
        ok = err_set(e, ERR_FATAL, "out of memory");
    }
    if (ok) {
        size_t len = 0;
        uint8_t *bytes = buf_take(&out, &len);
        v->kept = (struct slice){bytes, len};
    }
    buf_fini(&out);
    return ok;
}

static struct verdict *verdict_new(const struct shape *shape)
{
    struct verdict *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return NULL;
    }
    v->n_series = shape->n_series;
    v->n_scalars = shape->n_scalars;
    v->n_exp = shape->n_exp;
    v->n_classic = shape->n_classic;
    v->slots = calloc(shape->n_series + 1, sizeof *v->slots);
    v->columns = calloc(shape->n_series + 1, sizeof *v->columns);
    if (v->slots == NULL || v->columns == NULL) {
        verdict_free(v);
        return NULL;
    }
    for (uint32_t i = 0; i < shape->n_series; i++) {
        v->columns[i].kind = (uint8_t)shape->series[i].kind;
        v->columns[i].n_bounds = (uint16_t)shape->series[i].n_bounds;
    }
    return v;
}

static bool trial_run(struct trial *t, struct err *e)
{
    struct verdict *v = t->verdict;
    for (uint32_t i = 0; i < v->n_series; i++) {
        if (!series_judge(t, i, e)) {
            return false;
        }
    }
    slots_find(t);
    if (v->n_refused > 0) {
        return kept_encode(t, e);
    }
    free(v->columns);
    v->columns = NULL;
    return true;
}

/* --- marking --- */

/* The source's series in this shape were seen now. */
static void mark(struct holding *h, struct verdict *v)
{
    struct source *s = v->source;
    uint16_t step = (uint16_t)h->step;
    bool is_new_step = false;
    v->step = step;
    v->minute = holding_minute(h);
    for (uint32_t i = 0; i < v->n_series; i++) {
        if (v->slots[i] != SERIES_NONE) {
            struct series_slot *slot = &s->set.slots[v->slots[i]];
            is_new_step |= slot->step != step;
            slot->step = step;
            slot->minute = v->minute;
        }
    }
    if (is_new_step) {
        holding_touch(h, s);
    }
}

static size_t verdict_bytes(const struct verdict *v)
{
    return sizeof *v + (v->n_series + 1) * (sizeof *v->slots + (v->columns == NULL ? 0 : sizeof *v->columns)) +
           v->kept.len;
}

static bool verdict_make(struct judge *j, struct holding *h, struct tenants *tenants, const struct batch *b,
                         struct hash128 key, struct verdict **out, struct err *e)
{
    struct shape shape;
    if (!judge_shape(j, b, &shape, e) || !batch_check_shape(b, &shape, e)) {
        return false;
    }
    struct trial t = {.judge = j,
                      .holding = h,
                      .tenants = tenants,
                      .tenant = usage_tenant(&h->usage, b->tenant, tenants),
                      .shape = &shape,
                      .source = holding_source(h, b->source, b->tenant),
                      .verdict = verdict_new(&shape)};
    if (t.tenant == NULL || t.verdict == NULL || !trial_run(&t, e)) {
        if (t.verdict != NULL) {
            verdict_free(t.verdict);
        }
        return t.tenant != NULL && t.verdict != NULL ? false : err_set(e, ERR_FATAL, "out of memory");
    }
    t.verdict->epoch = h->epoch;
    t.verdict->source = t.source;
    t.verdict->set_version = t.source == NULL ? 0 : t.source->set.version;
    t.verdict->n_held = t.source == NULL ? 0 : t.source->set.n;
    if (!table_put(&j->verdicts, key, t.verdict, verdict_bytes(t.verdict))) {
        verdict_free(t.verdict);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (t.source != NULL) {
        holding_touch(h, t.source); /* whatever is new in it is to be written */
        mark(h, t.verdict);
    }
    *out = t.verdict;
    return true;
}

/* Does it still hold? One without refusals holds as long as its series stay where they are; one with
 * refusals while, besides, nothing leaves and nothing new comes in: the same series may be lighter as
 * another kind. */
static bool holds(const struct verdict *v, const struct holding *h, const struct batch *b)
{
    bool is_same_epoch = v->epoch == h->epoch;
    if (!is_same_epoch && v->n_refused > 0) {
        return false;
    }
    const struct source *s =
        is_same_epoch && v->source != NULL ? v->source : holding_source(h, b->source, b->tenant);
    if (s == NULL) {
        return v->n_held == 0;
    }
    return s->set.version == v->set_version && (v->n_refused == 0 || s->set.n == v->n_held);
}

static bool is_marked(const struct verdict *v, const struct holding *h)
{
    return v->step == (uint16_t)h->step && v->minute == holding_minute(h);
}

static bool columns_agree(const struct verdict *v, const struct batch *b)
{
    return b->values.len == (size_t)v->n_scalars * sizeof(double) && (b->exp.len > 0) == (v->n_exp > 0) &&
           (b->classic.len > 0) == (v->n_classic > 0);
}

bool judge_batch(struct judge *j, struct holding *h, struct tenants *tenants, const struct batch *b,
                 struct verdict **out, bool *is_new, struct err *e)
{
    struct hash128 key = hash128_seeded(b->shape, hash64_seeded(b->tenant, 3));
    struct verdict *v = table_find(&j->verdicts, key);
    *is_new = v == NULL || !holds(v, h, b);
    if (*is_new) {
        j->n_misses++;
        return verdict_make(j, h, tenants, b, key, out, e);
    }
    if (!columns_agree(v, b)) {
        return err_set(e, ERR_BAD_INPUT, "the batch's columns are not its shape's");
    }
    j->n_hits++;
    v->epoch = h->epoch;
    if (v->source != NULL && !is_marked(v, h)) {
        mark(h, v);
    }
    *out = v;
    return true;
}
