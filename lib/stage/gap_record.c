#include "stage/gap_record.h"

#include "base/cursor.h"
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

bool gap_record_decode(struct slice bytes, struct gap_told *out, struct err *e)
{
    *out = (struct gap_told){0};
    if (!slice_starts_with(bytes, slice_of(GAP_HEAD, HEAD_BYTES))) {
        return err_set(e, ERR_BAD_INPUT, "no gap of a schema that is known");
    }
    struct cursor c = cursor_of(slice_of(bytes.ptr + HEAD_BYTES, bytes.len - HEAD_BYTES));
    out->sink = cursor_zigzag_bytes(&c);
    out->tenant = cursor_zigzag_bytes(&c);
    out->source = (uint64_t)cursor_zigzag(&c);
    out->from_ms = cursor_zigzag(&c);
    out->to_ms = cursor_zigzag(&c);
    (void)cursor_zigzag_bytes(&c); /* the reason */
    out->n_samples = cursor_zigzag(&c);
    (void)cursor_zigzag_bytes(&c); /* the topic's name */
    struct slice id = cursor_take(&c, TOPIC_ID_BYTES);
    if (id.ptr != NULL) {
        memcpy(out->topic_id, id.ptr, TOPIC_ID_BYTES);
    }
    int64_t partition = cursor_zigzag(&c);
    out->first_offset = cursor_zigzag(&c);
    out->last_offset = cursor_zigzag(&c);
    out->partition = (int32_t)partition;
    return (cursor_ok(&c) && !cursor_more(&c) && partition >= 0 && partition <= INT32_MAX) ||
           err_set(e, ERR_BAD_INPUT, "a gap that can't be read");
}
