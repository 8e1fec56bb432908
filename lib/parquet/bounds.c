#include "parquet/bounds.h"

#include <math.h>

#include "base/utf8.h"

static void ints_merge(struct bounds *b, int64_t min, int64_t max)
{
    b->min_int = !b->any || min < b->min_int ? min : b->min_int;
    b->max_int = !b->any || max > b->max_int ? max : b->max_int;
    b->any = b->min_exact = b->max_exact = true;
}

/* One loop per width, plain enough for the compiler to vectorise. */
#define INTS_ADD(type)                                                                             \
    static void add_##type(struct bounds *b, const type *values, size_t n)                         \
    {                                                                                              \
        type min = values[0];                                                                      \
        type max = values[0];                                                                      \
        for (size_t i = 1; i < n; i++) {                                                           \
            min = values[i] < min ? values[i] : min;                                               \
            max = values[i] > max ? values[i] : max;                                               \
        }                                                                                          \
        ints_merge(b, min, max);                                                                   \
    }
INTS_ADD(uint8_t)
INTS_ADD(int32_t)
INTS_ADD(int64_t)
#undef INTS_ADD

static void doubles_merge(struct bounds *b, double min, double max)
{
    min = !b->any || min < b->min_double ? min : b->min_double;
    max = !b->any || max > b->max_double ? max : b->max_double;
    b->min_double = min == 0 ? -0.0 : min;
    b->max_double = max == 0 ? 0.0 : max;
    b->any = b->min_exact = b->max_exact = true;
}

static void add_doubles(struct bounds *b, const double *values, size_t n)
{
    double min = INFINITY;
    double max = -INFINITY;
    size_t n_nan = 0;
    for (size_t i = 0; i < n; i++) { /* NaN compares false */
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        n_nan += values[i] != values[i];
    }
    b->any_nan = b->any_nan || n_nan > 0;
    if (n_nan == n) {
        return;
    }
    doubles_merge(b, min, max);
}

void bounds_add(struct bounds *b, enum parquet_type type, const void *values, size_t n)
{
    if (n == 0) {
        return;
    }
    switch (type) {
    case PARQUET_BOOL:
        add_uint8_t(b, values, n);
        break;
    case PARQUET_INT32:
        add_int32_t(b, values, n);
        break;
    case PARQUET_INT64:
    case PARQUET_TIMESTAMP_MS:
        add_int64_t(b, values, n);
        break;
    case PARQUET_DOUBLE:
        add_doubles(b, values, n);
        break;
    default:
        break; /* texts are compared where they lie */
    }
}

int bounds_cmp_min(const struct bounds *x, const struct bounds *y, enum parquet_type type)
{
    if (is_text(type)) {
        return slice_cmp(x->min_text, y->min_text);
    }
    if (type == PARQUET_DOUBLE) {
        return (x->min_double > y->min_double) - (x->min_double < y->min_double);
    }
    return (x->min_int > y->min_int) - (x->min_int < y->min_int);
}

int bounds_cmp_max(const struct bounds *x, const struct bounds *y, enum parquet_type type)
{
    if (is_text(type)) {
        return slice_cmp(x->max_text, y->max_text);
    }
    if (type == PARQUET_DOUBLE) {
        return (x->max_double > y->max_double) - (x->max_double < y->max_double);
    }
    return (x->max_int > y->max_int) - (x->max_int < y->max_int);
}

void bounds_merge(struct bounds *b, enum parquet_type type, const struct bounds *more)
{
    bool any_nan = b->any_nan || more->any_nan;
    if (more->any && !b->any) {
        *b = *more;
    }
    b->any_nan = any_nan;
    if (!more->any) {
        return;
    }
    if (!is_text(type)) {
        ints_merge(b, more->min_int, more->max_int);
        doubles_merge(b, more->min_double, more->max_double);
    } else {
        if (bounds_cmp_min(more, b, type) < 0) {
            b->min_text = more->min_text;
            b->min_exact = more->min_exact;
        }
        if (bounds_cmp_max(more, b, type) > 0) {
            b->max_text = more->max_text;
            b->max_exact = more->max_exact;
        }
    }
}

static size_t character_start(const uint8_t *text, size_t end)
{
    size_t at = end - 1;
    while (at > 0 && (text[at] & 0xc0) == 0x80) {
        at--;
    }
    return at;
}

/* The next greater character of up to 4 bytes at p, n bytes long; its length, or 0 if there is
 * none. */
static size_t character_next(uint8_t *p, size_t n)
{
    static const uint32_t last_of_length[5] = {0, 0x7f, 0x7ff, 0xffff, 0x10ffff};
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        c = c << 6 | (p[i] & 0x3f);
    }
    c = c == 0xd7ff ? 0xe000 : c + 1;
    if (c > last_of_length[n]) {
        return 0; /* a longer character would need room; the one before it will do */
    }
    for (size_t i = n; i > 1; i--, c >>= 6) {
        p[i - 1] = (uint8_t)(0x80 | (c & 0x3f));
    }
    uint32_t lead = n == 1 ? 0 : 0xf00u >> n & 0xff;
    p[0] = (uint8_t)(lead | c);
    return n;
}

/* Makes text[0..len) greater than all that begin with it; its new length, 0 if that can't be. */
static size_t raise_text(uint8_t *text, size_t len, bool utf8)
{
    while (len > 0) {
        size_t start = utf8 ? character_start(text, len) : len - 1;
        if (utf8) {
            size_t n = character_next(text + start, len - start);
            if (n > 0) {
                return start + n;
            }
        } else if (text[start] != 0xff) {
            text[start]++;
            return len;
        }
        len = start;
    }
    return 0;
}

bool bounds_set_texts(struct bounds *b, enum parquet_type type, struct slice min, struct slice max,
                      size_t max_bytes, struct arena *a)
{
    bool utf8 = type == PARQUET_STRING;
    b->any = true;
    b->min_exact = min.len <= max_bytes;
    if (!b->min_exact) {
        min.len = utf8 ? utf8_fit(min, max_bytes) : max_bytes;
    }
    b->max_exact = max.len <= max_bytes;
    struct slice whole = max;
    if (!b->max_exact) {
        max.len = utf8 ? utf8_fit(max, max_bytes) : max_bytes;
    }
    b->min_text = arena_copy(a, min);
    uint8_t *copy = arena_alloc(a, max.len);
    if (copy == NULL || b->min_text.ptr == NULL) {
        return false;
    }
    if (max.len > 0) {
        memcpy(copy, max.ptr, max.len);
    }
    b->max_text = slice_of(copy, max.len);
    if (!b->max_exact) {
        b->max_text.len = raise_text(copy, max.len, utf8);
        if (b->max_text.len == 0) { /* nothing but the last character there is */
            b->max_text = arena_copy(a, whole);
            b->max_exact = true;
        }
    }
    return b->max_text.ptr != NULL;
}

static struct slice number_put(enum parquet_type type, int64_t whole, double real, uint8_t *room)
{
    if (type == PARQUET_DOUBLE) {
        memcpy(room, &real, sizeof real);
    } else {
        memcpy(room, &whole, sizeof whole); /* little-endian: the low bytes come first */
    }
    return slice_of(room, width_of(type));
}

struct slice bounds_min(const struct bounds *b, enum parquet_type type, uint8_t *room)
{
    return is_text(type) ? b->min_text : number_put(type, b->min_int, b->min_double, room);
}

struct slice bounds_max(const struct bounds *b, enum parquet_type type, uint8_t *room)
{
    return is_text(type) ? b->max_text : number_put(type, b->max_int, b->max_double, room);
}
