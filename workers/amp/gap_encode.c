#include "gap.h"

#include "stage/gap_record.h"

void gap_encode(const struct gap *g, const char *sink, struct buf *out)
{
    const struct gap_record r = {.sink = sink,
                                 .tenant = g->tenant,
                                 .source = g->source,
                                 .from_ms = g->from_ms,
                                 .to_ms = g->to_ms,
                                 .reason = g->reason,
                                 .n_samples = g->n_samples,
                                 .topic = g->partition->topic,
                                 .topic_id = g->partition->topic_id,
                                 .partition = g->partition->number,
                                 .first_offset = g->first_offset,
                                 .last_offset = g->last_offset};
    gap_record_encode(&r, out);
}
