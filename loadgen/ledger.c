#include "ledger.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CELL_BITS = 2, CELLS_PER_BYTE = 4, CELL_MOST = 3 };

static const uint64_t max_cells = UINT64_C(1) << 36; /* 16 GiB */
static const double zero_thresholds[] = {0, 1e-128}; /* see native_equal */

const char *fault_name(enum fault fault)
{
    static const char *const names[N_FAULTS] = {"lost", "duplicate", "wrong", "unexpected",
                                                "out_of_order"};
    return names[fault];
}

bool ledger_init(struct ledger *l, const struct model *m, const struct manifest *f,
                 enum ledger_mode mode, struct err *e)
{
    memset(l, 0, sizeof *l);
    l->model = m;
    l->manifest = f;
    l->mode = mode;
    l->ordered = mode == LEDGER_LOG && f->keyed;
    if ((uint64_t)f->n_scrapes > max_cells / m->p.n_series) {
        return err_set(e, ERR_CONFIG, "the manifest's load is too large to verify");
    }
    uint64_t n_cells = (uint64_t)f->n_scrapes * m->p.n_series;
    l->seen = calloc(n_cells / CELLS_PER_BYTE + 1, 1);
    l->last_order = calloc(m->p.n_servers, sizeof *l->last_order);
    if (l->seen == NULL || l->last_order == NULL) {
        ledger_fini(l);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    return true;
}

void ledger_fini(struct ledger *l)
{
    free(l->seen);
    free(l->last_order);
    l->seen = NULL;
    l->last_order = NULL;
}

/* Room for one more example of this fault; NULL when there are enough. */
static char *example(struct ledger *l, enum fault fault, uint64_t n)
{
    l->faults[fault] += n;
    return l->n_examples[fault] == MAX_EXAMPLES ? NULL : l->examples[fault][l->n_examples[fault]++];
}

static void fault_put(struct ledger *l, enum fault fault, uint64_t n, uint32_t server,
                      uint32_t series, int64_t time_ms, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

static void fault_put(struct ledger *l, enum fault fault, uint64_t n, uint32_t server,
                      uint32_t series, int64_t time_ms, const char *fmt, ...)
{
    char *out = example(l, fault, n);
    if (out == NULL) {
        return;
    }
    struct model_server names;
    model_server(l->model, server, &names);
    const struct model_series *s = &l->model->series[series];
    char what[120];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    (void)snprintf(out, EXAMPLE_BYTES, "%s %s{shard_id=\"%s\",%s=\"%s\"} at %" PRId64 ": %s",
                   names.source, s->metric->prometheus, names.shard_id, s->metric->dimension,
                   s->dimension_value, time_ms, what);
}

void ledger_unexpected(struct ledger *l, uint64_t n, struct slice metric,
                       const struct label *labels, uint32_t n_labels, int64_t time_ms)
{
    char *out = example(l, FAULT_UNEXPECTED, n);
    if (out == NULL) {
        return;
    }
    size_t at = (size_t)snprintf(out, EXAMPLE_BYTES, "%.*s", (int)(metric.len < 100 ? metric.len : 100),
                                 (const char *)metric.ptr);
    for (uint32_t i = 0; i < n_labels && at + 1 < EXAMPLE_BYTES; i++) {
        at += (size_t)snprintf(out + at, EXAMPLE_BYTES - at, " %.*s=\"%.*s\"",
                               SLICE_ARG(labels[i].name), SLICE_ARG(labels[i].value));
    }
    if (at + 1 < EXAMPLE_BYTES) {
        (void)snprintf(out + at, EXAMPLE_BYTES - at, " at %" PRId64 ": no such series", time_ms);
    }
}

static uint32_t cell_get(const struct ledger *l, uint64_t cell)
{
    return l->seen[cell / CELLS_PER_BYTE] >> (cell % CELLS_PER_BYTE * CELL_BITS) & CELL_MOST;
}

static void cell_set(struct ledger *l, uint64_t cell, uint32_t n)
{
    uint32_t shift = (uint32_t)(cell % CELLS_PER_BYTE) * CELL_BITS;
    uint8_t *byte = &l->seen[cell / CELLS_PER_BYTE];
    *byte = (uint8_t)((*byte & ~((uint32_t)CELL_MOST << shift)) | n << shift);
}

/* How often a series of this scrape may be there. */
struct bounds {
    uint32_t min;
    uint32_t max;
};

static struct bounds scrape_bounds(const struct ledger *l, uint32_t server, int64_t step)
{
    uint32_t n_sent = model_copies(l->model, server, step);
    int64_t scrape = step * l->model->p.n_servers + server;
    uint32_t n_doubts = manifest_list_count(&l->manifest->doubts, scrape, false);
    uint32_t n_repeats = manifest_list_count(&l->manifest->repeats, scrape, false);
    return (struct bounds){n_sent > n_doubts ? n_sent - n_doubts : 0, n_sent + n_repeats};
}

static bool digest_right(const struct native_histogram *expected, uint64_t digest)
{
    return digest == native_digest(expected, zero_thresholds[0]) ||
           digest == native_digest(expected, zero_thresholds[1]);
}

/* Compares with the model; says what differs. */
static bool value_right(struct ledger *l, const struct sighting *s, int64_t step)
{
    const struct model *m = l->model;
    struct epoch epoch = model_epoch(m, s->server, step);
    int64_t start_ms = (int64_t)(model_start_ns(m, s->server, epoch) / 1000000);
    if (s->is_histogram != m->series[s->series].is_histogram) {
        fault_put(l, FAULT_WRONG, 1, s->server, s->series, s->time_ms, "%s",
                  s->is_histogram ? "a histogram instead of a number"
                                  : "a number instead of a histogram");
        return false;
    }
    if (s->start_ms >= 0 && s->start_ms != start_ms) {
        fault_put(l, FAULT_WRONG, 1, s->server, s->series, s->time_ms,
                  "start %" PRId64 " instead of %" PRId64, s->start_ms, start_ms);
        return false;
    }
    if (!s->is_histogram) {
        int64_t number = model_counter(m, s->server, s->series, step, epoch);
        double expected = model_value(m, s->series, number);
        if (memcmp(&s->value, &expected, sizeof expected) != 0) {
            fault_put(l, FAULT_WRONG, 1, s->server, s->series, s->time_ms, "%.17g instead of %.17g",
                      s->value, expected);
            return false;
        }
        return true;
    }
    struct model_histogram h;
    struct native_histogram expected;
    model_histogram(m, s->server, s->series, step, epoch, &h);
    native_expect(&h, &expected);
    if (s->is_digest ? !digest_right(&expected, s->digest) : !native_equal(&expected, s->histogram)) {
        fault_put(l, FAULT_WRONG, 1, s->server, s->series, s->time_ms,
                  "another histogram (count %" PRIu64 " expected, %" PRIu64 " seen)", expected.count,
                  s->is_digest ? 0 : s->histogram->count);
        return false;
    }
    return true;
}

static void order_check(struct ledger *l, const struct sighting *s, int64_t step)
{
    int64_t order = model_order(l->model, s->server, step);
    if (order < l->last_order[s->server]) {
        fault_put(l, FAULT_ORDER, 1, s->server, s->series, s->time_ms,
                  "after a later message of its source");
    } else {
        l->last_order[s->server] = order;
    }
}

/* Counts a sighting against its bounds. */
static void sighting_count(struct ledger *l, const struct sighting *s, uint64_t cell, uint32_t max)
{
    uint32_t before = cell_get(l, cell);
    uint32_t after = before + s->n_times;
    if (l->mode == LEDGER_STORE) {
        l->n_repeats += before + s->n_times - (before == 0 ? 1 : before);
        max = l->exact ? max : UINT32_MAX;
    }
    if (after > max) {
        uint32_t beyond = after - (before > max ? before : max);
        fault_put(l, FAULT_DUPLICATE, beyond, s->server, s->series, s->time_ms,
                  "%u times, sent %u times", after, max);
    }
    cell_set(l, cell, after > CELL_MOST ? CELL_MOST : after);
}

void ledger_see(struct ledger *l, const struct sighting *s)
{
    const struct model *m = l->model;
    int64_t step = model_step_at(m, s->server, s->time_ms);
    int64_t scrape = step * m->p.n_servers + s->server;
    if (step < 0 || scrape >= l->manifest->n_scrapes) {
        fault_put(l, FAULT_UNEXPECTED, s->n_times, s->server, s->series, s->time_ms,
                  "no sample at that time");
        return;
    }
    if (model_forbidden(m, s->server, step) && model_series_forbidden(m, s->series)) {
        fault_put(l, FAULT_UNEXPECTED, s->n_times, s->server, s->series, s->time_ms,
                  "it had a forbidden label");
        return;
    }
    if (value_right(l, s, step)) {
        l->n_found += s->n_times;
    }
    if (l->ordered) {
        order_check(l, s, step);
    }
    uint64_t cell = (uint64_t)scrape * m->p.n_series + s->series;
    sighting_count(l, s, cell, scrape_bounds(l, s->server, step).max);
}

static void scrape_close(struct ledger *l, uint32_t server, int64_t step)
{
    const struct model *m = l->model;
    struct bounds bounds = scrape_bounds(l, server, step);
    uint32_t min = l->mode == LEDGER_STORE && bounds.min > 1 ? 1 : bounds.min;
    bool forbidden = model_forbidden(m, server, step);
    uint64_t cell = ((uint64_t)step * m->p.n_servers + server) * m->p.n_series;
    for (uint32_t i = 0; i < m->p.n_series; i++, cell++) {
        if (forbidden && model_series_forbidden(m, i)) {
            continue;
        }
        l->n_expected += min;
        uint32_t n_seen = cell_get(l, cell);
        if (n_seen < min) {
            fault_put(l, FAULT_LOST, min - n_seen, server, i, model_time_ms(m, server, step),
                      "step %" PRId64 ", %u of %u there", step, n_seen, min);
        }
    }
}

void ledger_close(struct ledger *l)
{
    for (int64_t scrape = 0; scrape < l->manifest->n_scrapes; scrape++) {
        scrape_close(l, (uint32_t)(scrape % l->model->p.n_servers),
                     scrape / l->model->p.n_servers);
    }
}

bool ledger_clean(const struct ledger *l)
{
    uint64_t n = 0;
    for (int i = 0; i < N_FAULTS; i++) {
        n += l->faults[i];
    }
    return n == 0;
}

void ledger_rejects(const struct ledger *l, struct ledger_rejects *out)
{
    const struct model *m = l->model;
    uint64_t n_series = 0;
    for (uint32_t i = 0; i < m->p.n_series; i++) {
        n_series += model_series_forbidden(m, i);
    }
    *out = (struct ledger_rejects){0, 0, 0, 0};
    for (int64_t scrape = 0; scrape < l->manifest->n_scrapes; scrape++) {
        uint32_t server = (uint32_t)(scrape % m->p.n_servers);
        int64_t step = scrape / m->p.n_servers;
        if (model_forbidden(m, server, step)) {
            struct bounds bounds = scrape_bounds(l, server, step);
            out->min_samples += bounds.min * n_series;
            out->max_samples += bounds.max * n_series;
        }
        if (model_garbage(m, server, step)) {
            out->min_garbage += manifest_list_count(&l->manifest->doubts, scrape, true) == 0;
            out->max_garbage++;
        }
    }
}
