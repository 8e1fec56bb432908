#include "letter.h"

#include "stage/dlq.h"

static struct dead_letter by_origin(const struct scrape *s)
{
    if (s->origin.topic.len > 0) {
        return (struct dead_letter){.topic = s->origin.topic,
                                    .topic_id = s->origin.topic_id,
                                    .partition = s->origin.partition,
                                    .offset = s->origin.offset};
    }
    return (struct dead_letter){.topic = s->partition->topic,
                                .topic_id = s->partition->topic_id,
                                .partition = s->partition->number,
                                .offset = s->offset};
}

void letter_encode(const struct letter *l, struct buf *out)
{
    const struct scrape *s = l->scrape;
    const struct dead_letter_point point = {s->shape->series[l->point].id, true, l->time_ms};
    struct dead_letter letter = by_origin(s);
    letter.tenant = s->shape->tenant;
    letter.stage = "amp";
    letter.reason = l->reason;
    letter.received_ms = s->received_ms;
    letter.index = l->point;
    letter.n_samples = 1;
    letter.n_points = 1;
    letter.points = &point;
    letter.text = slice_str(l->text);
    (void)wire_shape_label(s->shape, l->point, "__name__", &letter.metric);
    dead_letter_encode(&letter, out);
}

void letter_encode_record(const struct record *r, const char *text, struct buf *out)
{
    const struct partition *p = r->partition;
    const struct dead_letter letter = {.stage = "amp",
                                       .reason = REASON_UNREADABLE,
                                       .received_ms = r->timestamp_ms,
                                       .topic = p->topic,
                                       .topic_id = p->topic_id,
                                       .partition = p->number,
                                       .offset = r->offset,
                                       .text = slice_str(text)};
    dead_letter_encode(&letter, out);
}
