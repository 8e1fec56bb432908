#include "run/metrics.h"

#include "base/hash.h"
#include "base/utf8.h"
#include "run/metrics_family.h"

#include <assert.h>
#include <stdlib.h>

enum { LABEL_VALUE_MAX_BYTES = 256 };

#define METRIC_ENUM(id, name, type, labels, help) {name, METRIC_##type, labels, help},
const struct metric_row metric_rows[N_METRICS] = {
#include "run/metrics_table.h"
};
#undef METRIC_ENUM

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m == NULL || pthread_mutex_init(&m->creation, NULL) != 0) {
        free(m);
        return NULL;
    }
    histogram_init(&m->spare.histogram);
    for (int id = 0; id < N_METRICS; id++) {
        const char *labels = metric_rows[id].labels;
        struct family *f = &m->families[id];
        f->n_labels = labels[0] == '\0' ? 0 : 1;
        for (const char *p = labels; *p != '\0'; p++) {
            f->n_labels += *p == ',';
        }
        assert(f->n_labels <= METRIC_MAX_LABELS);
    }
    return m;
}

void metrics_free(struct metrics *m)
{
    if (m == NULL) {
        return;
    }
    for (int id = 0; id < N_METRICS; id++) {
        struct metric_entry *entry = atomic_load(&m->families[id].first);
        while (entry != NULL) {
            struct metric_entry *next = atomic_load(&entry->next_made);
            free(entry);
            entry = next;
        }
    }
    (void)pthread_mutex_destroy(&m->creation);
    free(m);
}

static uint64_t values_hash(const struct slice *values, int n)
{
    uint64_t h = (uint64_t)n;
    for (int i = 0; i < n; i++) {
        h = hash64_seeded(values[i], h * UINT64_C(0x9e3779b97f4a7c15) + values[i].len);
    }
    return h;
}

static bool entry_is(const struct metric_entry *entry, uint64_t hash, const struct slice *values,
                     int n)
{
    if (entry->hash != hash) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (!slice_eq(entry->values[i], values[i])) {
            return false;
        }
    }
    return true;
}

/* Entries are only ever added, so that the chains can be walked without the lock. */
static struct metric_entry *family_find(struct family *f, uint64_t hash, const struct slice *values)
{
    struct metric_entry *entry =
        atomic_load_explicit(&f->buckets[hash % METRIC_BUCKETS], memory_order_acquire);
    while (entry != NULL && !entry_is(entry, hash, values, f->n_labels)) {
        entry = entry->next_in_bucket;
    }
    return entry;
}

/* Under the lock. NULL when out of memory. */
static struct metric_entry *family_add(struct family *f, uint64_t hash, const struct slice *values)
{
    size_t n_bytes = 0;
    for (int i = 0; i < f->n_labels; i++) {
        n_bytes += values[i].len;
    }
    struct metric_entry *entry = calloc(1, sizeof *entry + n_bytes);
    if (entry == NULL) {
        return NULL;
    }
    entry->hash = hash;
    histogram_init(&entry->histogram);
    uint8_t *p = entry->bytes;
    for (int i = 0; i < f->n_labels; i++) {
        if (values[i].len > 0) {
            memcpy(p, values[i].ptr, values[i].len);
        }
        entry->values[i] = slice_of(p, values[i].len);
        p += values[i].len;
    }
    _Atomic(struct metric_entry *) *bucket = &f->buckets[hash % METRIC_BUCKETS];
    entry->next_in_bucket = atomic_load_explicit(bucket, memory_order_relaxed);
    atomic_store_explicit(bucket, entry, memory_order_release);
    atomic_store_explicit(f->last == NULL ? &f->first : &f->last->next_made, entry,
                          memory_order_release);
    f->last = entry;
    f->n_entries++;
    return entry;
}

/* A value that Prometheus would refuse, or of any length, counts as "other". */
static bool values_are_fit(const struct slice *values, int n)
{
    for (int i = 0; i < n; i++) {
        if (values[i].len > LABEL_VALUE_MAX_BYTES || !utf8_valid(values[i])) {
            return false;
        }
    }
    return true;
}

static struct metric_entry *family_create(struct metrics *m, struct family *f, uint64_t hash,
                                          const struct slice *values)
{
    struct slice others[METRIC_MAX_LABELS];
    (void)pthread_mutex_lock(&m->creation);
    if (f->n_entries >= METRIC_MAX_CELLS || !values_are_fit(values, f->n_labels)) {
        for (int i = 0; i < f->n_labels; i++) {
            others[i] = SLICE_LITERAL("other");
        }
        values = others;
        hash = values_hash(values, f->n_labels);
    }
    struct metric_entry *entry =
        family_find(f, hash, values); /* another thread may have been first */
    if (entry == NULL) {
        entry = family_add(f, hash, values);
    }
    (void)pthread_mutex_unlock(&m->creation);
    return entry == NULL ? &m->spare : entry;
}

static struct metric_entry *metrics_entry(struct metrics *m, enum metric_id id,
                                          const struct slice *values)
{
    struct family *f = &m->families[id];
    assert((values != NULL) == (f->n_labels > 0));
    uint64_t hash = values_hash(values, f->n_labels);
    struct metric_entry *entry = family_find(f, hash, values);
    return entry != NULL ? entry : family_create(m, f, hash, values);
}

struct cell *metrics_cell(struct metrics *m, enum metric_id id, const struct slice *label_values)
{
    assert(metric_rows[id].type != METRIC_HISTOGRAM);
    return &metrics_entry(m, id, label_values)->cell;
}

struct cell_histogram *metrics_histogram(struct metrics *m, enum metric_id id,
                                         const struct slice *label_values)
{
    assert(metric_rows[id].type == METRIC_HISTOGRAM);
    return &metrics_entry(m, id, label_values)->histogram;
}
