/* rollup-tool [SEED [FAULT]]: the step of rollup alone, so that tests in other languages hold its
 * rows against what they work out themselves. stdin: a partition of metrics.admitted; stdout: its
 * rows. With SEED it is disturbed: it commits now and then, loses its memory, recovers from the
 * rows that were committed and reads the input again, from where it is needed or, as after a reset
 * of the group, from earlier. FAULT (no_closed_at, no_horizon) leaves a rule of recovery out.
 *
 *   in:  (offset i64, length u32, record)…             all little-endian
 *   out: (5 m? u8, log time i64, length u32, record)…  in order of leaving */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minute.h"

enum { ARENA_BYTES = 64 << 20, MAX_RECORD_BYTES = 16 << 20 };
enum { COMMITS_IN_1000 = 50, CRASHES_IN_1000 = 15, RESETS_IN_1000 = 100, MAX_RECORDS_BACK = 100 };

struct input {
    int64_t offset;
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
    struct minute *minute;
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
        uint32_t n;
        if (!read_all(&n, sizeof n) || n == 0 || n > MAX_RECORD_BYTES) {
            die("a record has no sensible length");
        }
        uint8_t *bytes = malloc(n);
        if (bytes == NULL || !read_all(bytes, n)) {
            die("the input ends within a record");
        }
        r->in = grown(r->in, r->n_in, &r->in_cap, sizeof *r->in);
        r->in[r->n_in++] = (struct input){offset, slice_of(bytes, n)};
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
    must(minute_new(&r->rules, &sink, &r->minute, &e), &e);
}

static void take(struct run *r, const struct input *in)
{
    struct err e = ERR_INIT;
    struct batch b;
    arena_reset(&r->arena);
    if (!batch_decode(in->bytes, &batch_default_caps, &r->arena, &b, &e) ||
        !minute_take(r->minute, in->offset, &b, &e)) {
        fprintf(stderr, "rollup-tool: offset %" PRId64 ": %s\n", in->offset, e.text);
        exit(1);
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
    r->committed = minute_needs(r->minute, (struct place){position, r->minute->log_ms});
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
static struct place place_of(struct run *r, size_t index)
{
    struct place p = {r->in[index].offset, NEVER};
    struct err e = ERR_INIT;
    for (size_t i = 0; i < index; i++) {
        struct batch b;
        arena_reset(&r->arena);
        must(batch_decode(r->in[i].bytes, &batch_default_caps, &r->arena, &b, &e), &e);
        p.log_before_ms = b.received_ms > p.log_before_ms ? b.received_ms : p.log_before_ms;
    }
    return p;
}

/* Returns where to read on. */
static size_t crash(struct run *r)
{
    struct err e = ERR_INIT;
    minute_free(r->minute);
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
    for (size_t i = 0; i < r->n_out; i++) {
        const struct output *o = &r->out[i];
        if (!o->is_merged && o->log_ms >= from.log_before_ms - rules_forget_ms(&r->rules)) {
            must(minute_restore(r->minute, o->bytes, o->log_ms, &e), &e);
        }
    }
    minute_restored(r->minute, from.log_before_ms);
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
    minute_free(r->minute);
}

int main(int argc, char **argv)
{
    struct run r = {.rules = {.window_ms = MINUTE_MS,
                              .lateness_ms = 15000,
                              .idle_ms = 120000,
                              .horizon_ms = 7200000}};
    r.committed = (struct place){0, NEVER};
    r.seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    r.rules.fault_no_closed_at = argc > 2 && strcmp(argv[2], "no_closed_at") == 0;
    r.rules.fault_no_horizon = argc > 2 && strcmp(argv[2], "no_horizon") == 0;
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
