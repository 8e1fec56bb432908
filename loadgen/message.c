#include "message.h"

#include <stdlib.h>

enum {
    ROOM_BYTES = 1024, /* in front of the sums, for the head */
    MAX_MESSAGE_BYTES = 8 << 20,
    WITH_FORBIDDEN = 1,
    FIXED_BYTES = 9, /* tag and fixed64 */
    CUMULATIVE = 2,
    MAX_LABELS_BYTES = 256
};

/* Field numbers and wire types as they stand on the wire. */
enum tag {
    TAG_RESOURCE_METRICS = 1 << 3 | 2,
    TAG_RESOURCE = 1 << 3 | 2,
    TAG_SCOPE_METRICS = 2 << 3 | 2,
    TAG_RESOURCE_ATTRIBUTE = 1 << 3 | 2,
    TAG_SCOPE = 1 << 3 | 2,
    TAG_SCOPE_NAME = 1 << 3 | 2,
    TAG_SCOPE_VERSION = 2 << 3 | 2,
    TAG_METRIC = 2 << 3 | 2,
    TAG_METRIC_NAME = 1 << 3 | 2,
    TAG_METRIC_UNIT = 3 << 3 | 2,
    TAG_METRIC_SUM = 7 << 3 | 2,
    TAG_METRIC_EXP_HISTOGRAM = 10 << 3 | 2,
    TAG_POINT = 1 << 3 | 2,
    TAG_TEMPORALITY = 2 << 3,
    TAG_MONOTONIC = 3 << 3,
    TAG_KEY = 1 << 3 | 2,
    TAG_VALUE = 2 << 3 | 2,
    TAG_STRING = 1 << 3 | 2,
    TAG_START = 2 << 3 | 1,
    TAG_TIME = 3 << 3 | 1,
    TAG_AS_DOUBLE = 4 << 3 | 1,
    TAG_AS_INT = 6 << 3 | 1,
    TAG_SUM_ATTRIBUTE = 7 << 3 | 2,
    TAG_HISTOGRAM_ATTRIBUTE = 1 << 3 | 2,
    TAG_COUNT = 4 << 3 | 1,
    TAG_SUM_OF_VALUES = 5 << 3 | 1,
    TAG_SCALE = 6 << 3,
    TAG_ZERO_COUNT = 7 << 3 | 1,
    TAG_POSITIVE = 8 << 3 | 2,
    TAG_OFFSET = 1 << 3,
    TAG_BUCKET_COUNTS = 2 << 3 | 2
};

struct message_template {
    struct buf bytes; /* ROOM_BYTES, the sums, and behind them what is written each time */
    size_t sums_end;
    uint32_t *points; /* per counter: where its start time's tag stands */
    bool forbidden;
};

/* What of a point's labels is the same in all of a server's points. */
struct server_labels {
    uint8_t bytes[MAX_LABELS_BYTES];
    size_t len;
};

static size_t varint_bytes(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static void put_str(struct buf *b, enum tag tag, const char *text)
{
    buf_u8(b, (uint8_t)tag);
    buf_varint_bytes(b, slice_str(text));
}

static void put_attribute(struct buf *b, enum tag tag, const char *name, const char *value)
{
    size_t value_len = strlen(value);
    size_t any_len = 1 + varint_bytes(value_len) + value_len;
    size_t name_len = strlen(name);
    buf_u8(b, (uint8_t)tag);
    buf_varint(b, 1 + varint_bytes(name_len) + name_len + 1 + varint_bytes(any_len) + any_len);
    put_str(b, TAG_KEY, name);
    buf_u8(b, TAG_VALUE);
    buf_varint(b, any_len);
    put_str(b, TAG_STRING, value);
}

static void server_labels_put(struct buf *b, enum tag tag, const struct model_server *s)
{
    put_attribute(b, tag, "az", s->az);
    put_attribute(b, tag, "build_id", s->build_id);
    put_attribute(b, tag, "cluster", s->cluster);
    put_attribute(b, tag, "instance_type", s->instance_type);
    put_attribute(b, tag, "region", s->region);
    put_attribute(b, tag, "shard_id", s->shard_id);
}

static void own_labels_put(struct buf *b, enum tag tag, const struct model_series *s, bool forbidden)
{
    put_attribute(b, tag, s->metric->dimension, s->dimension_value);
    if (forbidden) {
        put_attribute(b, tag, "player_id", "p-10000001");
    }
}

static void metric_put(struct buf *out, const struct catalogue_metric *metric, enum tag data_tag,
                       struct slice data)
{
    size_t name_len = strlen(metric->name);
    size_t unit_len = strlen(metric->unit);
    buf_u8(out, TAG_METRIC);
    buf_varint(out, 1 + varint_bytes(name_len) + name_len + 1 + varint_bytes(unit_len) + unit_len +
                        1 + varint_bytes(data.len) + data.len);
    put_str(out, TAG_METRIC_NAME, metric->name);
    put_str(out, TAG_METRIC_UNIT, metric->unit);
    buf_u8(out, (uint8_t)data_tag);
    buf_varint_bytes(out, data);
}

/* A sum's point with empty holes; gives where it begins. */
static size_t sum_point_put(struct buf *data, const struct model_series *s,
                            const struct model_server *labels, bool forbidden, struct buf *point)
{
    static const uint8_t hole[8] = {0};
    buf_reset(point);
    buf_u8(point, TAG_START);
    buf_put(point, hole, sizeof hole);
    buf_u8(point, TAG_TIME);
    buf_put(point, hole, sizeof hole);
    buf_u8(point, s->metric->is_double ? TAG_AS_DOUBLE : TAG_AS_INT);
    buf_put(point, hole, sizeof hole);
    server_labels_put(point, TAG_SUM_ATTRIBUTE, labels);
    own_labels_put(point, TAG_SUM_ATTRIBUTE, s, forbidden);
    buf_u8(data, TAG_POINT);
    buf_varint_bytes(data, buf_slice(point));
    return data->len - point->len;
}

/* The sums, metric by metric. */
static bool template_fill(struct message_template *t, const struct model *m)
{
    struct model_server labels; /* any: all have the same lengths */
    model_server(m, 0, &labels);
    struct buf data;
    struct buf point;
    buf_init(&data, MAX_MESSAGE_BYTES);
    buf_init(&point, MAX_MESSAGE_BYTES);
    (void)buf_extend(&t->bytes, ROOM_BYTES);
    for (uint32_t i = 0, n; i < m->n_counters; i += n) {
        buf_reset(&data);
        const struct catalogue_metric *metric = m->series[i].metric;
        for (n = 0; i + n < m->n_counters && m->series[i + n].metric == metric; n++) {
            bool forbidden = t->forbidden && model_series_forbidden(m, i + n);
            t->points[i + n] =
                (uint32_t)sum_point_put(&data, &m->series[i + n], &labels, forbidden, &point);
        }
        buf_u8(&data, TAG_TEMPORALITY);
        buf_u8(&data, CUMULATIVE);
        buf_u8(&data, TAG_MONOTONIC);
        buf_u8(&data, 1);
        metric_put(&t->bytes, metric, TAG_METRIC_SUM, buf_slice(&data));
        for (uint32_t j = i; j < i + n; j++) {
            t->points[j] += (uint32_t)(t->bytes.len - data.len);
        }
    }
    t->sums_end = t->bytes.len;
    bool ok = buf_ok(&t->bytes) && buf_ok(&data) && buf_ok(&point);
    buf_fini(&data);
    buf_fini(&point);
    return ok;
}

static void template_free(struct message_template *t)
{
    if (t != NULL) {
        buf_fini(&t->bytes);
        free(t->points);
        free(t);
    }
}

static struct message_template *template_new(const struct model *m, bool forbidden)
{
    struct message_template *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    buf_init(&t->bytes, MAX_MESSAGE_BYTES);
    t->forbidden = forbidden;
    t->points = calloc(m->p.n_series, sizeof *t->points);
    if (t->points == NULL || !template_fill(t, m)) {
        template_free(t);
        return NULL;
    }
    return t;
}

bool message_init(struct message *w, const struct model *m, struct err *e)
{
    memset(w, 0, sizeof *w);
    w->model = m;
    buf_init(&w->scratch, MAX_MESSAGE_BYTES);
    buf_init(&w->head, ROOM_BYTES);
    w->templates[0] = template_new(m, false);
    w->templates[WITH_FORBIDDEN] = template_new(m, true);
    if (w->templates[0] == NULL || w->templates[WITH_FORBIDDEN] == NULL) {
        message_fini(w);
        return err_set(e, ERR_CONFIG, "a message of %u series is too large", m->p.n_series);
    }
    return true;
}

void message_fini(struct message *w)
{
    template_free(w->templates[0]);
    template_free(w->templates[WITH_FORBIDDEN]);
    w->templates[0] = NULL;
    w->templates[WITH_FORBIDDEN] = NULL;
    buf_fini(&w->scratch);
    buf_fini(&w->head);
}

struct moment {
    uint32_t server;
    int64_t step;
    struct epoch epoch;
    uint64_t start_ns;
    uint64_t time_ns;
};

static uint64_t counter_bits(const struct model *m, uint32_t series, const struct moment *at)
{
    int64_t number = model_counter(m, at->server, series, at->step, at->epoch);
    uint64_t bits = (uint64_t)number;
    if (m->series[series].metric->is_double) {
        double value = model_value(m, series, number);
        memcpy(&bits, &value, sizeof bits);
    }
    return bits;
}

static void sums_patch(const struct message_template *t, const struct model *m,
                       const struct moment *at, const struct server_labels *labels)
{
    for (uint32_t i = 0; i < m->n_counters; i++) {
        uint8_t *p = t->bytes.ptr + t->points[i];
        uint64_t bits = counter_bits(m, i, at);
        memcpy(p + 1, &at->start_ns, sizeof at->start_ns);
        memcpy(p + FIXED_BYTES + 1, &at->time_ns, sizeof at->time_ns);
        memcpy(p + 2 * FIXED_BYTES + 1, &bits, sizeof bits);
        memcpy(p + 3 * FIXED_BYTES, labels->bytes, labels->len);
    }
}

static void put_fixed(struct buf *b, enum tag tag, uint64_t v)
{
    buf_u8(b, (uint8_t)tag);
    buf_le64(b, v);
}

static void histogram_put(struct buf *data, const struct model_histogram *h,
                          const struct moment *at, struct slice labels)
{
    uint64_t sum_bits;
    memcpy(&sum_bits, &h->sum, sizeof sum_bits);
    size_t counts_len = 0;
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        counts_len += varint_bytes(h->counts[i]);
    }
    uint64_t zigzag_offset = (uint64_t)h->offset << 1 ^ (uint64_t)(h->offset >> 31);
    size_t offset_len = h->offset == 0 ? 0 : 1 + varint_bytes(zigzag_offset);
    size_t zero_len = h->zero_count == 0 ? 0 : FIXED_BYTES;
    size_t positive_len = offset_len + 1 + varint_bytes(counts_len) + counts_len;
    buf_u8(data, TAG_POINT);
    buf_varint(data, labels.len + 4 * FIXED_BYTES + 2 + zero_len + 1 + varint_bytes(positive_len) +
                         positive_len);
    buf_put_slice(data, labels);
    put_fixed(data, TAG_START, at->start_ns);
    put_fixed(data, TAG_TIME, at->time_ns);
    put_fixed(data, TAG_COUNT, h->count);
    put_fixed(data, TAG_SUM_OF_VALUES, sum_bits);
    buf_u8(data, TAG_SCALE);
    buf_zigzag(data, h->scale);
    /* proto3 leaves out what is 0. */
    if (zero_len > 0) {
        put_fixed(data, TAG_ZERO_COUNT, h->zero_count);
    }
    buf_u8(data, TAG_POSITIVE);
    buf_varint(data, positive_len);
    if (offset_len > 0) {
        buf_u8(data, TAG_OFFSET);
        buf_zigzag(data, h->offset);
    }
    buf_u8(data, TAG_BUCKET_COUNTS);
    buf_varint(data, counts_len);
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        buf_varint(data, h->counts[i]);
    }
}

static void histograms_put(struct message *w, struct message_template *t, const struct moment *at,
                           const struct model_server *server)
{
    const struct model *m = w->model;
    for (uint32_t i = m->n_counters, n; i < m->p.n_series; i += n) {
        buf_reset(&w->scratch);
        const struct catalogue_metric *metric = m->series[i].metric;
        for (n = 0; i + n < m->p.n_series && m->series[i + n].metric == metric; n++) {
            struct model_histogram h;
            model_histogram(m, at->server, i + n, at->step, at->epoch, &h);
            buf_reset(&w->head);
            server_labels_put(&w->head, TAG_HISTOGRAM_ATTRIBUTE, server);
            own_labels_put(&w->head, TAG_HISTOGRAM_ATTRIBUTE, &m->series[i + n],
                           t->forbidden && model_series_forbidden(m, i + n));
            histogram_put(&w->scratch, &h, at, buf_slice(&w->head));
        }
        buf_u8(&w->scratch, TAG_TEMPORALITY);
        buf_u8(&w->scratch, CUMULATIVE);
        metric_put(&t->bytes, metric, TAG_METRIC_EXP_HISTOGRAM, buf_slice(&w->scratch));
    }
}

/* What stands before the metrics, for metrics_len bytes of them; into head. */
static void head_put(struct message *w, const struct model_server *s, size_t metrics_len)
{
    static const char scope[] = "sluice-loadgen";
    struct buf *resource = &w->scratch;
    buf_reset(resource);
    put_attribute(resource, TAG_RESOURCE_ATTRIBUTE, "service.name", "game-server");
    put_attribute(resource, TAG_RESOURCE_ATTRIBUTE, "service.instance.id", s->source);
    server_labels_put(resource, TAG_RESOURCE_ATTRIBUTE, s);

    size_t scope_len = 2 + (sizeof scope - 1) + 2 + (sizeof SLUICE_VERSION - 1);
    size_t scope_metrics_len = 1 + varint_bytes(scope_len) + scope_len + metrics_len;
    size_t resource_metrics_len = 1 + varint_bytes(resource->len) + resource->len + 1 +
                                  varint_bytes(scope_metrics_len) + scope_metrics_len;
    buf_reset(&w->head);
    buf_u8(&w->head, TAG_RESOURCE_METRICS);
    buf_varint(&w->head, resource_metrics_len);
    buf_u8(&w->head, TAG_RESOURCE);
    buf_varint_bytes(&w->head, buf_slice(resource));
    buf_u8(&w->head, TAG_SCOPE_METRICS);
    buf_varint(&w->head, scope_metrics_len);
    buf_u8(&w->head, TAG_SCOPE);
    buf_varint(&w->head, scope_len);
    put_str(&w->head, TAG_SCOPE_NAME, scope);
    put_str(&w->head, TAG_SCOPE_VERSION, SLUICE_VERSION);
}

static void server_labels_fill(struct message *w, const struct model_server *s,
                               struct server_labels *out)
{
    buf_reset(&w->head);
    server_labels_put(&w->head, TAG_SUM_ATTRIBUTE, s);
    out->len = w->head.len < sizeof out->bytes ? w->head.len : 0;
    memcpy(out->bytes, w->head.ptr, out->len);
}

struct slice message_encode(struct message *w, uint32_t server, int64_t step)
{
    const struct model *m = w->model;
    struct message_template *t = w->templates[model_forbidden(m, server, step)];
    struct moment at = {.server = server, .step = step, .epoch = model_epoch(m, server, step)};
    at.start_ns = model_start_ns(m, server, at.epoch);
    at.time_ns = model_time_ns(m, server, step);
    struct model_server names;
    struct server_labels labels;
    model_server(m, server, &names);
    server_labels_fill(w, &names, &labels);

    t->bytes.len = t->sums_end;
    sums_patch(t, m, &at, &labels);
    histograms_put(w, t, &at, &names);
    head_put(w, &names, t->bytes.len - ROOM_BYTES);
    if (!buf_ok(&t->bytes) || !buf_ok(&w->scratch) || !buf_ok(&w->head)) {
        return SLICE_NONE;
    }
    uint8_t *begin = t->bytes.ptr + ROOM_BYTES - w->head.len;
    memcpy(begin, w->head.ptr, w->head.len);
    return slice_of(begin, w->head.len + t->bytes.len - ROOM_BYTES);
}
