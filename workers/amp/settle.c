#include "shard.h"

static struct cell *cell_by_reason(struct sender *s, enum metric_id id, const struct scrape *scrape,
                                   const char *reason)
{
    struct slice values[2] = {scrape->shape->tenant, slice_str(reason)};
    return metrics_cell(s->metrics, id, values);
}

/* The points are done. They are counted as taken in only now, with their outcome, so that
 * in = out + rejected + already there holds at any time, through lost assignments too. */
static void finish(struct sender *s, const struct piece *p, bool counted)
{
    struct scrape *scrape = p->scrape;
    uint32_t n = p->to - p->from;
    if (counted) {
        cell_add(scrape->shape->cells.samples_in, n);
    }
    scrape->n_unsettled -= n;
    s->n_queued -= n;
    if (scrape->n_unsettled == 0) {
        struct partition *partition = scrape->partition;
        int64_t offset = scrape->offset;
        s->n_queued_bytes -= scrape->n_bytes;
        scrape_free(scrape);
        if (offset != NO_OFFSET) {
            s->hooks.release(s->hooks.ctx, partition, offset);
        }
    }
}

uint32_t piece_n_delta(const struct piece *p)
{
    const struct wire_shape *w = p->scrape->shape;
    if (w->n_delta == 0) {
        return 0;
    }
    uint32_t n = 0;
    for (uint32_t i = p->from; i < p->to; i++) {
        n += w->series[i].delta ? 1 : 0;
    }
    return n;
}

void settle_taken(struct sender *s, const struct piece *p)
{
    const struct scrape *scrape = p->scrape;
    uint32_t n_delta = piece_n_delta(p);
    uint32_t n_taken = p->to - p->from - n_delta;
    known_learn(&s->known, p, s->wall_ms);
    cell_add(scrape->shape->cells.samples_out, n_taken);
    if (n_delta > 0) {
        cell_add(scrape->shape->cells.delta, n_delta);
    }
    if (n_taken > 0) {
        int64_t age_ms = s->wall_ms - scrape->received_ms;
        histogram_observe(s->cells.freshness, (double)(age_ms < 0 ? 0 : age_ms) / 1000.0, n_taken);
    }
    finish(s, p, true);
}

void settle_already_there(struct sender *s, const struct piece *p)
{
    cell_add(p->scrape->shape->cells.already_there, p->to - p->from);
    finish(s, p, true);
}

bool settle_dead(struct sender *s, const struct piece *p, const char *reason, const char *text,
                 struct err *e)
{
    if (p->scrape->offset == NO_OFFSET) {
        settle_skipped(s, p, reason);
        return true;
    }
    for (uint32_t i = p->from; i < p->to; i++) {
        const struct letter letter = {.scrape = p->scrape,
                                      .point = i,
                                      .time_ms = scrape_time_ms(p->scrape, i),
                                      .reason = reason,
                                      .text = text};
        if (!s->hooks.dead_letter(s->hooks.ctx, &letter, e)) {
            return false;
        }
    }
    uint32_t n = p->to - p->from;
    cell_add(cell_by_reason(s, M_SAMPLES_REJECTED, p->scrape, reason), n);
    cell_add(cell_by_reason(s, M_DLQ_RECORDS, p->scrape, reason), n);
    finish(s, p, true);
    return true;
}

void settle_skipped(struct sender *s, const struct piece *p, const char *reason)
{
    cell_add(cell_by_reason(s, M_SAMPLES_REJECTED, p->scrape, reason), p->to - p->from);
    finish(s, p, true);
}

void settle_lost(struct sender *s, const struct piece *p)
{
    finish(s, p, false);
}
