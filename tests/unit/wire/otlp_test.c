#include "unit/runner.h"

#include <stdio.h>

#include "unit/wire/otlp_oracle.h"
#include "unit/wire/otlp_random.h"
#include "wire/protobuf.h"

enum { MAX_BYTES = 64 << 20 };

static const struct otlp_caps wide_caps = {.max_message_bytes = 64 << 20,
                                           .max_points = 1 << 30,
                                           .max_buckets = 1 << 20,
                                           .max_attributes = 1 << 20};

/* What the last points looked like, and how many there were. */
struct seen {
    uint32_t n_metrics;
    uint32_t n_points;
    uint32_t n_expected;
    struct hash128 expected[256];
    struct hash128 keys[256];
    const char *fault;
    uint32_t n_attributes;
    uint32_t n_resource_attributes;
    uint64_t n_counts;
    int32_t offset;
    double value;
    uint64_t time_ns;
    enum otlp_kind kind;
    enum otlp_temporality temporality;
};

static uint32_t count_attributes(struct slice run)
{
    struct cursor c = cursor_of(run);
    struct otlp_attribute a;
    uint32_t n = 0;
    while (otlp_attribute_next(&c, &a)) {
        n++;
    }
    ck_assert(cursor_ok(&c));
    return n;
}

static bool see_metric(void *ctx, const struct otlp_metric *m, struct err *e)
{
    struct seen *s = ctx;
    (void)e;
    s->n_metrics++;
    s->kind = m->kind;
    s->temporality = m->temporality;
    s->n_resource_attributes = count_attributes(m->resource->attributes);
    return true;
}

static bool see_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                      struct err *e)
{
    struct seen *s = ctx;
    (void)m;
    (void)e;
    s->keys[s->n_points++ % 256] = p->series_key;
    s->fault = p->fault;
    s->n_attributes = count_attributes(p->attributes);
    s->n_counts = p->n_counts + p->positive.n;
    s->offset = p->positive.offset;
    s->value = p->value;
    s->time_ns = p->time_ns;
    return true;
}

static void see_expected(void *ctx, struct hash128 key)
{
    struct seen *s = ctx;
    s->expected[s->n_expected++ % 256] = key;
}

static bool walk(struct slice message, const struct otlp_caps *caps, struct seen *s, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, MAX_BYTES);
    *s = (struct seen){0};
    *e = (struct err)ERR_INIT;
    struct otlp_sink sink = {
        .ctx = s, .metric = see_metric, .point = see_point, .expect = see_expected};
    bool ok = otlp_walk(message, caps, &scratch, &sink, e);
    arena_fini(&scratch);
    return ok;
}

/* Wraps the bytes of a Metric's fields, or of one point, as a message. */
static void wrap(struct buf *b, uint32_t number)
{
    struct buf inner;
    buf_init(&inner, MAX_BYTES);
    buf_put_slice(&inner, buf_slice(b));
    buf_reset(b);
    pb_put_bytes(b, number, buf_slice(&inner));
    buf_fini(&inner);
}

static void wrap_metric(struct buf *b)
{
    wrap(b, 2);
    wrap(b, 2);
    wrap(b, 1);
}

static void wrap_point(struct buf *b, uint32_t kind_field)
{
    wrap(b, 1);
    wrap(b, kind_field);
    wrap_metric(b);
}

static void put_attribute(struct buf *b, uint32_t number, const char *name, const char *value)
{
    struct buf v;
    struct buf kv;
    buf_init(&v, MAX_BYTES);
    buf_init(&kv, MAX_BYTES);
    pb_put_str(&v, 1, value);
    pb_put_str(&kv, 1, name);
    pb_put_bytes(&kv, 2, buf_slice(&v));
    pb_put_bytes(b, number, buf_slice(&kv));
    buf_fini(&v);
    buf_fini(&kv);
}

/* What protobuf-c takes and we refuse: field number 0 or beyond 2^29-1, varints over 64 bits (in a
 * packed field too), a bool of any wire type; and the same inside attributes. */
static bool known_to_be_stricter(const struct err *e)
{
    static const char *const texts[] = {"field number ", "bad or cut off value", "not varint",
                                        "attributes: bad or cut off",
                                        "Buckets: bad or cut off contents"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strstr(e->text, texts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

enum outcome { BOTH_REFUSE, ONLY_WALK, ONLY_ORACLE, SAME };

static enum outcome compare(struct slice message, const char *name)
{
    struct err e = ERR_INIT;
    struct buf ours;
    struct buf theirs;
    buf_init(&ours, MAX_BYTES);
    buf_init(&theirs, MAX_BYTES);
    bool we = otlp_dump_walk(message, &wide_caps, &ours, &e);
    bool they = otlp_dump_protobuf_c(message, &theirs);
    if (!we) {
        ck_assert_msg(e.kind == ERR_BAD_INPUT && e.text[0] != 0,
                      "%s: an error without kind or text", name);
    }
    if (we && they && !slice_eq(buf_slice(&ours), buf_slice(&theirs))) {
        size_t at = 0;
        while (at < ours.len && at < theirs.len && ours.ptr[at] == theirs.ptr[at]) {
            at++;
        }
        size_t from = at < 100 ? 0 : at - 100;
        ck_abort_msg("%s: read differently\nwalk:       %.200s\nprotobuf-c: %.200s", name,
                     buf_c_str(&ours) + from, buf_c_str(&theirs) + from);
    }
    ck_assert_msg(we || !they || known_to_be_stricter(&e), "%s: protobuf-c takes it: %s", name,
                  e.text);
    buf_fini(&ours);
    buf_fini(&theirs);
    return we ? (they ? SAME : ONLY_WALK) : (they ? ONLY_ORACLE : BOTH_REFUSE);
}

START_TEST(random_messages_read_as_by_protobuf_c)
{
    uint64_t random = 1;
    struct buf message;
    buf_init(&message, MAX_BYTES);
    for (unsigned i = 0; i < 2000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "random message %u", i);
        buf_reset(&message);
        otlp_random_message(&random, &message);
        ck_assert_msg(compare(buf_slice(&message), name) == SAME, "%s: one of them refuses it",
                      name);
    }
    buf_fini(&message);
}
END_TEST

static void mutate(struct buf *b, uint64_t *random)
{
    for (uint64_t n = 1 + random_next(random) % 3; n > 0 && b->len > 0; n--) {
        size_t at = (size_t)(random_next(random) % b->len);
        switch (random_next(random) % 4) {
        case 0:
            b->ptr[at] = (uint8_t)random_next(random);
            break;
        case 1:
            b->ptr[at] ^= (uint8_t)(1U << (random_next(random) % 8));
            break;
        case 2:
            memmove(b->ptr + at, b->ptr + at + 1, b->len - at - 1);
            b->len--;
            break;
        default:
            b->len = at + 1;
            break;
        }
    }
}

START_TEST(mutated_messages_read_as_by_protobuf_c)
{
    uint64_t random = 2;
    unsigned counts[4] = {0};
    struct buf message;
    buf_init(&message, MAX_BYTES);
    for (unsigned i = 0; i < 20000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "mutated message %u", i);
        do {
            buf_reset(&message);
            otlp_random_message(&random, &message);
        } while (message.len > 20000);
        mutate(&message, &random);
        if (otlp_nests_shallowly(buf_slice(&message)) &&
            !otlp_repeats_a_message(buf_slice(&message))) {
            counts[compare(buf_slice(&message), name)]++;
        }
    }
    buf_fini(&message);
    printf("mutations: %u same, %u both refuse, %u only the walk takes, %u only protobuf-c takes\n",
           counts[SAME], counts[BOTH_REFUSE], counts[ONLY_WALK], counts[ONLY_ORACLE]);
    ck_assert_uint_gt(counts[SAME], 5000);
    ck_assert_uint_gt(counts[BOTH_REFUSE], 5000);
    ck_assert_uint_lt(counts[ONLY_WALK],
                      400); /* faults in what the walk leaves unread: exemplars, metadata */
    ck_assert_uint_lt(counts[ONLY_ORACLE], 60);
}
END_TEST

START_TEST(every_prefix_decodes_or_is_bad_input)
{
    uint64_t random = 3;
    struct buf message;
    buf_init(&message, MAX_BYTES);
    for (unsigned i = 0; i < 40; i++) {
        do {
            buf_reset(&message);
            otlp_random_message(&random, &message);
        } while (message.len > 3000);
        for (size_t cut = 0; cut <= message.len; cut++) {
            uint8_t *copy = malloc(cut + 1);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, message.ptr == NULL ? (const uint8_t *)"" : message.ptr, cut);
            (void)compare(slice_of(copy, cut), "prefix");
            free(copy);
        }
    }
    buf_fini(&message);
}
END_TEST

static const struct {
    const char *name;
    struct slice bytes;
    const char *text; /* NULL: taken */
} rows[] = {
    {"1 empty", {NULL, 0}, NULL},
    {"3 varint of 11 bytes",
     {(const uint8_t *)"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
     "bad or cut off value"},
    {"3 varint over 64 bits",
     {(const uint8_t *)"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},
     "bad or cut off value"},
    {"4 length beyond the end", {(const uint8_t *)"\x0a\x05\x01", 3}, "bad or cut off value"},
    {"4 length 2^31", {(const uint8_t *)"\x0a\x80\x80\x80\x80\x08", 6}, "bad or cut off value"},
    {"4 length 2^63",
     {(const uint8_t *)"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},
     "bad or cut off value"},
    {"4 length 2^64-1",
     {(const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
     "bad or cut off value"},
    {"5 field number 0", {(const uint8_t *)"\x02\x00", 2}, "field number 0"},
    {"5 field number 0, long tag", {(const uint8_t *)"\x82\x00\x00", 3}, "field number 0"},
    {"5 field number 2^29",
     {(const uint8_t *)"\x82\x80\x80\x80\x10\x00", 6},
     "field number 536870912"},
    {"5 field number 2^29-1", {(const uint8_t *)"\xfa\xff\xff\xff\x0f\x00", 6}, NULL},
    {"5 wire type 6", {(const uint8_t *)"\x56\x00", 2}, "wire type 6 is not taken"},
    {"5 wire type 7", {(const uint8_t *)"\x57\x00", 2}, "wire type 7 is not taken"},
    {"6 known field, wrong wire type",
     {(const uint8_t *)"\x08\x00", 2},
     "field 1 at byte 0 is varint, not length-delimited"},
    {"6 resource as fixed64",
     {(const uint8_t *)"\x0a\x09\x09\x00\x00\x00\x00\x00\x00\x00\x00", 11},
     "resource 0: ResourceMetrics: field 1"},
    {"7 group", {(const uint8_t *)"\x53\x54", 2}, "group is not taken"},
    {"8 unknown fields",
     {(const uint8_t
           *)"\x50\x01\x59\x01\x02\x03\x04\x05\x06\x07\x08\x62\x01\x61\x6d\x01\x02\x03\x04",
      19},
     NULL},
};

START_TEST(bad_input_rows)
{
    struct seen seen;
    struct err e;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool ok = walk(rows[i].bytes, &otlp_default_caps, &seen, &e);
        ck_assert_msg(ok == (rows[i].text == NULL), "%s: %s", rows[i].name, e.text);
        ck_assert_msg(ok || e.kind == ERR_BAD_INPUT, "%s", rows[i].name);
        ck_assert_msg(ok || strstr(e.text, rows[i].text) != NULL, "%s: %s", rows[i].name, e.text);
    }
}
END_TEST

START_TEST(a_group_in_the_depths_is_flat)
{
    struct seen seen;
    struct err e;
    struct buf b;
    buf_init(&b, MAX_BYTES);
    for (unsigned i = 0; i < 10000; i++) {
        buf_u8(&b, 0x53);
    }
    wrap_point(&b, 7);
    ck_assert(!walk(buf_slice(&b), &otlp_default_caps, &seen, &e));
    ck_assert_ptr_nonnull(strstr(
        e.text, "resource 0: metric 0: point 0: NumberDataPoint: field 10 at byte 0: group"));
    buf_fini(&b);
}
END_TEST

/* AnyValue { array { AnyValue { … } } }, n deep, as a point's attribute. */
START_TEST(nested_values_are_not_entered)
{
    struct seen seen;
    struct err e;
    struct buf b;
    uint8_t *space = malloc(200000);
    ck_assert_ptr_nonnull(space);
    size_t at = 200000; /* built from the inside out */
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = 200000 - at;
        uint8_t tag = i % 2 == 0 ? 0x0a : 0x2a;
        struct buf head;
        buf_init(&head, 64);
        buf_u8(&head, tag);
        buf_varint(&head, len);
        at -= head.len;
        memcpy(space + at, head.ptr, head.len);
        buf_fini(&head);
    }
    buf_init(&b, MAX_BYTES);
    pb_put_str(&b, 1, "deep");
    pb_put_bytes(&b, 2, slice_of(space + at, 200000 - at));
    wrap(&b, 7);
    pb_put_double(&b, 4, 1);
    wrap_point(&b, 7);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_points, 1);
    ck_assert_uint_eq(seen.n_attributes, 1);
    buf_fini(&b);
    free(space);
}
END_TEST

/* Message fields that come twice are merged, as protobuf's specification has it. */
START_TEST(repeated_messages_are_merged)
{
    struct seen seen;
    struct err e;
    struct buf b;
    struct buf part;
    buf_init(&b, MAX_BYTES);
    buf_init(&part, MAX_BYTES);
    for (unsigned i = 0; i < 3;
         i++) { /* three Sums in one metric: their points together; the last temporality */
        buf_reset(&part);
        pb_put_double(&part, 4, i);
        wrap(&part, 1);
        pb_put_varint(&part, 2, i);
        pb_put_bytes(&b, 7, buf_slice(&part));
    }
    wrap(&b, 2);
    wrap(&b, 2);
    for (unsigned i = 0; i < 2; i++) { /* two Resources: their attributes together */
        buf_reset(&part);
        put_attribute(&part, 1, i == 0 ? "a" : "b", "x");
        pb_put_varint(&part, 2, 1);
        pb_put_bytes(&b, 1, buf_slice(&part));
    }
    wrap(&b, 1);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_points, 3);
    ck_assert_int_eq(seen.temporality, OTLP_CUMULATIVE);
    ck_assert_uint_eq(seen.n_resource_attributes, 2);
    ck_assert(seen.value == 2);

    buf_reset(&b); /* a Sum, a Gauge, a Sum: the last member of the oneof alone */
    for (unsigned i = 0; i < 3; i++) {
        buf_reset(&part);
        pb_put_double(&part, 4, i);
        wrap(&part, 1);
        pb_put_bytes(&b, i == 1 ? 5 : 7, buf_slice(&part));
    }
    wrap_metric(&b);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_points, 1);
    ck_assert(seen.kind == OTLP_SUM && seen.value == 2);

    buf_reset(
        &b); /* positive buckets in two messages: counts one after the other, the last offset */
    for (unsigned i = 0; i < 2; i++) {
        buf_reset(&part);
        pb_put_varint(&part, 1, 2 + 2 * i);
        pb_put_str(&part, 2, "\x01\x02");
        pb_put_bytes(&b, 8, buf_slice(&part));
    }
    pb_put_fixed64(&b, 4, 6);
    wrap_point(&b, 10);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_uint_eq(seen.n_counts, 4);
    ck_assert_int_eq(seen.offset, 2);
    ck_assert_msg(seen.fault == NULL, "%s", seen.fault);
    buf_fini(&b);
    buf_fini(&part);
}
END_TEST

static struct hash128 key_of(const char *metric, const char *server, const char *name,
                             const char *value, bool scattered)
{
    struct seen seen;
    struct err e;
    struct buf b;
    struct buf resource;
    buf_init(&b, MAX_BYTES);
    buf_init(&resource, MAX_BYTES);
    put_attribute(&b, 7, name, value);
    pb_put_fixed64(&b, scattered ? 3 : 2, 5);
    put_attribute(&b, 7, "second", "2");
    wrap(&b, 1);
    wrap(&b, 7);
    pb_put_str(&b, 1, metric);
    wrap(&b, 2);
    wrap(&b, 2);
    put_attribute(&resource, 1, "service.instance.id", server);
    pb_put_bytes(&b, 1, buf_slice(&resource));
    wrap(&b, 1);
    ck_assert(walk(buf_slice(&b), &otlp_default_caps, &seen, &e));
    ck_assert_uint_eq(seen.n_points, 1);
    ck_assert(hash128_eq(seen.keys[0], seen.expected[0]));
    buf_fini(&b);
    buf_fini(&resource);
    return seen.keys[0];
}

START_TEST(series_keys_follow_identity)
{
    struct hash128 key = key_of("m", "s1", "a", "x", true);
    ck_assert(hash128_eq(key, key_of("m", "s1", "a", "x", false)));
    ck_assert(!hash128_eq(key, key_of("n", "s1", "a", "x", true)));
    ck_assert(!hash128_eq(key, key_of("m", "s2", "a", "x", true)));
    ck_assert(!hash128_eq(key, key_of("m", "s1", "b", "x", true)));
    ck_assert(!hash128_eq(key, key_of("m", "s1", "a", "y", true)));
}
END_TEST

/* The plain layout's fast path and the general one give the same point. */
START_TEST(plain_points_read_like_others)
{
    static const char *const words[] = {
        "x", "a value of more than 127 bytes: ................................................"
             "......................................................."};
    for (unsigned i = 0; i < 64; i++) {
        struct buf plain;
        struct buf shuffled;
        struct seen a;
        struct seen b;
        struct err e;
        buf_init(&plain, MAX_BYTES);
        buf_init(&shuffled, MAX_BYTES);
        pb_put_fixed64(&shuffled, i & 1 ? 4 : 6, i);
        if (i & 2) {
            pb_put_fixed64(&plain, 2, 1000);
            pb_put_fixed64(&shuffled, 2, 1000);
        }
        pb_put_fixed64(&plain, 3, i);
        pb_put_fixed64(&shuffled, 3, i);
        pb_put_fixed64(&plain, i & 1 ? 4 : 6, i);
        for (unsigned n = 0; n < (i >> 2) % 4; n++) {
            put_attribute(&plain, 7, "name", words[i >> 5]);
            put_attribute(&shuffled, 7, "name", words[i >> 5]);
        }
        if (i & 16) {
            pb_put_varint(&plain, 8, 1);
            pb_put_varint(&shuffled, 8, 1);
        }
        wrap_point(&plain, 5);
        wrap_point(&shuffled, 5);
        ck_assert(walk(buf_slice(&plain), &otlp_default_caps, &a, &e));
        ck_assert(walk(buf_slice(&shuffled), &otlp_default_caps, &b, &e));
        ck_assert(memcmp(&a.value, &b.value, sizeof a.value) == 0 && a.time_ns == b.time_ns);
        ck_assert_uint_eq(a.n_attributes, b.n_attributes);
        ck_assert(hash128_eq(a.keys[0], b.keys[0]));
        buf_fini(&plain);
        buf_fini(&shuffled);
    }
}
END_TEST

/* Row 15: the point has a fault, the walk goes on. */
static void put_histogram(struct buf *b, uint64_t count, const char *counts, unsigned n_bounds,
                          double step)
{
    struct buf column;
    buf_init(&column, MAX_BYTES);
    pb_put_fixed64(b, 4, count);
    for (size_t i = 0; counts[i] != 0; i++) {
        buf_le64(&column, (uint64_t)(counts[i] - '0'));
    }
    pb_put_bytes(b, 6, buf_slice(&column));
    buf_reset(&column);
    for (unsigned i = 0; i < n_bounds; i++) {
        buf_double(&column, step * i);
    }
    pb_put_bytes(b, 7, buf_slice(&column));
    wrap_point(b, 9);
    buf_fini(&column);
}

static const struct {
    const char *name;
    uint64_t count;
    const char *counts;
    unsigned n_bounds;
    double step;
    const char *fault;
} histogram_rows[] = {
    {"no buckets", 5, "", 0, 1, NULL},
    {"one bucket", 5, "5", 0, 1, NULL},
    {"in order", 6, "123", 2, 1, NULL},
    {"as many counts as bounds", 6, "123", 3, 1, "not one more"},
    {"bounds alone", 6, "", 3, 1, "not one more"},
    {"bounds fall", 6, "123", 2, -1, "rising"},
    {"bounds equal", 6, "123", 2, 0, "rising"},
    {"bounds NaN", 6, "123", 2, __builtin_nan(""), "finite"},
    {"bounds infinite", 6, "123", 2, __builtin_inf(), "finite"},
    {"more in buckets than counted", 5, "123", 2, 1, "more than count"},
};

START_TEST(histogram_faults)
{
    for (size_t i = 0; i < sizeof histogram_rows / sizeof *histogram_rows; i++) {
        struct buf b;
        struct seen seen;
        struct err e;
        buf_init(&b, MAX_BYTES);
        put_histogram(&b, histogram_rows[i].count, histogram_rows[i].counts,
                      histogram_rows[i].n_bounds, histogram_rows[i].step);
        ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s: %s",
                      histogram_rows[i].name, e.text);
        const char *want = histogram_rows[i].fault;
        ck_assert_msg((want == NULL) == (seen.fault == NULL), "%s: %s", histogram_rows[i].name,
                      seen.fault == NULL ? "no fault" : seen.fault);
        ck_assert_msg(want == NULL || strstr(seen.fault, want) != NULL, "%s: %s",
                      histogram_rows[i].name, seen.fault);
        buf_fini(&b);
    }
}
END_TEST

static const struct {
    const char *name;
    uint64_t count;
    uint64_t zero_count;
    uint64_t offset_zigzag;
    const char *packed;
    double sum;
    double threshold;
    const char *fault;
} exp_rows[] = {
    {"adds up", 10, 4, 0, "\x01\x02\x03", 1, 0, NULL},
    {"count too small", 9, 4, 0, "\x01\x02\x03", 1, 0, "more than count"},
    {"count too large", 11, 4, 0, "\x01\x02\x03", 1, 0, "do not add up"},
    {"count too large, NaN seen", 11, 4, 0, "\x01\x02\x03", __builtin_nan(""), 0, NULL},
    {"counts overflow", 3, 2, 0, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1, 0,
     "more than count"},
    {"offset at the end", 6, 0, UINT64_C(0xfffffffe) - 6, "\x01\x02\x03", 1, 0, NULL},
    {"offset beyond the end", 6, 0, UINT64_C(0xfffffffe), "\x01\x02\x03", 1, 0, "offset"},
    {"threshold below zero", 6, 0, 0, "\x01\x02\x03", 1, -1, "threshold"},
    {"threshold NaN", 6, 0, 0, "\x01\x02\x03", 1, __builtin_nan(""), "threshold"},
};

START_TEST(exponential_faults)
{
    for (size_t i = 0; i < sizeof exp_rows / sizeof *exp_rows; i++) {
        struct buf b;
        struct buf side;
        struct seen seen;
        struct err e;
        buf_init(&b, MAX_BYTES);
        buf_init(&side, MAX_BYTES);
        pb_put_varint(&side, 1, exp_rows[i].offset_zigzag);
        pb_put_str(&side, 2, exp_rows[i].packed);
        pb_put_fixed64(&b, 4, exp_rows[i].count);
        pb_put_double(&b, 5, exp_rows[i].sum);
        pb_put_fixed64(&b, 7, exp_rows[i].zero_count);
        pb_put_bytes(&b, 8, buf_slice(&side));
        pb_put_double(&b, 14, exp_rows[i].threshold);
        wrap_point(&b, 10);
        ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s: %s",
                      exp_rows[i].name, e.text);
        const char *want = exp_rows[i].fault;
        ck_assert_msg((want == NULL) == (seen.fault == NULL), "%s: %s", exp_rows[i].name,
                      seen.fault == NULL ? "no fault" : seen.fault);
        ck_assert_msg(want == NULL || strstr(seen.fault, want) != NULL, "%s: %s", exp_rows[i].name,
                      seen.fault);
        buf_fini(&b);
        buf_fini(&side);
    }
}
END_TEST

START_TEST(packed_lengths_must_fit)
{
    static const struct {
        const char *name;
        uint32_t kind;
        struct slice point;
    } bad[] = {
        {"9 counts of 7 bytes",
         9,
         {(const uint8_t *)"\x32\x07"
                           "1234567",
          9}},
        {"9 bounds of 9 bytes",
         9,
         {(const uint8_t *)"\x3a\x09"
                           "123456789",
          11}},
        {"9 bucket count cut off in its packed field",
         10,
         {(const uint8_t *)"\x42\x04\x12\x02\x01\x80", 6}},
        {"9 bucket count of 11 bytes",
         10,
         {(const uint8_t *)"\x42\x0d\x12\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 15}},
        {"summary pair cut off", 11, {(const uint8_t *)"\x32\x02\x09\x01", 4}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b;
        struct seen seen;
        struct err e;
        buf_init(&b, MAX_BYTES);
        buf_put_slice(&b, bad[i].point);
        wrap_point(&b, bad[i].kind);
        ck_assert_msg(!walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", bad[i].name);
        ck_assert_msg(strstr(e.text, "resource 0: metric 0: point 0: ") == e.text, "%s: %s",
                      bad[i].name, e.text);
        buf_fini(&b);
    }
}
END_TEST

START_TEST(caps_hold)
{
    struct seen seen;
    struct err e;
    struct buf b;
    buf_init(&b, MAX_BYTES);
    for (unsigned i = 0; i < 10; i++) {
        pb_put_str(&b, 1, "");
    }
    wrap(&b, 7);
    wrap_metric(&b);
    struct otlp_caps caps = otlp_default_caps;
    caps.max_points = 10;
    ck_assert(walk(buf_slice(&b), &caps, &seen, &e));
    caps.max_points = 9;
    ck_assert(!walk(buf_slice(&b), &caps, &seen, &e) &&
              strstr(e.text, "more than 9 points") != NULL);
    caps.max_message_bytes = b.len - 1;
    ck_assert(!walk(buf_slice(&b), &caps, &seen, &e) && strstr(e.text, "bytes, more than") != NULL);

    buf_reset(&b);
    for (unsigned i = 0; i < 5; i++) {
        put_attribute(&b, 7, "a", "b");
    }
    wrap_point(&b, 5);
    caps = otlp_default_caps;
    caps.max_attributes = 4;
    ck_assert(walk(buf_slice(&b), &caps, &seen, &e));
    ck_assert_str_eq(seen.fault, "too many attributes");

    buf_reset(&b);
    put_histogram(&b, 6, "123", 2, 1);
    caps.max_buckets = 2;
    ck_assert(walk(buf_slice(&b), &caps, &seen, &e));
    ck_assert_str_eq(seen.fault, "too many buckets");
    buf_fini(&b);
}
END_TEST

/* Memory follows the message: 8 MiB of one-byte bucket counts, and of resources in pieces. */
START_TEST(memory_is_bounded)
{
    struct seen seen;
    struct err e;
    struct buf b;
    buf_init(&b, MAX_BYTES);
    memset(buf_extend(&b, 7 << 20), 1, 7 << 20);
    wrap(&b, 2);
    wrap(&b, 8);
    wrap_point(&b, 10);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    ck_assert_str_eq(seen.fault, "too many buckets");

    buf_reset(&b);
    for (unsigned i = 0; i < 1000000; i++) {
        pb_put_str(&b, 1, "");
    }
    wrap(&b, 1);
    ck_assert_msg(walk(buf_slice(&b), &otlp_default_caps, &seen, &e), "%s", e.text);
    buf_fini(&b);
}
END_TEST

START_TEST(attribute_texts)
{
    static const struct {
        const char *name;
        struct otlp_attribute attribute;
        const char *text; /* NULL: none */
    } texts[] = {
        {"string", {.type = OTLP_V_STRING, .text = {(const uint8_t *)"x", 1}}, "x"},
        {"true", {.type = OTLP_V_BOOL, .integer = 1}, "true"},
        {"false", {.type = OTLP_V_BOOL}, "false"},
        {"least integer", {.type = OTLP_V_INT, .integer = INT64_MIN}, "-9223372036854775808"},
        {"whole number", {.type = OTLP_V_DOUBLE, .number = 42}, "42"},
        {"a tenth", {.type = OTLP_V_DOUBLE, .number = 0.1}, "0.1"},
        {"17 digits", {.type = OTLP_V_DOUBLE, .number = 0.1 + 0.2}, "0.30000000000000004"},
        {"longest",
         {.type = OTLP_V_DOUBLE, .number = -2.2250738585072014e-308},
         "-2.2250738585072014e-308"},
        {"NaN", {.type = OTLP_V_DOUBLE, .number = __builtin_nan("")}, "NaN"},
        {"infinite", {.type = OTLP_V_DOUBLE, .number = -__builtin_inf()}, "-Inf"},
        {"bytes", {.type = OTLP_V_BYTES}, NULL},
        {"nested", {.type = OTLP_V_NESTED}, NULL},
        {"none", {.type = OTLP_V_NONE}, NULL},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char space[32];
        struct slice out = SLICE_NONE;
        bool ok = otlp_attribute_text(&texts[i].attribute, space, sizeof space, &out);
        ck_assert_msg(ok == (texts[i].text != NULL), "%s", texts[i].name);
        ck_assert_msg(!ok || slice_eq_str(out, texts[i].text), "%s: %.*s", texts[i].name,
                      SLICE_ARG(out));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("otlp");
    TCase *tcase = tcase_create("walk");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, random_messages_read_as_by_protobuf_c);
    tcase_add_test(tcase, mutated_messages_read_as_by_protobuf_c);
    tcase_add_test(tcase, every_prefix_decodes_or_is_bad_input);
    tcase_add_test(tcase, bad_input_rows);
    tcase_add_test(tcase, a_group_in_the_depths_is_flat);
    tcase_add_test(tcase, nested_values_are_not_entered);
    tcase_add_test(tcase, repeated_messages_are_merged);
    tcase_add_test(tcase, series_keys_follow_identity);
    tcase_add_test(tcase, plain_points_read_like_others);
    tcase_add_test(tcase, histogram_faults);
    tcase_add_test(tcase, exponential_faults);
    tcase_add_test(tcase, packed_lengths_must_fit);
    tcase_add_test(tcase, caps_hold);
    tcase_add_test(tcase, memory_is_bounded);
    tcase_add_test(tcase, attribute_texts);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
