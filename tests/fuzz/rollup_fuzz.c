/* Any bytes, and any bytes behind the right head, as a row: rollup_decode takes it or says why not.
 * What it takes is written and read the same again; recovery takes it as its own row or refuses it. */
#include <stdio.h>
#include <stdlib.h>

#include "minute.h"
#include "rollup_avsc.h"
#include "wire/avro_blocks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20, MAX_BYTES = 64 << 20 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static bool refuse(void *ctx, const struct leaving *l, struct err *e)
{
    (void)ctx;
    (void)l;
    return err_set(e, ERR_FATAL, "recovery sends nothing");
}

static void restore(struct slice message)
{
    struct err e = ERR_INIT;
    struct minute *m = NULL;
    const struct rules rules = {
        .window_ms = MINUTE_MS, .lateness_ms = 15000, .idle_ms = 120000, .horizon_ms = 7200000};
    const struct row_sink sink = {refuse, NULL};
    if (!minute_new(&rules, &sink, &m, &e)) {
        fail("no memory", e.text);
    }
    for (int i = 0; i < 2; i++) { /* twice, so that it meets its own state and 5 m row */
        if (!minute_restore(m, message, INT64_C(1700000000000), &e) &&
            (e.kind != ERR_FATAL || e.text[0] == 0)) {
            fail("recovery fails with the wrong kind", e.text);
        }
    }
    minute_free(m);
}

static void use(struct slice message)
{
    struct arena a;
    struct rollup r;
    struct rollup again;
    struct rollup_amend_columns columns;
    struct buf first;
    struct buf second;
    struct err e = ERR_INIT;
    arena_init(&a, ARENA_BYTES);
    buf_init(&first, MAX_BYTES);
    buf_init(&second, MAX_BYTES);
    if (!rollup_decode(message, &a, &r, &e)) {
        if (e.kind != ERR_BAD_INPUT || e.text[0] == 0) {
            fail("an error of the wrong kind or without text", e.text);
        }
    } else {
        for (uint32_t i = 0; i < r.n_amends; i++) {
            if (!rollup_amend_decode(&r.amends[i], &a, &columns, &e)) {
                fail("an amend that passed can't be read", e.text);
            }
        }
        rollup_encode(&r, &first);
        if (!rollup_decode(buf_slice(&first), &a, &again, &e)) {
            fail("what was written can't be read", e.text);
        }
        rollup_encode(&again, &second);
        if (!slice_eq(buf_slice(&first), buf_slice(&second))) {
            fail("written anew it differs", "");
        }
        restore(message);
    }
    arena_fini(&a);
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf headed;
    use(slice_of(data, size));
    buf_init(&headed, size + AVRO_HEAD_BYTES + 1);
    buf_put(&headed, ROLLUP_HEAD, AVRO_HEAD_BYTES);
    buf_put(&headed, data, size);
    use(buf_slice(&headed));
    buf_fini(&headed);
    return 0;
}
