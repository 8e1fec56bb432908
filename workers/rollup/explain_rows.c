#include "explain_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 192 << 20 };
/* How much further back, by log time, a row is looked for that says where to begin. */
enum { FIRST_LOOK_MS = 3600000, LOOK_FACTOR = 8 };

bool row_place_read(const char *text, struct row_place *out, struct err *e)
{
    const char *at[2] = {NULL, strrchr(text, '/')};
    for (const char *c = text; at[1] != NULL && c < at[1]; c++) {
        at[0] = *c == '/' ? c : at[0];
    }
    size_t n = at[0] == NULL ? 0 : (size_t)(at[0] - text);
    char *ends[2] = {NULL, NULL};
    if (n > 0 && n < sizeof out->topic) {
        errno = 0;
        long long partition = strtoll(at[0] + 1, &ends[0], 10);
        long long offset = strtoll(at[1] + 1, &ends[1], 10);
        if (errno == 0 && ends[0] == at[1] && ends[0] != at[0] + 1 && *ends[1] == '\0' &&
            ends[1] != at[1] + 1 && partition >= 0 && partition <= INT32_MAX && offset >= 0) {
            memcpy(out->topic, text, n);
            out->topic[n] = '\0';
            out->partition = (int32_t)partition;
            out->offset = offset;
            return true;
        }
    }
    return err_set(e, ERR_CONFIG, "--explain %.80s: not TOPIC/PARTITION/OFFSET", text);
}

void kept_rows_fini(struct kept_rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free((void *)(uintptr_t)r->items[i].bytes.ptr);
    }
    free(r->items);
    *r = (struct kept_rows){0};
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

static bool slice_keep(struct slice s, struct slice *out)
{
    uint8_t *copy = malloc(s.len + 1);
    if (copy == NULL) {
        return false;
    }
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    *out = slice_of(copy, s.len);
    return true;
}

static bool row_keep(const struct record *in, const struct rollup *row, struct kept_row *out,
                     struct err *e)
{
    *out = (struct kept_row){.offset = in->offset,
                             .log_ms = in->timestamp_ms,
                             .kind = row->kind,
                             .window_ms = row->window_ms,
                             .end_ms = row->end_ms,
                             .closed_at = row->closed_at,
                             .part = row->part};
    return slice_keep(in->value, &out->bytes) || no_memory(e);
}

static bool is_of(const struct row_stream *s, const struct rollup *row)
{
    return row->kind != ROLLUP_HEARTBEAT && row->source == s->source && row->class == s->class &&
           slice_eq(row->tenant, s->tenant);
}

static bool has_partition(const struct log_reader *r, const struct row_place *at, struct err *e)
{
    uint32_t n = log_reader_n_partitions(r);
    return (uint32_t)at->partition < n ||
           err_set(e, ERR_CONFIG, "%s has %u partitions, no %d", at->topic, n, at->partition);
}

/* The row's last part says where it closed. */
static bool closed_at_find(struct log_reader *r, int64_t end, const struct row_stream *stream,
                           struct arena *a, struct kept_row *row, struct err *e)
{
    bool any = true;
    while (row->closed_at < 0) {
        struct record in;
        struct rollup part;
        if (!log_reader_next(r, end, &in, &any, e)) {
            return false;
        }
        if (!any) {
            return err_set(e, ERR_CONFIG, "the row's last part is not there");
        }
        arena_reset(a);
        if (rollup_decode(in.value, a, &part, e) && is_of(stream, &part)) {
            row->closed_at = part.closed_at;
        }
        err_reset(e);
    }
    return true;
}

bool row_find(struct log_reader *r, const struct row_place *at, struct kept_row *out,
              struct row_stream *stream, struct err *e)
{
    int64_t first;
    int64_t end;
    struct record in;
    struct rollup row;
    struct arena a;
    bool any = false;
    if (!log_reader_topic(r, at->topic, e) || !has_partition(r, at, e) ||
        !log_reader_bounds(r, at->partition, &first, &end, e)) {
        return false;
    }
    if (at->offset < first || at->offset >= end) {
        return err_set(e, ERR_CONFIG, "%s/%d has offsets %" PRId64 " to %" PRId64, at->topic,
                       at->partition, first, end - 1);
    }
    if (!log_reader_from(r, at->partition, at->offset, e) ||
        !log_reader_next(r, end, &in, &any, e)) {
        return false;
    }
    if (!any || in.offset != at->offset) {
        return err_set(e, ERR_CONFIG,
                       "no record is at that offset: a transaction's marker, or aborted");
    }
    arena_init(&a, ARENA_BYTES);
    bool ok = rollup_decode(in.value, &a, &row, e);
    if (!ok || row.kind == ROLLUP_HEARTBEAT) {
        arena_fini(&a);
        return err_set(e, ERR_CONFIG,
                       ok ? "a heartbeat, which tells time and nothing else"
                          : "no row of a rollup");
    }
    struct shape shape = {0};
    struct err why = ERR_INIT;
    if (row.shape.len > 0 &&
        !shape_decode(row.shape, row.tenant, &shape_default_caps, &a, &shape, &why)) {
        shape.source_name = SLICE_NONE;
    }
    *stream = (struct row_stream){.class = row.class, .source = row.source};
    ok = ((slice_keep(row.tenant, &stream->tenant) &&
           slice_keep(shape.source_name, &stream->name)) ||
          no_memory(e)) &&
         row_keep(&in, &row, out, e) && closed_at_find(r, end, stream, &a, out, e);
    arena_fini(&a);
    return ok;
}

/* The last row's parts, when the last of them is not among what was read. */
static void parts_drop(struct kept_rows *rows)
{
    while (rows->n > 0 && rows->items[rows->n - 1].closed_at < 0) {
        free((void *)(uintptr_t)rows->items[--rows->n].bytes.ptr);
    }
}

static bool row_take(const struct record *in, const struct row_stream *stream, int64_t begin_ms,
                     struct arena *a, struct kept_rows *out, struct place *begin, struct err *e)
{
    struct rollup row;
    arena_reset(a);
    if (!rollup_decode(in->value, a, &row, e)) {
        return err_wrap(e, "offset %" PRId64, in->offset);
    }
    if (row.closed_at >= 0 && in->timestamp_ms <= begin_ms && row.kind != ROLLUP_HEARTBEAT) {
        *begin = (struct place){row.closed_at + 1, in->timestamp_ms};
    }
    if (!is_of(stream, &row)) {
        return true;
    }
    if (out->n == out->cap) {
        size_t cap = out->cap == 0 ? 64 : out->cap * 2;
        struct kept_row *items = reallocarray(out->items, cap, sizeof *items);
        if (items == NULL) {
            return no_memory(e);
        }
        out->items = items;
        out->cap = cap;
    }
    return row_keep(in, &row, &out->items[out->n++], e);
}

static bool stretch_read(struct log_reader *r, const struct row_stream *stream,
                         const struct rows_request *q, int64_t from_ms, struct kept_rows *out,
                         struct place *begin, struct err *e)
{
    int64_t from;
    int64_t to = q->before_offset;
    struct arena a;
    bool any = true;
    *begin = (struct place){-1, ROLLUP_NEVER};
    if (!log_reader_topic(r, q->topic, e) ||
        !log_reader_at_time(r, q->partition, from_ms, &from, e) ||
        (to < 0 && !log_reader_at_time(r, q->partition, q->before_ms + 1, &to, e)) ||
        (from < to && !log_reader_from(r, q->partition, from, e))) {
        return false;
    }
    arena_init(&a, ARENA_BYTES);
    bool ok = true;
    while (ok && any && from < to) {
        struct record in;
        ok = log_reader_next(r, to, &in, &any, e) &&
             (!any || in.timestamp_ms < from_ms ||
              row_take(&in, stream, q->begin_ms, &a, out, begin, e));
    }
    arena_fini(&a);
    parts_drop(out);
    return ok;
}

bool rows_read(struct log_reader *r, const struct row_stream *stream, const struct rows_request *q,
               struct kept_rows *out, struct place *begin, struct err *e)
{
    for (int64_t look_ms = FIRST_LOOK_MS;; look_ms *= LOOK_FACTOR) {
        int64_t from_ms = q->begin_ms == ROLLUP_NEVER ? 0 : q->begin_ms - q->forget_ms - look_ms;
        from_ms = from_ms < 0 ? 0 : from_ms;
        kept_rows_fini(out);
        if (!stretch_read(r, stream, q, from_ms, out, begin, e)) {
            return err_wrap(e, "%s/%d", q->topic, q->partition);
        }
        if (from_ms == 0 ||
            (begin->offset >= 0 && begin->log_before_ms - q->forget_ms >= from_ms)) {
            return true;
        }
    }
}
