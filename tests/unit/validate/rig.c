#include "rig.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "batch/batch.h"
#include "batch/histogram.h"
#include "policy/reason.h"

enum { OUTBOX_BYTES = 64 << 20, TEXT_BYTES = 1 << 22, N_PARTITIONS = 12 };

static char text_space[TEXT_BYTES];

void rig_policy(struct rig *r, const char *json)
{
    FILE *f = fopen(r->policy_path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(json, 1, strlen(json), f), strlen(json));
    ck_assert_int_eq(fclose(f), 0);
}

void rig_open(struct rig *r, const struct rig_options *o)
{
    struct err e = ERR_INIT;
    *r = (struct rig){.partition = {.number = 3, .n_partitions = 12, .topic_id = {1, 2, 3}},
                      .received_ms = NOW_MS};
    r->partition.topic = slice_str(o->topic == NULL ? "metrics.ingest.t" : o->topic);
    (void)snprintf(r->policy_path, sizeof r->policy_path, "/tmp/validate-test-XXXXXX");
    int fd = mkstemp(r->policy_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    rig_policy(r, o->policy == NULL ? "{\"tenants\": {\"t\": {}}}" : o->policy);
    const struct validate_options options = {
        .shared_topic = SLICE_LITERAL("metrics.ingest"),
        .policy_path = r->policy_path,
        .tenant_schemas = o->tenant_schemas,
        .n_tenant_schemas = o->n_tenant_schemas,
        .mask_key_file = o->mask_key_file == NULL ? "" : o->mask_key_file,
        .mask_key = slice_str(o->mask_key == NULL ? "" : o->mask_key),
        .dlq_samples_per_minute = o->dlq_cap == 0  ? 1000
                                  : o->dlq_cap < 0 ? 0
                                                   : (uint64_t)o->dlq_cap,
        .cache_bytes = o->cache_bytes == 0 ? (size_t)64 << 20 : o->cache_bytes,
    };
    r->metrics = metrics_new();
    outbox_init(&r->out, OUTBOX_BYTES);
    r->out.n_output_partitions[OUTPUT_VALID] = N_PARTITIONS;
    r->out.n_output_partitions[OUTPUT_DLQ] = 1;
    ck_assert_msg(validate_new(&options, r->metrics, &r->validate, &e), "%s", e.text);
    ck_assert(validate_recover(r->validate, NULL, &r->partition, -1, SLICE_NONE, &e));
}

void rig_close(struct rig *r)
{
    validate_drop(r->validate, &r->partition);
    validate_free(r->validate);
    outbox_fini(&r->out);
    metrics_free(r->metrics);
    (void)unlink(r->policy_path);
}

void rig_send(struct rig *r, struct slice value)
{
    struct err e = ERR_INIT;
    struct record in = {.partition = &r->partition,
                        .offset = r->offset++,
                        .timestamp_ms = r->received_ms,
                        .value = value,
                        .n_headers = r->n_headers};
    memcpy(in.headers, r->headers, sizeof in.headers);
    ck_assert_msg(validate_step(r->validate, NULL, &in, NOW_MS, &r->out, &e), "%s", e.text);
}

void rig_send_points(struct rig *r, const char *attributes, const struct message_point *points,
                     size_t n)
{
    struct buf b;
    buf_init(&b, 1 << 26);
    message_resource(&b, attributes, points, n);
    rig_send(r, buf_slice(&b));
    buf_fini(&b);
}

void rig_commit(struct rig *r)
{
    tally_apply(&r->out.tally);
    outbox_reset(&r->out);
}

static int add_text(char *out, size_t n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int add_text(char *out, size_t n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(out + n, TEXT_BYTES - n, fmt, args);
    va_end(args);
    ck_assert(len >= 0 && (size_t)len < TEXT_BYTES - n);
    return len;
}

static size_t series_text(char *out, size_t n, const struct series *s)
{
    n += (size_t)add_text(out, n, "%.*s{", SLICE_ARG(s->metric));
    for (uint32_t i = 0; i < s->n_labels; i++) {
        n += (size_t)add_text(out, n, "%s%.*s=%.*s", i == 0 ? "" : ",",
                              SLICE_ARG(s->labels[i].name), SLICE_ARG(s->labels[i].value));
    }
    return n +
           (size_t)add_text(out, n, "} %s%s ", series_kind_name(s->kind), s->delta ? " delta" : "");
}

static size_t value_text(char *out, size_t n, double v)
{
    return n + (size_t)(double_is_stale(v) ? add_text(out, n, "stale") : add_text(out, n, "%g", v));
}

static size_t batch_text(char *out, size_t n, const struct outgoing *r)
{
    struct arena a;
    struct err e = ERR_INIT;
    struct batch b;
    struct shape shape;
    arena_init(&a, 1 << 26);
    ck_assert_msg(batch_decode(r->value, &batch_default_caps, &a, &b, &e), "%s", e.text);
    ck_assert_msg(shape_decode(b.shape, b.tenant, &shape_default_caps, &a, &shape, &e), "%s",
                  e.text);
    ck_assert_msg(batch_check_shape(&b, &shape, &e), "%s", e.text);
    ck_assert_uint_eq(b.source, shape.source);
    ck_assert_int_eq(r->partition, batch_partition(b.source, N_PARTITIONS));
    ck_assert(r->key.len == 8 && memcmp(r->key.ptr, &b.source, 8) == 0);
    ck_assert_int_eq(b.origin.partition, 3);
    ck_assert_int_eq(b.origin.topic_id[2], 3);
    ck_assert(b.origin.topic.len > 0);
    int64_t *times = ARENA_ARRAY(&a, int64_t, shape.n_series);
    int64_t *starts = ARENA_ARRAY(&a, int64_t, shape.n_series);
    ck_assert(batch_times_decode(&b.times, shape.n_series, times, &e) &&
              batch_times_decode(&b.starts, shape.n_series, starts, &e));
    struct cursor exp = cursor_of(b.exp);
    struct cursor classic = cursor_of(b.classic);
    size_t scalar = 0;
    for (uint32_t i = 0; i < shape.n_series; i++) {
        const struct series *s = &shape.series[i];
        n += (size_t)add_text(out, n, "%s %.*s ", batch_class_name(b.class),
                              SLICE_ARG(shape.source_name));
        n = series_text(out, n, s);
        if (s->kind == SERIES_EXP_HISTOGRAM) {
            struct exp_histogram h;
            ck_assert(exp_histogram_decode(&exp, 1000, &a, &h, &e));
            n += (size_t)add_text(out, n, "%" PRIu64 "/", h.count);
            n = value_text(out, n, h.sum);
        } else if (s->kind == SERIES_CLASSIC_HISTOGRAM) {
            struct classic_histogram h;
            ck_assert(classic_histogram_decode(&classic, s->n_bounds, &a, &h, &e));
            n += (size_t)add_text(out, n, "%" PRIu64 "/", h.count);
            n = h.stale ? n + (size_t)add_text(out, n, "stale") : value_text(out, n, h.sum);
        } else {
            n = value_text(out, n, batch_value(&b, scalar++));
        }
        n += (size_t)add_text(out, n, " @%" PRId64, times[i] - NOW_MS);
        if (starts[i] != 0) {
            n += (size_t)add_text(out, n, " +%" PRId64, starts[i] - NOW_MS);
        }
        n += (size_t)add_text(out, n, "\n");
    }
    arena_fini(&a);
    return n;
}

/* " and name reason masked", for each further label */
static void more_text(struct cursor *c, char *out, size_t size)
{
    size_t used = 0;
    int64_t n = cursor_zigzag(c);
    for (int64_t i = 0; i < n; i++) {
        struct slice label = cursor_zigzag_bytes(c);
        struct slice reason = cursor_zigzag_bytes(c);
        bool is_masked = cursor_zigzag_bytes(c).len == 16;
        used += (size_t)snprintf(out + used, size - used, " and %.*s %.*s%s", SLICE_ARG(label),
                                 SLICE_ARG(reason), is_masked ? " masked" : "");
        ck_assert_uint_lt(used, size);
    }
    if (n > 0) {
        ck_assert_int_eq(cursor_zigzag(c), 0);
    }
}

static size_t letter_text(char *out, size_t n, const struct outgoing *r, bool with_text)
{
    struct cursor c = cursor_of(r->value);
    (void)cursor_take(&c, 10);
    struct slice tenant = cursor_zigzag_bytes(&c);
    ck_assert(slice_eq_str(cursor_zigzag_bytes(&c), "validate"));
    struct slice reason = cursor_zigzag_bytes(&c);
    struct slice metric = cursor_zigzag_bytes(&c);
    (void)cursor_zigzag(&c);
    (void)cursor_zigzag_bytes(&c);
    (void)cursor_take(&c, 16);
    ck_assert_int_eq(cursor_zigzag(&c), 3);
    (void)cursor_zigzag(&c);
    (void)cursor_zigzag(&c);
    int64_t n_samples = cursor_zigzag(&c);
    int64_t n_points = cursor_zigzag(&c);
    for (int64_t i = 0; i < n_points; i++) {
        size_t id_bytes = cursor_zigzag_bytes(&c).len;
        ck_assert(id_bytes == 0 || id_bytes == 16);
        (void)cursor_zigzag(&c);
    }
    if (n_points > 0) {
        ck_assert_int_eq(cursor_zigzag(&c), 0);
    }
    struct slice label = cursor_zigzag_bytes(&c);
    struct slice masked = cursor_zigzag_bytes(&c);
    struct slice text = cursor_zigzag_bytes(&c);
    struct slice key_id = cursor_zigzag_bytes(&c);
    ck_assert_uint_eq(key_id.len, masked.len == 16 ? 8 : 0);
    ck_assert(cursor_zigzag_bytes(&c).len >= 16); /* the policy's version */
    int64_t n_suppressed = cursor_zigzag(&c);
    char more[512] = "";
    more_text(&c, more, sizeof more);
    ck_assert(cursor_ok(&c) && cursor_left(&c) == 0);
    ck_assert(slice_eq(tenant, r->key.ptr == NULL ? SLICE_LITERAL("") : r->key));
    n += (size_t)add_text(out, n, "! %.*s %.*s [%.*s] %" PRId64 "/%" PRId64 "%s%s",
                          SLICE_ARG(reason), SLICE_ARG(metric), SLICE_ARG(label), n_samples,
                          n_points, masked.len == 16 ? " masked" : "", more);
    if (n_suppressed != 0) {
        n += (size_t)add_text(out, n, " and %" PRId64 " before", n_suppressed);
    }
    if (with_text) {
        n += (size_t)add_text(out, n, " %.*s", SLICE_ARG(text));
    }
    return n + (size_t)add_text(out, n, "\n");
}

const char *rig_text(struct rig *r, bool with_text)
{
    size_t n = 0;
    text_space[0] = '\0';
    for (size_t i = 0; i < r->out.n; i++) {
        const struct outgoing *o = &r->out.records[i];
        n = o->output == OUTPUT_VALID ? batch_text(text_space, n, o)
                                      : letter_text(text_space, n, o, with_text);
    }
    return text_space;
}

double rig_count(struct rig *r, enum metric_id id, const char *tenant, const char *reason)
{
    const struct slice labels[2] = {slice_str(tenant), slice_str(reason)};
    return cell_get(metrics_cell(r->metrics, id, tenant[0] == '\0' ? NULL : labels));
}

void rig_check_accounts(struct rig *r)
{
    double in = rig_count(r, M_SAMPLES_IN, "t", "");
    double out = rig_count(r, M_SAMPLES_OUT, "t", "");
    double rejected = 0;
    for (int i = 0; i < N_REASONS; i++) {
        rejected += rig_count(r, M_SAMPLES_REJECTED, "t", reason_name((enum reason)i));
    }
    ck_assert_msg(in == out + rejected, "%g in, %g out, %g rejected", in, out, rejected);
}
