#include "run/metrics_family.h"

#include <math.h>
#include <stdio.h>

static const char *type_name(enum metric_type type)
{
    return type == METRIC_COUNTER ? "counter" : type == METRIC_GAUGE ? "gauge" : "histogram";
}

static void put_number(struct buf *out, double v)
{
    if (isnan(v)) {
        buf_printf(out, " NaN\n");
    } else if (isinf(v)) {
        buf_printf(out, v > 0 ? " +Inf\n" : " -Inf\n");
    } else if (fabs(v) < 9e15 && v == nearbyint(v)) {
        buf_printf(out, " %.0f\n", v);
    } else {
        buf_printf(out, " %.17g\n", v);
    }
}

/* In a label's value \, " and the newline are escaped; in help \ and the newline. */
static void put_escaped(struct buf *out, struct slice s, bool quotes)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t ch = s.ptr[i];
        if (ch == '\n') {
            buf_put(out, "\\n", 2);
            continue;
        }
        if (ch == '\\' || (ch == '"' && quotes)) {
            buf_u8(out, '\\');
        }
        buf_u8(out, ch);
    }
}

/* {a="x",b="y",le="0.1"}; le may be NULL; nothing at all without labels. */
static void put_labels(struct buf *out, const struct metric_row *row,
                       const struct metric_entry *entry, int n_labels, const char *le)
{
    if (n_labels == 0 && le == NULL) {
        return;
    }
    struct slice names = slice_str(row->labels);
    for (int i = 0; i < n_labels; i++) {
        const uint8_t *comma = memchr(names.ptr, ',', names.len);
        size_t len = comma == NULL ? names.len : (size_t)(comma - names.ptr);
        buf_u8(out, i == 0 ? '{' : ',');
        buf_put(out, names.ptr, len);
        buf_put(out, "=\"", 2);
        put_escaped(out, entry->values[i], true);
        buf_u8(out, '"');
        size_t step = comma == NULL ? len : len + 1;
        names = slice_of(names.ptr + step, names.len - step);
    }
    if (le != NULL) {
        buf_printf(out, "%cle=\"%s\"", n_labels == 0 ? '{' : ',', le);
    }
    buf_u8(out, '}');
}

static void put_histogram(struct buf *out, const struct metric_row *row, struct metric_entry *entry,
                          int n_labels)
{
    uint64_t total = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        char le[32] = "+Inf";
        if (i < HISTOGRAM_BOUNDS) {
            (void)snprintf(le, sizeof le, "%g", histogram_bounds[i]);
        }
        total += atomic_load_explicit(&entry->histogram.counts[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket", row->name);
        put_labels(out, row, entry, n_labels, le);
        put_number(out, (double)total);
    }
    buf_printf(out, "%s_sum", row->name);
    put_labels(out, row, entry, n_labels, NULL);
    put_number(out, atomic_load_explicit(&entry->histogram.sum, memory_order_relaxed));
    buf_printf(out, "%s_count", row->name);
    put_labels(out, row, entry, n_labels, NULL);
    put_number(out, (double)total);
}

void metrics_print(struct metrics *m, struct buf *out)
{
    for (int id = 0; id < N_METRICS; id++) {
        const struct metric_row *row = &metric_rows[id];
        struct family *f = &m->families[id];
        struct metric_entry *entry = atomic_load_explicit(&f->first, memory_order_acquire);
        if (entry == NULL) {
            continue; /* of another worker */
        }
        buf_printf(out, "# HELP %s ", row->name);
        put_escaped(out, slice_str(row->help), false);
        buf_printf(out, "\n# TYPE %s %s\n", row->name, type_name(row->type));
        for (; entry != NULL;
             entry = atomic_load_explicit(&entry->next_made, memory_order_acquire)) {
            if (row->type == METRIC_HISTOGRAM) {
                put_histogram(out, row, entry, f->n_labels);
            } else {
                buf_put_slice(out, slice_str(row->name));
                put_labels(out, row, entry, f->n_labels, NULL);
                put_number(out, cell_get(&entry->cell));
            }
        }
    }
}

void metrics_print_docs(struct buf *out)
{
    buf_printf(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (int id = 0; id < N_METRICS; id++) {
        const struct metric_row *row = &metric_rows[id];
        buf_printf(out, "| `%s` | %s | %s | %s |\n", row->name, type_name(row->type),
                   row->labels[0] == '\0' ? "–" : row->labels, row->help);
    }
}
