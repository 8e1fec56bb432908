#include "verdict.h"

#include <assert.h>
#include <stdlib.h>

#include "slot_list.h"
#include "trial.h"

enum { SHAPE_BYTES = 192 << 20 };

static void verdict_free(void *value)
{
    struct verdict *v = value;
    free((void *)(uintptr_t)v->slots.ptr);
    free(v->columns);
    free(v->killed);
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
    return out->source == b->source ||
           err_set(e, ERR_BAD_INPUT, "the batch's source is not its shape's");
}

/* Where the series stand once all are in: adding may have moved them. */
static bool slots_find(const struct trial *t, struct err *e)
{
    struct verdict *v = t->verdict;
    if (t->source == NULL) {
        return true;
    }
    const struct series_set *set = &t->source->set;
    size_t n_words = set->n_slots / 64 + 1;
    uint64_t *bits = arena_calloc(&t->judge->arena, n_words, sizeof *bits);
    for (uint32_t i = 0; i < v->n_series && bits != NULL; i++) {
        if (v->columns[i].refusal == 0) {
            uint32_t slot = series_set_find(set, t->shape->series[i].id);
            assert(slot != SERIES_NONE);
            v->n_over[slot_over(&set->slots[slot])]++;
            bits[slot / 64] |= UINT64_C(1) << slot % 64;
        }
    }
    return (bits != NULL && slot_list_make(bits, n_words, &v->slots)) ||
           err_set(e, ERR_FATAL, "out of memory");
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
    v->columns = calloc(shape->n_series + 1, sizeof *v->columns);
    if (v->columns == NULL) {
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
        if (!trial_judge(t, i, e)) {
            return false;
        }
    }
    if (t->source != NULL) {
        holding_fit(t->holding, t->source);
    }
    if (!slots_find(t, e)) {
        return false;
    }
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
    uint16_t seen = (uint16_t)(h->step & SLOT_STEPS);
    bool is_new_step = false;
    v->minute = holding_minute(h);
    v->step = h->step;
    struct cursor c = cursor_of(v->slots);
    for (uint32_t at = 0; slot_list_next(&c, &at);) {
        struct series_slot *slot = &s->set.slots[at];
        is_new_step |= slot->seen != seen;
        slot->seen = seen;
        slot->minute = v->minute;
    }
    if (is_new_step) {
        holding_touch(h, s);
    }
}

static size_t verdict_bytes(const struct verdict *v)
{
    return sizeof *v + v->slots.len +
           (v->columns == NULL ? 0 : (v->n_series + 1) * sizeof *v->columns) + v->kept.len;
}

static const struct control_rule *kills_of(const struct judging *g)
{
    const struct controls *c = g->tenants->controls;
    return c->n_rules == 0 ? NULL : controls_kills(c, g->batch->tenant);
}

static bool verdict_try(struct trial *t, struct verdict **out, struct err *e)
{
    int64_t n_before = t->source == NULL ? 0 : t->source->n_active;
    t->verdict = verdict_new(t->shape);
    if (t->verdict == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!trial_run(t, e)) {
        verdict_free(t->verdict);
        return false;
    }
    t->verdict->epoch = t->holding->epoch;
    t->verdict->source = t->source;
    t->verdict->set_version = t->source == NULL ? 0 : t->source->set.version;
    t->verdict->n_fresh = t->source == NULL ? 0 : t->source->n_active - n_before;
    t->verdict->n_held = t->source == NULL ? 0 : t->source->set.n;
    *out = t->verdict;
    return true;
}

static bool verdict_make(struct judge *j, const struct judging *g, struct hash128 key,
                         struct verdict **out, struct err *e)
{
    const struct batch *b = g->batch;
    struct holding *h = g->holding;
    struct shape shape;
    if (!judge_shape(j, b, &shape, e) || !batch_check_shape(b, &shape, e)) {
        return false;
    }
    struct trial t = {.judge = j,
                      .holding = h,
                      .tenants = g->tenants,
                      .batch = b,
                      .kills = kills_of(g),
                      .tenant = usage_tenant(&h->usage, b->tenant, g->tenants),
                      .shape = &shape,
                      .source = holding_source(h, b->source, b->tenant),
                      .has_waited = !g->may_wait};
    if (t.tenant == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (g->may_wait && trial_is_worth_waiting(&t)) {
        return err_set(e, ERR_WAIT, "a lease is about to grow");
    }
    if (!verdict_try(&t, out, e)) {
        return false;
    }
    if (!table_put(&j->verdicts, key, *out, verdict_bytes(*out))) {
        verdict_free(*out);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    (*out)->minute = holding_minute(h);
    if (t.has_let_in) {
        holding_touch(h, t.source);
    }
    if (t.source != NULL) {
        mark(h, *out);
    }
    return true;
}

/* Does it still hold? One without refusals holds as long as its series stay where they are; one
 * with refusals while, besides, nothing leaves and nothing new comes in: the same series may be
 * lighter as another kind. */
static bool holds(const struct verdict *v, const struct holding *h, const struct batch *b)
{
    bool is_same_epoch = v->epoch == h->epoch;
    bool is_stale_wish = v->is_wanted && v->minute != holding_minute(h);
    if (is_stale_wish || (!is_same_epoch && v->n_refused > 0)) {
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
    return v->step == h->step && v->minute == holding_minute(h);
}

static bool columns_agree(const struct verdict *v, const struct batch *b)
{
    return b->values.len == (size_t)v->n_scalars * sizeof(double) &&
           (b->exp.len > 0) == (v->n_exp > 0) && (b->classic.len > 0) == (v->n_classic > 0);
}

/* A verdict under kill switches is another one, and so is one of a batch that a sampling one lets
 * pass. */
static struct hash128 key_of(const struct judging *g)
{
    const struct batch *b = g->batch;
    uint64_t salt = 3;
    const struct control_rule *kills = kills_of(g);
    for (const struct control_rule *r = kills; r != NULL; r = r->next) {
        salt = salt * 31 + control_sample_passes(r, b->source, b->times.base_ms);
    }
    return hash128_seeded(
        b->shape,
        hash64_seeded(b->tenant, kills == NULL ? salt : salt ^ g->tenants->controls->version << 8));
}

bool judge_batch(struct judge *j, const struct judging *g, struct verdict **out, struct err *e)
{
    struct holding *h = g->holding;
    struct hash128 key = key_of(g);
    struct verdict *v = table_find(&j->verdicts, key);
    if (v == NULL || !holds(v, h, g->batch)) {
        j->n_misses++;
        return verdict_make(j, g, key, out, e);
    }
    if (!columns_agree(v, g->batch)) {
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

bool judge_count(struct judge *j, const struct judging *g, uint64_t *n, struct err *e)
{
    const struct verdict *v = table_find(&j->verdicts, key_of(g));
    struct shape shape;
    if (v != NULL) {
        *n = v->n_series;
        return true;
    }
    if (!judge_shape(j, g->batch, &shape, e)) {
        return false;
    }
    *n = shape.n_series;
    return true;
}
