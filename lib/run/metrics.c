#include "run/metrics.h"

#include "base/table.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum metric_type { COUNTER, GAUGE, HISTOGRAM };
enum { MAX_LABELS = 3, MAX_CELLS = 4096, N_BOUNDS = 22 };

struct metric_row {
    const char *name;
    enum metric_type type;
    const char *labels; /* comma-separated */
    const char *help;
};

#define METRIC_ENUM(id, name, type, labels, help) {name, type, labels, help},
static const struct metric_row rows[N_METRICS] = {
#include "run/metrics_table.h"
};
#undef METRIC_ENUM

/* Seconds: from a millisecond to ten minutes. */
static const double bounds[N_BOUNDS] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.375, 0.5,
                                        0.75,  1,     1.5,   2,     3,     5,     10,    30,    60,   300,   600};

struct cell_histogram {
    _Atomic(uint64_t) counts[N_BOUNDS + 1];
    _Atomic(double) sum;
};

struct entry {
    struct entry *next; /* of the same metric, in the order of creation */
    char *labels;       /* printed form, without braces; owned */
    struct cell cell;
    struct cell_histogram *histogram; /* owned; NULL unless the metric is one */
};

struct family {
    struct entry *first;
    struct entry *last;
    size_t n;
};

struct metrics {
    pthread_mutex_t lock;
    struct table by_labels; /* (metric, labels) → struct entry, owned by the families */
    struct family families[N_METRICS];
    struct entry spare[N_METRICS]; /* when memory is out: counted, but not shown apart */
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m != NULL) {
        pthread_mutex_init(&m->lock, NULL);
        table_init(&m->by_labels, 0, NULL);
    }
    return m;
}

static void entry_free(struct entry *entry)
{
    free(entry->labels);
    free(entry->histogram);
    free(entry);
}

void metrics_free(struct metrics *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < N_METRICS; i++) {
        for (struct entry *entry = m->families[i].first, *next; entry != NULL; entry = next) {
            next = entry->next;
            entry_free(entry);
        }
        free(m->spare[i].histogram);
    }
    table_fini(&m->by_labels);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void put_escaped(struct buf *out, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        switch (value.ptr[i]) {
        case '\\':
            buf_put(out, "\\\\", 2);
            break;
        case '"':
            buf_put(out, "\\\"", 2);
            break;
        case '\n':
            buf_put(out, "\\n", 2);
            break;
        default:
            buf_u8(out, value.ptr[i]);
        }
    }
}

/* name="value",… for the metric's labels; "other" for each when values is NULL. */
static void put_labels(struct buf *out, const char *names, const struct slice *values)
{
    size_t i = 0;
    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        buf_printf(out, "%s%.*s=\"", i > 0 ? "," : "", (int)len, names);
        put_escaped(out, values == NULL ? SLICE_LITERAL("other") : values[i]);
        buf_u8(out, '"');
        names += names[len] == ',' ? len + 1 : len;
        i++;
    }
}

static struct entry *entry_add(struct metrics *m, enum metric_id id, struct hash128 key, struct buf *labels)
{
    struct entry *entry = calloc(1, sizeof *entry);
    bool is_histogram = rows[id].type == HISTOGRAM;
    if (entry == NULL) {
        return NULL;
    }
    entry->labels = strdup(buf_c_str(labels));
    entry->histogram = is_histogram ? calloc(1, sizeof *entry->histogram) : NULL;
    if (entry->labels == NULL || (is_histogram && entry->histogram == NULL) ||
        !table_put(&m->by_labels, key, entry, sizeof *entry)) {
        entry_free(entry);
        return NULL;
    }
    struct family *family = &m->families[id];
    if (family->last == NULL) {
        family->first = entry;
    } else {
        family->last->next = entry;
    }
    family->last = entry;
    family->n++;
    return entry;
}

static struct entry *entry_spare(struct metrics *m, enum metric_id id)
{
    static struct cell_histogram nowhere;
    struct entry *entry = &m->spare[id];
    if (entry->histogram == NULL && rows[id].type == HISTOGRAM) {
        entry->histogram = calloc(1, sizeof *entry->histogram);
    }
    if (entry->histogram == NULL && rows[id].type == HISTOGRAM) {
        entry->histogram = &nowhere;
    }
    return entry;
}

static struct entry *entry_get(struct metrics *m, enum metric_id id, const struct slice *values)
{
    struct buf labels;
    buf_init(&labels, 1 << 16);
    pthread_mutex_lock(&m->lock);
    put_labels(&labels, rows[id].labels, values);
    struct hash128 key = hash128_seeded(buf_slice(&labels), (uint64_t)id + 1);
    struct entry *entry = table_find(&m->by_labels, key);
    if (entry == NULL && m->families[id].n >= MAX_CELLS) {
        buf_reset(&labels);
        put_labels(&labels, rows[id].labels, NULL);
        key = hash128_seeded(buf_slice(&labels), (uint64_t)id + 1);
        entry = table_find(&m->by_labels, key);
    }
    if (entry == NULL) {
        entry = entry_add(m, id, key, &labels);
    }
    if (entry == NULL) {
        entry = entry_spare(m, id);
    }
    pthread_mutex_unlock(&m->lock);
    buf_fini(&labels);
    return entry;
}

struct cell *metrics_cell(struct metrics *m, enum metric_id id, const struct slice *label_values)
{
    return &entry_get(m, id, label_values)->cell;
}

struct cell_histogram *metrics_histogram(struct metrics *m, enum metric_id id, const struct slice *label_values)
{
    return entry_get(m, id, label_values)->histogram;
}

void histogram_observe(struct cell_histogram *h, double value, uint64_t n_times)
{
    size_t i = 0;
    while (i < N_BOUNDS && value > bounds[i]) {
        i++;
    }
    uint64_t count = atomic_load_explicit(&h->counts[i], memory_order_relaxed);
    atomic_store_explicit(&h->counts[i], count + n_times, memory_order_relaxed);
    double sum = atomic_load_explicit(&h->sum, memory_order_relaxed);
    atomic_store_explicit(&h->sum, sum + value * (double)n_times, memory_order_relaxed);
}

static uint64_t histogram_count(const struct cell_histogram *h)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= N_BOUNDS; i++) {
        n += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
    }
    return n;
}

double histogram_quantile(const struct cell_histogram *h, double q)
{
    double rank = q * (double)histogram_count(h);
    double below = 0;
    if (rank <= 0) {
        return histogram_count(h) == 0 ? NAN : 0;
    }
    for (size_t i = 0; i < N_BOUNDS; i++) {
        double n = (double)atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        if (below + n >= rank) {
            double low = i == 0 ? 0 : bounds[i - 1];
            return low + (bounds[i] - low) * (rank - below) / n;
        }
        below += n;
    }
    return bounds[N_BOUNDS - 1];
}

/* --- the text format --- */

static void put_number(struct buf *out, double v)
{
    if (isnan(v)) {
        buf_printf(out, "NaN\n");
    } else if (isinf(v)) {
        buf_printf(out, v > 0 ? "+Inf\n" : "-Inf\n");
    } else {
        buf_printf(out, "%.17g\n", v);
    }
}

static void put_histogram(struct buf *out, const char *name, const struct entry *entry)
{
    const struct cell_histogram *h = entry->histogram;
    const char *comma = entry->labels[0] == '\0' ? "" : ",";
    uint64_t n = 0;
    for (size_t i = 0; i <= N_BOUNDS; i++) {
        char bound[32] = "+Inf";
        n += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        if (i < N_BOUNDS) {
            (void)snprintf(bound, sizeof bound, "%g", bounds[i]);
        }
        buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, entry->labels, comma, bound,
                   (unsigned long long)n);
    }
    buf_printf(out, "%s_sum{%s} ", name, entry->labels);
    put_number(out, atomic_load_explicit(&h->sum, memory_order_relaxed));
    buf_printf(out, "%s_count{%s} %llu\n", name, entry->labels, (unsigned long long)n);
}

void metrics_print(struct metrics *m, struct buf *out)
{
    static const char *const type_names[] = {"counter", "gauge", "histogram"};
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < N_METRICS; i++) {
        const struct metric_row *row = &rows[i];
        if (m->families[i].first == NULL) {
            continue;
        }
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, type_names[row->type]);
        for (const struct entry *entry = m->families[i].first; entry != NULL; entry = entry->next) {
            if (row->type == HISTOGRAM) {
                put_histogram(out, row->name, entry);
            } else if (entry->labels[0] == '\0') {
                buf_printf(out, "%s ", row->name);
                put_number(out, cell_get(&entry->cell));
            } else {
                buf_printf(out, "%s{%s} ", row->name, entry->labels);
                put_number(out, cell_get(&entry->cell));
            }
        }
    }
    pthread_mutex_unlock(&m->lock);
}

void metrics_print_docs(struct buf *out)
{
    static const char *const type_names[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < N_METRICS; i++) {
        buf_printf(out, "| `%s` | %s | %s | %s |\n", rows[i].name, type_names[rows[i].type], rows[i].labels,
                   rows[i].help);
    }
}
