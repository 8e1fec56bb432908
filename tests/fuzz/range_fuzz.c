/* Any bytes as a record: when they are a batch or rollup that a range takes, its objects can be
 * written, hold all its rows and verify; otherwise there is a reason, and the range goes on as if
 * nothing had been. */
#include <stdio.h>
#include <stdlib.h>

#include "parquet/verify.h"
#include "range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 64 << 20, MOST_OBJECTS = 50, N_TIMES = 2 };

static void fail(const char *what, const char *detail)
{
    (void)fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static bool bytes_keep(void *context, struct slice bytes, struct err *e)
{
    buf_put_slice(context, bytes);
    return buf_ok(context) || err_set(e, ERR_RETRY, "larger than a test may be");
}

static void object_check(struct range *r, size_t i)
{
    struct buf bytes;
    struct arena a;
    struct parquet_file f;
    struct verify_totals totals;
    struct err e = ERR_INIT;
    buf_init(&bytes, MAX_BYTES);
    arena_init(&a, MAX_BYTES);
    if (!range_write(r, i, NULL, 0, bytes_keep, &bytes, &e)) {
        fail("rows that were taken cannot be written", e.text);
    }
    if (!file_open(buf_slice(&bytes), &a, &f, &e) || !verify_file(&f, MAX_BYTES, &totals, &e)) {
        fail("not a sound file", e.text);
    }
    if ((uint64_t)f.n_rows != range_facts(r, i).n_rows) {
        fail("rows are missing", range_key(r, i));
    }
    buf_fini(&bytes);
    arena_fini(&a);
}

/* What the bytes are: one of the two. */
struct record {
    bool is_rollup;
    struct batch batch;
    struct rollup rollup;
};

static bool record_decode(struct slice bytes, struct arena *a, struct record *out, struct err *e)
{
    out->is_rollup = rollup_is(bytes);
    return out->is_rollup ? rollup_decode(bytes, a, &out->rollup, e)
                          : batch_decode(bytes, &batch_default_caps, a, &out->batch, e);
}

static void range_check(struct range *r, const struct record *record)
{
    struct err e = ERR_INIT;
    uint64_t n_rows = 0;
    size_t n = 0;
    for (int64_t offset = 1; offset <= N_TIMES; offset++) {
        bool ok = record->is_rollup ? range_add_rollup(r, &record->rollup, offset, &e)
                                    : range_add(r, &record->batch, offset, &e);
        if (!ok && (e.kind != ERR_BAD_INPUT || e.text[0] == '\0')) {
            fail("an error of the wrong kind or without text", e.text);
        }
    }
    if (!range_plan(r, 1, N_TIMES, &n, &e)) {
        fail("no plan", e.text);
    }
    for (size_t i = 0; i < n; i++) {
        n_rows += range_facts(r, i).n_rows;
        if (i < MOST_OBJECTS) {
            object_check(r, i);
        }
    }
    if (n_rows != range_n_rows(r)) {
        fail("rows are in no object", "");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const labels[] = {"region", "shard_id"};
    const struct range_options o = {.topic = "t",
                                    .topic_id = "i",
                                    .scratch_dir = "/tmp",
                                    .max_writer_bytes = RANGE_LEAST_WRITER_BYTES,
                                    .portable = size % 2 != 0};
    struct layout l;
    struct range *r;
    struct record record;
    struct arena a;
    struct err e = ERR_INIT;
    arena_init(&a, MAX_BYTES);
    if (record_decode(slice_of(data, size), &a, &record, &e)) {
        if (!layout_init(&l, "p", 1, size % 3 == 0, labels, 2, &e) || !range_open(&o, &l, &r, &e)) {
            fail("no range", e.text);
        }
        range_check(r, &record);
        range_close(r);
    }
    arena_fini(&a);
    return 0;
}
