#include "aws/s3_uploads.h"

#include "aws/encode.h"
#include "aws/s3_exchange.h"
#include "aws/xml.h"
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

enum {
    PAGE_ARENA_BYTES = 8 << 20,
    MAX_FOUND_BYTES = 4 << 20,
    MAX_MARKER_BYTES = 4096,
    MAX_PAGES = 10000
};

/* A page of the list. What it found is kept as "key\0id\0…": aborting waits until its answer is
 * read. */
struct page {
    const char *within;
    struct buf found;
    struct arena arena;
    struct buf key;        /* of the upload at hand */
    struct buf key_marker; /* percent-encoded */
    struct buf id_marker;
    bool truncated;
    bool is_list; /* not some other page that says 200 */
};

static void take(struct buf *b, struct slice text, bool encoded)
{
    buf_reset(b);
    if (encoded) {
        encode_percent(b, text, false);
    } else {
        buf_put_slice(b, text);
    }
}

static void take_upload(struct page *p, struct slice id)
{
    if (memchr(id.ptr, '\0', id.len) != NULL ||
        memmem(p->key.ptr, p->key.len, p->within, strlen(p->within)) == NULL) {
        return;
    }
    buf_put_slice(&p->found, buf_slice(&p->key));
    buf_u8(&p->found, 0);
    buf_put_slice(&p->found, id);
    buf_u8(&p->found, 0);
}

static bool on_element(void *ctx, const char *path, struct slice text, struct err *e)
{
    struct page *p = ctx;
    (void)e;
    if (strcmp(path, "ListMultipartUploadsResult/Upload/Key") == 0) {
        take(&p->key, memchr(text.ptr, '\0', text.len) == NULL ? text : SLICE_NONE, false);
    } else if (strcmp(path, "ListMultipartUploadsResult/Upload/UploadId") == 0) {
        take_upload(p, text);
    } else if (strcmp(path, "ListMultipartUploadsResult") == 0) {
        p->is_list = true;
    } else if (strcmp(path, "ListMultipartUploadsResult/IsTruncated") == 0) {
        p->truncated = slice_eq_str(text, "true");
    } else if (strcmp(path, "ListMultipartUploadsResult/NextKeyMarker") == 0) {
        take(&p->key_marker, text, true);
    } else if (strcmp(path, "ListMultipartUploadsResult/NextUploadIdMarker") == 0) {
        take(&p->id_marker, text, true);
    }
    return true;
}

static bool look_page(void *ctx, const struct s3_answer *a, struct err *e)
{
    struct page *p = ctx;
    const struct xml_sink sink = {.ctx = p, .element = on_element};
    buf_reset(&p->found);
    buf_reset(&p->key_marker);
    buf_reset(&p->id_marker);
    p->truncated = p->is_list = false;
    arena_reset(&p->arena);
    if (a->status != 200) {
        return err_set(e, ERR_RETRY, "S3: list of uploads: status %d", a->status);
    }
    return xml_walk(a->response->body, &p->arena, &sink, e) &&
           (p->is_list || err_set(e, ERR_RETRY, "S3: list of uploads: status 200, but no list")) &&
           ((buf_ok(&p->found) && buf_ok(&p->key) && buf_ok(&p->key_marker) &&
             buf_ok(&p->id_marker)) ||
            err_set(e, ERR_BAD_INPUT, "S3: list of uploads: too long, or out of memory"));
}

static bool list_page(struct s3 *s, struct slice prefix, struct page *p, struct err *e)
{
    struct s3_outcome o = {.look = look_page, .ctx = p};
    struct buf query;
    buf_init(&query, 4 * MAX_MARKER_BYTES);
    if (p->key_marker.len > 0) {
        buf_printf(&query, "key-marker=");
        buf_put_slice(&query, buf_slice(&p->key_marker));
        buf_u8(&query, '&');
    }
    buf_printf(&query, "prefix=");
    encode_percent(&query, prefix, false);
    if (p->id_marker.len > 0) {
        buf_printf(&query, "&upload-id-marker=");
        buf_put_slice(&query, buf_slice(&p->id_marker));
    }
    buf_printf(&query, "&uploads=");
    const struct s3_request r = {.method = "GET", .query = buf_c_str(&query)};
    bool ok = buf_ok(&query) ? s3_exchange(s, &r, &o, e)
                             : err_set(e, ERR_BAD_INPUT, "S3: the prefix is too long");
    buf_fini(&query);
    return ok;
}

static bool abort_one(struct s3 *s, const char *key, const char *id, struct err *e)
{
    struct s3_outcome o = {.done = false};
    struct buf query;
    buf_init(&query, MAX_MARKER_BYTES);
    buf_printf(&query, "uploadId=");
    encode_percent(&query, slice_str(id), false);
    const struct s3_request r = {
        .method = "DELETE", .key = slice_str(key), .query = buf_c_str(&query)};
    bool ok = buf_ok(&query) ? s3_exchange(s, &r, &o, e)
                             : err_set(e, ERR_BAD_INPUT, "S3: an upload's id is too long");
    buf_fini(&query);
    return ok;
}

static bool abort_found(struct s3 *s, const struct page *p, size_t *n_aborted, struct err *e)
{
    const char *at = (const char *)p->found.ptr;
    const char *end = at + p->found.len;
    while (at < end) {
        const char *key = at;
        const char *id = key + strlen(key) + 1;
        if (!abort_one(s, key, id, e)) {
            return false;
        }
        ++*n_aborted;
        at = id + strlen(id) + 1;
    }
    return true;
}

bool s3_abort_uploads(struct s3 *s, struct slice prefix, const char *within, size_t *n_aborted,
                      struct err *e)
{
    struct page p = {.within = within};
    bool ok = true;
    arena_init(&p.arena, PAGE_ARENA_BYTES);
    buf_init(&p.found, MAX_FOUND_BYTES);
    buf_init(&p.key, MAX_MARKER_BYTES);
    buf_init(&p.key_marker, MAX_MARKER_BYTES);
    buf_init(&p.id_marker, MAX_MARKER_BYTES);
    *n_aborted = 0;
    for (int i = 0; ok && i < MAX_PAGES && (i == 0 || p.truncated); i++) {
        ok = list_page(s, prefix, &p, e) && abort_found(s, &p, n_aborted, e);
    }
    buf_fini(&p.id_marker);
    buf_fini(&p.key_marker);
    buf_fini(&p.key);
    buf_fini(&p.found);
    arena_fini(&p.arena);
    return ok;
}
