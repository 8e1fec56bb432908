#include "batch/histogram_math.h"

#include <assert.h>
#include <math.h>

#include "batch/buckets.h"

/* Two histograms and where they meet. */
struct meeting {
    const struct exp_histogram *x;
    const struct exp_histogram *y;
    int64_t x_first; /* buckets below it lie within the zero bucket, at x's own schema */
    int64_t y_first;
    double zero_threshold;
    int32_t schema;
    bool subtract;
};

enum outcome { FITS, TOO_MANY, FALLS }; /* the worse, the greater */

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_INPUT, "histogram: %s", what);
}

double histogram_sum(double sum)
{
    return sum == sum ? sum : (double)NAN;
}

bool exp_histogram_is_stale(const struct exp_histogram *h)
{
    return double_is_stale(h->sum);
}

/* ---- sound operands ---- */

static bool side_check(const struct exp_histogram *h, const struct exp_buckets *b, struct err *e)
{
    int64_t index = 0;
    for (uint32_t i = 0; i < b->n_spans; i++) {
        index += b->spans[i].offset;
        if (b->spans[i].n > 0 && (index < bucket_first(h->schema) ||
                                  index + b->spans[i].n - 1 > bucket_last(h->schema))) {
            return err_set(e, ERR_BAD_INPUT,
                           "histogram: span %u: buckets from %lld on, beyond a double's range at "
                           "schema %d",
                           i, (long long)index, h->schema);
        }
        index += b->spans[i].n;
    }
    return true;
}

bool exp_histogram_check(const struct exp_histogram *h, struct err *e)
{
    if (h->schema < HISTOGRAM_MIN_SCHEMA || h->schema > HISTOGRAM_MAX_SCHEMA) {
        return err_set(e, ERR_BAD_INPUT, "histogram: schema %d, outside %d to %d", h->schema,
                       HISTOGRAM_MIN_SCHEMA, HISTOGRAM_MAX_SCHEMA);
    }
    if (!(h->zero_threshold >= 0)) {
        return bad(e, "the zero threshold is negative or NaN");
    }
    if (h->count > INT64_MAX) {
        return bad(e, "the count is beyond 63 bits");
    }
    if (!exp_histogram_counts_agree(h)) {
        return bad(e, "the buckets do not add up to the count");
    }
    return side_check(h, &h->positive, e) && side_check(h, &h->negative, e);
}

/* ---- buckets ---- */

struct bucket {
    int64_t index; /* INT64_MAX: none is left */
    uint64_t count;
};

/* The next filled bucket at the lowered schema. */
static inline struct bucket bucket_next(struct bucket_reader *r)
{
    if (!bucket_seek(r)) {
        return (struct bucket){INT64_MAX, 0};
    }
    struct bucket b = {.index = bucket_lowered(r->index, r->down)};
    b.count = bucket_take(r);
    while (r->down > 0 && bucket_seek(r) && bucket_lowered(r->index, r->down) == b.index) {
        b.count += bucket_take(r);
    }
    return b;
}

/* Behind the buckets within the zero bucket, whose counts go there. */
static struct bucket_reader reader_from(const struct exp_buckets *b, int64_t first, int down,
                                        uint64_t *zero_count)
{
    struct bucket_reader r = bucket_reader_of(b, down);
    while (bucket_seek(&r) && r.index < first) {
        *zero_count += bucket_take(&r);
    }
    return r;
}

static bool side_has(const struct exp_buckets *b, int64_t index)
{
    int64_t begin = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->n_spans; i++) {
        begin += b->spans[i].offset;
        if (index >= begin && index < begin + b->spans[i].n) {
            return b->counts[at + (uint32_t)(index - begin)] != 0;
        }
        begin += b->spans[i].n;
        at += b->spans[i].n;
    }
    return false;
}

static int64_t min_index(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum outcome side_combine(struct bucket_reader x, struct bucket_reader y, bool subtract,
                                 struct bucket_writer *w)
{
    struct bucket of_x = bucket_next(&x);
    struct bucket of_y = bucket_next(&y);
    bool has_room = true; /* without it only what falls is still looked for */
    for (int64_t index; (index = min_index(of_x.index, of_y.index)) != INT64_MAX;) {
        uint64_t count = 0;
        if (of_x.index == index) {
            count = of_x.count;
            of_x = bucket_next(&x);
        }
        if (of_y.index == index) {
            if (subtract && of_y.count > count) {
                return FALLS;
            }
            count = subtract ? count - of_y.count : count + of_y.count;
            of_y = bucket_next(&y);
        }
        has_room = has_room && (count == 0 || bucket_write(w, index, count));
    }
    return has_room ? FITS : TOO_MANY;
}

static bool side_falls(struct bucket_reader now, struct bucket_reader before)
{
    struct bucket of_now = bucket_next(&now);
    struct bucket of_before;
    while ((of_before = bucket_next(&before)).index != INT64_MAX) {
        while (of_now.index < of_before.index) {
            of_now = bucket_next(&now);
        }
        if (of_now.index > of_before.index || of_now.count < of_before.count) {
            return true;
        }
    }
    return false;
}

/* ---- where two meet ---- */

/* The least threshold from t on that does not cut a filled bucket of h. Its own threshold may: it
 * holds what lies beyond. */
static double threshold_for(const struct exp_histogram *h, double t)
{
    if (t == h->zero_threshold || isinf(t)) {
        return t;
    }
    int64_t index = bucket_of(h->schema, t);
    bool is_filled = side_has(&h->positive, index) || side_has(&h->negative, index);
    return is_filled ? bucket_upper(h->schema, index) : t;
}

/* The first bucket that reaches out of the zero bucket. */
static int64_t first_outside(int32_t schema, double t)
{
    if (t == 0) {
        return bucket_first(schema);
    }
    if (isinf(t)) {
        return bucket_last(schema) + 1;
    }
    int64_t index = bucket_of(schema, t);
    return bucket_upper(schema, index) == t ? index + 1 : index;
}

static struct meeting meeting_of(const struct exp_histogram *x, const struct exp_histogram *y,
                                 bool subtract)
{
    struct meeting m = {.x = x, .y = y, .subtract = subtract};
    m.schema = x->schema < y->schema ? x->schema : y->schema;
    double t = x->zero_threshold > y->zero_threshold ? x->zero_threshold : y->zero_threshold;
    /* A move to an edge of the lower schema is the last: both have that edge. */
    for (double before = -1; t != before;) {
        before = t;
        t = threshold_for(x, threshold_for(y, t));
    }
    m.zero_threshold = t + 0.0; /* no -0 */
    m.x_first = first_outside(x->schema, t);
    m.y_first = y->schema == x->schema ? m.x_first : first_outside(y->schema, t);
    return m;
}

static uint64_t nan_observations(const struct exp_histogram *h)
{
    uint64_t n = h->count - h->zero_count;
    for (uint32_t i = 0; i < h->positive.n_counts; i++) {
        n -= h->positive.counts[i];
    }
    for (uint32_t i = 0; i < h->negative.n_counts; i++) {
        n -= h->negative.counts[i];
    }
    return n;
}

static bool nan_observations_fall(const struct exp_histogram *now,
                                  const struct exp_histogram *before)
{
    return before->sum != before->sum && nan_observations(now) < nan_observations(before);
}

/* ---- results ---- */

static bool writer_alloc(struct bucket_writer *w, const struct exp_buckets *x,
                         const struct exp_buckets *y, uint32_t max_buckets, struct arena *a)
{
    uint64_t n_filled = (uint64_t)x->n_counts + y->n_counts;
    uint64_t n_counts = n_filled * (1 + MAX_GAP);
    uint64_t n_spans = n_filled < max_buckets ? n_filled : max_buckets;
    w->max_counts = n_counts < max_buckets ? (uint32_t)n_counts : max_buckets;
    w->spans = arena_alloc(a, (size_t)n_spans * sizeof *w->spans);
    w->counts = arena_alloc(a, (size_t)w->max_counts * sizeof *w->counts);
    return w->spans != NULL && w->counts != NULL;
}

static enum outcome combine_at(const struct meeting *m, int32_t schema, struct bucket_writer w[2],
                               struct exp_histogram *out)
{
    uint64_t x_zero = m->x->zero_count;
    uint64_t y_zero = m->y->zero_count;
    const struct exp_buckets *sides[2][2] = {{&m->x->negative, &m->y->negative},
                                             {&m->x->positive, &m->y->positive}};
    enum outcome worst = FITS;
    for (int i = 0; i < 2; i++) {
        w[i].n_spans = w[i].n_counts = 0;
        enum outcome o =
            side_combine(reader_from(sides[i][0], m->x_first, m->x->schema - schema, &x_zero),
                         reader_from(sides[i][1], m->y_first, m->y->schema - schema, &y_zero),
                         m->subtract, &w[i]);
        worst = o > worst ? o : worst;
    }
    if (worst == FALLS || (m->subtract && y_zero > x_zero)) {
        return FALLS;
    }
    out->schema = schema;
    out->zero_count = m->subtract ? x_zero - y_zero : x_zero + y_zero;
    out->negative = (struct exp_buckets){w[0].n_spans, w[0].n_counts, w[0].spans, w[0].counts};
    out->positive = (struct exp_buckets){w[1].n_spans, w[1].n_counts, w[1].spans, w[1].counts};
    return worst;
}

/* All of the result but its count and sum. */
static bool combine(const struct meeting *m, uint32_t max_buckets, struct arena *a,
                    struct exp_histogram *out, struct err *e)
{
    struct bucket_writer w[2] = {0}; /* negative, positive */
    if (!writer_alloc(&w[0], &m->x->negative, &m->y->negative, max_buckets, a) ||
        !writer_alloc(&w[1], &m->x->positive, &m->y->positive, max_buckets, a)) {
        return bad(e, "larger than its batch's memory");
    }
    for (int32_t schema = m->schema; schema >= HISTOGRAM_MIN_SCHEMA; schema--) {
        enum outcome o = combine_at(m, schema, w, out);
        if (o != TOO_MANY) {
            return o == FITS || bad(e, "a bucket falls");
        }
    }
    return err_set(e, ERR_BAD_INPUT, "histogram: more than %u buckets a side at schema %d",
                   max_buckets, HISTOGRAM_MIN_SCHEMA);
}

static struct exp_histogram stale(void)
{
    struct exp_histogram h = {0};
    memcpy(&h.sum, &stale_marker_bits, sizeof h.sum);
    return h;
}

bool exp_histogram_downscale(const struct exp_histogram *h, int32_t max_schema,
                             uint32_t max_buckets, struct arena *a, struct exp_histogram *out,
                             struct err *e)
{
    assert(max_schema >= HISTOGRAM_MIN_SCHEMA);
    if (exp_histogram_is_stale(h)) {
        *out = stale();
        return true;
    }
    struct exp_histogram nothing = {.schema = max_schema < h->schema ? max_schema : h->schema,
                                    .zero_threshold = h->zero_threshold};
    struct meeting m = meeting_of(h, &nothing, false);
    struct exp_histogram result = {
        .zero_threshold = m.zero_threshold, .count = h->count, .sum = histogram_sum(h->sum)};
    if (!combine(&m, max_buckets, a, &result, e)) {
        return false;
    }
    *out = result;
    return true;
}

bool exp_histogram_add(const struct exp_histogram *x, const struct exp_histogram *y,
                       uint32_t max_buckets, struct arena *a, struct exp_histogram *out,
                       struct err *e)
{
    if (exp_histogram_is_stale(x) || exp_histogram_is_stale(y)) {
        return exp_histogram_downscale(exp_histogram_is_stale(x) ? y : x, HISTOGRAM_MAX_SCHEMA,
                                       max_buckets, a, out, e);
    }
    struct meeting m = meeting_of(x, y, false);
    struct exp_histogram result = {.zero_threshold = m.zero_threshold,
                                   .count = x->count + y->count,
                                   .sum = histogram_sum(x->sum + y->sum)};
    if (result.count > INT64_MAX) { /* each has at most 63 bits; no bucket has more than all */
        return bad(e, "the count is beyond 63 bits");
    }
    if (!combine(&m, max_buckets, a, &result, e)) {
        return false;
    }
    *out = result;
    return true;
}

bool exp_histogram_subtract(const struct exp_histogram *now, const struct exp_histogram *before,
                            uint32_t max_buckets, struct arena *a, struct exp_histogram *out,
                            struct err *e)
{
    if (exp_histogram_is_stale(now) || exp_histogram_is_stale(before)) {
        return bad(e, "a stale marker has no increase");
    }
    if (now->count < before->count || nan_observations_fall(now, before)) {
        return bad(e, "the count falls");
    }
    struct meeting m = meeting_of(now, before, true);
    struct exp_histogram result = {.zero_threshold = m.zero_threshold,
                                   .count = now->count - before->count,
                                   .sum = histogram_sum(now->sum - before->sum)};
    if (!combine(&m, max_buckets, a, &result, e)) {
        return false;
    }
    *out = result;
    return true;
}

bool exp_histogram_is_reset(const struct exp_histogram *now, const struct exp_histogram *before)
{
    if (exp_histogram_is_stale(now) || exp_histogram_is_stale(before)) {
        return false;
    }
    if (now->count < before->count || nan_observations_fall(now, before)) {
        return true;
    }
    struct meeting m = meeting_of(now, before, true);
    uint64_t zero_now = now->zero_count;
    uint64_t zero_before = before->zero_count;
    int down_now = now->schema - m.schema;
    int down_before = before->schema - m.schema;
    return side_falls(reader_from(&now->positive, m.x_first, down_now, &zero_now),
                      reader_from(&before->positive, m.y_first, down_before, &zero_before)) ||
           side_falls(reader_from(&now->negative, m.x_first, down_now, &zero_now),
                      reader_from(&before->negative, m.y_first, down_before, &zero_before)) ||
           zero_now < zero_before;
}
