#include "rollup_place.h"

#include "batch/rollup.h"
#include "batch/rollup_commit.h"

enum { ARENA_BYTES = 64 << 20 };

struct seek {
    struct arena arena;
    struct moment to;
    int64_t wanted_ms; /* of MOMENT_BACK and _TIME */
    int64_t log_ms;    /* before the record at hand */
    int64_t offset;    /* where it goes; -1 = not found yet */
};

/* The time that the record brings: a batch's received_ms; of rollups their own. */
static int64_t time_of(struct seek *s, const rd_kafka_message_t *m)
{
    struct err why = ERR_INIT;
    struct batch b;
    struct rollup row;
    struct slice value = slice_of(m->payload, m->len);
    arena_reset(&s->arena);
    if (batch_decode(value, &batch_default_caps, &s->arena, &b, &why)) {
        return b.received_ms;
    }
    arena_reset(&s->arena);
    bool is_row = rollup_decode(value, &s->arena, &row, &why);
    return is_row ? rd_kafka_message_timestamp(m, NULL) : ROLLUP_NEVER; /* a bad record tells no time */
}

/* Is it the record at hand, log time with it being so? */
static bool is_there(const struct seek *s, int64_t offset, int64_t with_ms)
{
    return s->to.kind == MOMENT_OFFSET ? offset >= s->to.value : with_ms >= s->wanted_ms;
}

static bool take(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct seek *s = ctx;
    int64_t ms = time_of(s, m);
    int64_t with_ms = ms > s->log_ms ? ms : s->log_ms;
    (void)e;
    *enough = is_there(s, m->offset, with_ms);
    if (*enough) {
        s->offset = m->offset;
    } else {
        s->log_ms = with_ms;
    }
    return true;
}

/* From the log's beginning up to where it goes, or to `end`. */
static bool seek_run(const struct tool *t, rd_kafka_t *reader, const struct rollup_request *r, int64_t end,
                     struct seek *s, struct err *e)
{
    struct scan scan;
    const struct scan_request request = {
        .topic = r->topic, .partition = r->partition, .to = {MOMENT_OFFSET, end}};
    if (!scan_open(t, reader, &request, &scan, e)) {
        return false;
    }
    int64_t low = scan.stretches[0].low;
    int64_t last = scan.stretches[0].end;
    bool ok = true;
    if (s->to.kind == MOMENT_EARLIEST) {
        s->offset = low;
    } else {
        arena_init(&s->arena, ARENA_BYTES);
        ok = scan_run(&scan, take, s, e);
        arena_fini(&s->arena);
    }
    s->offset = s->offset >= 0 ? s->offset : last;
    scan_close(&scan);
    return ok;
}

bool rollup_place(const struct tool *t, rd_kafka_t *reader, const struct rollup_request *r, int64_t *offset,
                  struct buf *text, struct err *e)
{
    struct rollup_commit old = {r->committed, ROLLUP_NEVER};
    struct seek s = {.to = r->to, .wanted_ms = r->to.value, .log_ms = ROLLUP_NEVER, .offset = -1};
    bool is_ours = rollup_commit_read(r->metadata, &old);
    if (!is_ours && r->to.kind == MOMENT_BACK) {
        return err_set(e, ERR_CONFIG, "its commit says no log time to go back from; use --to earliest or an offset");
    }
    if (r->to.kind == MOMENT_END) {
        return err_set(e, ERR_CONFIG, "a rollup can't go to the end: what is open would be lost; an offset with --force");
    }
    s.wanted_ms = r->to.kind == MOMENT_BACK ? old.log_ms - r->to.value : r->to.value;
    int64_t end = r->to.kind == MOMENT_OFFSET && r->to.value > r->committed ? r->to.value : r->committed;
    if (!seek_run(t, reader, r, end, &s, e)) {
        return false;
    }
    const struct rollup_commit new = {old.position, s.log_ms};
    *offset = s.offset;
    rollup_commit_put(&new, text);
    return buf_ok(text) || err_set(e, ERR_FATAL, "out of memory");
}
