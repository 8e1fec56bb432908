#include "exports.h"

#include <stdio.h>

/* In the order of struct rollup_counts' members below. */
static const char *const fate_names[N_FATES] = {
    "too_old", "late_dropped", "late_folded", "late_amended", "reread", "invalid", "conflict"};
static const char *const window_events[N_WINDOW_EVENTS] = {"opened", "watermark", "idle", "age",
                                                           "five"};

void exports_init(struct rollup_worker *w)
{
    for (int i = 0; i < N_FATES; i++) {
        struct slice name = slice_str(fate_names[i]);
        w->fates[i] = metrics_cell(w->metrics, M_ROLLUP_SAMPLES, &name);
    }
    for (int i = 0; i < N_WINDOW_EVENTS; i++) {
        struct slice name = slice_str(window_events[i]);
        w->windows[i] = metrics_cell(w->metrics, M_ROLLUP_WINDOWS, &name);
    }
    const struct slice malformed[] = {SLICE_LITERAL(""), SLICE_LITERAL("malformed")};
    w->malformed = metrics_cell(w->metrics, M_RECORDS_REJECTED, malformed);
    w->rows = metrics_cell(w->metrics, M_ROLLUP_ROWS, NULL);
    w->amends = metrics_cell(w->metrics, M_ROLLUP_AMENDS, NULL);
    w->resets = metrics_cell(w->metrics, M_ROLLUP_RESETS, NULL);
    w->forgotten = metrics_cell(w->metrics, M_ROLLUP_FORGOTTEN, NULL);
    completeness_init(&w->completeness, w->metrics);
}

void exports_fini(struct rollup_worker *w)
{
    completeness_fini(&w->completeness);
}

static struct rollup_counts counts_of(const struct owned_rows *o)
{
    struct rollup_counts c = o->minute != NULL ? o->minute->counts : o->hour->counts;
    const struct increase_counts *i =
        o->minute != NULL ? &o->minute->increase.counts : &o->hour->increase.counts;
    c.invalid += i->n_invalid;
    c.conflicts = i->n_conflicts;
    c.resets = i->n_resets;
    return c;
}

struct move {
    struct cell *cell;
    uint64_t now;
    uint64_t before;
};

bool exports_tell(struct rollup_worker *w, struct owned_rows *o, struct outbox *out, struct err *e)
{
    const struct rollup_counts c = counts_of(o);
    const struct rollup_counts *t = &o->told;
    const struct move moves[] = {
        {w->fates[0], c.too_old, t->too_old},
        {w->fates[1], c.late_dropped, t->late_dropped},
        {w->fates[2], c.late_folded, t->late_folded},
        {w->fates[3], c.late_amended, t->late_amended},
        {w->fates[4], c.reread, t->reread},
        {w->fates[5], c.invalid, t->invalid},
        {w->fates[6], c.conflicts, t->conflicts},
        {w->windows[0], c.opened, t->opened},
        {w->windows[1], c.closed_by_watermark, t->closed_by_watermark},
        {w->windows[2], c.closed_by_idle, t->closed_by_idle},
        {w->windows[3], c.closed_by_age, t->closed_by_age},
        {w->windows[4], c.closed_by_five, t->closed_by_five},
        {w->rows, c.rows, t->rows},
        {w->amends, c.amends, t->amends},
        {w->resets, c.resets, t->resets},
        {w->forgotten, c.streams_forgotten, t->streams_forgotten},
        {w->malformed, o->n_malformed, o->n_malformed_told},
    };
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        if (moves[i].now != moves[i].before &&
            !tally_add(&out->tally, moves[i].cell, (double)(moves[i].now - moves[i].before))) {
            return err_set(e, ERR_RETRY, "no memory for a count");
        }
    }
    o->told = c;
    o->n_malformed_told = o->n_malformed;
    return true;
}

/* Log time that has passed the end of the oldest window that is open, in seconds; 0 = none has. */
static double oldest_open(const struct owned_rows *o)
{
    const struct minute *m = o->minute;
    size_t at = 0;
    int64_t oldest_ms = INT64_MAX;
    if (m == NULL) {
        return 0;
    }
    for (const struct stream *s; (s = table_next(&m->streams, &at)) != NULL;) {
        if (s->n_windows > 0 && s->windows[0].start_ms < oldest_ms) {
            oldest_ms = s->windows[0].start_ms;
        }
    }
    int64_t late_ms = m->log_ms - MINUTE_MS - oldest_ms;
    return oldest_ms == INT64_MAX || late_ms < 0 ? 0 : (double)late_ms / 1000;
}

static struct cell *partition_cell(struct rollup_worker *w, const struct owned_rows *o)
{
    char digits[16];
    (void)snprintf(digits, sizeof digits, "%d", o->number);
    struct slice label = slice_str(digits);
    return metrics_cell(w->metrics, M_ROLLUP_OLDEST, &label);
}

size_t exports_gauges(struct rollup_worker *w)
{
    size_t n_bytes = 0;
    size_t n_streams = 0;
    size_t n_queued_bytes = 0;
    completeness_begin(&w->completeness);
    for (const struct owned_rows *o = w->owned; o != NULL; o = o->next) {
        n_bytes += o->minute != NULL ? minute_bytes(o->minute) : hour_bytes(o->hour);
        n_streams += o->minute != NULL ? o->minute->streams.n : o->hour->streams.n;
        n_queued_bytes += o->sending.n_bytes;
        cell_set(partition_cell(w, o), oldest_open(o));
        if (o->minute != NULL) {
            minute_count(o->minute, &w->completeness);
        } else {
            hour_count(o->hour, &w->completeness);
        }
    }
    completeness_end(&w->completeness);
    cell_set(metrics_cell(w->metrics, M_ROLLUP_BYTES, NULL), (double)n_bytes);
    cell_set(metrics_cell(w->metrics, M_ROLLUP_STREAMS, NULL), (double)n_streams);
    cell_set(metrics_cell(w->metrics, M_ROLLUP_QUEUED_BYTES, NULL), (double)n_queued_bytes);
    return n_bytes;
}

void exports_restored(struct rollup_worker *w, uint64_t n_records, int64_t took_ms)
{
    cell_set(metrics_cell(w->metrics, M_ROLLUP_RESTORE_SECONDS, NULL), (double)took_ms / 1000);
    cell_add(metrics_cell(w->metrics, M_ROLLUP_RESTORE_RECORDS, NULL), (double)n_records);
}

void exports_partition_gone(struct rollup_worker *w, const struct owned_rows *o)
{
    cell_set(partition_cell(w, o), 0);
}
