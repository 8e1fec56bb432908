#include "stage/gap_record.h"

#include "gap_avsc.h"

enum { HEAD_BYTES = 10, TOPIC_ID_BYTES = 16 };

void gap_record_encode(const struct gap_record *g, struct buf *out)
{
    buf_put(out, GAP_HEAD, HEAD_BYTES);
    buf_zigzag_bytes(out, slice_str(g->sink));
    buf_zigzag_bytes(out, g->tenant);
    buf_zigzag(out, (int64_t)g->source);
    buf_zigzag(out, g->from_ms);
    buf_zigzag(out, g->to_ms);
    buf_zigzag_bytes(out, slice_str(g->reason));
    buf_zigzag(out, g->n_samples);
    buf_zigzag_bytes(out, g->topic);
    buf_put(out, g->topic_id, TOPIC_ID_BYTES);
    buf_zigzag(out, g->partition);
    buf_zigzag(out, g->first_offset);
    buf_zigzag(out, g->last_offset);
}
