#include "lease_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "inside.h"

enum {
    ACTIVE_MS = 480000, /* what is refused is kept in mind for two minutes */
    TURN_MS = 3000,
    WAIT_MS = 60000,
    COMMIT_BYTES = 6000,
    BOX_BYTES = 4 << 20
};

#define BUDGETS                                                                                    \
    "{\"limits\": {\"series_per_source\": 300, \"series_per_metric\": 48, \"series_per_tenant\": " \
    "80, \"samples_per_second\": 80}, \"tenants\": {\"t\": {}}}"

static uint64_t draw(struct world *w, uint64_t below)
{
    return next_random(&w->random) % below;
}

static uint64_t demand_draw(struct world *w, uint64_t below)
{
    return next_random(&w->demand_random) % below;
}

static bool chance(struct world *w, uint64_t per_thousand)
{
    return draw(w, 1000) < per_thousand;
}

static struct slice copied(struct slice s)
{
    uint8_t *p = s.ptr == NULL ? NULL : malloc(s.len + 1);
    if (p != NULL) {
        memcpy(p, s.ptr, s.len);
    }
    return slice_of(p, s.len);
}

static void released(struct slice *s)
{
    free((void *)(uintptr_t)s->ptr);
    *s = SLICE_NONE;
}

/* --- what Kafka holds --- */

static bool is_forgotten(const struct world *w, struct slice value)
{
    struct lease_record r;
    struct err e = ERR_INIT;
    return w->broken == BREAK_FORGETS_COUNTERS && value.ptr != NULL &&
           lease_record_kind(value) == RECORD_LEASE && lease_record_read(value, &r, &e) &&
           r.use == 0 && r.granted == r.returned;
}

/* Compacted as it is written. */
static void state_write(struct world *w, const struct outgoing *o)
{
    struct rig *k = &w->kafka[o->partition];
    struct slice value = is_forgotten(w, o->value) ? SLICE_NONE : o->value;
    for (size_t i = 0; i < k->n_state; i++) {
        if (slice_eq(k->state[i].key, o->key)) {
            released(&k->state[i].value);
            k->state[i].value = copied(value);
            if (value.ptr == NULL) {
                released(&k->state[i].key);
                k->state[i] = k->state[--k->n_state];
            }
            return;
        }
    }
    if (value.ptr != NULL) {
        rig_state_add(k, o->key, value);
    }
}

static void leases_write(struct world *w, const struct outgoing *o)
{
    w->leases = reallocarray(w->leases, w->n_leases + 1, sizeof *w->leases);
    ck_assert_ptr_nonnull(w->leases);
    w->leases[w->n_leases++] =
        (struct world_lease_copy){copied(o->key), copied(o->value), NOW_MS + w->now_ms};
    w->n_said += lease_record_kind(o->value) != RECORD_TICK;
}

static void admitted_write(struct world *w, const struct outgoing *o)
{
    if (o->key.len > 0) { /* no heartbeat */
        w->admitted[o->partition] = hash64_seeded(o->value, w->admitted[o->partition]);
    }
}

static void outbox_write(struct world *w, const struct outbox *out)
{
    for (size_t i = 0; i < out->n; i++) {
        const struct outgoing *o = &out->records[i];
        if (o->output == OUTPUT_LEASES) {
            world_audit_copy(w, o->value);
        }
        if (o->output == OUTPUT_STATE) {
            state_write(w, o);
        } else if (o->output == OUTPUT_LEASES && w->broken != BREAK_EARLY_COPIES) {
            leases_write(w, o);
        } else if (o->output == OUTPUT_ADMITTED) {
            admitted_write(w, o);
        }
    }
}

/* --- processes --- */

static void box_reset(struct world_box *b)
{
    outbox_reset(&b->out);
    b->n_inputs = 0;
    memset(b->moved, 0, sizeof b->moved);
}

/* A takeover that leaves records of a kind out, if that is the rule that is broken. */
static bool is_left_out(const struct world *w, struct slice value)
{
    enum lease_record_kind kind = lease_record_kind(value);
    return (w->broken == BREAK_RETURNED_LOST && kind == RECORD_LEASE) ||
           (w->broken == BREAK_GRANTS_LOST && kind == RECORD_GRANTS);
}

static void recover(struct world *w, struct world_process *x, int p)
{
    struct err e = ERR_INIT;
    struct rig kept = w->kafka[p];
    kept.n_state = 0;
    kept.state = calloc(w->kafka[p].n_state + 1, sizeof *kept.state);
    ck_assert_ptr_nonnull(kept.state);
    for (size_t i = 0; i < w->kafka[p].n_state; i++) {
        if (!is_left_out(w, w->kafka[p].state[i].value)) {
            kept.state[kept.n_state++] = w->kafka[p].state[i];
        }
    }
    limit_drop(x->limit, &x->partitions[p]);
    ck_assert_msg(limit_recover(x->limit, (struct stage *)(void *)&kept, &x->partitions[p], -1,
                                SLICE_NONE, &e),
                  "%s", e.text);
    x->position[p] = w->committed[p];
    x->is_ready[p] = true;
    free(kept.state);
}

static void rewind_all(struct world *w, struct world_process *x)
{
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        x->is_ready[p] = x->is_ready[p] && w->broken == BREAK_KEEPS_MEMORY;
    }
}

/* The transaction under way ends, one way or the other. */
static void settle(struct world *w, struct world_process *x, bool commits)
{
    struct world_box *b = &x->boxes[1 - x->filling];
    if (!x->is_running) {
        return;
    }
    x->is_running = false;
    if (commits) {
        w->n_commits++;
        outbox_write(w, &b->out);
        tally_apply(&b->out.tally);
        for (int p = 0; p < WORLD_PARTITIONS; p++) {
            w->committed[p] = b->moved[p] ? b->position[p] : w->committed[p];
        }
        world_audit(w, b->moved);
    } else {
        w->n_aborts++;
        box_reset(&x->boxes[x->filling]);
        rewind_all(w, x);
    }
    box_reset(b);
}

/* The box is closed: what the state has become goes with it. */
static void hand_over(struct world *w, struct world_process *x)
{
    struct world_box *b = &x->boxes[x->filling];
    struct err e = ERR_INIT;
    if (b->n_inputs == 0) {
        return;
    }
    b->out.n_reserved_bytes = 0;
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        if (b->moved[p]) {
            ck_assert_msg(limit_flush(x->limit, &x->partitions[p], &b->out, &e), "%s", e.text);
            b->position[p] = x->position[p];
        }
    }
    for (size_t i = 0; i < b->out.n && w->broken == BREAK_EARLY_COPIES; i++) {
        if (b->out.records[i].output == OUTPUT_LEASES) {
            leases_write(w, &b->out.records[i]);
        }
    }
    x->filling = 1 - x->filling;
    x->is_running = true;
}

/* Now and then a call finds the box all but full. */
static void shrink(struct world *w, struct world_box *b)
{
    b->out.arena.max_bytes = !w->is_calm && chance(w, 100)
                                 ? b->out.n_bytes + b->out.n_reserved_bytes + (size_t)draw(w, 3000)
                                 : BOX_BYTES;
}

static void take(struct world *w, struct world_process *x, int p)
{
    struct err e = ERR_INIT;
    const struct world_input *in = &w->inputs[p][x->position[p]];
    const struct record r = {.partition = &x->partitions[p],
                             .offset = (int64_t)x->position[p],
                             .timestamp_ms = in->at_ms,
                             .key = SLICE_LITERAL("key"),
                             .value = in->value};
    for (;;) {
        struct world_box *b = &x->boxes[x->filling];
        struct outbox_mark mark = outbox_mark(&b->out);
        shrink(w, b);
        bool ok = limit_step(x->limit, NULL, &r, NOW_MS + w->now_ms, &b->out, &e);
        b->out.arena.max_bytes = BOX_BYTES;
        if (ok) {
            b->n_inputs++;
            b->moved[p] = true;
            x->position[p]++;
            return;
        }
        outbox_rewind(&b->out, mark);
        w->n_waits += e.kind == ERR_WAIT;
        if (e.kind == ERR_WAIT) {
            return;
        }
        ck_assert_msg(e.kind == ERR_RETRY, "%s", e.text);
        w->n_retries++;
        settle(w, x, !chance(w, 100));
        hand_over(w, x);
        if (!x->is_ready[p]) {
            return;
        }
    }
}

static void pulse(struct world *w, struct world_process *x, int p)
{
    struct err e = ERR_INIT;
    struct world_box *b = &x->boxes[x->filling];
    struct outbox_mark mark = outbox_mark(&b->out);
    bool at_end = x->position[p] == w->n_inputs[p];
    shrink(w, b);
    bool ok = limit_pulse(x->limit, &x->partitions[p], at_end, NOW_MS + w->now_ms, &b->out, &e);
    b->out.arena.max_bytes = BOX_BYTES;
    ck_assert_msg(ok || e.kind == ERR_RETRY, "%s", e.text);
    w->n_retries += !ok;
    if (ok && b->out.n > mark.n) {
        b->n_inputs++;
        b->moved[p] = true;
    } else {
        outbox_rewind(&b->out, mark);
    }
}

static void leases_read(struct world *w, struct world_process *x, size_t n)
{
    static struct partition topic;
    struct err e = ERR_INIT;
    for (; n > 0 && x->n_leases_read < w->n_leases; n--) {
        const struct world_lease_copy *c = &w->leases[x->n_leases_read++];
        const struct record r = {
            .partition = &topic, .timestamp_ms = c->at_ms, .key = c->key, .value = c->value};
        ck_assert_msg(limit_follow(x->limit, FOLLOW_LEASES, &r, &e), "%s", e.text);
    }
}

static void partition_turn(struct world *w, struct world_process *x, int p)
{
    if (!x->is_ready[p]) {
        recover(w, x, p);
    }
    for (size_t n = draw(w, 6); n > 0 && x->is_ready[p] && x->position[p] < w->n_inputs[p]; n--) {
        size_t before = x->position[p];
        take(w, x, p);
        if (x->position[p] == before) {
            break;
        }
    }
    if (x->is_ready[p] && (w->is_calm || chance(w, 700))) {
        pulse(w, x, p);
    }
}

/* A temporary limit, or none any more. */
static void control_read(struct world *w, struct world_process *x, int which)
{
    static const char *const budgets[] = {
        "\"budget\": \"metric\", \"metric\": \"m0\"", "\"budget\": \"metric\", \"metric\": \"m1\"",
        "\"budget\": \"metric\", \"metric\": \"m2\"", "\"budget\": \"tenant\"",
        "\"budget\": \"samples_per_second\""};
    static struct partition topic;
    struct err e = ERR_INIT;
    char id[8];
    char json[512];
    int64_t now_ms = clock_now_ms();
    (void)snprintf(id, sizeof id, "l%d", which);
    (void)snprintf(json, sizeof json,
                   "{\"kind\": \"limit\", \"id\": \"%s\", \"who\": \"me\", \"reason\": \"r\", "
                   "\"created_ms\": %lld, \"expires_ms\": %lld, \"tenant\": \"t\", "
                   "%s, \"value\": %lld}",
                   id, (long long)now_ms, (long long)now_ms + 3600000, budgets[which],
                   (long long)w->limits[which]);
    const struct record r = {.partition = &topic,
                             .key = slice_str(id),
                             .value = w->limits[which] == 0 ? SLICE_NONE : slice_str(json)};
    ck_assert_msg(limit_follow(x->limit, FOLLOW_CONTROL, &r, &e), "%s", e.text);
}

/* Each process reads it at its own time. */
static void controls_read(struct world *w, struct world_process *x)
{
    for (int which = 0; which <= WORLD_RATE; which++) {
        if (x->n_limits_read[which] != w->n_limits[which] && (w->is_calm || chance(w, 50))) {
            x->n_limits_read[which] = w->n_limits[which];
            control_read(w, x, which);
        }
    }
}

static void process_turn(struct world *w, struct world_process *x)
{
    struct err e = ERR_INIT;
    leases_read(w, x, w->is_calm ? SIZE_MAX : (size_t)draw(w, 4) * (size_t)draw(w, 10));
    controls_read(w, x);
    ck_assert_msg(limit_tick(x->limit, NULL, NOW_MS + w->now_ms, &e), "%s", e.text);
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        if (w->owner[p] == x - w->processes) {
            partition_turn(w, x, p);
        }
    }
    if (x->is_running && (w->is_calm || chance(w, 500))) {
        settle(w, x, w->is_calm || chance(w, 950));
    }
    const struct world_box *b = &x->boxes[x->filling];
    if (!x->is_running && (w->is_calm || chance(w, 500) || b->out.n_bytes > COMMIT_BYTES)) {
        hand_over(w, x);
    }
}

static void process_open(struct world *w, struct world_process *x)
{
    struct err e = ERR_INIT;
    const struct limit_options options = {.policy_path = x->policy_path,
                                          .state_topic = "sluice.limit",
                                          .active_ms = ACTIVE_MS,
                                          .heartbeat_ms = 10000,
                                          .lease_wait_ms = WAIT_MS,
                                          .rate_burst_ms = 30000,
                                          .dlq_samples_per_minute = 10,
                                          .memory_bytes = (size_t)64 << 20};
    *x = (struct world_process){0};
    (void)snprintf(x->policy_path, sizeof x->policy_path, "%s", w->kafka[0].policy_path);
    ck_assert_msg(limit_new(&options, w->metrics, &x->limit, &e), "%s", e.text);
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        x->partitions[p] = w->kafka[p].partition;
    }
    for (int i = 0; i < 2; i++) {
        outbox_init(&x->boxes[i].out, BOX_BYTES);
        for (int k = 0; k < MAX_OUTPUTS; k++) {
            x->boxes[i].out.n_output_partitions[k] = WORLD_PARTITIONS;
        }
    }
}

static void process_close(struct world_process *x)
{
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        limit_drop(x->limit, &x->partitions[p]);
    }
    outbox_fini(&x->boxes[0].out);
    outbox_fini(&x->boxes[1].out);
    limit_free(x->limit);
}

/* --- what happens to them --- */

static void rebalance(struct world *w)
{
    w->n_rebalances++;
    for (int i = 0; i < WORLD_PROCESSES; i++) {
        struct world_process *x = &w->processes[i];
        settle(w, x, chance(w, 800));
        if (x->boxes[x->filling].n_inputs > 0) {
            box_reset(&x->boxes[x->filling]);
            rewind_all(w, x);
        }
    }
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        int to = (int)draw(w, WORLD_PROCESSES);
        struct world_process *from = &w->processes[w->owner[p]];
        if (to != w->owner[p]) {
            limit_drop(from->limit, &from->partitions[p]);
            from->is_ready[p] = false;
            w->owner[p] = to;
        }
    }
}

static void killed(struct world *w)
{
    struct world_process *x = &w->processes[draw(w, WORLD_PROCESSES)];
    settle(w, x, chance(w, 500)); /* the coordinator decides */
    process_close(x);
    process_open(w, x);
    leases_read(w, x, (size_t)draw(w, w->n_leases + 1));
}

void world_limit(struct world *w, int which, int64_t value)
{
    w->limits[which] = value;
    w->n_limits[which]++;
}

void world_limit_at(struct world *w, int process, int which, int64_t value)
{
    w->limits[which] = value;
    control_read(w, &w->processes[process], which);
}

void world_demand(struct world *w, int n, int n_partitions)
{
    static const int weights[WORLD_METRICS] = {6, 3, 1};
    for (int i = 0; i < WORLD_PARTITIONS * WORLD_SOURCES; i++) {
        struct world_source *s = &w->sources[i / WORLD_SOURCES][i % WORLD_SOURCES];
        for (int m = 0; m < WORLD_METRICS; m++) {
            int most = i / WORLD_SOURCES < n_partitions
                           ? 2 * n * weights[m] / 10 / (n_partitions * WORLD_SOURCES)
                           : 0;
            s->from[m] += s->n[m];
            s->n[m] = (int)demand_draw(w, (uint64_t)most + 1);
        }
    }
}

/* Not all of a source's series each time. */
static void source_sends(struct world *w, int p, const struct world_source *s)
{
    char text[256];
    size_t len = 0;
    for (int m = 0; m < WORLD_METRICS; m++) {
        int part = s->n[m] == 0                 ? 0
                   : demand_draw(w, 1000) < 300 ? (int)demand_draw(w, (uint64_t)s->n[m] + 1)
                                                : s->n[m];
        if (part > 0) {
            w->n_samples += (uint64_t)part;
            len += (size_t)snprintf(text + len, sizeof text - len, "m%d%s*%d-%d ", m,
                                    m == 2 && w->has_histograms ? ":c1" : "", s->from[m],
                                    s->from[m] + part);
        }
    }
    if (len == 0) {
        return;
    }
    struct slice value =
        rig_encode(&w->kafka[p], &(struct rig_batch){text, .source = s->name, .at_ms = w->now_ms});
    w->inputs[p] = reallocarray(w->inputs[p], w->n_inputs[p] + 1, sizeof *w->inputs[p]);
    ck_assert_ptr_nonnull(w->inputs[p]);
    w->inputs[p][w->n_inputs[p]++] = (struct world_input){copied(value), NOW_MS + w->now_ms};
}

static void turn(struct world *w)
{
    w->now_ms += TURN_MS;
    for (int i = 0; i < WORLD_PARTITIONS * WORLD_SOURCES; i++) {
        if (demand_draw(w, 1000) < 50) {
            source_sends(w, i / WORLD_SOURCES, &w->sources[i / WORLD_SOURCES][i % WORLD_SOURCES]);
        }
    }
    for (int i = 0; i < WORLD_PROCESSES; i++) {
        if (w->is_calm || chance(w, 700)) {
            process_turn(w, &w->processes[i]);
        }
    }
    if (!w->is_calm && chance(w, 10)) {
        rebalance(w);
    }
    if (!w->is_calm && chance(w, 5)) {
        killed(w);
    }
}

void world_run(struct world *w, int n_turns)
{
    for (int i = 0; i < n_turns && w->error[0] == '\0'; i++) {
        turn(w);
    }
}

/* A name whose batches belong to the partition. */
static void source_name(struct world_source *s, int p, int first)
{
    int n = first;
    do {
        (void)snprintf(s->name, sizeof s->name, "gs-%d", n++);
    } while (batch_partition(source_id(SLICE_LITERAL("t"), slice_str(s->name)), WORLD_PARTITIONS) !=
             p);
}

static void policy_write(struct world *w)
{
    struct rig *k = &w->kafka[0];
    const char *json = w->policy == NULL ? BUDGETS : w->policy;
    (void)snprintf(k->policy_path, sizeof k->policy_path, "/tmp/lease-test-XXXXXX");
    int fd = mkstemp(k->policy_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, json, strlen(json)), (ssize_t)strlen(json));
    ck_assert_int_eq(close(fd), 0);
}

void world_open(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = seed,
                        .demand_random = seed,
                        .broken = w->broken,
                        .policy = w->policy,
                        .is_unleased = w->is_unleased,
                        .has_histograms = w->has_histograms};
    w->metrics = metrics_new();
    policy_write(w);
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        w->kafka[p].partition = (struct partition){
            .topic = SLICE_LITERAL("metrics.valid"), .number = p, .n_partitions = WORLD_PARTITIONS};
        w->kafka[p].origin = 1;
        w->truth[p] = w->kafka[p].partition;
        w->owner[p] = (int)draw(w, WORLD_PROCESSES);
        buf_init(&w->kafka[p].batch, 1 << 20);
        for (int i = 0; i < WORLD_SOURCES; i++) {
            source_name(&w->sources[p][i], p, 1000 * i);
        }
    }
    for (int i = 0; i < WORLD_PROCESSES; i++) {
        process_open(w, &w->processes[i]);
    }
    struct world_process auditor;
    process_open(w, &auditor);
    outbox_fini(&auditor.boxes[0].out);
    outbox_fini(&auditor.boxes[1].out);
    w->auditor = auditor.limit;
}

void world_close(struct world *w)
{
    for (int i = 0; i < WORLD_PROCESSES; i++) {
        process_close(&w->processes[i]);
    }
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        limit_drop(w->auditor, &w->truth[p]);
        for (size_t i = 0; i < w->kafka[p].n_state; i++) {
            released(&w->kafka[p].state[i].key);
            released(&w->kafka[p].state[i].value);
        }
        for (size_t i = 0; i < w->n_inputs[p]; i++) {
            released(&w->inputs[p][i].value);
        }
        free(w->kafka[p].state);
        free(w->inputs[p]);
        buf_fini(&w->kafka[p].batch);
    }
    for (size_t i = 0; i < w->n_leases; i++) {
        released(&w->leases[i].key);
        released(&w->leases[i].value);
    }
    free(w->leases);
    limit_free(w->auditor);
    metrics_free(w->metrics);
    (void)unlink(w->kafka[0].policy_path);
}
