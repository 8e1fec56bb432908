/* Any bytes, and any bytes behind the right head: shape_decode takes them or says why not. What it
 * takes avro-c reads the same, our encoder writes anew (byte for byte as avro-c does), and the
 * cache finds again. */
#include <stdio.h>
#include <stdlib.h>

#include "wire/avro_blocks.h"
#include "shape_avsc.h"
#include "unit/batch/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DUMP_MAX_BYTES = 64 << 20, ARENA_BYTES = 64 << 20 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static void check_again(struct slice bytes, struct slice by_avro_c)
{
    struct arena a;
    struct shape s;
    struct buf again;
    struct err e = ERR_INIT;
    arena_init(&a, ARENA_BYTES);
    buf_init(&again, DUMP_MAX_BYTES);
    if (!shape_decode(bytes, SLICE_LITERAL("t"), &shape_default_caps, &a, &s, &e)) {
        fail("taken once, refused again", e.text);
    }
    const struct series **order = arena_alloc(&a, (s.n_series + 1) * sizeof(void *));
    for (uint32_t i = 0; i < s.n_series; i++) {
        order[i] = &s.series[i];
    }
    if (!shape_encode(s.source_name, order, s.n_series, &a, &again, &e) || !buf_ok(&again)) {
        fail("cannot be written", e.text);
    }
    if (!slice_eq(buf_slice(&again), by_avro_c)) {
        fail("not canonical: our encoder writes other bytes than avro-c", "");
    }
    arena_fini(&a);
    buf_fini(&again);
}

static void check_cache(struct slice bytes)
{
    static struct shape_cache cache;
    struct cached_shape *cached;
    struct cached_shape *again;
    struct err e = ERR_INIT;
    if (cache.table.max_bytes == 0) {
        shape_cache_init(&cache, 1 << 20, &shape_default_caps, free);
    }
    if (!shape_cache_get(&cache, SLICE_LITERAL("t"), bytes, &cached, &e) ||
        !shape_cache_get(&cache, SLICE_LITERAL("t"), bytes, &again, &e) || cached != again) {
        fail("not found again", e.text);
    }
    if (cached->attached == NULL) {
        cached->attached = malloc(1);
    }
    for (uint32_t i = 0; i < cached->shape.n_series; i++) {
        const struct series *s = &cached->shape.series[i];
        struct hash128 id = series_id(SLICE_LITERAL("t"), s->metric, s->labels, s->n_labels);
        if (!hash128_eq(id, s->id) || (i > 0 && series_cmp(s - 1, s) >= 0)) {
            fail("the cached series is not the decoded one", "");
        }
    }
}

static void check(struct slice bytes)
{
    struct err e = ERR_INIT;
    struct buf ours;
    struct buf theirs;
    struct buf again;
    buf_init(&ours, DUMP_MAX_BYTES);
    buf_init(&theirs, DUMP_MAX_BYTES);
    buf_init(&again, DUMP_MAX_BYTES);
    if (!shape_dump(bytes, &shape_default_caps, &ours, &e)) {
        if (e.kind != ERR_BAD_INPUT || e.text[0] == 0) {
            fail("an error of the wrong kind or without text", e.text);
        }
    } else {
        bool avro_c = shape_dump_avro_c(bytes, &theirs, &again);
        if (!avro_c || !slice_eq(buf_slice(&ours), buf_slice(&theirs))) {
            fprintf(stderr, "ours:\n%s\navro-c:\n%s\n", buf_c_str(&ours), buf_c_str(&theirs));
            fail("read differently", avro_c ? "" : "avro-c refuses it");
        }
        check_again(bytes, buf_slice(&again));
        check_cache(bytes);
    }
    buf_fini(&ours);
    buf_fini(&theirs);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(slice_of(data, size));
    struct buf headed;
    buf_init(&headed, size + AVRO_HEAD_BYTES);
    buf_put(&headed, SHAPE_HEAD, AVRO_HEAD_BYTES);
    buf_put(&headed, data, size);
    check(buf_slice(&headed));
    buf_fini(&headed);
    return 0;
}
