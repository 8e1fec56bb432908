#include "batch/histogram_math.h"

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_INPUT, "histogram: %s", what);
}

static bool counts_alloc(uint32_t n, struct arena *a, uint64_t **counts, struct err *e)
{
    *counts = ARENA_ARRAY(a, uint64_t, n);
    return *counts != NULL || bad(e, "larger than its batch's memory");
}

static double sum_of(bool has_sum, double sum)
{
    return has_sum ? histogram_sum(sum) : 0;
}

static bool copy_of(const struct classic_histogram *h, struct arena *a,
                    struct classic_histogram *out, struct err *e)
{
    uint64_t *counts;
    if (!counts_alloc(h->n_counts, a, &counts, e)) {
        return false;
    }
    memcpy(counts, h->counts, h->n_counts * sizeof *counts);
    *out = (struct classic_histogram){.has_sum = h->has_sum,
                                      .stale = h->stale,
                                      .sum = sum_of(h->has_sum, h->sum),
                                      .count = h->count,
                                      .n_counts = h->n_counts,
                                      .counts = counts};
    return true;
}

bool classic_histogram_add(const struct classic_histogram *x, const struct classic_histogram *y,
                           struct arena *a, struct classic_histogram *out, struct err *e)
{
    uint64_t *counts;
    if (x->n_counts != y->n_counts) {
        return bad(e, "other bounds");
    }
    if (x->stale || y->stale) {
        return copy_of(x->stale ? y : x, a, out, e);
    }
    if (!counts_alloc(x->n_counts, a, &counts, e)) {
        return false;
    }
    struct classic_histogram result = {
        .has_sum = x->has_sum && y->has_sum, .n_counts = x->n_counts, .counts = counts};
    bool overflows = __builtin_add_overflow(x->count, y->count, &result.count);
    for (uint32_t i = 0; i < x->n_counts; i++) {
        overflows |= __builtin_add_overflow(x->counts[i], y->counts[i], &counts[i]);
    }
    if (overflows) {
        return bad(e, "a count is beyond 64 bits");
    }
    result.sum = sum_of(result.has_sum, x->sum + y->sum);
    *out = result;
    return true;
}

bool classic_histogram_subtract(const struct classic_histogram *now,
                                const struct classic_histogram *before, struct arena *a,
                                struct classic_histogram *out, struct err *e)
{
    uint64_t *counts;
    if (now->n_counts != before->n_counts) {
        return bad(e, "other bounds");
    }
    if (now->stale || before->stale) {
        return bad(e, "a stale marker has no increase");
    }
    if (classic_histogram_is_reset(now, before)) {
        return bad(e, "a bucket falls");
    }
    if (!counts_alloc(now->n_counts, a, &counts, e)) {
        return false;
    }
    for (uint32_t i = 0; i < now->n_counts; i++) {
        counts[i] = now->counts[i] - before->counts[i];
    }
    bool has_sum = now->has_sum && before->has_sum;
    *out = (struct classic_histogram){.has_sum = has_sum,
                                      .sum = sum_of(has_sum, now->sum - before->sum),
                                      .count = now->count - before->count,
                                      .n_counts = now->n_counts,
                                      .counts = counts};
    return true;
}

bool classic_histogram_is_reset(const struct classic_histogram *now,
                                const struct classic_histogram *before)
{
    if (now->stale || before->stale) {
        return false;
    }
    if (now->n_counts != before->n_counts || now->count < before->count) {
        return true;
    }
    for (uint32_t i = 0; i < now->n_counts; i++) {
        if (now->counts[i] < before->counts[i]) {
            return true;
        }
    }
    return false;
}
