#include "unit/wire/otlp_random.h"

#include "wire/protobuf.h"

enum { MAX_PARTS = 48, PART_MAX_BYTES = 1 << 20 };

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void pb_put_varint(struct buf *out, uint32_t number, uint64_t v)
{
    buf_varint(out, PB_TAG(number, PB_VARINT));
    buf_varint(out, v);
}

void pb_put_fixed64(struct buf *out, uint32_t number, uint64_t bits)
{
    buf_varint(out, PB_TAG(number, PB_I64));
    buf_le64(out, bits);
}

void pb_put_double(struct buf *out, uint32_t number, double v)
{
    buf_varint(out, PB_TAG(number, PB_I64));
    buf_double(out, v);
}

void pb_put_bytes(struct buf *out, uint32_t number, struct slice bytes)
{
    buf_varint(out, PB_TAG(number, PB_LEN));
    buf_varint_bytes(out, bytes);
}

void pb_put_str(struct buf *out, uint32_t number, const char *s)
{
    pb_put_bytes(out, number, slice_str(s));
}

/* A message as fields that are written one by one and joined in any order. Fields of one number
 * keep their order among each other, since for points and values it means something. */
struct parts {
    struct buf parts[MAX_PARTS];
    unsigned n;
    uint64_t *random;
};

static void parts_init(struct parts *p, uint64_t *random)
{
    p->n = 0;
    p->random = random;
}

static struct buf *part_new(struct parts *p)
{
    if (p->n == MAX_PARTS) {
        return &p->parts[MAX_PARTS - 1]; /* full: the last part takes the rest */
    }
    struct buf *b = &p->parts[p->n++];
    buf_init(b, PART_MAX_BYTES);
    return b;
}

static bool chance(uint64_t *random, unsigned one_in)
{
    return random_next(random) % one_in == 0;
}

static void parts_join(struct parts *p, struct buf *out)
{
    if (chance(p->random, 3)) {
        for (unsigned i = p->n; i > 1; i--) {
            unsigned j = (unsigned)(random_next(p->random) % i);
            struct buf swap = p->parts[i - 1];
            p->parts[i - 1] = p->parts[j];
            p->parts[j] = swap;
        }
    }
    for (unsigned i = 0; i < p->n; i++) {
        buf_put_slice(out, buf_slice(&p->parts[i]));
        buf_fini(&p->parts[i]);
    }
}

static uint64_t random_bits(uint64_t *random)
{
    static const uint64_t rare[] = {0,
                                    1,
                                    UINT64_MAX,
                                    UINT64_C(0x7ff0000000000002),
                                    UINT64_C(0x7ff8000000000001),
                                    UINT64_C(0x7ff0000000000000),
                                    UINT64_C(0xfff0000000000000),
                                    UINT64_C(0x8000000000000000),
                                    UINT64_C(0x000fffffffffffff)};
    return chance(random, 3) ? rare[random_next(random) % (sizeof rare / sizeof *rare)]
                             : random_next(random);
}

static uint64_t random_count(uint64_t *random)
{
    uint64_t shift = random_next(random) % 64;
    return random_next(random) >> shift;
}

static const char *random_word(uint64_t *random)
{
    static const char *const words[] = {
        "",
        "a",
        "region",
        "eu-central-1",
        "queue",
        "Zürich",
        "http.server.duration",
        "a value that is longer than one hundred and twenty-seven bytes, so that its "
        "length takes a varint of two bytes, as do those around it"};
    return words[random_next(random) % (sizeof words / sizeof *words)];
}

static void put_unknown(struct parts *p)
{
    if (!chance(p->random, 8)) {
        return;
    }
    struct buf *b = part_new(p);
    uint32_t number =
        chance(p->random, 2) ? 15 + (uint32_t)(random_next(p->random) % 100) : (1U << 29) - 1;
    switch (random_next(p->random) % 4) {
    case 0:
        pb_put_varint(b, number, random_bits(p->random));
        break;
    case 1:
        pb_put_fixed64(b, number, 7);
        break;
    case 2:
        pb_put_str(b, number, random_word(p->random));
        break;
    default:
        buf_varint(b, PB_TAG(number, PB_I32));
        buf_le32(b, 9);
        break;
    }
}

static void any_value(uint64_t *random, struct buf *out)
{
    switch (random_next(random) % 10) {
    case 0:
        break;
    case 1:
        pb_put_varint(out, 2, chance(random, 2));
        break;
    case 2:
        pb_put_varint(out, 3, random_bits(random));
        break;
    case 3:
        pb_put_fixed64(out, 4, random_bits(random));
        break;
    case 4:
        pb_put_str(out, 5, ""); /* an empty array */
        break;
    case 5:
        pb_put_str(out, 6, "");
        break;
    case 6:
        pb_put_str(out, 7, random_word(random));
        pb_put_varint(out, 3, 5); /* the last member counts */
        break;
    default:
        pb_put_str(out, 1, random_word(random));
        break;
    }
}

static void put_attributes(struct parts *p, uint32_t number)
{
    unsigned n = (unsigned)(random_next(p->random) % 7);
    for (unsigned i = 0; i < n; i++) {
        struct buf value;
        struct parts key_value;
        buf_init(&value, PART_MAX_BYTES);
        parts_init(&key_value, p->random);
        any_value(p->random, &value);
        if (!chance(p->random, 9)) {
            pb_put_str(part_new(&key_value), 1, random_word(p->random));
        }
        if (!chance(p->random, 9)) {
            pb_put_bytes(part_new(&key_value), 2, buf_slice(&value));
        }
        put_unknown(&key_value);
        buf_reset(&value);
        parts_join(&key_value, &value);
        pb_put_bytes(part_new(p), number, buf_slice(&value));
        buf_fini(&value);
    }
}

static void put_times(struct parts *p)
{
    if (!chance(p->random, 5)) {
        pb_put_fixed64(part_new(p), 2, random_bits(p->random));
    }
    pb_put_fixed64(part_new(p), 3, random_next(p->random));
}

/* Numbers of 64 bits, packed, single, or both. */
static void put_column(struct parts *p, uint32_t number, size_t n, bool rising)
{
    struct buf packed;
    buf_init(&packed, PART_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = random_count(p->random);
        double v = (double)i * 1.5;
        if (rising) {
            memcpy(&bits, &v, sizeof bits);
        }
        if (chance(p->random, 40)) {
            pb_put_bytes(part_new(p), number, buf_slice(&packed));
            buf_reset(&packed);
            pb_put_fixed64(part_new(p), number, bits);
        } else {
            buf_le64(&packed, bits);
        }
    }
    if (packed.len > 0 || chance(p->random, 4)) {
        pb_put_bytes(part_new(p), number, buf_slice(&packed));
    }
    buf_fini(&packed);
}

static void put_buckets(struct parts *p, uint32_t number)
{
    if (chance(p->random, 6)) {
        return;
    }
    struct parts side;
    struct buf packed;
    parts_init(&side, p->random);
    buf_init(&packed, PART_MAX_BYTES);
    size_t n = random_next(p->random) % 60;
    for (size_t i = 0; i < n; i++) {
        if (chance(p->random, 50)) {
            pb_put_bytes(part_new(&side), 2, buf_slice(&packed));
            buf_reset(&packed);
            pb_put_varint(part_new(&side), 2, random_count(p->random));
        } else {
            buf_varint(&packed, random_count(p->random));
        }
    }
    pb_put_bytes(part_new(&side), 2, buf_slice(&packed));
    pb_put_varint(part_new(&side), 1, random_bits(p->random));
    put_unknown(&side);
    buf_reset(&packed);
    parts_join(&side, &packed);
    pb_put_bytes(part_new(p), number, buf_slice(&packed));
    buf_fini(&packed);
}

static void put_exemplar(struct parts *p, uint32_t number)
{
    if (chance(p->random, 4)) {
        struct buf exemplar;
        buf_init(&exemplar, PART_MAX_BYTES);
        pb_put_fixed64(&exemplar, 2, 1);
        pb_put_double(&exemplar, 3, 0.5);
        pb_put_bytes(part_new(p), number, buf_slice(&exemplar));
        buf_fini(&exemplar);
    }
}

static void number_point(struct parts *p)
{
    put_times(p);
    for (unsigned i = 0; i < 1 + (unsigned)chance(p->random, 10);
         i++) { /* sometimes both of the oneof */
        pb_put_fixed64(part_new(p), chance(p->random, 2) ? 4 : 6, random_bits(p->random));
    }
    put_exemplar(p, 5);
    put_attributes(p, 7);
    if (chance(p->random, 4)) {
        pb_put_varint(part_new(p), 8, random_next(p->random) % 4);
    }
}

static void histogram_point(struct parts *p)
{
    size_t n_bounds = random_next(p->random) % 12;
    put_times(p);
    pb_put_fixed64(part_new(p), 4, random_count(p->random));
    if (!chance(p->random, 3)) {
        pb_put_fixed64(part_new(p), 5, random_bits(p->random));
    }
    put_column(p, 6, chance(p->random, 5) ? 3 : n_bounds + 1, false);
    put_column(p, 7, n_bounds, true);
    put_exemplar(p, 8);
    put_attributes(p, 9);
    if (chance(p->random, 4)) {
        pb_put_varint(part_new(p), 10, random_next(p->random) % 4);
        pb_put_double(part_new(p), 11, 1);
        pb_put_double(part_new(p), 12, 2);
    }
}

static void exp_point(struct parts *p)
{
    put_attributes(p, 1);
    put_times(p);
    pb_put_fixed64(part_new(p), 4, random_count(p->random));
    if (!chance(p->random, 3)) {
        pb_put_fixed64(part_new(p), 5, random_bits(p->random));
    }
    pb_put_varint(part_new(p), 6, random_next(p->random) % 40);
    pb_put_fixed64(part_new(p), 7, random_count(p->random));
    put_buckets(p, 8);
    put_buckets(p, 9);
    put_exemplar(p, 11);
    if (chance(p->random, 3)) {
        pb_put_varint(part_new(p), 10, random_next(p->random) % 4);
        pb_put_double(part_new(p), 12, 1);
        pb_put_double(part_new(p), 13, 2);
        pb_put_double(part_new(p), 14, 1e-9);
    }
}

static void summary_point(struct parts *p)
{
    put_times(p);
    pb_put_fixed64(part_new(p), 4, random_count(p->random));
    pb_put_fixed64(part_new(p), 5, random_bits(p->random));
    for (unsigned i = 0; i < 3; i++) {
        struct buf pair;
        buf_init(&pair, PART_MAX_BYTES);
        pb_put_double(&pair, 1, 0.25 * i);
        pb_put_fixed64(&pair, 2, random_bits(p->random));
        pb_put_bytes(part_new(p), 6, buf_slice(&pair));
        buf_fini(&pair);
    }
    put_attributes(p, 7);
}

static void put_metric(struct parts *scope)
{
    static const struct {
        uint32_t number;
        void (*point)(struct parts *p);
    } kinds[] = {{5, number_point},
                 {7, number_point},
                 {9, histogram_point},
                 {10, exp_point},
                 {11, summary_point}};
    unsigned kind = (unsigned)(random_next(scope->random) % 5);
    struct parts metric;
    struct parts data;
    struct buf bytes;
    parts_init(&metric, scope->random);
    parts_init(&data, scope->random);
    buf_init(&bytes, PART_MAX_BYTES);
    for (uint64_t n = random_next(scope->random) % 20; n > 0; n--) {
        struct parts point;
        parts_init(&point, scope->random);
        kinds[kind].point(&point);
        put_unknown(&point);
        buf_reset(&bytes);
        parts_join(&point, &bytes);
        pb_put_bytes(part_new(&data), 1, buf_slice(&bytes));
    }
    if (kind >= 1 && kind <= 3) {
        pb_put_varint(part_new(&data), 2, random_next(scope->random) % 4);
    }
    if (kind == 1) {
        pb_put_varint(part_new(&data), 3, random_next(scope->random) % 2);
    }
    put_unknown(&data);
    buf_reset(&bytes);
    parts_join(&data, &bytes);
    for (unsigned i = 0; i < 1 + (unsigned)chance(scope->random, 6);
         i++) { /* a name twice: the last */
        pb_put_str(part_new(&metric), 1, random_word(scope->random));
    }
    pb_put_str(part_new(&metric), 2, random_word(scope->random));
    pb_put_str(part_new(&metric), 3, random_word(scope->random));
    if (!chance(scope->random, 20)) {
        pb_put_bytes(part_new(&metric), kinds[kind].number, buf_slice(&bytes));
    }
    put_attributes(&metric, 12);
    put_unknown(&metric);
    buf_reset(&bytes);
    parts_join(&metric, &bytes);
    pb_put_bytes(part_new(scope), 2, buf_slice(&bytes));
    buf_fini(&bytes);
}

static void put_scope(struct parts *resource_metrics)
{
    struct parts scope;
    struct buf bytes;
    parts_init(&scope, resource_metrics->random);
    buf_init(&bytes, PART_MAX_BYTES);
    if (!chance(scope.random, 4)) {
        pb_put_str(&bytes, 1, random_word(scope.random));
        pb_put_str(&bytes, 2, "1.0");
        pb_put_bytes(part_new(&scope), 1, buf_slice(&bytes));
    }
    for (uint64_t n = random_next(scope.random) % 6; n > 0; n--) {
        put_metric(&scope);
    }
    pb_put_str(part_new(&scope), 3, "https://schema");
    put_unknown(&scope);
    buf_reset(&bytes);
    parts_join(&scope, &bytes);
    pb_put_bytes(part_new(resource_metrics), 2, buf_slice(&bytes));
    buf_fini(&bytes);
}

void otlp_random_message(uint64_t *state, struct buf *out)
{
    struct parts message;
    parts_init(&message, state);
    for (uint64_t n = random_next(state) % 3; n > 0; n--) {
        struct parts resource_metrics;
        struct parts resource;
        struct buf bytes;
        parts_init(&resource_metrics, state);
        parts_init(&resource, state);
        buf_init(&bytes, PART_MAX_BYTES);
        put_attributes(&resource, 1);
        pb_put_varint(part_new(&resource), 2, 3);
        put_unknown(&resource);
        parts_join(&resource, &bytes);
        if (!chance(state, 8)) {
            pb_put_bytes(part_new(&resource_metrics), 1, buf_slice(&bytes));
        }
        for (uint64_t scopes = random_next(state) % 3; scopes > 0; scopes--) {
            put_scope(&resource_metrics);
        }
        pb_put_str(part_new(&resource_metrics), 3, "https://schema");
        put_unknown(&resource_metrics);
        buf_reset(&bytes);
        parts_join(&resource_metrics, &bytes);
        pb_put_bytes(part_new(&message), 1, buf_slice(&bytes));
        buf_fini(&bytes);
    }
    put_unknown(&message);
    parts_join(&message, out);
}
