/* rollup-tool: the step of rollup alone, so that tests in other languages hold its rows against
 * what they work out themselves. stdin: a partition of metrics.admitted; stdout: its rows.
 *
 *   in:  (offset i64, length u32, record)…             all little-endian
 *   out: (5 m? u8, log time i64, length u32, record)…  those of 1 m and 5 m, in order of leaving */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "minute.h"

enum { ARENA_BYTES = 64 << 20, MAX_RECORD_BYTES = 16 << 20 };

static void die(const char *what)
{
    fprintf(stderr, "rollup-tool: %s\n", what);
    exit(1);
}

static void write_all(const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, stdout) != n) {
        die("can't write");
    }
}

static bool put(void *ctx, const struct leaving *l, struct err *e)
{
    struct buf *out = ctx;
    buf_reset(out);
    rollup_encode(l->row, out);
    if (!buf_ok(out)) {
        return err_set(e, ERR_FATAL, "a row is too large");
    }
    uint8_t is_merged = l->is_merged;
    uint32_t n = (uint32_t)out->len;
    write_all(&is_merged, sizeof is_merged);
    write_all(&l->log_ms, sizeof l->log_ms);
    write_all(&n, sizeof n);
    write_all(out->ptr, n);
    return true;
}

static bool read_all(void *bytes, size_t n)
{
    size_t got = fread(bytes, 1, n, stdin);
    if (got != 0 && got != n) {
        die("the input ends within a record");
    }
    return got == n;
}

int main(void)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, MAX_RECORD_BYTES);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct rules rules = {
        .window_ms = MINUTE_MS, .lateness_ms = 15000, .idle_ms = 120000, .horizon_ms = 7200000};
    struct row_sink sink = {put, &out};
    struct minute *m;
    uint8_t *record = malloc(MAX_RECORD_BYTES);
    if (record == NULL || !minute_new(&rules, &sink, &m, &e)) {
        die("no memory");
    }
    int64_t offset;
    while (read_all(&offset, sizeof offset)) {
        uint32_t n;
        if (!read_all(&n, sizeof n) || n > MAX_RECORD_BYTES || !read_all(record, n)) {
            die("the input ends within a record");
        }
        struct batch b;
        arena_reset(&arena);
        if (!batch_decode(slice_of(record, n), &batch_default_caps, &arena, &b, &e) ||
            !minute_take(m, offset, &b, &e)) {
            fprintf(stderr, "rollup-tool: offset %" PRId64 ": %s\n", offset, e.text);
            exit(1);
        }
    }
    minute_free(m);
    free(record);
    arena_fini(&arena);
    buf_fini(&out);
    return 0;
}
