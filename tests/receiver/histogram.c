#include "histogram.h"

#include <inttypes.h>
#include <math.h>

#include "base/cursor.h"

/* One side (positive or negative) as it came over the wire. */
struct side {
    const char *name;
    Prometheus__BucketSpan **spans;
    size_t n_spans;
    const int64_t *deltas;
    size_t n_deltas;
    const double *counts;
    size_t n_counts;
};

struct totals {
    uint64_t whole;
    double real;
};

static bool invalid(struct err *e, const char *side, const char *what)
{
    return err_set_code(e, ERR_BAD_INPUT, HISTOGRAM_INVALID, "%s side: %s", side, what);
}

static void count_put(struct buf *out, bool is_float, uint64_t whole, double real)
{
    if (is_float) {
        buf_double(out, real);
    } else {
        buf_le64(out, whole);
    }
}

/* Walks the buckets of one side in order; false when a count is negative or the index overflows. */
static bool buckets_put(const struct side *s, bool is_float, struct buf *out, uint32_t *n_put,
                        struct totals *sum, struct err *e)
{
    int64_t index = 0;
    int64_t whole = 0;
    size_t at = 0;
    for (size_t i = 0; i < s->n_spans; i++) {
        if (i > 0 && s->spans[i]->offset < 0) {
            return invalid(e, s->name, "a span with a negative offset");
        }
        index += s->spans[i]->offset;
        for (uint32_t n = 0; n < s->spans[i]->length; n++, at++, index++) {
            if (index < INT32_MIN || index > INT32_MAX) {
                return invalid(e, s->name, "a bucket index beyond 32 bits");
            }
            double real = is_float ? s->counts[at] : 0;
            if (!is_float && __builtin_add_overflow(whole, s->deltas[at], &whole)) {
                return invalid(e, s->name, "a bucket count beyond 64 bits");
            }
            if (whole < 0 || real < 0) {
                return invalid(e, s->name, "a negative bucket count");
            }
            if (whole == 0 && real == 0) {
                continue;
            }
            sum->whole += (uint64_t)whole;
            sum->real += real;
            *n_put += 1;
            buf_le32(out, (uint32_t)(int32_t)index);
            count_put(out, is_float, (uint64_t)whole, real);
        }
    }
    return true;
}

static bool side_put(const struct side *s, bool is_float, struct buf *out, struct totals *sum,
                     struct err *e)
{
    size_t n_counts = is_float ? s->n_counts : s->n_deltas;
    if ((is_float ? s->n_deltas : s->n_counts) != 0) {
        return invalid(e, s->name, "deltas and counts mixed");
    }
    uint64_t n_in_spans = 0;
    for (size_t i = 0; i < s->n_spans; i++) {
        n_in_spans += s->spans[i]->length;
    }
    if (n_in_spans != n_counts) {
        return invalid(e, s->name, "spans and buckets differ in number");
    }
    size_t n_at = out->len;
    uint32_t n_put = 0;
    buf_le32(out, 0);
    if (!buckets_put(s, is_float, out, &n_put, sum, e)) {
        return false;
    }
    if (buf_ok(out)) {
        memcpy(out->ptr + n_at, &n_put, sizeof n_put);
    }
    return true;
}

static bool totals_check(const Prometheus__Histogram *h, bool is_float, const struct totals *sum,
                         struct err *e)
{
    if (is_float) {
        /* Float counts come from arithmetic: equal but for rounding. */
        double zero = h->zero_count_float;
        if (zero < 0 || h->count_float < 0 ||
            sum->real + zero > h->count_float * (1 + 1e-9) + 1e-9) {
            return invalid(e, "either", "the buckets hold more than the count");
        }
        return true;
    }
    uint64_t all = sum->whole + h->zero_count_int;
    /* Observations of NaN are in the count but in no bucket. */
    if (isnan(h->sum) ? all > h->count_int : all != h->count_int) {
        return invalid(e, "either", "the buckets do not add up to the count");
    }
    return true;
}

bool histogram_canonical(const Prometheus__Histogram *h, struct buf *out, struct err *e)
{
    bool is_float = h->count_case == PROMETHEUS__HISTOGRAM__COUNT_COUNT_FLOAT;
    struct side positive = {"positive",          h->positive_spans,    h->n_positive_spans,
                            h->positive_deltas,  h->n_positive_deltas, h->positive_counts,
                            h->n_positive_counts};
    struct side negative = {"negative",          h->negative_spans,    h->n_negative_spans,
                            h->negative_deltas,  h->n_negative_deltas, h->negative_counts,
                            h->n_negative_counts};
    if (h->schema < -4 || h->schema > 8 || h->n_custom_values > 0) {
        return err_set_code(e, ERR_BAD_INPUT, HISTOGRAM_BAD_SCHEMA,
                            "schema %" PRId32 " outside -4..8", h->schema);
    }
    bool zero_float = h->zero_count_case == PROMETHEUS__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_FLOAT;
    bool zero_int = h->zero_count_case == PROMETHEUS__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_INT;
    if (is_float ? zero_int : zero_float) {
        return invalid(e, "zero", "count and zero count differ in type");
    }
    buf_u8(out, is_float);
    buf_le32(out, (uint32_t)h->schema);
    buf_double(out, h->zero_threshold);
    count_put(out, is_float, zero_int ? h->zero_count_int : 0,
              zero_float ? h->zero_count_float : 0);
    count_put(out, is_float,
              h->count_case == PROMETHEUS__HISTOGRAM__COUNT_COUNT_INT ? h->count_int : 0,
              is_float ? h->count_float : 0);
    buf_double(out, h->sum);
    struct totals sum = {0, 0};
    if (!side_put(&positive, is_float, out, &sum, e) ||
        !side_put(&negative, is_float, out, &sum, e) || !totals_check(h, is_float, &sum, e)) {
        return false;
    }
    if (!buf_ok(out)) {
        return err_set(e, ERR_RETRY, "out of memory for a histogram");
    }
    return true;
}

static void count_json(struct cursor *c, bool is_float, struct buf *out)
{
    if (is_float) {
        buf_printf(out, "%.17g", cursor_double(c));
    } else {
        buf_printf(out, "%" PRIu64, cursor_le64(c));
    }
}

static void side_json(struct cursor *c, bool is_float, struct buf *out)
{
    uint32_t n = cursor_le32(c);
    buf_printf(out, "[");
    for (uint32_t i = 0; i < n && cursor_ok(c); i++) {
        buf_printf(out, "%s[%" PRId32 ",", i == 0 ? "" : ",", (int32_t)cursor_le32(c));
        count_json(c, is_float, out);
        buf_printf(out, "]");
    }
    buf_printf(out, "]");
}

void histogram_json(struct slice canonical, struct buf *out)
{
    struct cursor c = cursor_of(canonical);
    bool is_float = cursor_u8(&c) != 0;
    buf_printf(out, "{\"float\":%s,\"schema\":%" PRId32, is_float ? "true" : "false",
               (int32_t)cursor_le32(&c));
    buf_printf(out, ",\"zero_threshold\":%.17g,\"zero_count\":", cursor_double(&c));
    count_json(&c, is_float, out);
    buf_printf(out, ",\"count\":");
    count_json(&c, is_float, out);
    buf_printf(out, ",\"sum\":\"%.17g\",\"positive\":", cursor_double(&c));
    side_json(&c, is_float, out);
    buf_printf(out, ",\"negative\":");
    side_json(&c, is_float, out);
    buf_printf(out, "}");
}
