/* Two exponential histograms, packed, one after the other: whatever they are, arithmetic doesn't
 * crash, and what must be equal is. */
#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram_math.h"

enum { BYTES = 16 << 20, MAX_BUCKETS = 400, CAP = 160 };

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

static struct slice packed(const struct exp_histogram *h, struct arena *a)
{
    struct buf out;
    buf_init(&out, BYTES);
    exp_histogram_encode(h, &out);
    struct slice copy = arena_copy(a, buf_slice(&out));
    buf_fini(&out);
    return copy;
}

static void check_eq(const struct exp_histogram *x, const struct exp_histogram *y, struct arena *a,
                     const char *what)
{
    if (!slice_eq(packed(x, a), packed(y, a))) {
        fail(what);
    }
}

/* Sound, within the cap, and read back as it is. */
static void check_result(const struct exp_histogram *h, uint32_t max_buckets, struct arena *a)
{
    struct err e = ERR_INIT;
    struct exp_histogram again;
    if (!exp_histogram_check(h, &e)) {
        fail(e.text);
    }
    if (h->positive.n_counts > max_buckets || h->negative.n_counts > max_buckets) {
        fail("more buckets than allowed");
    }
    struct cursor c = cursor_of(packed(h, a));
    if (!exp_histogram_decode(&c, max_buckets, a, &again, &e) || cursor_left(&c) != 0) {
        fail("a result does not decode");
    }
    check_eq(h, &again, a, "a result decodes to something else");
}

static void check_downscale(const struct exp_histogram *h, struct arena *a)
{
    struct err e = ERR_INIT;
    struct exp_histogram step = *h;
    for (int32_t schema = HISTOGRAM_MAX_SCHEMA; schema >= HISTOGRAM_MIN_SCHEMA; schema--) {
        struct exp_histogram direct;
        if (!exp_histogram_downscale(h, schema, MAX_BUCKETS * 3, a, &direct, &e) ||
            !exp_histogram_downscale(&step, schema, MAX_BUCKETS * 3, a, &step, &e)) {
            fail(e.text);
        }
        check_result(&direct, MAX_BUCKETS * 3, a);
        bool is_stale = exp_histogram_is_stale(h);
        if (direct.count != (is_stale ? 0 : h->count) || (!is_stale && direct.schema > schema)) {
            fail("downscaling changes the count, or not the schema");
        }
        check_eq(&direct, &step, a, "downscaling in steps is not downscaling at once");
    }
    if (!exp_histogram_downscale(h, HISTOGRAM_MAX_SCHEMA, HISTOGRAM_LEAST_MAX_BUCKETS, a, &step,
                                 &e)) {
        fail("what a double can hold does not fit");
    }
    check_result(&step, HISTOGRAM_LEAST_MAX_BUCKETS, a);
}

/* (x + y) - y is x, at the schema and the zero threshold of the sum: x + y - y's form of it. */
static void check_inverse(const struct exp_histogram *sum, const struct exp_histogram *x,
                          const struct exp_histogram *y, struct arena *a)
{
    struct err e = ERR_INIT;
    struct exp_histogram back;
    struct exp_histogram nothing = {.schema = sum->schema, .zero_threshold = sum->zero_threshold};
    struct exp_histogram want;
    if (exp_histogram_is_reset(sum, y)) {
        fail("a sum is a reset from its part");
    }
    if (!exp_histogram_subtract(sum, y, CAP, a, &back, &e) ||
        !exp_histogram_add(x, &nothing, CAP, a, &want, &e)) {
        fail(e.text);
    }
    if (back.schema != want.schema) { /* one of them had too many buckets for the cap */
        return;
    }
    back.sum = want.sum = 0; /* doubles don't come back */
    if (want.zero_threshold == back.zero_threshold && back.count == want.count) {
        check_eq(&back, &want, a, "(x + y) - y is not x");
    } else {
        fail("(x + y) - y has another zero threshold or count");
    }
}

static void check_pair(const struct exp_histogram *x, const struct exp_histogram *y,
                       struct arena *a)
{
    struct err e = ERR_INIT;
    struct exp_histogram sum;
    struct exp_histogram mus;
    struct exp_histogram increase;
    bool ok = exp_histogram_add(x, y, CAP, a, &sum, &e);
    if (ok != exp_histogram_add(y, x, CAP, a, &mus, &e) || (!ok && e.kind != ERR_BAD_INPUT)) {
        fail("only one order can be added");
    }
    bool has_stale = exp_histogram_is_stale(x) || exp_histogram_is_stale(y);
    if (ok) {
        check_result(&sum, CAP, a);
        check_eq(&sum, &mus, a, "x + y is not y + x");
        if (!has_stale && sum.count != x->count + y->count) {
            fail("the counts do not add up");
        }
    }
    if (ok && !has_stale) {
        check_inverse(&sum, x, y, a);
    }
    bool is_reset = exp_histogram_is_reset(x, y);
    if (exp_histogram_subtract(x, y, CAP, a, &increase, &e) != (!is_reset && !has_stale)) {
        fail("a reset, and yet there is an increase; or neither");
    }
    if (!is_reset && !has_stale) {
        check_result(&increase, CAP, a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct arena a;
    struct err e = ERR_INIT;
    struct exp_histogram h[2];
    int n = 0;
    arena_init(&a, BYTES);
    while (n < 2 && exp_histogram_decode(&c, MAX_BUCKETS, &a, &h[n], &e) &&
           exp_histogram_check(&h[n], &e)) {
        check_downscale(&h[n], &a);
        check_pair(&h[n], &h[n], &a);
        n++;
    }
    if (n == 2) {
        check_pair(&h[0], &h[1], &a);
        check_pair(&h[1], &h[0], &a);
    } else if (e.kind != ERR_BAD_INPUT || e.text[0] == '\0') {
        fail("refused without saying why");
    }
    arena_fini(&a);
    return 0;
}
