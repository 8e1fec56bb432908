/* Any bytes, and any bytes behind the right head: batch_decode takes them or says why not. What it
 * takes avro-c reads the same; what avro-c takes and then writes anew batch_decode takes, too,
 * unless it breaks one of our own rules. Then the shape inside, and the columns against it. And
 * the record as of a former schema, which goes through avro-c. */
#include <stdio.h>
#include <stdlib.h>

#include "wire/avro_blocks.h"
#include "batch/histogram.h"
#include "batch/versions.h"
#include "batch_avsc.h"
#include "unit/batch/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DUMP_MAX_BYTES = 64 << 20, ARENA_BYTES = 16 << 20, MAX_BUCKETS = 1000 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static void check_err(const struct err *e)
{
    if (e->kind != ERR_BAD_INPUT || e->text[0] == 0) {
        fail("an error of the wrong kind or without text", e->text);
    }
}

static void read_columns(const struct batch *b, const struct shape *s, struct arena *a)
{
    struct err e = ERR_INIT;
    int64_t *times = ARENA_ARRAY(a, int64_t, s->n_series);
    if (times == NULL || !batch_times_decode(&b->times, s->n_series, times, &e) ||
        !batch_times_decode(&b->starts, s->n_series, times, &e)) {
        fail("times that passed the check fail", e.text);
    }
    struct cursor exp = cursor_of(b->exp);
    struct cursor classic = cursor_of(b->classic);
    size_t n_values = 0;
    for (uint32_t i = 0; i < s->n_series; i++) {
        struct exp_histogram h;
        struct classic_histogram ch;
        struct err ignored = ERR_INIT;
        if (s->series[i].kind == SERIES_EXP_HISTOGRAM) {
            struct cursor one = exp;
            (void)exp_histogram_skip(&exp);
            (void)!exp_histogram_decode(&one, MAX_BUCKETS, a, &h, &ignored);
        } else if (s->series[i].kind == SERIES_CLASSIC_HISTOGRAM) {
            if (!classic_histogram_decode(&classic, s->series[i].n_bounds, a, &ch, &e)) {
                fail("a classic histogram that passed the check fails", e.text);
            }
        } else {
            (void)batch_value(b, n_values++);
        }
    }
    if (cursor_left(&exp) != 0 || cursor_left(&classic) != 0 || !cursor_ok(&exp) ||
        !cursor_ok(&classic)) {
        fail("columns that passed the check have another length", "");
    }
}

static void use(struct slice message)
{
    struct arena a;
    struct batch b;
    struct shape s;
    struct err e = ERR_INIT;
    arena_init(&a, ARENA_BYTES);
    if (!batch_decode(message, &batch_default_caps, &a, &b, &e) ||
        (b.shape.len > 0 && !shape_decode(b.shape, b.tenant, &shape_default_caps, &a, &s, &e)) ||
        (b.shape.len > 0 && !batch_check_shape(&b, &s, &e))) {
        check_err(&e);
    } else if (b.shape.len > 0) {
        read_columns(&b, &s, &a);
    }
    arena_fini(&a);
}

/* Our decoder knows more rules than the schema. */
static bool is_our_rule(const char *text)
{
    static const char *const rules[] = {"not UTF-8", "is negative", "not whole doubles",
                                        "more than", "without a shape"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strstr(text, rules[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* What a record that avro-c wrote can still have wrong: a class that is none (it doesn't look), and
 * times beyond 64 bits. */
static bool is_beyond_avro_c(struct slice message)
{
    struct cursor c = cursor_of(message);
    (void)cursor_take(&c, AVRO_HEAD_BYTES);
    (void)cursor_zigzag_bytes(&c); /* tenant */
    int64_t class = cursor_zigzag(&c);
    if (class < 0 || class >= N_CLASSES) {
        return true;
    }
    (void)cursor_zigzag(&c); /* source, received_ms */
    (void)cursor_zigzag(&c);
    (void)cursor_zigzag_bytes(&c); /* origin */
    (void)cursor_take(&c, TOPIC_ID_BYTES);
    (void)cursor_zigzag(&c);
    (void)cursor_zigzag(&c);
    (void)cursor_zigzag(&c);
    (void)cursor_zigzag(&c);       /* redriven */
    (void)cursor_zigzag_bytes(&c); /* shape */
    for (int i = 0; i < 2; i++) {
        int64_t base_ms = cursor_zigzag(&c);
        int64_t n = cursor_zigzag(&c);
        for (int64_t k = 0; k < n; k++) {
            int64_t sum;
            if (__builtin_add_overflow(base_ms, cursor_zigzag(&c), &sum)) {
                return true;
            }
        }
        if (n != 0) {
            (void)cursor_u8(&c);
        }
    }
    return false;
}

static void compare(struct slice message)
{
    struct err e = ERR_INIT;
    struct buf ours;
    struct buf theirs;
    struct buf again;
    buf_init(&ours, DUMP_MAX_BYTES);
    buf_init(&theirs, DUMP_MAX_BYTES);
    buf_init(&again, DUMP_MAX_BYTES);
    bool ok = batch_dump(message, &batch_default_caps, &ours, &e);
    bool avro_c = batch_dump_avro_c(message, &theirs, &again);
    if (ok && (!avro_c || !slice_eq(buf_slice(&ours), buf_slice(&theirs)))) {
        fprintf(stderr, "ours:\n%s\navro-c:\n%s\n", buf_c_str(&ours), buf_c_str(&theirs));
        fail("read differently", avro_c ? "" : "avro-c refuses it");
    }
    if (avro_c && !ok) {
        buf_reset(&ours);
        struct err why = ERR_INIT;
        if (!batch_dump(buf_slice(&again), &batch_default_caps, &ours, &why)) {
            if (!is_our_rule(why.text) && !is_beyond_avro_c(buf_slice(&again))) {
                fail("what avro-c writes is refused", why.text);
            }
        } else if (!slice_eq(buf_slice(&ours), buf_slice(&theirs))) {
            fail("what avro-c writes is read differently", "");
        }
    }
    buf_fini(&ours);
    buf_fini(&theirs);
    buf_fini(&again);
}

/* The current schema once more, as if it were a former one: what is read through avro-c is the
 * same. */
static void check_former(struct slice record)
{
    static const struct schema_version former = {UINT64_C(0x3837363534333231), batch_avsc};
    struct err e = ERR_INIT;
    struct buf bytes;
    struct buf through;
    struct buf directly;
    batch_versions.former = &former;
    batch_versions.n_former = 1;
    buf_init(&bytes, record.len + AVRO_HEAD_BYTES);
    buf_init(&through, DUMP_MAX_BYTES);
    buf_init(&directly, DUMP_MAX_BYTES);
    buf_put(&bytes,
            "\xc3\x01"
            "12345678",
            AVRO_HEAD_BYTES);
    buf_put_slice(&bytes, record);
    bool ok = batch_dump(buf_slice(&bytes), &batch_default_caps, &through, &e);
    memcpy(bytes.ptr, BATCH_HEAD, AVRO_HEAD_BYTES);
    struct err why = ERR_INIT;
    if (!ok) {
        check_err(&e);
    }
    if (batch_dump(buf_slice(&bytes), &batch_default_caps, &directly, &why) &&
        !(ok && slice_eq(buf_slice(&through), buf_slice(&directly)))) {
        fail("a former schema is read differently", e.text);
    }
    batch_versions.n_former = 0;
    buf_fini(&bytes);
    buf_fini(&through);
    buf_fini(&directly);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    use(slice_of(data, size));
    compare(slice_of(data, size));
    struct buf headed;
    buf_init(&headed, size + AVRO_HEAD_BYTES);
    buf_put(&headed, BATCH_HEAD, AVRO_HEAD_BYTES);
    buf_put(&headed, data, size);
    use(buf_slice(&headed));
    compare(buf_slice(&headed));
    buf_fini(&headed);
    check_former(slice_of(data, size));
    return 0;
}
