#include "limit.h"

#include <stdlib.h>

#include "allocator.h"
#include "base/clock.h"
#include "inside.h"
#include "run/log.h"
#include "state.h"

enum {
    DECODE_BYTES = 32 << 20,
    OFFENDERS_BYTES = 32 << 20,
    FASTEST_TICK_MS = 1000,
    SLOWEST_TICK_MS = 10000,
    SCRATCH_BYTES = 1 << 20
};

static void on_news(void *ctx, const struct tenant_use *t, const struct series *s, bool is_refused)
{
    struct limit *l = ctx;
    offenders_note(&l->offenders, t->name, s, is_refused);
}

bool limit_new(const struct limit_options *o, struct metrics *m, struct limit **out, struct err *e)
{
    struct limit *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    l->options = *o;
    l->metrics = m;
    judge_init(&l->judge, o->memory_bytes / 8, o->memory_bytes / 2);
    l->judge.news = on_news;
    l->judge.news_ctx = l;
    board_init(&l->board);
    arena_init(&l->arena, DECODE_BYTES);
    arena_init(&l->scratch, DECODE_BYTES);
    buf_init(&l->encoded, batch_default_caps.max_bytes);
    buf_init(&l->keys, SCRATCH_BYTES);
    offenders_init(&l->offenders, OFFENDERS_BYTES, clock_now_ms());
    pages_init(&l->pages);
    l->heartbeats = metrics_cell(m, M_HEARTBEATS, NULL);
    l->restored = metrics_cell(m, M_LIMIT_RESTORE_RECORDS, NULL);
    if (!rulebook_open(&l->rules, o->policy_path, &l->draw, m, e)) {
        limit_free(l);
        return false;
    }
    *out = l;
    return true;
}

void limit_free(struct limit *l)
{
    if (l == NULL) {
        return;
    }
    judge_fini(&l->judge);
    board_fini(&l->board);
    offenders_fini(&l->offenders);
    arena_fini(&l->arena);
    arena_fini(&l->scratch);
    buf_fini(&l->encoded);
    buf_fini(&l->keys);
    pages_fini(&l->pages);
    rulebook_close(&l->rules);
    free(l);
}

/* --- rules --- */

void limit_spread_rules(struct limit *l)
{
    if (l->applied_rules == l->rules.version) {
        return;
    }
    l->applied_rules = l->rules.version;
    for (struct holding *h = l->holdings; h != NULL; h = h->next) {
        usage_rebind(&h->usage, &l->rules.tenants);
        h->epoch = ++l->draw;
    }
}

enum policy_change limit_reload(struct limit *l, struct err *e)
{
    enum policy_change change = rulebook_reload(&l->rules, e);
    limit_spread_rules(l);
    return change;
}

const char *limit_policy_version(const struct limit *l)
{
    return l->rules.policy->version;
}

bool limit_follow(void *ctx, size_t topic, const struct record *r, struct err *e)
{
    struct limit *l = ctx;
    struct err why = ERR_INIT;
    bool ok = topic == FOLLOW_LEASES ? board_take(&l->board, r, &why)
                                     : rulebook_take(&l->rules, r, clock_now_ms(), &why);
    if (!ok && why.kind != ERR_BAD_INPUT) {
        *e = why;
        return false;
    }
    if (!ok) {
        cell_add(metrics_cell(l->metrics, M_CONTROL_ERRORS, NULL), topic == FOLLOW_LEASES);
        log_err(LOG_ERROR, "a record that all read is passed over", &why);
    }
    return true;
}

/* --- partitions --- */

struct restoring {
    struct limit *limit;
    struct holding *holding;
    uint64_t n_records;
    uint64_t n_bytes;
};

static bool restore_one(void *ctx, const struct record *r, struct err *e)
{
    struct restoring *x = ctx;
    x->n_records++;
    x->n_bytes += r->key.len + r->value.len;
    return state_take(x->holding, &x->limit->rules.tenants, r, e) ||
           err_wrap(e, "offset %lld", (long long)r->offset);
}

static bool state_new(struct limit *l, const struct partition *p, struct owned_state **out,
                      struct err *e)
{
    struct owned_state *o = calloc(1, sizeof *o);
    const struct holding_options options = {.active_ms = l->options.active_ms,
                                            .number = (uint32_t)p->number,
                                            .n_partitions = p->n_partitions,
                                            .draw = &l->draw,
                                            .board = &l->board};
    if (o == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!holding_new(&options, &o->holding, e)) {
        free(o);
        return false;
    }
    caps_init(&o->caps, l->options.dlq_samples_per_minute);
    o->waiting_offset = -1;
    o->holding->next = l->holdings;
    l->holdings = o->holding;
    *out = o;
    return true;
}

bool limit_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                   struct slice metadata, struct err *e)
{
    struct limit *l = ctx;
    struct owned_state *o = NULL;
    int64_t began_ms = clock_mono_ms();
    (void)committed;
    (void)metadata;
    if (!state_new(l, p, &o, e)) {
        return false;
    }
    p->state = o;
    struct restoring x = {l, o->holding, 0, 0};
    bool is_restored = s != NULL && !l->options.fault_no_restore;
    if (is_restored &&
        !stage_restore(s, l->options.state_topic, p->number, 0, restore_one, &x, e)) {
        limit_drop(l, p);
        return false;
    }
    usage_bind(&o->holding->usage);
    holding_restored(o->holding);
    o->holding->scope_ms = o->holding->time_ms;
    cell_set(metrics_cell(l->metrics, M_LIMIT_RESTORE_SECONDS, NULL),
             (double)(clock_mono_ms() - began_ms) / 1000.0);
    cell_add(l->restored, (double)x.n_records);
    cell_add(metrics_cell(l->metrics, M_LIMIT_RESTORE_BYTES, NULL), (double)x.n_bytes);
    return holding_sweep(o->holding, e);
}

void limit_drop(void *ctx, struct partition *p)
{
    struct limit *l = ctx;
    struct owned_state *o = p->state;
    if (o == NULL) {
        return;
    }
    struct holding **at = &l->holdings;
    while (*at != o->holding) {
        at = &(*at)->next;
    }
    *at = o->holding->next;
    caps_fini(&o->caps);
    holding_free(o->holding);
    free(o);
    p->state = NULL;
}

/* What has changed of the partition's leases. */
static bool leases_say(struct limit *l, struct holding *h, struct outbox *out, struct err *e)
{
    const struct lease_outputs o = {OUTPUT_STATE, OUTPUT_LEASES, &l->keys, out};
    leases_advance(&h->usage.leases, h->scope_ms);
    const struct budget_source budgets = {tenants_budget, &l->rules.tenants};
    return leases_put(&h->usage.leases, &budgets, &o, e);
}

bool limit_flush(void *ctx, struct partition *p, struct outbox *out, struct err *e)
{
    const struct owned_state *o = p->state;
    return leases_say(ctx, o->holding, out, e) && state_put(o->holding, OUTPUT_STATE, out, e);
}

static bool heartbeat_put(struct limit *l, const struct partition *p, int64_t now_ms,
                          struct outbox *out, struct err *e)
{
    const struct owned_state *o = p->state;
    struct holding *h = o->holding;
    h->end_ms = now_ms;
    if (h->heartbeat_ms > now_ms) {
        h->heartbeat_ms = now_ms; /* the clock was set back */
    }
    if (now_ms - h->heartbeat_ms < l->options.heartbeat_ms) {
        return true;
    }
    const struct batch heartbeat = {.class = CLASS_CRITICAL, .received_ms = now_ms};
    buf_reset(&l->encoded);
    batch_encode(&heartbeat, &l->encoded);
    const struct outgoing r = {
        .output = OUTPUT_ADMITTED, .partition = p->number, .value = buf_slice(&l->encoded)};
    if (!(buf_ok(&l->encoded) || err_set(e, ERR_FATAL, "out of memory")) ||
        !outbox_put(out, &r, e) || !limit_tell(out, l->heartbeats, 1, e)) {
        return false;
    }
    h->heartbeat_ms = now_ms;
    return true;
}

/* A quarter of a step, within bounds: a silent partition's series lapse that late at most. */
static int64_t tick_every_ms(const struct limit *l)
{
    int64_t ms = l->options.active_ms / STEPS_ACTIVE / 4;
    return ms < FASTEST_TICK_MS ? FASTEST_TICK_MS : ms > SLOWEST_TICK_MS ? SLOWEST_TICK_MS : ms;
}

static bool allocator_say(struct limit *l, struct allocator *a, int64_t now_ms, struct outbox *out,
                          struct err *e)
{
    const struct lease_outputs o = {OUTPUT_STATE, OUTPUT_LEASES, &l->keys, out};
    const struct budget_source budgets = {tenants_budget, &l->rules.tenants};
    return allocator_run(a, &l->board, &budgets, l->rules.version, &o, e) &&
           allocator_tick(a, now_ms, tick_every_ms(l), &o, e);
}

bool limit_pulse(void *ctx, struct partition *p, bool at_end, int64_t now_ms, struct outbox *out,
                 struct err *e)
{
    struct limit *l = ctx;
    const struct owned_state *o = p->state;
    struct holding *h = o->holding;
    if (usage_learn(&h->usage, &l->rules.tenants)) {
        h->epoch = ++l->draw;
    }
    if (at_end) {
        holding_silence(h, l->board.tick_ms);
    }
    leases_forget(&h->usage.leases, holding_minute(h));
    bool ok = (h->allocator == NULL || allocator_say(l, h->allocator, now_ms, out, e)) &&
              leases_say(l, h, out, e) && (!at_end || heartbeat_put(l, p, now_ms, out, e));
    if (!ok) { /* what was put is taken back */
        leases_retell(&h->usage.leases);
        if (h->allocator != NULL) {
            allocator_retell(h->allocator);
        }
    }
    return ok;
}
