#include "letter.h"

#include "base/utf8.h"
#include "dlq_avsc.h"

enum { MAX_METRIC_BYTES = 256, HEAD_BYTES = 10 };

static void text_put(struct buf *out, const char *text)
{
    buf_zigzag_bytes(out, slice_str(text));
}

struct place {
    struct slice topic;
    const uint8_t *topic_id;
    int32_t partition;
    int64_t offset;
};

/* From the schema's start to the array of points. */
struct head {
    struct slice tenant;
    const char *reason;
    struct slice metric;
    int64_t received_ms;
    struct place place;
    int64_t index;
    int64_t n_samples;
};

static void head_put(struct buf *out, const struct head *h)
{
    buf_put(out, DLQ_HEAD, HEAD_BYTES);
    buf_zigzag_bytes(out, h->tenant);
    text_put(out, "amp");
    text_put(out, h->reason);
    buf_zigzag_bytes(out, slice_of(h->metric.ptr, utf8_fit(h->metric, MAX_METRIC_BYTES)));
    buf_zigzag(out, h->received_ms);
    buf_zigzag_bytes(out, h->place.topic);
    buf_put(out, h->place.topic_id, TOPIC_ID_BYTES);
    buf_zigzag(out, h->place.partition);
    buf_zigzag(out, h->place.offset);
    buf_zigzag(out, h->index);
    buf_zigzag(out, h->n_samples);
}

static struct place place_of(const struct scrape *s)
{
    if (s->origin.topic.len > 0) {
        return (struct place){s->origin.topic, s->origin.topic_id, s->origin.partition,
                              s->origin.offset};
    }
    return (struct place){s->partition->topic, s->partition->topic_id, s->partition->number,
                          s->offset};
}

void letter_encode(const struct letter *l, struct buf *out)
{
    const struct scrape *s = l->scrape;
    struct hash128 id = s->shape->series[l->point].id;
    struct head h = {.tenant = s->shape->tenant,
                     .reason = l->reason,
                     .received_ms = s->received_ms,
                     .place = place_of(s),
                     .index = l->point,
                     .n_samples = 1};
    (void)wire_shape_label(s->shape, l->point, "__name__", &h.metric);
    head_put(out, &h);
    buf_zigzag(out, 1); /* one block of one point */
    buf_zigzag(out, sizeof id);
    buf_le64(out, id.lo);
    buf_le64(out, id.hi);
    buf_zigzag(out, l->time_ms);
    buf_zigzag(out, 0); /* no more points */
    buf_zigzag(out, 0); /* label */
    buf_zigzag(out, 0); /* masked value */
    text_put(out, l->text);
}

void letter_encode_record(const struct record *r, const char *text, struct buf *out)
{
    const struct partition *p = r->partition;
    struct head h = {.reason = REASON_UNREADABLE,
                     .received_ms = r->timestamp_ms,
                     .place = {p->topic, p->topic_id, p->number, r->offset}};
    head_put(out, &h);
    buf_zigzag(out, 0);
    buf_zigzag(out, 0);
    buf_zigzag(out, 0);
    text_put(out, text);
}
