#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "policy/reason.h"

enum { OUTBOX_BYTES = 256 << 20 };

bool __wrap_stage_restore(struct stage *s, const char *topic, int32_t partition,
                          int64_t from_offset, restore_fn each, void *ctx, struct err *e);

static bool is_last_of_its_key(const struct rig *r, size_t i)
{
    for (size_t k = i + 1; k < r->n_state; k++) {
        if (slice_eq(r->state[k].key, r->state[i].key)) {
            return false;
        }
    }
    return r->state[i].value.ptr != NULL;
}

/* In the runtime's place: the state topic as it was committed. */
bool __wrap_stage_restore(struct stage *s, const char *topic, int32_t partition,
                          int64_t from_offset, restore_fn each, void *ctx, struct err *e)
{
    struct rig *r = (struct rig *)(void *)s;
    struct partition p = {.topic = slice_str(topic), .number = partition};
    ck_assert_str_eq(topic, "sluice.limit");
    ck_assert_int_eq(partition, r->partition.number);
    ck_assert_int_eq(from_offset, 0);
    for (size_t i = 0; i < r->n_state; i++) {
        const struct record in = {.partition = &p,
                                  .offset = (int64_t)i,
                                  .key = r->state[i].key,
                                  .value = r->state[i].value};
        if ((!r->is_compacted || is_last_of_its_key(r, i)) && !each(ctx, &in, e)) {
            return false;
        }
    }
    return true;
}

static void policy_write(const struct rig *r, const char *json)
{
    char fresh[80];
    (void)snprintf(fresh, sizeof fresh, "%s.new", r->policy_path);
    FILE *f = fopen(fresh, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(json, 1, strlen(json), f), strlen(json));
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(rename(fresh, r->policy_path), 0);
}

void rig_policy(struct rig *r, const char *json)
{
    struct err e = ERR_INIT;
    policy_write(r, json);
    ck_assert_msg(limit_reload(r->limit, &e) == POLICY_NEW, "%s", e.text);
}

static void lease_show(struct rig *r, const struct rig_record *lease)
{
    struct err e = ERR_INIT;
    const struct record in = {.partition = &r->partition, .key = lease->key, .value = lease->value};
    ck_assert_msg(limit_follow(r->limit, FOLLOW_LEASES, &in, &e), "%s", e.text);
}

static void process_start(struct rig *r)
{
    const struct rig_options *o = &r->options;
    struct err e = ERR_INIT;
    struct limit_options options = {
        .policy_path = r->policy_path,
        .state_topic = "sluice.limit",
        .active_ms = o->active_ms == 0 ? 8 * STEP_MS : o->active_ms,
        .heartbeat_ms = 10000,
        .lease_wait_ms = o->lease_wait_ms,
        .rate_burst_ms = 30000,
        .dlq_samples_per_minute = o->dlq_cap == 0  ? 1000000
                                  : o->dlq_cap < 0 ? 0
                                                   : (uint64_t)o->dlq_cap,
        .memory_bytes = o->memory_bytes == 0 ? (size_t)256 << 20 : o->memory_bytes,
    };
    memcpy(options.shed_after_ms, o->shed_after_ms, sizeof options.shed_after_ms);
    ck_assert_msg(limit_new(&options, r->metrics, &r->limit, &e), "%s", e.text);
    for (size_t i = 0; i < r->n_leases; i++) {
        lease_show(r, &r->leases[i]);
    }
}

bool rig_recover(struct rig *r, struct err *e)
{
    return limit_recover(r->limit, (struct stage *)(void *)r, &r->partition, -1, SLICE_NONE, e);
}

void rig_open(struct rig *r, const struct rig_options *o)
{
    struct err e = ERR_INIT;
    *r = (struct rig){.options = *o, .origin = 1};
    r->partition = (struct partition){.topic = SLICE_LITERAL("metrics.valid"),
                                      .topic_id = {9, 8, 7},
                                      .number = o->number,
                                      .n_partitions = o->n_partitions == 0 ? 1 : o->n_partitions};
    (void)snprintf(r->policy_path, sizeof r->policy_path, "/tmp/limit-test-XXXXXX");
    int fd = mkstemp(r->policy_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    policy_write(r, o->policy == NULL ? "{\"tenants\": {\"t\": {}}}" : o->policy);
    r->metrics = metrics_new();
    outbox_init(&r->out, OUTBOX_BYTES);
    r->out.n_output_partitions[OUTPUT_ADMITTED] = r->out.n_output_partitions[OUTPUT_STATE] =
        r->partition.n_partitions;
    r->out.n_output_partitions[OUTPUT_DLQ] = r->out.n_output_partitions[OUTPUT_LEASES] = 1;
    buf_init(&r->batch, 16 << 20);
    process_start(r);
    ck_assert_msg(rig_recover(r, &e), "%s", e.text);
}

static void process_end(struct rig *r)
{
    limit_drop(r->limit, &r->partition);
    limit_free(r->limit);
    outbox_reset(&r->out);
}

static void records_free(struct rig_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)records[i].key.ptr);
        free((void *)(uintptr_t)records[i].value.ptr);
    }
    free(records);
}

void rig_close(struct rig *r)
{
    process_end(r);
    records_free(r->state, r->n_state);
    records_free(r->leases, r->n_leases);
    outbox_fini(&r->out);
    buf_fini(&r->batch);
    metrics_free(r->metrics);
    (void)unlink(r->policy_path);
}

void rig_restart(struct rig *r)
{
    struct err e = ERR_INIT;
    process_end(r);
    process_start(r);
    ck_assert_msg(rig_recover(r, &e), "%s", e.text);
}

bool rig_step(struct rig *r, struct slice value, struct err *e)
{
    struct arena a;
    struct batch b = {0};
    struct outbox_mark mark = outbox_mark(&r->out);
    arena_init(&a, 1 << 26);
    bool is_batch = batch_decode(value, &batch_default_caps, &a, &b, e);
    int64_t received_ms = is_batch && b.received_ms > 0 ? b.received_ms : NOW_MS;
    const struct record in = {.partition = &r->partition,
                              .offset = r->offset,
                              .timestamp_ms = received_ms,
                              .key = slice_of(&b.source, sizeof b.source),
                              .value = value};
    *e = (struct err)ERR_INIT;
    bool ok = limit_step(r->limit, NULL, &in, received_ms + r->age_ms, &r->out, e);
    r->offset += ok;
    if (!ok) {
        outbox_rewind(&r->out, mark);
    }
    arena_fini(&a);
    return ok;
}

void rig_send_value(struct rig *r, struct slice value)
{
    struct err e = ERR_INIT;
    ck_assert_msg(rig_step(r, value, &e), "%s", e.text);
}

void rig_send(struct rig *r, const struct rig_batch *b)
{
    rig_send_value(r, rig_encode(r, b));
}

static struct slice copied(struct slice s)
{
    uint8_t *p = s.ptr == NULL ? NULL : malloc(s.len + 1);
    if (p != NULL && s.len > 0) {
        memcpy(p, s.ptr, s.len);
    }
    return slice_of(p, s.len);
}

static void record_add(struct rig_record **records, size_t *n, struct slice key, struct slice value)
{
    *records = reallocarray(*records, *n + 1, sizeof **records);
    ck_assert_ptr_nonnull(*records);
    (*records)[(*n)++] = (struct rig_record){copied(key), copied(value)};
}

void rig_state_add(struct rig *r, struct slice key, struct slice value)
{
    record_add(&r->state, &r->n_state, key, value);
}

void rig_commit(struct rig *r)
{
    struct err e = ERR_INIT;
    ck_assert_msg(limit_flush(r->limit, &r->partition, &r->out, &e), "%s", e.text);
    r->n_state_before = r->n_state;
    for (size_t i = 0; i < r->out.n; i++) {
        const struct outgoing *o = &r->out.records[i];
        if (o->output == OUTPUT_STATE) {
            ck_assert_int_eq(o->partition, r->partition.number);
            rig_state_add(r, o->key, o->value);
        } else if (o->output == OUTPUT_LEASES) {
            record_add(&r->leases, &r->n_leases, o->key, o->value);
            lease_show(r, &r->leases[r->n_leases - 1]);
        }
    }
    tally_apply(&r->out.tally);
    outbox_reset(&r->out);
}

void rig_pulse(struct rig *r, int64_t now_ms)
{
    struct err e = ERR_INIT;
    ck_assert_msg(limit_pulse(r->limit, &r->partition, true, now_ms, &r->out, &e), "%s", e.text);
}

void rig_settle(struct rig *r)
{
    for (int i = 0; i < 6; i++) {
        rig_pulse(r, NOW_MS);
        rig_commit(r);
    }
}

void rig_control(struct rig *r, const char *id, const char *fields)
{
    struct err e = ERR_INIT;
    char json[1024];
    int64_t now_ms = clock_now_ms();
    (void)snprintf(json, sizeof json,
                   "{\"id\": \"%s\", \"who\": \"me\", \"reason\": \"r\", \"created_ms\": %lld, "
                   "\"expires_ms\": %lld, %s}",
                   id, (long long)now_ms, (long long)now_ms + 3600000, fields);
    const struct record in = {
        .partition = &r->partition, .key = slice_str(id), .value = slice_str(json)};
    ck_assert_msg(limit_follow(r->limit, FOLLOW_CONTROL, &in, &e), "%s", e.text);
    ck_assert_msg(limit_tick(r->limit, NULL, now_ms, &e), "%s", e.text);
}

double rig_count(struct rig *r, enum metric_id id, const char *tenant, const char *reason)
{
    const struct slice labels[2] = {slice_str(tenant), slice_str(reason)};
    return cell_get(metrics_cell(r->metrics, id, tenant[0] == '\0' ? NULL : labels));
}

double rig_shed_for(struct rig *r, const char *tenant, enum batch_class class, const char *reason)
{
    const struct slice labels[] = {slice_str(tenant), slice_str(batch_class_name(class)),
                                   slice_str(reason)};
    return cell_get(metrics_cell(r->metrics, M_SAMPLES_SHED, labels));
}

double rig_shed(struct rig *r, const char *tenant, enum batch_class class)
{
    return rig_shed_for(r, tenant, class, "freshness");
}

void rig_check_accounts(struct rig *r, const char *tenant)
{
    double in = rig_count(r, M_SAMPLES_IN, tenant, "");
    double out = rig_count(r, M_SAMPLES_OUT, tenant, "");
    double rejected = 0;
    double shed = 0;
    for (int i = 0; i < N_REASONS; i++) {
        rejected += rig_count(r, M_SAMPLES_REJECTED, tenant, reason_name((enum reason)i));
    }
    for (int i = 0; i < N_CLASSES; i++) {
        shed += rig_shed(r, tenant, (enum batch_class)i) +
                rig_shed_for(r, tenant, (enum batch_class)i, "operator") +
                rig_shed_for(r, tenant, (enum batch_class)i, "samples_per_second");
    }
    ck_assert_msg(in == out + rejected + shed, "%s: %g in, %g out, %g rejected, %g shed", tenant,
                  in, out, rejected, shed);
}
