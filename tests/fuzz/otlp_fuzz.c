/* Any bytes: otlp_walk takes them or says why not, gives no more points than they can hold, and
 * where protobuf-c takes them too, reads the same. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/wire/otlp_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DUMP_MAX_BYTES = 64 << 20, SCRATCH_MAX_BYTES = 1 << 20, ORACLE_MAX_INPUT = 1 << 16 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static bool count_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                        struct err *e)
{
    size_t *n = ctx;
    (void)m;
    (void)e;
    if (p->fault == NULL && p->n_counts != 0 && p->n_counts != p->n_bounds + 1) {
        fail("a histogram without fault", "counts and bounds do not match");
    }
    ++*n;
    return true;
}

static void check_error(const struct err *e)
{
    if (e->kind != ERR_BAD_INPUT || e->text[0] == 0) {
        fail("an error of the wrong kind or without text", e->text);
    }
}

static void check_small_caps(struct slice message)
{
    struct arena scratch;
    struct err e = ERR_INIT;
    size_t n_points = 0;
    arena_init(&scratch, SCRATCH_MAX_BYTES);
    struct otlp_sink sink = {.ctx = &n_points, .point = count_point};
    if (!otlp_walk(message, &otlp_default_caps, &scratch, &sink, &e)) {
        check_error(&e);
    }
    if (n_points * 2 > message.len) {
        fail("more points than bytes", "");
    }
    arena_fini(&scratch);
}

static void check_against_oracle(struct slice message)
{
    static const struct otlp_caps wide = {.max_message_bytes = 64 << 20,
                                          .max_points = 1 << 30,
                                          .max_buckets = 1 << 20,
                                          .max_attributes = 1 << 20};
    struct buf ours;
    struct buf theirs;
    struct err e = ERR_INIT;
    buf_init(&ours, DUMP_MAX_BYTES);
    buf_init(&theirs, DUMP_MAX_BYTES);
    if (!otlp_dump_walk(message, &wide, &ours, &e)) {
        check_error(&e);
    } else if (otlp_nests_shallowly(message) && !otlp_repeats_a_message(message) &&
               otlp_dump_protobuf_c(message, &theirs) && buf_ok(&ours) && buf_ok(&theirs) &&
               !slice_eq(buf_slice(&ours), buf_slice(&theirs))) {
        fprintf(stderr, "walk:\n%s\nprotobuf-c:\n%s\n", buf_c_str(&ours), buf_c_str(&theirs));
        fail("read differently", "");
    }
    buf_fini(&ours);
    buf_fini(&theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice message = slice_of(data, size);
    check_small_caps(message);
    if (size <= ORACLE_MAX_INPUT) {
        check_against_oracle(message);
    }
    return 0;
}
