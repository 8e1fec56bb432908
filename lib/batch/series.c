#include "batch/series.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The canonical bytes of a series are hashed at once where they fit here, else in pieces: the
 * result is the same. */
enum { HASH_AT_ONCE_BYTES = 2048, SHORT_BYTES = 16 };

struct hasher {
    size_t len;
    bool in_pieces;
    XXH3_state_t state;
    uint8_t bytes[HASH_AT_ONCE_BYTES];
};

const char *series_kind_name(enum series_kind kind)
{
    static const char *const names[] = {"counter", "gauge", "exponential_histogram",
                                        "classic_histogram"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

const char *batch_class_name(enum batch_class class)
{
    static const char *const names[N_CLASSES] = {"critical", "standard", "verbose"};
    return (unsigned)class < N_CLASSES ? names[class] : "?";
}

/* Symbols are shared within a shape, so most comparisons end at the pointers. */
static int text_cmp(struct slice a, struct slice b)
{
    return a.ptr == b.ptr && a.len == b.len ? 0 : slice_cmp(a, b);
}

/* Doubles in their order as integers, so that -0 and 0 differ. */
static uint64_t double_rank(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits >> 63 != 0 ? ~bits : bits | UINT64_C(1) << 63;
}

static int bounds_cmp(const struct series *a, const struct series *b)
{
    for (uint32_t i = 0; i < a->n_bounds && i < b->n_bounds; i++) {
        uint64_t x = double_rank(a->bounds[i]);
        uint64_t y = double_rank(b->bounds[i]);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return (a->n_bounds > b->n_bounds) - (a->n_bounds < b->n_bounds);
}

static int labels_cmp(const struct series *a, const struct series *b)
{
    for (uint32_t i = 0; i < a->n_labels && i < b->n_labels; i++) {
        int order = text_cmp(a->labels[i].name, b->labels[i].name);
        order = order != 0 ? order : text_cmp(a->labels[i].value, b->labels[i].value);
        if (order != 0) {
            return order;
        }
    }
    return (a->n_labels > b->n_labels) - (a->n_labels < b->n_labels);
}

int series_cmp(const struct series *a, const struct series *b)
{
    int order = text_cmp(a->metric, b->metric);
    if (order != 0) {
        return order;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->delta != b->delta) {
        return b->delta ? -1 : 1;
    }
    order = text_cmp(a->unit, b->unit);
    order = order != 0 ? order : bounds_cmp(a, b);
    return order != 0 ? order : labels_cmp(a, b);
}

static void hasher_flush(struct hasher *h)
{
    if (!h->in_pieces) {
        (void)XXH3_128bits_reset(&h->state);
        h->in_pieces = true;
    }
    (void)XXH3_128bits_update(&h->state, h->bytes, h->len);
    h->len = 0;
}

/* A copy of few bytes into a hasher, which has the room: a call for each name and value costs more than hashing them all. So
 * it is the compiler's own memcpy: that of string.h is a call, too, where it checks the size of an array. */
static inline void short_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    uint64_t ends[2];
    uint32_t halves[2];
    if (n >= sizeof ends[0]) {
        __builtin_memcpy(&ends[0], from, sizeof ends[0]);
        __builtin_memcpy(&ends[1], from + n - sizeof ends[1], sizeof ends[1]);
        __builtin_memcpy(to, &ends[0], sizeof ends[0]);
        __builtin_memcpy(to + n - sizeof ends[1], &ends[1], sizeof ends[1]);
    } else if (n >= sizeof halves[0]) {
        __builtin_memcpy(&halves[0], from, sizeof halves[0]);
        __builtin_memcpy(&halves[1], from + n - sizeof halves[1], sizeof halves[1]);
        __builtin_memcpy(to, &halves[0], sizeof halves[0]);
        __builtin_memcpy(to + n - sizeof halves[1], &halves[1], sizeof halves[1]);
    } else {
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i];
        }
    }
}

static void hasher_put(struct hasher *h, const void *bytes, size_t n_bytes)
{
    if (n_bytes > sizeof h->bytes - h->len) {
        hasher_flush(h);
    }
    if (n_bytes > sizeof h->bytes) {
        (void)XXH3_128bits_update(&h->state, bytes, n_bytes);
    } else if (n_bytes > 0) {
        memcpy(h->bytes + h->len, bytes, n_bytes);
        h->len += n_bytes;
    }
}

static void hasher_text(struct hasher *h, struct slice s)
{
    uint32_t len = (uint32_t)s.len;
    if (s.len <= SHORT_BYTES && sizeof h->bytes - h->len >= sizeof len + SHORT_BYTES) {
        __builtin_memcpy(h->bytes + h->len, &len, sizeof len);
        short_copy(h->bytes + h->len + sizeof len, s.ptr, s.len);
        h->len += sizeof len + s.len;
        return;
    }
    hasher_put(h, &len, sizeof len);
    hasher_put(h, s.ptr, s.len);
}

struct hash128 series_id(struct slice tenant, struct slice metric, const struct label *labels,
                         uint32_t n_labels)
{
    struct hasher h __attribute__((uninitialized)); /* its buffer is filled as far as it is read */
    h.len = 0;
    h.in_pieces = false;
    hasher_text(&h, tenant);
    hasher_text(&h, metric);
    for (uint32_t i = 0; i < n_labels; i++) {
        hasher_text(&h, labels[i].name);
        hasher_text(&h, labels[i].value);
    }
    if (!h.in_pieces) {
        return hash128(slice_of(h.bytes, h.len));
    }
    hasher_flush(&h);
    XXH128_hash_t sum = XXH3_128bits_digest(&h.state);
    return (struct hash128){sum.low64, sum.high64};
}

uint64_t source_id(struct slice tenant, struct slice source_name)
{
    struct hasher h __attribute__((uninitialized));
    h.len = 0;
    h.in_pieces = false;
    hasher_text(&h, tenant);
    hasher_text(&h, source_name);
    if (!h.in_pieces) {
        return hash64(slice_of(h.bytes, h.len));
    }
    hasher_flush(&h); /* XXH3's 64 and 128 bits have the same state and differ in the digest */
    return XXH3_64bits_digest(&h.state);
}
