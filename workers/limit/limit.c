#include "limit.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "completeness.h"
#include "filter.h"
#include "letters.h"
#include "offenders.h"
#include "state.h"

enum {
    DECODE_BYTES = 32 << 20,
    OFFENDERS_BYTES = 32 << 20,
    OFFENDERS_EVERY_MS = 600000,
    PAGES_EVERY_MS = 2000,
    PAGE_BYTES = 16 << 20,
    MAX_SILENT_LISTED = 100,
    WORST_OFFENDERS = 20
};

/* What the admin server shows, made by the loop, read by the server's thread. */
struct page {
    struct buf bodies[2]; /* completeness, offenders */
    pthread_mutex_t lock;
};

struct limit {
    struct limit_options options;
    struct metrics *metrics;
    struct policy_file file;
    struct policy *policy;
    struct tenants tenants;
    struct judge judge;
    struct holding *holdings; /* of the partitions assigned */
    uint64_t draw;
    struct arena arena;   /* the batch at hand */
    struct arena scratch; /* the filter's */
    struct buf encoded;
    struct offenders offenders;
    bool is_shedding[N_CLASSES];
    int64_t pages_at_ms;
    struct page page;
    struct cell *heartbeats;
    struct cell *restored;
};

/* What a partition's state is: holding and the dead letters' caps. */
struct owned_state {
    struct holding *holding;
    struct caps caps;
};

static void on_news(void *ctx, const struct tenant_use *t, const struct series *s, bool is_refused)
{
    struct limit *l = ctx;
    offenders_note(&l->offenders, t->name, s, is_refused);
}

static void version_show(struct limit *l, double on)
{
    struct slice version = slice_str(l->policy->version);
    cell_set(metrics_cell(l->metrics, M_POLICY_VERSION, &version), on);
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
    arena_init(&l->arena, DECODE_BYTES);
    arena_init(&l->scratch, DECODE_BYTES);
    buf_init(&l->encoded, batch_default_caps.max_bytes);
    offenders_init(&l->offenders, OFFENDERS_BYTES, clock_now_ms());
    buf_init(&l->page.bodies[0], PAGE_BYTES);
    buf_init(&l->page.bodies[1], PAGE_BYTES);
    (void)pthread_mutex_init(&l->page.lock, NULL);
    l->heartbeats = metrics_cell(m, M_HEARTBEATS, NULL);
    l->restored = metrics_cell(m, M_LIMIT_RESTORE_RECORDS, NULL);
    if (!policy_file_open(&l->file, o->policy_path, &l->policy, e) ||
        !tenants_init(&l->tenants, l->policy, m, e)) {
        limit_free(l);
        return false;
    }
    version_show(l, 1);
    *out = l;
    return true;
}

void limit_free(struct limit *l)
{
    if (l == NULL) {
        return;
    }
    judge_fini(&l->judge);
    offenders_fini(&l->offenders);
    arena_fini(&l->arena);
    arena_fini(&l->scratch);
    buf_fini(&l->encoded);
    buf_fini(&l->page.bodies[0]);
    buf_fini(&l->page.bodies[1]);
    (void)pthread_mutex_destroy(&l->page.lock);
    tenants_fini(&l->tenants);
    policy_free(l->policy);
    free(l);
}

enum policy_change limit_reload(struct limit *l, struct err *e)
{
    struct policy *fresh = NULL;
    struct tenants tenants = {0};
    enum policy_change change = policy_file_poll(&l->file, &fresh, e);
    if (change == POLICY_NEW && !tenants_init(&tenants, fresh, l->metrics, e)) {
        tenants_fini(&tenants);
        policy_free(fresh);
        change = POLICY_REFUSED;
    }
    if (change == POLICY_REFUSED) {
        cell_add(metrics_cell(l->metrics, M_POLICY_ERRORS, NULL), 1);
    }
    if (change != POLICY_NEW) {
        return change;
    }
    version_show(l, 0);
    tenants_fini(&l->tenants);
    policy_free(l->policy);
    l->tenants = tenants;
    l->policy = fresh;
    for (struct holding *h = l->holdings; h != NULL; h = h->next) {
        usage_rebind(&h->usage, &l->tenants);
        h->epoch = ++l->draw; /* a higher budget may let in what was refused */
    }
    version_show(l, 1);
    return POLICY_NEW;
}

const char *limit_policy_version(const struct limit *l)
{
    return l->policy->version;
}

/* --- what operators see --- */

static void lookups_show(struct limit *l, const char *result, uint64_t n)
{
    struct slice value = slice_str(result);
    cell_set(metrics_cell(l->metrics, M_SHAPE_CACHE, &value), (double)n);
}

static void pages_make(struct limit *l)
{
    (void)pthread_mutex_lock(&l->page.lock);
    buf_reset(&l->page.bodies[0]);
    completeness_look(l->holdings, &l->tenants, MAX_SILENT_LISTED, &l->page.bodies[0]);
    buf_reset(&l->page.bodies[1]);
    offenders_print(&l->offenders, WORST_OFFENDERS, &l->page.bodies[1]);
    (void)pthread_mutex_unlock(&l->page.lock);
}

void limit_export(struct limit *l)
{
    size_t n_bytes = 0;
    for (const struct holding *h = l->holdings; h != NULL; h = h->next) {
        n_bytes += h->n_set_bytes;
    }
    l->judge.n_set_bytes = n_bytes;
    cell_set(metrics_cell(l->metrics, M_LIMIT_BYTES, NULL), (double)n_bytes);
    cell_set(metrics_cell(l->metrics, M_SHAPE_CACHE_BYTES, NULL), (double)l->judge.verdicts.cost_bytes);
    lookups_show(l, "hit", l->judge.n_hits);
    lookups_show(l, "miss", l->judge.n_misses);
    for (int i = 0; i < N_CLASSES; i++) {
        struct slice name = slice_str(batch_class_name((enum batch_class)i));
        cell_set(metrics_cell(l->metrics, M_SHEDDING, &name), l->is_shedding[i]);
    }
    int64_t now_ms = clock_now_ms();
    if (now_ms - l->offenders.since_ms > OFFENDERS_EVERY_MS) {
        offenders_reset(&l->offenders, now_ms);
    }
    if (now_ms - l->pages_at_ms >= PAGES_EVERY_MS || now_ms < l->pages_at_ms) {
        l->pages_at_ms = now_ms;
        pages_make(l);
    }
}

static void page_print(struct limit *l, int which, struct buf *body)
{
    (void)pthread_mutex_lock(&l->page.lock);
    buf_put_slice(body, buf_slice(&l->page.bodies[which]));
    (void)pthread_mutex_unlock(&l->page.lock);
}

void limit_print_completeness(void *ctx, struct buf *body)
{
    page_print(ctx, 0, body);
}

void limit_print_offenders(void *ctx, struct buf *body)
{
    page_print(ctx, 1, body);
}

/* --- partitions --- */

struct restoring {
    struct limit *limit;
    struct holding *holding;
    uint64_t n_records;
};

static bool restore_one(void *ctx, const struct record *r, struct err *e)
{
    struct restoring *x = ctx;
    x->n_records++;
    return state_take(x->holding, &x->limit->tenants, r, e) || err_wrap(e, "offset %lld", (long long)r->offset);
}

bool limit_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed, struct slice metadata,
                   struct err *e)
{
    struct limit *l = ctx;
    struct owned_state *o = calloc(1, sizeof *o);
    int64_t began_ms = clock_mono_ms();
    (void)committed;
    (void)metadata;
    if (o == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!holding_new(l->options.active_ms, (uint32_t)p->number, p->n_partitions, &l->draw, &o->holding, e)) {
        free(o);
        return false;
    }
    caps_init(&o->caps, l->options.dlq_samples_per_minute);
    o->holding->next = l->holdings;
    l->holdings = o->holding;
    p->state = o;
    struct restoring x = {l, o->holding, 0};
    bool is_restored = s != NULL && !l->options.fault_no_restore;
    if (is_restored && !stage_restore(s, l->options.state_topic, p->number, 0, restore_one, &x, e)) {
        limit_drop(l, p);
        return false;
    }
    cell_set(metrics_cell(l->metrics, M_LIMIT_RESTORE_SECONDS, NULL),
             (double)(clock_mono_ms() - began_ms) / 1000.0);
    cell_add(l->restored, (double)x.n_records);
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

bool limit_flush(void *ctx, struct partition *p, struct outbox *out, struct err *e)
{
    const struct owned_state *o = p->state;
    (void)ctx;
    return state_put(o->holding, OUTPUT_STATE, out, e);
}

/* --- a batch --- */

static bool tell(struct outbox *out, struct cell *cell, uint64_t n, struct err *e)
{
    return n == 0 || tally_add(&out->tally, cell, (double)n) || err_set(e, ERR_RETRY, "no memory for a count");
}

static bool batch_read(struct limit *l, const struct record *in, struct batch *b, struct err *e)
{
    arena_reset(&l->arena);
    if (!batch_decode(in->value, &batch_default_caps, &l->arena, b, e)) {
        return false;
    }
    if (b->origin.topic.len == 0 || b->received_ms <= 0 || b->shape.len == 0) {
        return err_set(e, ERR_BAD_INPUT, "a batch without origin, received_ms or points: validate did not write it");
    }
    if (batch_partition(b->source, (int32_t)in->partition->n_partitions) != in->partition->number) {
        return err_set(e, ERR_BAD_INPUT, "the batch's source belongs to partition %d",
                       batch_partition(b->source, (int32_t)in->partition->n_partitions));
    }
    return true;
}

/* With hysteresis: shedding ends at half the age that began it. */
static bool is_shed(struct limit *l, const struct batch *b, int64_t now_ms)
{
    int64_t age_ms = now_ms - b->received_ms;
    int64_t bound_ms = l->options.shed_after_ms[b->class];
    bool *on = &l->is_shedding[b->class];
    *on = bound_ms > 0 && age_ms > (*on ? bound_ms / 2 : bound_ms);
    return *on;
}

/* Samples of a batch that is not judged. */
static bool n_samples(struct limit *l, const struct batch *b, uint64_t *n, struct err *e)
{
    struct shape shape;
    if (!judge_shape(&l->judge, b, &shape, e)) {
        return false;
    }
    *n = shape.n_series;
    return true;
}

static bool duplicate_count(struct limit *l, const struct batch *b, struct outbox *out, struct err *e)
{
    uint64_t n = 0;
    const struct tenant *t = tenants_find(&l->tenants, b->tenant);
    return n_samples(l, b, &n, e) && tell(out, t->in, n, e) &&
           tell(out, tenant_reason_cell(&l->tenants, t, M_SAMPLES_REJECTED, REASON_DUPLICATE_BATCH), n, e);
}

static bool shed_count(struct limit *l, const struct batch *b, struct outbox *out, struct err *e)
{
    uint64_t n = 0;
    const struct tenant *t = tenants_find(&l->tenants, b->tenant);
    const struct slice values[] = {t->label, slice_str(batch_class_name(b->class)), SLICE_LITERAL("freshness")};
    return n_samples(l, b, &n, e) && tell(out, t->in, n, e) &&
           tell(out, metrics_cell(l->metrics, M_SAMPLES_SHED, values), n, e);
}

static bool new_count(struct limit *l, const struct verdict *v, const struct tenant *t, int64_t n_fresh,
                      struct outbox *out, struct err *e)
{
    for (int i = 0; i < N_REFUSALS; i++) {
        enum reason reason = (enum reason)(FIRST_REFUSAL + i);
        if (v->n_by_refusal[i] > 0 &&
            !tell(out, tenant_reason_cell(&l->tenants, t, M_SERIES_REFUSED, reason), v->n_by_refusal[i], e)) {
            return false;
        }
    }
    return n_fresh <= 0 || tell(out, t->fresh, (uint64_t)n_fresh, e);
}

static bool shadow_count(struct limit *l, const struct verdict *v, const struct tenant *t, struct outbox *out,
                         struct err *e)
{
    static const enum reason reasons[] = {REASON_NONE, REASON_OVER_SOURCE_BUDGET, REASON_OVER_METRIC_BUDGET,
                                          REASON_OVER_TENANT_BUDGET};
    for (int i = OVER_SOURCE; i <= OVER_TENANT; i++) {
        if (v->n_over[i] > 0 &&
            !tell(out, tenant_reason_cell(&l->tenants, t, M_SAMPLES_SHADOW, reasons[i]), v->n_over[i], e)) {
            return false;
        }
    }
    return true;
}

/* The batch, or what is left of it, goes on. */
static bool admitted_put(struct limit *l, const struct record *in, const struct batch *b, const struct verdict *v,
                         struct outbox *out, struct err *e)
{
    struct outgoing r = {
        .output = OUTPUT_ADMITTED, .partition = in->partition->number, .key = in->key, .value = in->value};
    if (v->n_refused == v->n_series) {
        return true;
    }
    if (v->n_refused > 0) {
        buf_reset(&l->encoded);
        if (!filter_batch(b, v, &l->scratch, &l->encoded, e)) {
            return false;
        }
        if (!buf_ok(&l->encoded)) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
        r.value = buf_slice(&l->encoded);
    }
    return outbox_put(out, &r, e) && outbox_age(out, b->received_ms, v->n_series - v->n_refused, e);
}

static bool batch_judge(struct limit *l, const struct record *in, const struct batch *b, struct outbox *out,
                        struct err *e)
{
    struct owned_state *o = in->partition->state;
    struct holding *h = o->holding;
    struct verdict *v;
    bool is_new;
    const struct source *known = holding_source(h, b->source, b->tenant);
    bool was_dirty = known != NULL && known->is_dirty;
    int64_t n_before = known == NULL ? 0 : known->n_active;
    if (!judge_batch(&l->judge, h, &l->tenants, b, &v, &is_new, e)) {
        return false;
    }
    const struct tenant *t = tenants_find(&l->tenants, b->tenant);
    struct letters letters = {&l->tenants, &o->caps, OUTPUT_DLQ, out};
    if (v->source != NULL) {
        v->source->last_ms = h->time_ms;
        if (v->source->is_dirty && (is_new || !was_dirty) &&
            !outbox_reserve(out, holding_source_bytes(h, v->source), e)) {
            return false;
        }
    }
    int64_t n_fresh = v->source == NULL ? 0 : v->source->n_active - n_before;
    return (!is_new || new_count(l, v, t, n_fresh, out, e)) && shadow_count(l, v, t, out, e) &&
           tell(out, t->in, v->n_series, e) && tell(out, t->out, v->n_series - v->n_refused, e) &&
           admitted_put(l, in, b, v, out, e) && letters_put(&letters, &l->judge, b, v, t, e);
}

static bool batch_take(struct limit *l, const struct record *in, int64_t now_ms, struct outbox *out, struct err *e)
{
    struct owned_state *o = in->partition->state;
    struct holding *h = o->holding;
    struct batch b;
    if (!batch_read(l, in, &b, e)) {
        return false;
    }
    if (b.redriven == 0 && highs_seen(&h->highs, &b.origin)) {
        return duplicate_count(l, &b, out, e);
    }
    if (!holding_advance(h, b.received_ms, e)) {
        return false;
    }
    bool ok = is_shed(l, &b, now_ms) ? shed_count(l, &b, out, e) : batch_judge(l, in, &b, out, e);
    if (ok && b.redriven == 0 && !highs_raise(&h->highs, &b.origin)) {
        ok = err_set(e, ERR_FATAL, "out of memory");
    }
    return ok;
}

bool limit_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms, struct outbox *out,
                struct err *e)
{
    struct limit *l = ctx;
    struct owned_state *o = in->partition->state;
    struct outbox_mark mark = outbox_mark(out);
    struct err why = ERR_INIT;
    (void)s;
    o->holding->heartbeat_ms = now_ms;
    caps_begin(&o->caps);
    bool ok = batch_take(l, in, now_ms, out, &why);
    if (!ok && why.kind == ERR_BAD_INPUT) {
        outbox_rewind(out, mark);
        caps_begin(&o->caps);
        const struct letters letters = {&l->tenants, &o->caps, OUTPUT_DLQ, out};
        const struct err bad = why;
        ok = letters_put_record(&letters, in, REASON_MALFORMED, bad.text, &why);
    }
    if (ok) {
        caps_keep(&o->caps);
        return true;
    }
    *e = why;
    return false;
}

bool limit_give_up(void *ctx, struct stage *s, const struct record *in, const char *reason, struct outbox *out,
                   struct err *e)
{
    struct limit *l = ctx;
    struct owned_state *o = in->partition->state;
    const struct letters letters = {&l->tenants, &o->caps, OUTPUT_DLQ, out};
    (void)s;
    caps_begin(&o->caps);
    if (!letters_put_record(&letters, in, REASON_OUTPUT_REFUSED, reason, e)) {
        return false;
    }
    caps_keep(&o->caps);
    return true;
}

bool limit_idle(void *ctx, struct partition *p, int64_t now_ms, struct outbox *out, struct err *e)
{
    struct limit *l = ctx;
    const struct owned_state *o = p->state;
    struct holding *h = o->holding;
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
    if (!(buf_ok(&l->encoded) || err_set(e, ERR_FATAL, "out of memory")) || !outbox_put(out, &r, e) ||
        !tell(out, l->heartbeats, 1, e)) {
        return false;
    }
    h->heartbeat_ms = now_ms;
    return true;
}
