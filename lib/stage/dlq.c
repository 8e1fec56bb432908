#include "stage/dlq.h"

#include "base/utf8.h"
#include "dlq_1_avsc.h"
#include "dlq_2_avsc.h"
#include "dlq_avsc.h"

enum { MAX_NAME_BYTES = 256, HEAD_BYTES = 10, TOPIC_ID_BYTES = 16 };

static const struct schema_version former[] = {{DLQ_1_FINGERPRINT, dlq_1_avsc},
                                               {DLQ_2_FINGERPRINT, dlq_2_avsc}};
const struct schema_versions dead_letter_versions = {
    .name = "dead letter",
    .head = DLQ_HEAD,
    .current = {DLQ_FINGERPRINT, dlq_avsc},
    .former = former,
    .n_former = sizeof former / sizeof former[0],
};

static void name_put(struct slice name, struct buf *out)
{
    buf_zigzag_bytes(out, slice_of(name.ptr, utf8_fit(name, MAX_NAME_BYTES)));
}

static void points_put(const struct dead_letter *l, struct buf *out)
{
    if (l->n_points > 0) {
        buf_zigzag(out, l->n_points);
    }
    for (uint32_t i = 0; i < l->n_points; i++) {
        const struct dead_letter_point *p = &l->points[i];
        buf_zigzag(out, p->has_series ? (int64_t)sizeof p->series : 0);
        if (p->has_series) {
            buf_le64(out, p->series.lo);
            buf_le64(out, p->series.hi);
        }
        buf_zigzag(out, p->time_ms);
    }
    buf_zigzag(out, 0);
}

static void more_put(const struct dead_letter *l, struct buf *out)
{
    if (l->n_more > 0) {
        buf_zigzag(out, l->n_more);
    }
    for (uint32_t i = 0; i < l->n_more; i++) {
        name_put(l->more[i].label, out);
        buf_zigzag_bytes(out, slice_str(l->more[i].reason));
        buf_zigzag_bytes(out, l->more[i].masked_value);
    }
    buf_zigzag(out, 0);
}

void dead_letter_encode(const struct dead_letter *l, struct buf *out)
{
    buf_put(out, DLQ_HEAD, HEAD_BYTES);
    buf_zigzag_bytes(out, l->tenant);
    buf_zigzag_bytes(out, slice_str(l->stage));
    buf_zigzag_bytes(out, slice_str(l->reason));
    name_put(l->metric, out);
    buf_zigzag(out, l->received_ms);
    buf_zigzag_bytes(out, l->topic);
    buf_put(out, l->topic_id, TOPIC_ID_BYTES);
    buf_zigzag(out, l->partition);
    buf_zigzag(out, l->offset);
    buf_zigzag(out, l->index);
    buf_zigzag(out, l->n_samples);
    points_put(l, out);
    name_put(l->label, out);
    buf_zigzag_bytes(out, l->masked_value);
    buf_zigzag_bytes(out, l->text);
    buf_zigzag_bytes(out, l->mask_key);
    buf_zigzag_bytes(out, l->policy_version);
    buf_zigzag(out, (int64_t)l->n_suppressed);
    more_put(l, out);
}
