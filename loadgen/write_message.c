#include "write_message.h"

enum { MAX_MESSAGE_BYTES = 8 << 20 };

/* Field numbers and wire types as they stand on the wire. */
enum tag {
    TAG_TIMESERIES = 1 << 3 | 2,
    TAG_LABEL = 1 << 3 | 2,
    TAG_LABEL_NAME = 1 << 3 | 2,
    TAG_LABEL_VALUE = 2 << 3 | 2,
    TAG_SAMPLE = 2 << 3 | 2,
    TAG_SAMPLE_VALUE = 1 << 3 | 1,
    TAG_SAMPLE_TIME = 2 << 3,
    TAG_HISTOGRAM = 4 << 3 | 2,
    TAG_COUNT = 1 << 3,
    TAG_SUM = 3 << 3 | 1,
    TAG_SCHEMA = 4 << 3,
    TAG_ZERO_COUNT = 6 << 3,
    TAG_POSITIVE_SPAN = 11 << 3 | 2,
    TAG_POSITIVE_DELTAS = 12 << 3 | 2,
    TAG_SPAN_OFFSET = 1 << 3,
    TAG_SPAN_LENGTH = 2 << 3,
    TAG_HISTOGRAM_TIME = 15 << 3
};

void write_message_init(struct write_message *w, const struct model *m)
{
    w->model = m;
    buf_init(&w->bytes, MAX_MESSAGE_BYTES);
    buf_init(&w->series, MAX_MESSAGE_BYTES);
    buf_init(&w->part, MAX_MESSAGE_BYTES);
}

void write_message_fini(struct write_message *w)
{
    buf_fini(&w->bytes);
    buf_fini(&w->series);
    buf_fini(&w->part);
}

static void put_number(struct buf *b, enum tag tag, uint64_t value)
{
    buf_varint(b, (uint64_t)tag);
    buf_varint(b, value);
}

static void put_double(struct buf *b, enum tag tag, double value)
{
    buf_varint(b, (uint64_t)tag);
    buf_double(b, value);
}

static void put_bytes(struct buf *b, enum tag tag, struct slice bytes)
{
    buf_varint(b, (uint64_t)tag);
    buf_varint_bytes(b, bytes);
}

static void label_put(struct write_message *w, const char *name, const char *value)
{
    buf_reset(&w->part);
    put_bytes(&w->part, TAG_LABEL_NAME, slice_str(name));
    put_bytes(&w->part, TAG_LABEL_VALUE, slice_str(value));
    put_bytes(&w->series, TAG_LABEL, buf_slice(&w->part));
}

static void labels_put(struct write_message *w, const struct model_series *s,
                       const struct model_server *names, bool forbidden)
{
    const struct {
        const char *name;
        const char *value;
    } sorted[] = {
        {"__name__", s->metric->prometheus},
        {"asn_bucket", s->dimension_value},
        {"az", names->az},
        {"build_id", names->build_id},
        {"cluster", names->cluster},
        {"instance_type", names->instance_type},
        {"player_id", "p-10000001"},
        {"queue", s->dimension_value},
        {"region", names->region},
        {"shard_id", names->shard_id},
    };
    for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++) {
        bool is_dimension = sorted[i].value == s->dimension_value;
        bool absent = (is_dimension && strcmp(sorted[i].name, s->metric->dimension) != 0) ||
                      (strcmp(sorted[i].name, "player_id") == 0 && !forbidden);
        if (!absent) {
            label_put(w, sorted[i].name, sorted[i].value);
        }
    }
}

static void sample_put(struct write_message *w, double value, int64_t time_ms)
{
    buf_reset(&w->part);
    put_double(&w->part, TAG_SAMPLE_VALUE, value);
    put_number(&w->part, TAG_SAMPLE_TIME, (uint64_t)time_ms);
    put_bytes(&w->series, TAG_SAMPLE, buf_slice(&w->part));
}

/* One span; OTLP's bucket index plus one. */
static void buckets_put(struct buf *out, const struct model_histogram *h)
{
    struct buf inner;
    buf_init(&inner, (size_t)MAX_BUCKETS * 10);
    buf_varint(&inner, TAG_SPAN_OFFSET);
    buf_zigzag(&inner, h->offset + 1);
    put_number(&inner, TAG_SPAN_LENGTH, h->n_buckets);
    put_bytes(out, TAG_POSITIVE_SPAN, buf_slice(&inner));
    buf_reset(&inner);
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        buf_zigzag(&inner, (int64_t)h->counts[i] - (i == 0 ? 0 : (int64_t)h->counts[i - 1]));
    }
    put_bytes(out, TAG_POSITIVE_DELTAS, buf_slice(&inner));
    buf_fini(&inner);
}

static void histogram_put(struct write_message *w, const struct model_histogram *h, int64_t time_ms)
{
    struct buf *part = &w->part;
    buf_reset(part);
    put_number(part, TAG_COUNT, h->count);
    put_double(part, TAG_SUM, h->sum);
    buf_varint(part, TAG_SCHEMA);
    buf_zigzag(part, h->scale);
    put_number(part, TAG_ZERO_COUNT, h->zero_count);
    buckets_put(part, h);
    put_number(part, TAG_HISTOGRAM_TIME, (uint64_t)time_ms);
    put_bytes(&w->series, TAG_HISTOGRAM, buf_slice(part));
}

struct slice write_message_encode(struct write_message *w, uint32_t server, int64_t step)
{
    const struct model *m = w->model;
    struct epoch epoch = model_epoch(m, server, step);
    int64_t time_ms = model_time_ms(m, server, step);
    bool forbidden = model_forbidden(m, server, step);
    struct model_server names;
    model_server(m, server, &names);
    buf_reset(&w->bytes);
    for (uint32_t i = 0; i < m->p.n_series; i++) {
        const struct model_series *s = &m->series[i];
        buf_reset(&w->series);
        labels_put(w, s, &names, forbidden && model_series_forbidden(m, i));
        if (s->is_histogram) {
            struct model_histogram h;
            model_histogram(m, server, i, step, epoch, &h);
            histogram_put(w, &h, time_ms);
        } else {
            sample_put(w, model_value(m, i, model_counter(m, server, i, step, epoch)), time_ms);
        }
        put_bytes(&w->bytes, TAG_TIMESERIES, buf_slice(&w->series));
    }
    bool ok = buf_ok(&w->bytes) && buf_ok(&w->series) && buf_ok(&w->part);
    return ok ? buf_slice(&w->bytes) : SLICE_NONE;
}
