#include "outcome.h"

#include <stdio.h>

static void count(struct metrics *m, enum metric_id id, struct slice tenant, struct slice what,
                  uint64_t n)
{
    const struct slice values[] = {tenant, what};
    if (n > 0) {
        cell_add(metrics_cell(m, id, values), (double)n);
    }
}

/* reason: as limit calls it, or what the client was told. */
static void count_shed(struct metrics *m, struct slice tenant, const uint64_t n[N_CLASSES],
                       const char *reason)
{
    for (int i = 0; i < N_CLASSES; i++) {
        const struct slice values[] = {tenant, slice_str(batch_class_name((enum batch_class)i)),
                                       slice_str(reason)};
        if (n[i] > 0) {
            cell_add(metrics_cell(m, M_SAMPLES_SHED, values), (double)n[i]);
        }
    }
}

static void count_samples(const struct outcome *o, struct metrics *m)
{
    if (o->n_in == 0) {
        return; /* an unanswered one, too: what is not counted as in is not shed */
    }
    cell_add(metrics_cell(m, M_SAMPLES_IN, &o->tenant), (double)o->n_in);
    cell_add(metrics_cell(m, M_SAMPLES_OUT, &o->tenant), (double)o->n_out);
    for (int i = 0; i < N_REASONS; i++) {
        count(m, M_SAMPLES_REJECTED, o->tenant, slice_str(reason_name((enum reason)i)),
              o->n_by_reason[i]);
    }
    count_shed(m, o->tenant, o->n_shed, reason_name(REASON_OVERLOADED));
    count_shed(m, o->tenant, o->n_shed_by_rule, "operator");
}

void outcome_count(const struct outcome *o, struct metrics *m)
{
    char code[16];
    (void)snprintf(code, sizeof code, "%u", o->status);
    const struct slice values[] = {o->tenant, slice_str(route_name(o->route)), slice_str(code)};
    cell_add(metrics_cell(m, M_GATEWAY_REQUESTS, values), 1);
    if (o->refused != REASON_NONE) {
        count(m, M_GATEWAY_REFUSED, o->tenant, slice_str(reason_name(o->refused)), 1);
    }
    count(m, M_GATEWAY_BYTES, o->tenant, SLICE_LITERAL("received"), o->n_received_bytes);
    count(m, M_GATEWAY_BYTES, o->tenant, SLICE_LITERAL("unpacked"), o->n_unpacked_bytes);
    count_samples(o, m);
    if (o->answer_ns > 0) {
        histogram_observe(metrics_histogram(m, M_GATEWAY_SECONDS, NULL), (double)o->answer_ns / 1e9,
                          1);
    }
}
