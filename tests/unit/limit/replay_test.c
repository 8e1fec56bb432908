/* The log is the state: whatever is committed when, and wherever the process dies, each batch is
 * decided as by an oracle that reads the log from its beginning and knows nothing of shapes, caches
 * or state records. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/reason.h"
#include "rig.h"
#include "runner.h"

enum { N_BATCHES = 400, N_SOURCES = 4, MAX_SERIES = 16, MAX_HELD = 4096, BUDGET = 12, STEPS = 8 };

#define LIMITS "{\"limits\": {\"series_per_source\": 12}, \"tenants\": {\"t\": {}, \"u\": {}}}"

/* --- the oracle --- */

struct held {
    int source;
    struct hash128 id;
    int weight;
    int64_t step;
};

struct oracle {
    struct held held[MAX_HELD];
    int n_held;
    int64_t time_ms;
    int64_t step_ms;
    int64_t high[3][2]; /* offset and index by the ingest partition */
};

/* What the log's batches are, and what has to become of them. */
struct logged {
    uint8_t *value; /* owned */
    size_t n_bytes;
    int source;
    bool is_duplicate;
    uint32_t n_points;
    bool is_kept[MAX_SERIES];
    uint32_t n_kept;
};

static struct held *held_find(struct oracle *o, int source, struct hash128 id)
{
    for (int i = 0; i < o->n_held; i++) {
        if (o->held[i].source == source && hash128_eq(o->held[i].id, id)) {
            return &o->held[i];
        }
    }
    return NULL;
}

static int held_weight(const struct oracle *o, int source)
{
    int sum = 0;
    for (int i = 0; i < o->n_held; i++) {
        sum += o->held[i].source == source ? o->held[i].weight : 0;
    }
    return sum;
}

static void oracle_expire(struct oracle *o)
{
    int n = 0;
    for (int i = 0; i < o->n_held; i++) {
        if (o->time_ms / o->step_ms - o->held[i].step <= STEPS) {
            o->held[n++] = o->held[i];
        }
    }
    o->n_held = n;
}

static bool oracle_lets_in(struct oracle *o, int source, const struct rig_point *p)
{
    int weight = p->kind == SERIES_CLASSIC_HISTOGRAM ? (int)p->n_bounds + 3 : 1;
    struct held *h = held_find(o, source, p->id);
    int more = h == NULL ? weight : weight > h->weight ? weight - h->weight : 0;
    if (more > 0 && held_weight(o, source) + more > BUDGET) {
        return false;
    }
    if (h == NULL) {
        ck_assert_int_lt(o->n_held, MAX_HELD);
        h = &o->held[o->n_held++];
        *h = (struct held){.source = source, .id = p->id};
    }
    h->weight += more;
    h->step = o->time_ms / o->step_ms;
    return true;
}

static bool oracle_was_seen(struct oracle *o, const struct batch *b)
{
    int64_t *high = o->high[b->origin.partition];
    if (b->redriven != 0) {
        return false;
    }
    if (b->origin.offset < high[0] || (b->origin.offset == high[0] && b->origin.index <= high[1])) {
        return true;
    }
    high[0] = b->origin.offset;
    high[1] = b->origin.index;
    return false;
}

static void oracle_read(struct oracle *o, struct logged *l)
{
    struct arena a;
    struct batch b;
    struct rig_point *points;
    arena_init(&a, 1 << 24);
    l->n_points = rig_points(slice_of(l->value, l->n_bytes), &a, &b, &points);
    l->is_duplicate = oracle_was_seen(o, &b);
    if (!l->is_duplicate) {
        o->time_ms = b.received_ms > o->time_ms ? b.received_ms : o->time_ms;
        oracle_expire(o);
        for (uint32_t i = 0; i < l->n_points; i++) {
            l->is_kept[i] = oracle_lets_in(o, l->source, &points[i]);
            l->n_kept += l->is_kept[i];
        }
    }
    arena_fini(&a);
}

/* --- the log --- */

static const char *const sources[N_SOURCES] = {"gs-1", "gs-2", "gs-3", "gs-1"};
static const char *const tenants[N_SOURCES] = {"t", "t", "t", "u"};
static const char *const kinds[] = {"", ":g", ":e", ":c0", ":c1", ":c3"};

/* A few sets of series come again and again, as scrapes do. */
static void series_make(uint64_t seed, char *out, size_t size)
{
    uint64_t state = seed;
    size_t n = 0;
    int first = (int)(next_random(&state) % 14);
    int n_series = 1 + (int)(next_random(&state) % (MAX_SERIES - 4));
    out[0] = '\0';
    for (int i = 0; i < n_series; i++) {
        uint64_t x = next_random(&state);
        const char *kind = x % 4 == 0 ? kinds[(x >> 8) % 6] : "";
        n += (size_t)snprintf(out + n, size - n, "m%02d{x=%d}%s ", first + i, (int)((x >> 16) % 2),
                              kind);
    }
}

static int64_t time_next(uint64_t *state, int64_t at_ms, int64_t step_ms)
{
    uint64_t x = next_random(state);
    if (x % 50 == 0) {
        return at_ms + 10 * step_ms; /* nobody is left */
    }
    if (x % 10 == 0) {
        return at_ms + (int64_t)((x >> 8) % 3) * step_ms; /* at a step's very begin, now and then */
    }
    return at_ms + (int64_t)((x >> 8) % (uint64_t)(step_ms / 4));
}

static void log_make(struct rig *r, uint64_t seed, int64_t step_ms, struct logged *log)
{
    uint64_t state = seed;
    struct oracle *o = calloc(1, sizeof *o);
    int64_t at_ms = 0;
    o->step_ms = step_ms;
    for (int i = 0; i < N_BATCHES; i++) {
        char series[1024];
        uint64_t x = next_random(&state);
        at_ms = time_next(&state, at_ms, step_ms);
        log[i] = (struct logged){.source = (int)(x % N_SOURCES)};
        series_make(seed * 100 + (x >> 8) % 12, series, sizeof series);
        struct rig_batch b = {.series = series,
                              .source = sources[log[i].source],
                              .tenant = tenants[log[i].source],
                              .class = (enum batch_class)((x >> 16) % N_CLASSES),
                              .at_ms = at_ms,
                              .offset = 1 + i / 2,
                              .index = i % 2,
                              .ingest = (int32_t)((x >> 20) % 3),
                              .has_deltas = (x >> 24) % 2 == 0};
        if ((x >> 28) % 10 == 0 && at_ms > step_ms) {
            b.at_ms -= step_ms; /* another ingest partition lags */
        }
        if ((x >> 32) % 12 == 0) {
            b.offset = 1 + (int64_t)((x >> 36) % 200); /* most likely it was seen */
            b.redriven = (x >> 48) % 3 == 0 ? 5 : 0;
        }
        struct slice value = rig_encode(r, &b);
        log[i].value = malloc(value.len);
        log[i].n_bytes = value.len;
        memcpy(log[i].value, value.ptr, value.len);
        oracle_read(o, &log[i]);
    }
    free(o);
}

/* --- what came out against what had to --- */

static void point_compare(int i, const struct rig_point *in, const struct rig_point *out)
{
    ck_assert_msg(hash128_eq(in->id, out->id) && in->kind == out->kind &&
                      in->time_ms == out->time_ms && in->start_ms == out->start_ms &&
                      slice_eq(in->value, out->value),
                  "batch %d: a point came out differently", i);
}

static void batch_compare(int i, const struct logged *l, struct slice got)
{
    struct arena a;
    struct batch in;
    struct batch out;
    struct rig_point *points_in;
    struct rig_point *points_out;
    uint32_t n = 0;
    arena_init(&a, 1 << 24);
    uint32_t n_in = rig_points(slice_of(l->value, l->n_bytes), &a, &in, &points_in);
    uint32_t n_out = rig_points(got, &a, &out, &points_out);
    ck_assert_msg(n_out == l->n_kept, "batch %d: %u points of %u came out, not %u", i, n_out, n_in,
                  l->n_kept);
    for (uint32_t k = 0; k < n_in; k++) {
        if (l->is_kept[k]) {
            point_compare(i, &points_in[k], &points_out[n++]);
        }
    }
    ck_assert(slice_eq(in.tenant, out.tenant) && in.class == out.class && in.source == out.source &&
              in.received_ms == out.received_ms && in.redriven == out.redriven &&
              slice_eq(in.origin.topic, out.origin.topic) &&
              in.origin.partition == out.origin.partition &&
              in.origin.offset == out.origin.offset && in.origin.index == out.origin.index &&
              memcmp(in.origin.topic_id, out.origin.topic_id, TOPIC_ID_BYTES) == 0);
    arena_fini(&a);
}

static void output_compare(struct rig *r, size_t first, int i, const struct logged *l)
{
    size_t n = 0;
    for (size_t k = first; k < r->out.n; k++) {
        if (r->out.records[k].output == OUTPUT_ADMITTED) {
            batch_compare(i, l, r->out.records[k].value);
            n++;
        }
    }
    ck_assert_msg(n == (l->n_kept > 0), "batch %d: %zu batches came out, %u of %u points had to", i,
                  n, l->n_kept, l->n_points);
}

/* The outbox is full: the runtime commits what there was before, and with it the state of the batch
 * that was not put out. True: it had nothing to put out, and is done. */
static bool passes_full_outbox(struct rig *r, const struct logged *l)
{
    struct err e = ERR_INIT;
    size_t max_bytes = r->out.arena.max_bytes;
    r->out.arena.max_bytes = r->out.n_bytes + r->out.n_reserved_bytes;
    bool ok = rig_step(r, slice_of(l->value, l->n_bytes), &e);
    r->out.arena.max_bytes = max_bytes;
    ck_assert_msg(ok || e.kind == ERR_RETRY, "%s", e.text);
    ck_assert(!ok || l->n_kept == 0);
    return ok;
}

struct variant {
    const char *name;
    int64_t active_ms;
    int commit_one_in;
    int restart_one_in; /* 0: never */
    int fail_one_in;
    bool is_compacted;
};

static const struct variant variants[] = {
    {"commits one by one", 8 * STEP_MS, 1, 0, 0, false},
    {"large transactions", 8 * STEP_MS, 20, 0, 0, false},
    {"restarts", 8 * STEP_MS, 3, 7, 0, false},
    {"restarts, state compacted", 8 * STEP_MS, 3, 7, 0, true},
    {"a restart after each commit", 8 * STEP_MS, 1, 1, 0, true},
    {"restarts and full outboxes", 8 * STEP_MS, 3, 7, 3, true},
    {"steps that are no whole minutes", 80000, 3, 7, 3, true},
    {"the shortest steps", 8000, 3, 7, 3, false},
};

static void totals_check(struct rig *r, const struct logged *log)
{
    double in = 0;
    double out = 0;
    double duplicates = 0;
    for (int i = 0; i < N_BATCHES; i++) {
        in += log[i].n_points;
        out += log[i].n_kept;
        duplicates += log[i].is_duplicate ? log[i].n_points : 0;
    }
    ck_assert(out > 100 && duplicates > 10 && in > out + duplicates);
    ck_assert(rig_count(r, M_SAMPLES_IN, "t", "") + rig_count(r, M_SAMPLES_IN, "u", "") == in);
    ck_assert(rig_count(r, M_SAMPLES_OUT, "t", "") + rig_count(r, M_SAMPLES_OUT, "u", "") == out);
    ck_assert(rig_count(r, M_SAMPLES_REJECTED, "t", "duplicate_batch") +
                  rig_count(r, M_SAMPLES_REJECTED, "u", "duplicate_batch") ==
              duplicates);
    rig_check_accounts(r, "t");
    rig_check_accounts(r, "u");
}

static void log_run(struct rig *r, const struct variant *v, uint64_t seed, const struct logged *log)
{
    uint64_t state = seed;
    int committed = 0;
    for (int i = 0; i < N_BATCHES;) {
        uint64_t x = next_random(&state);
        if (v->fail_one_in > 0 && x % (uint64_t)v->fail_one_in == 0) {
            i += passes_full_outbox(r, &log[i]);
            rig_commit(r);
            committed = i;
            if (i == N_BATCHES) {
                break;
            }
        }
        size_t first = r->out.n;
        rig_send_value(r, slice_of(log[i].value, log[i].n_bytes));
        output_compare(r, first, i, &log[i]);
        i++;
        if ((x >> 16) % (uint64_t)v->commit_one_in == 0) {
            rig_commit(r);
            committed = i;
        }
        if (v->restart_one_in > 0 && (x >> 32) % (uint64_t)v->restart_one_in == 0) {
            rig_restart(r);
            i = committed;
        }
    }
    rig_commit(r);
}

START_TEST(decisions_are_the_oracles)
{
    const struct variant *v = &variants[(size_t)_i % (sizeof variants / sizeof variants[0])];
    const uint64_t seed = (uint64_t)_i + 1;
    struct rig r;
    static struct logged log[N_BATCHES];
    rig_open(&r, &(struct rig_options){.policy = LIMITS, .active_ms = v->active_ms});
    r.is_compacted = v->is_compacted;
    log_make(&r, seed, v->active_ms / STEPS, log);
    log_run(&r, v, seed * 7, log);
    totals_check(&r, log);
    for (int i = 0; i < N_BATCHES; i++) {
        free(log[i].value);
    }
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replay");
    TCase *t = tcase_create("replay");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, decisions_are_the_oracles, 0,
                        4 * (int)(sizeof variants / sizeof variants[0]));
    suite_add_tcase(s, t);
    return run_suite(s);
}
