/* Rows computed by hand. A histogram is written "SCHEMA t=THRESHOLD z=ZERO n=COUNT s=SUM" (what is
 * 0 is left out), then its spans: "+INDEX:count,count" of the positive side, "-INDEX:…" of the
 * negative one, at the index of their first bucket. */
#include "unit/runner.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram_math.h"

enum { BYTES = 1 << 20, MAX_SPANS = 16, MAX_COUNTS = 64, TEXT_BYTES = 512, MAX_BUCKETS = 160 };

struct written {
    struct exp_histogram h;
    struct histogram_span spans[2][MAX_SPANS];
    uint64_t counts[2][MAX_COUNTS];
    int64_t end[2];
};

static char *span_read(struct written *w, struct exp_buckets *b, int side, char *text)
{
    int64_t index = strtol(text, &text, 10);
    struct histogram_span *span = &w->spans[side][b->n_spans++];
    span->offset = (int32_t)(index - w->end[side]);
    do {
        w->counts[side][b->n_counts++] = strtoull(text + 1, &text, 10);
        span->n++;
    } while (*text == ',');
    w->end[side] = index + span->n;
    return text;
}

static void histogram_read(const char *row, struct written *w)
{
    char copy[TEXT_BYTES];
    ck_assert_uint_lt(strlen(row), sizeof copy);
    strcpy(copy, row);
    char *text = copy;
    *w = (struct written){0};
    w->h.positive = (struct exp_buckets){.spans = w->spans[1], .counts = w->counts[1]};
    w->h.negative = (struct exp_buckets){.spans = w->spans[0], .counts = w->counts[0]};
    w->h.schema = (int32_t)strtol(text, &text, 10);
    while (*text == ' ') {
        char what = text[1];
        text += what == '+' || what == '-' ? 2 : 3;
        if (what == '+') {
            text = span_read(w, &w->h.positive, 1, text);
        } else if (what == '-') {
            text = span_read(w, &w->h.negative, 0, text);
        } else if (what == 't') {
            w->h.zero_threshold = strtod(text, &text);
        } else if (what == 's' && strncmp(text, "stale", 5) == 0) {
            memcpy(&w->h.sum, &stale_marker_bits, sizeof w->h.sum);
            text += 5;
        } else if (what == 's') {
            w->h.sum = strtod(text, &text);
        } else {
            uint64_t n = strtoull(text, &text, 10);
            *(what == 'z' ? &w->h.zero_count : &w->h.count) = n;
        }
    }
    ck_assert_msg(*text == '\0', "%s: at '%s'", row, text);
}

static void side_print(struct buf *out, const struct exp_buckets *b, char sign)
{
    int64_t index = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->n_spans; i++) {
        index += b->spans[i].offset;
        buf_printf(out, " %c%lld", sign, (long long)index);
        for (uint32_t k = 0; k < b->spans[i].n; k++) {
            buf_printf(out, "%c%" PRIu64, k == 0 ? ':' : ',', b->counts[at++]);
        }
        index += b->spans[i].n;
    }
    ck_assert_uint_eq(at, b->n_counts);
}

static void histogram_print(const struct exp_histogram *h, struct buf *out)
{
    buf_printf(out, "%d", h->schema);
    if (h->zero_threshold != 0) {
        buf_printf(out, " t=%.17g", h->zero_threshold);
    }
    if (h->zero_count != 0) {
        buf_printf(out, " z=%" PRIu64, h->zero_count);
    }
    if (h->count != 0) {
        buf_printf(out, " n=%" PRIu64, h->count);
    }
    if (exp_histogram_is_stale(h)) {
        buf_printf(out, " s=stale");
    } else if (h->sum != 0) {
        buf_printf(out, " s=%.17g", h->sum);
    }
    side_print(out, &h->positive, '+');
    side_print(out, &h->negative, '-');
}

enum verb { ADD, SUBTRACT, DOWNSCALE };

static const struct {
    const char *name;
    enum verb verb;
    int max; /* buckets a side; of DOWNSCALE the schema */
    const char *x;
    const char *y;
    const char *want; /* a histogram, or the error's text */
} rows[] = {
    {"same buckets", ADD, 160, "0 z=1 n=6 s=10 +0:2,3", "0 z=2 n=4 s=5 +1:2",
     "0 z=3 n=10 s=15 +0:2,5"},
    {"nothing and nothing", ADD, 160, "3", "3", "3"},
    {"two sides", ADD, 160, "0 n=3 s=1 +1:1 -1:2", "0 n=7 s=-4 +1:3 -2:4",
     "0 n=10 s=-3 +1:4 -1:2,4"},
    {"before, between and behind", ADD, 160, "0 n=2 +5:1 +15:1", "0 n=3 +0:1 +10:1 +20:1",
     "0 n=5 +0:1 +5:1 +10:1 +15:1 +20:1"},
    {"a gap of two is written out", ADD, 160, "0 n=1 +0:1", "0 n=1 +3:1", "0 n=2 +0:1,0,0,1"},
    {"a gap of three is not", ADD, 160, "0 n=1 +0:1", "0 n=1 +4:1", "0 n=2 +0:1 +4:1"},
    {"empty buckets go", ADD, 160, "0 n=1 +0:0,0,1,0 +9:0", "0", "0 n=1 +2:1"},
    {"to the lower schema", ADD, 160, "1 n=6 +1:1,2,3", "0 n=4 +2:4", "0 n=10 +1:3,7"},
    {"lower schema, below 1", ADD, 160, "1 n=6 +-2:1,2,3", "0", "0 n=6 +-1:1,5"},
    {"lower schema, both lowered by the cap", ADD, 2, "1 n=2 +1:1 +3:1", "1 n=1 +5:1",
     "-1 n=3 +1:2,1"},
    {"thresholds: whole buckets go to zero", ADD, 160, "0 n=3 +0:1,2", "0 t=1 z=5 n=5",
     "0 t=1 z=6 n=8 +1:2"},
    {"thresholds: the other way round", ADD, 160, "0 t=1 z=5 n=5", "0 n=3 +0:1,2",
     "0 t=1 z=6 n=8 +1:2"},
    {"thresholds: out of a filled bucket", ADD, 160, "0 n=3 +0:1,2", "0 t=1.5 z=5 n=5",
     "0 t=2 z=8 n=8"},
    {"thresholds: out of a negative one", ADD, 160, "0 n=5 +1:3 -1:2", "0 t=1.5 z=5 n=5",
     "0 t=2 z=10 n=10"},
    {"thresholds: an empty bucket may be cut", ADD, 160, "0 n=3 +0:1 +2:2", "0 t=1.5 z=5 n=5",
     "0 t=1.5 z=6 n=8 +2:2"},
    {"thresholds: one's own cut stays", ADD, 160, "0 t=1.5 z=1 n=3 +1:2", "0 t=1.5 z=4 n=4",
     "0 t=1.5 z=5 n=7 +1:2"},
    {"thresholds: a move that makes the other move", ADD, 160, "2 n=1 +1:1",
     "0 t=1.1000000000000001 z=1 n=3 +1:2", "0 t=2 z=4 n=4"},
    {"thresholds: the store's own bound", ADD, 160, "2 n=1 +1:1", "2 t=1.1000000000000001 z=1 n=1",
     "2 t=1.189207115002721 z=2 n=2"},
    {"thresholds: that bound once more", ADD, 160, "2 n=3 +1:1,2", "2 t=1.189207115002721 z=1 n=1",
     "2 t=1.189207115002721 z=2 n=4 +2:2"},
    {"thresholds: the finer one decides, not the lower schema", ADD, 160, "3 n=8 +1:5,3",
     "0 t=1.0905077326652577 z=1 n=1", "0 t=1.0905077326652577 z=6 n=9 +1:3"},
    {"stale and not", ADD, 160, "4 s=stale", "0 z=1 n=3 s=2 +1:2", "0 z=1 n=3 s=2 +1:2"},
    {"not and stale", ADD, 160, "0 z=1 n=3 s=2 +1:2", "4 s=stale", "0 z=1 n=3 s=2 +1:2"},
    {"stale and stale", ADD, 160, "4 s=stale", "2 t=1 s=stale", "0 s=stale"},
    {"an infinite sum", ADD, 160, "0 n=1 s=inf +1025:1", "0 n=1 s=1 +0:1",
     "0 n=2 s=inf +0:1 +1025:1"},
    {"infinite sums of both signs", ADD, 160, "0 n=1 s=inf +1025:1", "0 n=1 s=-inf -1025:1",
     "0 n=2 s=nan +1025:1 -1025:1"},
    {"observations of NaN are in no bucket", ADD, 160, "0 n=3 s=nan +1:1", "0 n=1 s=1 +1:1",
     "0 n=4 s=nan +1:2"},
    {"the cap lowers the schema", ADD, 2, "0 n=3 +1:1,1,1", "0", "-1 n=3 +1:2,1"},
    {"the cap counts the written gap", ADD, 3, "0 n=1 +1:1", "0 n=2 +4:2", "-1 n=3 +1:1,2"},
    {"the cap on the negative side", ADD, 2, "0 n=4 +1:1 -1:1,1,1", "0", "-1 n=4 +1:1 -1:2,1"},
    {"beyond the cap at the lowest schema", ADD, 1, "-4 n=2 +1:1,1", "0",
     "histogram: more than 1 buckets a side at schema -4"},
    {"the largest count", ADD, 160, "0 n=9223372036854775806 +1:9223372036854775806", "0 n=1 +1:1",
     "0 n=9223372036854775807 +1:9223372036854775807"},
    {"beyond it", ADD, 160, "0 n=9223372036854775807 +1:9223372036854775807", "0 n=1 +1:1",
     "histogram: the count is beyond 63 bits"},

    {"an increase", SUBTRACT, 160, "0 z=3 n=10 s=15 +0:2,5", "0 z=2 n=4 s=5 +1:2",
     "0 z=1 n=6 s=10 +0:2,3"},
    {"no increase", SUBTRACT, 160, "0 z=3 n=10 s=15 +0:2,5", "0 z=3 n=10 s=15 +0:2,5", "0"},
    {"buckets without an increase go", SUBTRACT, 160, "0 n=10 +0:1,2,3,4", "0 n=7 +0:1,2,0,4",
     "0 n=3 +2:3"},
    {"an increase after the schema fell", SUBTRACT, 160, "0 n=5 +1:5", "1 n=3 +1:1,2",
     "0 n=2 +1:2"},
    {"an increase at a higher schema", SUBTRACT, 160, "1 n=5 +1:2,3", "0 n=3 +1:3", "0 n=2 +1:2"},
    {"an increase after the zero bucket widened", SUBTRACT, 160, "0 t=1 z=4 n=7 +1:3",
     "0 n=4 +0:1,3", "0 t=1 z=3 n=3"},
    {"a sum may fall", SUBTRACT, 160, "0 n=2 s=-3 -1:2", "0 n=1 s=-1 -1:1", "0 n=1 s=-2 -1:1"},
    {"an infinite sum says no more", SUBTRACT, 160, "0 n=2 s=inf +1025:2", "0 n=1 s=inf +1025:1",
     "0 n=1 s=nan +1025:1"},
    {"the count falls", SUBTRACT, 160, "0 n=1 +0:1", "0 n=2 +0:2", "histogram: the count falls"},
    {"a bucket falls", SUBTRACT, 160, "0 n=5 +0:1,4", "0 n=2 +0:2", "histogram: a bucket falls"},
    {"a bucket is gone", SUBTRACT, 160, "0 n=5 +1:5", "0 n=2 +0:2", "histogram: a bucket falls"},
    {"a bucket falls where there is no room", SUBTRACT, 1, "0 n=9 +0:3,3,3", "0 n=2 +3:2",
     "histogram: a bucket falls"},
    {"the zero count falls", SUBTRACT, 160, "0 z=1 n=5 +0:4", "0 z=2 n=2",
     "histogram: a bucket falls"},
    {"observations of NaN fall", SUBTRACT, 160, "0 n=5 s=nan +0:5", "0 n=4 s=nan +0:2",
     "histogram: the count falls"},
    {"from a stale marker", SUBTRACT, 160, "0 s=stale", "0",
     "histogram: a stale marker has no increase"},
    {"of a stale marker", SUBTRACT, 160, "0 n=1 +0:1", "0 s=stale",
     "histogram: a stale marker has no increase"},

    {"down by two", DOWNSCALE, 0, "2 n=10 s=1 +1:1,0,2,3,4", NULL, "0 n=10 s=1 +1:6,4"},
    {"not up", DOWNSCALE, 8, "2 n=1 +1:1", NULL, "2 n=1 +1:1"},
    {"the last buckets", DOWNSCALE, -4, "0 n=8 +1024:1,3 -1024:2,2", NULL,
     "-4 n=8 +64:1,3 -64:2,2"},
    {"the first bucket", DOWNSCALE, -4, "0 n=1 +-1074:1", NULL, "-4 n=1 +-67:1"},
    {"within the zero bucket", DOWNSCALE, 8, "0 t=4 z=1 n=6 +1:2 +5:3", NULL, "0 t=4 z=3 n=6 +5:3"},
    {"all within it", DOWNSCALE, 8, "0 t=inf z=1 n=6 +1:2 +1025:3", NULL, "0 t=inf z=6 n=6"},
    {"a stale marker", DOWNSCALE, 0, "8 s=stale", NULL, "0 s=stale"},

    {"check: schema too high", DOWNSCALE, 0, "9", NULL, "histogram: schema 9, outside -4 to 8"},
    {"check: schema too low", DOWNSCALE, 0, "-5", NULL, "histogram: schema -5, outside -4 to 8"},
    {"check: threshold", DOWNSCALE, 0, "0 t=-1", NULL,
     "histogram: the zero threshold is negative or NaN"},
    {"check: NaN threshold", DOWNSCALE, 0, "0 t=nan", NULL,
     "histogram: the zero threshold is negative or NaN"},
    {"check: count", DOWNSCALE, 0, "0 n=2 +0:1", NULL,
     "histogram: the buckets do not add up to the count"},
    {"check: count, NaN sum", DOWNSCALE, 0, "0 n=1 s=nan +0:2", NULL,
     "histogram: the buckets do not add up to the count"},
    {"check: 63 bits", DOWNSCALE, 0, "0 z=9223372036854775808 n=9223372036854775808", NULL,
     "histogram: the count is beyond 63 bits"},
    {"check: beyond the last bucket", DOWNSCALE, 0, "0 n=2 +1025:1,1", NULL,
     "histogram: span 0: buckets from 1025 on, beyond a double's range at schema 0"},
    {"check: before the first", DOWNSCALE, 0, "0 n=1 -0:1 +-1075:0", NULL,
     "histogram: span 0: buckets from -1075 on, beyond a double's range at schema 0"},
};

static bool run(size_t i, struct written *x, struct written *y, struct arena *a,
                struct exp_histogram *out, struct err *e)
{
    histogram_read(rows[i].x, x);
    histogram_read(rows[i].y == NULL ? "0" : rows[i].y, y);
    if (!exp_histogram_check(&x->h, e) || !exp_histogram_check(&y->h, e)) {
        return false;
    }
    uint32_t max = (uint32_t)rows[i].max;
    return rows[i].verb == ADD ? exp_histogram_add(&x->h, &y->h, max, a, out, e)
           : rows[i].verb == SUBTRACT
               ? exp_histogram_subtract(&x->h, &y->h, max, a, out, e)
               : exp_histogram_downscale(&x->h, rows[i].max, MAX_BUCKETS, a, out, e);
}

START_TEST(rows_computed_by_hand)
{
    static struct written x;
    static struct written y;
    static struct written want;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct buf text;
        struct err e = ERR_INIT;
        struct exp_histogram got;
        arena_init(&a, BYTES);
        buf_init(&text, BYTES);
        bool ok = run(i, &x, &y, &a, &got, &e);
        if (ok) {
            ck_assert_msg(exp_histogram_check(&got, &e), "%s: %s", rows[i].name, e.text);
            histogram_print(&got, &text);
        } else {
            ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
            buf_printf(&text, "%s", e.text);
        }
        ck_assert_msg(strcmp(buf_c_str(&text), rows[i].want) == 0, "%s: %s", rows[i].name,
                      buf_c_str(&text));
        if (ok && got.sum != got.sum && !exp_histogram_is_stale(&got)) {
            uint64_t bits;
            memcpy(&bits, &got.sum, sizeof bits);
            ck_assert_uint_eq(bits, UINT64_C(0x7ff8000000000000));
        }
        if (ok) { /* the text is the histogram */
            histogram_read(rows[i].want, &want);
            ck_assert_uint_eq(want.h.positive.n_counts, got.positive.n_counts);
        }
        buf_fini(&text);
        arena_fini(&a);
    }
}
END_TEST

static const struct {
    const char *name;
    const char *now;
    const char *before;
    bool want;
} resets[] = {
    {"nothing after nothing", "0", "0", false},
    {"the same", "0 z=1 n=6 s=10 +0:2,3", "0 z=1 n=6 s=10 +0:2,3", false},
    {"more", "0 z=1 n=8 s=10 +0:2,3 -1:2", "0 z=1 n=6 s=10 +0:2,3", false},
    {"a sum that falls", "0 n=2 s=1 +0:2", "0 n=2 s=5 +0:2", false},
    {"count", "0 n=1 +0:1", "0 n=2 +0:2", true},
    {"zero count", "0 z=1 n=5 +0:4", "0 z=2 n=2", true},
    {"a bucket", "0 n=9 +0:1,8", "0 n=2 +0:2", true},
    {"a negative bucket", "0 n=9 -0:1,8", "0 n=2 -0:2", true},
    {"a bucket that is gone", "0 n=9 +1:9", "0 n=2 +0:1,1", true},
    {"all buckets gone", "0 z=9 n=9", "0 n=2 +0:2", true},
    {"an empty bucket that is gone", "0 n=9 +1:9", "0 n=2 +0:0,2", false},
    {"a lower schema", "0 n=3 +1:3", "1 n=3 +1:1,2", false},
    {"a lower schema, and less", "0 n=3 +1:2 +5:1", "1 n=3 +1:1,2", true},
    {"a higher schema alone", "1 n=3 +1:1,2", "0 n=3 +1:3", false},
    {"a higher schema, and less", "1 n=9 +1:1,1 +9:7", "0 n=3 +1:3", true},
    {"a wider zero bucket", "0 t=1 z=1 n=4 +1:3", "0 n=4 +0:1,3", false},
    {"a wider zero bucket, and less", "0 t=1 z=1 n=9 +1:8", "0 n=4 +0:2,2", true},
    {"a wider zero bucket that cuts", "0 t=1.5 z=9 n=9", "0 n=4 +1:4", false},
    {"a narrower zero bucket", "0 n=4 +0:1,3", "0 t=1 z=1 n=4 +1:3", false},
    {"a narrower zero bucket, and less", "0 n=9 +1:9", "0 t=1 z=1 n=4 +1:3", true},
    {"observations of NaN", "0 n=5 s=nan +0:5", "0 n=4 s=nan +0:2", true},
    {"no more NaN", "0 n=5 s=1 +0:5", "0 n=4 s=nan +0:2", true},
    {"a stale marker", "0 s=stale", "0 n=4 +0:4", false},
    {"after a stale marker", "0", "0 s=stale", false},
};

START_TEST(resets_computed_by_hand)
{
    static struct written now;
    static struct written before;
    for (size_t i = 0; i < sizeof resets / sizeof *resets; i++) {
        struct err e = ERR_INIT;
        histogram_read(resets[i].now, &now);
        histogram_read(resets[i].before, &before);
        ck_assert_msg(exp_histogram_check(&now.h, &e) && exp_histogram_check(&before.h, &e),
                      "%s: %s", resets[i].name, e.text);
        ck_assert_msg(exp_histogram_is_reset(&now.h, &before.h) == resets[i].want, "%s",
                      resets[i].name);
    }
}
END_TEST

/* prometheus/model/histogram/generic_test.go: TestGetBound; and our own. */
static const struct {
    int32_t schema;
    int64_t index;
    double want;
} bounds[] = {
    {-1, -1, 0.25},
    {-1, 0, 1},
    {-1, 1, 4},
    {-1, 512, DBL_MAX},
    {-1, 513, INFINITY},
    {0, -1, 0.5},
    {0, 0, 1},
    {0, 1, 2},
    {0, 1024, DBL_MAX},
    {0, 1025, INFINITY},
    {2, -1, 0.8408964152537144},
    {2, 0, 1},
    {2, 1, 1.189207115002721},
    {2, 4096, DBL_MAX},
    {2, 4097, INFINITY},
    {8, 1, 1.0027112750502025},
    {-4, 64, DBL_MAX},
    {-4, 65, INFINITY},
    {0, -1074, 0x1p-1074},
    {0, -1075, 0},
};

START_TEST(bounds_are_the_stores)
{
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        double got = bucket_upper(bounds[i].schema, bounds[i].index);
        ck_assert_msg(got == bounds[i].want, "%zu: %.17g", i, got);
    }
}
END_TEST

START_TEST(bounds_are_each_others)
{
    for (int32_t schema = HISTOGRAM_MIN_SCHEMA; schema <= HISTOGRAM_MAX_SCHEMA; schema++) {
        int64_t last = bucket_last(schema);
        for (int64_t i = bucket_of(schema, 0x1p-1000); i < last; i += 7) {
            double bound = bucket_upper(schema, i);
            ck_assert(bound > bucket_upper(schema, i - 1) && bound < bucket_upper(schema, i + 1));
            ck_assert_int_eq(bucket_of(schema, bound), i);
            ck_assert_int_eq(bucket_of(schema, nextafter(bound, 0)), i);
            ck_assert(i == last - 1 || bucket_of(schema, nextafter(bound, INFINITY)) == i + 1);
            double nominal =
                exp2(schema < 0 ? (double)(i * (1 << -schema)) : (double)i / (double)(1 << schema));
            ck_assert(i == last - 1 || fabs(bound / nominal - 1) < 1e-14);
            double upper_of_lowered =
                bucket_upper(schema < -3 ? -4 : schema - 1, schema < -3 ? i : bucket_lowered(i, 1));
            ck_assert(upper_of_lowered >= bound);
        }
        ck_assert_int_eq(bucket_of(schema, DBL_MAX), last - 1);
        ck_assert_int_eq(bucket_of(schema, 0x1p-1074), bucket_first(schema));
    }
}
END_TEST

/* Results go on from results without more memory than the first ones needed. */
START_TEST(memory_does_not_grow)
{
    static struct written x;
    static struct written y;
    struct arena a;
    struct err e = ERR_INIT;
    size_t first_bytes = 0;
    histogram_read("3 z=1 n=7 s=1 +0:1,2 +40:3", &x);
    histogram_read("2 z=1 n=7 s=1 +5:1,2 +90:3", &y);
    arena_init(&a, BYTES);
    for (int i = 0; i < 1000; i++) {
        struct exp_histogram out;
        arena_reset(&a);
        ck_assert(exp_histogram_add(&x.h, &y.h, MAX_BUCKETS, &a, &out, &e));
        ck_assert(exp_histogram_subtract(&out, &y.h, MAX_BUCKETS, &a, &out, &e));
        ck_assert(!exp_histogram_is_reset(&out, &x.h));
        first_bytes = i == 0 ? a.held_bytes : first_bytes;
        ck_assert_uint_eq(a.held_bytes, first_bytes);
    }
    arena_fini(&a);
    arena_init(&a, 16);
    ck_assert(!exp_histogram_add(&x.h, &y.h, MAX_BUCKETS, &a, &x.h, &e));
    ck_assert_str_eq(e.text, "histogram: larger than its batch's memory");
    ck_assert_uint_eq(x.h.count, 7); /* a failed one leaves out alone */
    arena_fini(&a);
}
END_TEST

#define CLASSIC(n_, sum_, ...)                                                                     \
    {                                                                                              \
        .has_sum = true, .sum = sum_, .count = n_,                                                 \
        .n_counts = sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),                          \
        .counts = (const uint64_t[])                                                               \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct {
    const char *name;
    struct classic_histogram x;
    struct classic_histogram y;
    const char *add; /* "sum count: buckets", or the error's text */
    const char *subtract;
    bool is_reset;
} classics[] = {
    {"plain", CLASSIC(6, 7.5, 1, 2, 3), CLASSIC(3, 2.5, 1, 0, 2), "10 9: 2 2 5", "5 3: 0 2 1",
     false},
    {"a bucket falls", CLASSIC(6, 7, 1, 2, 3), CLASSIC(4, 2, 0, 0, 4), "9 10: 1 2 7",
     "histogram: a bucket falls", true},
    {"the count falls", CLASSIC(1, 1, 1), CLASSIC(2, 2, 1), "3 3: 2", "histogram: a bucket falls",
     true},
    {"the sum falls", CLASSIC(2, -3, 2), CLASSIC(1, 1, 1), "-2 3: 3", "-4 1: 1", false},
    {"other bounds", CLASSIC(2, 1, 1, 1), CLASSIC(1, 1, 1), "histogram: other bounds",
     "histogram: other bounds", true},
    {"beyond 64 bits", CLASSIC(UINT64_MAX, 1, UINT64_MAX), CLASSIC(1, 1, 1),
     "histogram: a count is beyond 64 bits", "0 18446744073709551614: 18446744073709551614", false},
    {"infinite", CLASSIC(2, INFINITY, 2), CLASSIC(1, INFINITY, 1), "inf 3: 3", "nan 1: 1", false},
    {"no sum",
     CLASSIC(2, 5, 2),
     {.count = 1, .n_counts = 1, .counts = (const uint64_t[]){1}},
     "none 3: 3",
     "none 1: 1",
     false},
    {"stale",
     CLASSIC(2, 5, 2),
     {.stale = true, .n_counts = 1, .counts = (const uint64_t[]){0}},
     "5 2: 2",
     "histogram: a stale marker has no increase",
     false},
};

static void check_classic(const char *name, bool ok, const struct classic_histogram *h,
                          const struct err *e, const char *want)
{
    struct buf text;
    buf_init(&text, BYTES);
    if (!ok) {
        ck_assert_int_eq(e->kind, ERR_BAD_INPUT);
        buf_printf(&text, "%s", e->text);
    } else if (h->has_sum) {
        buf_printf(&text, "%.17g %" PRIu64 ":", h->sum, h->count);
    } else {
        buf_printf(&text, "none %" PRIu64 ":", h->count);
    }
    for (uint32_t i = 0; ok && i < h->n_counts; i++) {
        buf_printf(&text, " %" PRIu64, h->counts[i]);
    }
    ck_assert_msg(strcmp(buf_c_str(&text), want) == 0, "%s: %s", name, buf_c_str(&text));
    buf_fini(&text);
}

START_TEST(classic_rows_computed_by_hand)
{
    for (size_t i = 0; i < sizeof classics / sizeof *classics; i++) {
        struct arena a;
        struct err e = ERR_INIT;
        struct classic_histogram out = {0};
        const struct classic_histogram *x = &classics[i].x;
        const struct classic_histogram *y = &classics[i].y;
        arena_init(&a, BYTES);
        bool ok = classic_histogram_add(x, y, &a, &out, &e);
        check_classic(classics[i].name, ok, &out, &e, classics[i].add);
        ok = classic_histogram_subtract(x, y, &a, &out, &e);
        check_classic(classics[i].name, ok, &out, &e, classics[i].subtract);
        ck_assert_msg(classic_histogram_is_reset(x, y) == classics[i].is_reset, "%s",
                      classics[i].name);
        arena_fini(&a);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram_math");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, rows_computed_by_hand);
    tcase_add_test(t, resets_computed_by_hand);
    tcase_add_test(t, bounds_are_the_stores);
    tcase_add_test(t, bounds_are_each_others);
    tcase_add_test(t, memory_does_not_grow);
    tcase_add_test(t, classic_rows_computed_by_hand);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
