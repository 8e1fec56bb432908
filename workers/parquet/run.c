#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"

enum {
    BLOCK_BYTES = 64 << 10,
    BLOCK_MAX_BYTES = 16 << 20, /* with the row that went over */
    BLOCK_HEAD = 12,
    HEAD_MAX_BYTES = 16 << 20,
    MAX_PATH = 4096
};

struct run_writer {
    struct run *run;
    struct buf block;
    const struct head *seen;
    const struct object *object;
    int64_t ts_ms;
    int64_t offset;
};

static bool disk_failed(struct err *e, const char *what)
{
    return err_set_code(e, ERR_RETRY, errno, "scratch file cannot be %s: %s", what,
                        strerror(errno));
}

/* --- writing --- */

static int file_open(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return fd;
    }
    char path[MAX_PATH];
    if (snprintf(path, sizeof path, "%s/sluice-XXXXXX", dir) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        (void)unlink(path);
    }
    return fd;
}

static bool all_written(struct run *r, struct slice bytes, struct err *e)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(r->fd, bytes.ptr, bytes.len, r->n_bytes);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return disk_failed(e, "written");
        }
        r->n_bytes += n;
        bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return true;
}

/* The block's head lies in front of its bytes. */
static void block_begin(struct run_writer *w)
{
    static const uint8_t nothing[BLOCK_HEAD];
    buf_reset(&w->block);
    buf_put(&w->block, nothing, sizeof nothing);
}

static bool block_end(struct run_writer *w, struct err *e)
{
    struct buf *b = &w->block;
    if (!buf_ok(b)) {
        return err_set(e, ERR_RETRY, "out of memory for a scratch file");
    }
    if (b->len == BLOCK_HEAD) {
        return true;
    }
    struct slice bytes = slice_of(b->ptr + BLOCK_HEAD, b->len - BLOCK_HEAD);
    uint32_t len = (uint32_t)bytes.len;
    uint64_t hash = hash64(bytes);
    memcpy(b->ptr, &len, sizeof len);
    memcpy(b->ptr + sizeof len, &hash, sizeof hash);
    if (!all_written(w->run, buf_slice(b), e)) {
        return false;
    }
    block_begin(w);
    return true;
}

static bool head_write(struct run_writer *w, const struct row *row, struct objects *objects,
                       struct err *e)
{
    const struct object *object =
        objects_get(objects, row->head->table, row->head->slot, row->head->tenant);
    if (object != w->object) {
        if (!block_end(w, e)) {
            return false;
        }
        const struct run_mark mark = {object, w->run->n_bytes};
        buf_put(&w->run->marks, &mark, sizeof mark);
    }
    w->object = object;
    w->seen = row->head;
    w->ts_ms = w->offset = 0;
    buf_u8(&w->block, 'H');
    head_put(row->head, &w->block);
    return buf_ok(&w->run->marks) || err_set(e, ERR_RETRY, "out of memory for a scratch file");
}

/* Differences of times at the two ends of 64 bits wrap around, here and when they are read. */
static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static bool row_write(struct run_writer *w, const struct row *row, struct objects *objects,
                      struct err *e)
{
    if (row->head != w->seen && !head_write(w, row, objects, e)) {
        return false;
    }
    buf_u8(&w->block, 'R');
    buf_zigzag(&w->block, minus(row->ts_ms, w->ts_ms));
    buf_zigzag(&w->block, minus(row->offset, w->offset));
    buf_varint_bytes(&w->block, row->payload);
    w->ts_ms = row->ts_ms;
    w->offset = row->offset;
    return w->block.len < BLOCK_BYTES || block_end(w, e);
}

static bool rows_write(struct run_writer *w, struct row_stream rows, struct objects *objects,
                       struct err *e)
{
    struct row row;
    while (rows.next(rows.context, &row, e)) {
        if (!row_write(w, &row, objects, e)) {
            return false;
        }
    }
    return e->kind == ERR_NONE && block_end(w, e);
}

bool run_write(struct run *r, const char *scratch_dir, struct row_stream rows,
               struct objects *objects, struct err *e)
{
    struct run_writer w = {.run = r};
    *r = (struct run){.fd = file_open(scratch_dir)};
    buf_init(&r->marks, SIZE_MAX / 2);
    if (r->fd < 0) {
        return err_set_code(e, ERR_RETRY, errno, "no scratch file in %.120s: %s", scratch_dir,
                            strerror(errno));
    }
    buf_init(&w.block, BLOCK_MAX_BYTES);
    block_begin(&w);
    bool ok = rows_write(&w, rows, objects, e);
    buf_fini(&w.block);
    if (!ok) {
        run_free(r);
    }
    return ok;
}

void run_free(struct run *r)
{
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    buf_fini(&r->marks);
    r->fd = -1;
}

size_t run_held_bytes(const struct run *r)
{
    return r->marks.cap;
}

/* --- reading --- */

bool run_reader_init(struct run_reader *r, const struct run *run, const struct object *object)
{
    const struct run_mark *marks = (const struct run_mark *)(const void *)run->marks.ptr;
    size_t n = run->marks.len / sizeof *marks;
    *r = (struct run_reader){.run = run};
    buf_init(&r->block, BLOCK_MAX_BYTES);
    arena_init(&r->texts, HEAD_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        if (marks[i].object == object) {
            r->at = marks[i].at;
            r->end = i + 1 < n ? marks[i + 1].at : run->n_bytes;
            r->in = cursor_of(SLICE_NONE);
            return true;
        }
    }
    return false;
}

void run_reader_fini(struct run_reader *r)
{
    buf_fini(&r->block);
    arena_fini(&r->texts);
}

static bool all_read(const struct run *r, int64_t at, uint8_t *to, size_t n_bytes, struct err *e)
{
    while (n_bytes > 0) {
        ssize_t n = pread(r->fd, to, n_bytes, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return disk_failed(e, "read");
        }
        to += n;
        at += n;
        n_bytes -= (size_t)n;
    }
    return true;
}

static bool damaged(const struct run_reader *r, struct err *e)
{
    return err_set(e, ERR_FATAL, "scratch file is damaged before byte %lld", (long long)r->at);
}

static bool block_read(struct run_reader *r, struct err *e)
{
    uint8_t head[BLOCK_HEAD];
    uint32_t len;
    uint64_t hash;
    if (!all_read(r->run, r->at, head, sizeof head, e)) {
        return false;
    }
    memcpy(&len, head, sizeof len);
    memcpy(&hash, head + sizeof len, sizeof hash);
    r->at += BLOCK_HEAD;
    buf_reset(&r->block);
    if (len > r->end - r->at || len > BLOCK_MAX_BYTES) {
        return damaged(r, e);
    }
    uint8_t *to = buf_extend(&r->block, len);
    if (to == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a scratch file");
    }
    if (!all_read(r->run, r->at, to, len, e)) {
        return false;
    }
    r->at += len;
    r->in = cursor_of(buf_slice(&r->block));
    return hash64(buf_slice(&r->block)) == hash || damaged(r, e);
}

static bool head_read(struct run_reader *r, struct err *e)
{
    r->which = !r->which; /* another address: another head */
    r->any_head = true;
    r->ts_ms = r->offset = 0;
    arena_reset(&r->texts);
    return head_take(&r->in, &r->texts, &r->heads[r->which]) || damaged(r, e);
}

static bool run_reader_next(void *context, struct row *out, struct err *e)
{
    struct run_reader *r = context;
    e->kind = ERR_NONE;
    for (;;) {
        if (!cursor_more(&r->in)) {
            if (r->at >= r->end || !block_read(r, e)) {
                return false;
            }
        }
        uint8_t what = cursor_u8(&r->in);
        if (what != 'H') {
            if (what != 'R' || !r->any_head) {
                return damaged(r, e);
            }
            break;
        }
        if (!head_read(r, e)) {
            return false;
        }
    }
    r->ts_ms = minus(r->ts_ms, minus(0, cursor_zigzag(&r->in)));
    r->offset = minus(r->offset, minus(0, cursor_zigzag(&r->in)));
    struct slice payload = cursor_varint_bytes(&r->in);
    *out = (struct row){&r->heads[r->which], r->ts_ms, r->offset, payload};
    return cursor_ok(&r->in) || damaged(r, e);
}

struct row_stream run_reader_stream(struct run_reader *r)
{
    return (struct row_stream){run_reader_next, r};
}
