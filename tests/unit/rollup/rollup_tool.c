/* rollup-tool minutes|hours [SEED [FAULT]]: the step of rollup alone, so that tests in other
 * languages hold its rows against what they work out themselves. stdin: a partition of
 * metrics.admitted, or of metrics.rollup.5m; stdout: its rows.
 * With SEED (not 0) it is disturbed: it commits now and then, loses its memory, recovers from the
 * rows that were committed and reads the input again, from where it is needed or, as after a reset
 * of the group, from earlier. FAULT (no_closed_at, no_horizon) leaves a rule of recovery out.
 *
 *   in:  (offset i64, received_ms or Kafka timestamp i64, length u32, record)…   little-endian
 *   out: (5 m of minutes? u8, log time i64, length u32, record)…       in order of leaving */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hour.h"
#include "minute.h"

enum { ARENA_BYTES = 64 << 20, MAX_RECORD_BYTES = 16 << 20 };
enum { COMMITS_IN_1000 = 50, CRASHES_IN_1000 = 15, RESETS_IN_1000 = 100, MAX_RECORDS_BACK = 100 };

struct input {
    int64_t offset;
    int64_t log_ms;
    struct slice bytes; /* owned */
};

struct output {
    struct slice bytes; /* owned */
    int64_t log_ms;
    struct place needs;
    bool is_merged;
    bool has_more;
};

struct run {
    struct rules rules;
    struct minute *minute; /* one of the two */
    struct hour *hour;
    bool is_hourly;
    struct arena arena;
    uint64_t seed; /* 0 = undisturbed */
    size_t n_in;
    size_t in_cap;
    struct input *in; /* owned */
    size_t n_out;
    size_t out_cap;
    struct output *out; /* owned */
    size_t n_committed; /* rows */
    struct place committed;
};

static void die(const char *what)
{
    fprintf(stderr, "rollup-tool: %s\n", what);
    exit(1);
}

static void must(bool ok, const struct err *e)
{
    if (!ok) {
        die(e->text);
    }
}

/* Room for one more of the array's items. */
static void *grown(void *items, size_t n, size_t *cap, size_t item_bytes)
{
    if (n == *cap) {
        *cap = *cap == 0 ? 1024 : *cap * 2;
        items = realloc(items, *cap * item_bytes);
        if (items == NULL) {
            die("no memory");
        }
    }
    return items;
}

/* splitmix64 */
static uint64_t draw(uint64_t *seed, uint64_t below)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (z ^ (z >> 31)) % below;
}

/* ---- in and out ---- */

static bool read_all(void *bytes, size_t n)
{
    size_t got = fread(bytes, 1, n, stdin);
    if (got != 0 && got != n) {
        die("the input ends within a record");
    }
    return got == n;
}

static void read_input(struct run *r)
{
    int64_t offset;
    while (read_all(&offset, sizeof offset)) {
        int64_t log_ms;
        uint32_t n;
        if (!read_all(&log_ms, sizeof log_ms) || !read_all(&n, sizeof n) || n == 0 ||
            n > MAX_RECORD_BYTES) {
            die("a record has no sensible length");
        }
        uint8_t *bytes = malloc(n);
        if (bytes == NULL || !read_all(bytes, n)) {
            die("the input ends within a record");
        }
        r->in = grown(r->in, r->n_in, &r->in_cap, sizeof *r->in);
        r->in[r->n_in++] = (struct input){offset, log_ms, slice_of(bytes, n)};
    }
}

static void write_all(const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, stdout) != n) {
        die("can't write");
    }
}

static void write_output(const struct run *r)
{
    for (size_t i = 0; i < r->n_out; i++) {
        const struct output *o = &r->out[i];
        uint8_t is_merged = o->is_merged;
        uint32_t n = (uint32_t)o->bytes.len;
        write_all(&is_merged, sizeof is_merged);
        write_all(&o->log_ms, sizeof o->log_ms);
        write_all(&n, sizeof n);
        write_all(o->bytes.ptr, n);
    }
}

static void slice_free(struct slice s)
{
    free((void *)(uintptr_t)s.ptr);
}

static bool put(void *ctx, const struct leaving *l, struct err *e)
{
    struct run *r = ctx;
    struct buf b;
    buf_init(&b, MAX_RECORD_BYTES);
    rollup_encode(l->row, &b);
    if (!buf_ok(&b)) {
        buf_fini(&b);
        return err_set(e, ERR_FATAL, "a row is too large");
    }
    r->out = grown(r->out, r->n_out, &r->out_cap, sizeof *r->out);
    struct output *o = &r->out[r->n_out++];
    *o = (struct output){
        .log_ms = l->log_ms, .needs = l->needs, .is_merged = l->is_merged, .has_more = l->has_more};
    o->bytes.ptr = buf_take(&b, &o->bytes.len);
    return true;
}

/* ---- the step ---- */

static void begin(struct run *r)
{
    struct err e = ERR_INIT;
    struct row_sink sink = {put, r};
    must(r->is_hourly ? hour_new(&r->rules, &sink, &r->hour, &e)
                      : minute_new(&r->rules, &sink, &r->minute, &e),
         &e);
}

static void end(struct run *r)
{
    if (r->is_hourly) {
        hour_free(r->hour);
    } else {
        minute_free(r->minute);
    }
}

static bool take_batch(struct run *r, const struct input *in, struct err *e)
{
    struct batch b;
    arena_reset(&r->arena);
    return batch_decode(in->bytes, &batch_default_caps, &r->arena, &b, e) &&
           minute_take(r->minute, in->offset, &b, e);
}

static void take(struct run *r, const struct input *in)
{
    struct err e = ERR_INIT;
    if (!(r->is_hourly ? hour_take(r->hour, in->offset, in->log_ms, in->bytes, &e)
                       : take_batch(r, in, &e))) {
        fprintf(stderr, "rollup-tool: offset %" PRId64 ": %s\n", in->offset, e.text);
        exit(1);
    }
}

static struct place needs(const struct run *r, int64_t position)
{
    return r->is_hourly ? hour_needs(r->hour, (struct place){position, r->hour->log_ms})
                        : minute_needs(r->minute, (struct place){position, r->minute->log_ms});
}

static void restore(struct run *r, int64_t log_ms)
{
    struct err e = ERR_INIT;
    for (size_t i = 0; i < r->n_out; i++) {
        const struct output *o = &r->out[i];
        if (!o->is_merged && o->log_ms >= log_ms - rules_forget_ms(&r->rules)) {
            must(r->is_hourly ? hour_restore(r->hour, o->bytes, o->log_ms, &e)
                              : minute_restore(r->minute, o->bytes, o->log_ms, &e),
                 &e);
        }
    }
    if (r->is_hourly) {
        hour_restored(r->hour, log_ms);
    } else {
        minute_restored(r->minute, log_ms);
    }
}

/* Of what has left since the last commit, a transaction may hold only the first rows. */
static void commit(struct run *r, int64_t position)
{
    size_t n = r->n_out;
    if (draw(&r->seed, 2) == 0) {
        n = r->n_committed + draw(&r->seed, n - r->n_committed + 1);
    }
    while (n > 0 && n < r->n_out && r->out[n - 1].has_more) {
        n++;
    }
    r->n_committed = n;
    r->committed = needs(r, position);
    for (size_t i = n; i < r->n_out; i++) {
        r->committed = place_first(r->committed, r->out[i].needs);
    }
}

static size_t index_of(const struct run *r, int64_t offset)
{
    size_t i = 0;
    while (i < r->n_in && r->in[i].offset < offset) {
        i++;
    }
    return i;
}

/* The place that a reset of the group to an earlier record finds by scanning. */
static struct place place_of(const struct run *r, size_t index)
{
    struct place p = {r->in[index].offset, NEVER};
    for (size_t i = 0; i < index; i++) {
        p.log_before_ms = r->in[i].log_ms > p.log_before_ms ? r->in[i].log_ms : p.log_before_ms;
    }
    return p;
}

/* Returns where to read on. */
static size_t crash(struct run *r)
{
    end(r);
    while (r->n_out > r->n_committed) {
        slice_free(r->out[--r->n_out].bytes);
    }
    struct place from = r->committed;
    size_t at = index_of(r, from.offset);
    if (at > 0 && draw(&r->seed, 1000) < RESETS_IN_1000) {
        size_t back = 1 + draw(&r->seed, MAX_RECORDS_BACK);
        at = at > back ? at - back : 0;
        from = place_of(r, at);
    }
    begin(r);
    restore(r, from.log_before_ms);
    r->committed = from;
    return at;
}

static void run(struct run *r)
{
    begin(r);
    for (size_t i = 0; i < r->n_in;) {
        take(r, &r->in[i]);
        int64_t position = r->in[i].offset + 1;
        i++;
        if (r->seed != 0 && draw(&r->seed, 1000) < COMMITS_IN_1000) {
            commit(r, position);
        }
        if (r->seed != 0 && draw(&r->seed, 1000) < CRASHES_IN_1000) {
            i = crash(r);
        }
    }
    end(r);
}

int main(int argc, char **argv)
{
    struct run r = {.committed = {0, NEVER}};
    r.is_hourly = argc > 1 && strcmp(argv[1], "hours") == 0;
    r.rules = r.is_hourly ? (struct rules){HOUR_MS, 15000, 900000, 21600000, false, false}
                          : (struct rules){MINUTE_MS, 15000, 120000, 7200000, false, false};
    r.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    r.rules.fault_no_closed_at = argc > 3 && strcmp(argv[3], "no_closed_at") == 0;
    r.rules.fault_no_horizon = argc > 3 && strcmp(argv[3], "no_horizon") == 0;
    arena_init(&r.arena, ARENA_BYTES);
    read_input(&r);
    run(&r);
    write_output(&r);
    for (size_t i = 0; i < r.n_in; i++) {
        slice_free(r.in[i].bytes);
    }
    for (size_t i = 0; i < r.n_out; i++) {
        slice_free(r.out[i].bytes);
    }
    free(r.in);
    free(r.out);
    arena_fini(&r.arena);
    return 0;
}
