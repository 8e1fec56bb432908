#include "aws/s3_object.h"

#include "aws/crc32c.h"
#include "aws/encode.h"
#include "aws/s3_exchange.h"
#include "aws/xml.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_HEADERS = 40,
    MAX_HEADER_BYTES = 2048,
    MAX_PARTS = 10000,
    MIN_PART_BYTES = 5 << 20,
    PARTS_AT_ONCE = 4,
    CRC_CHARS = 8, /* four bytes in base64 */
    MAX_ETAG_CHARS = 128,
    STEP_MS = S3_STEP_MS,
    PAGE_ARENA_BYTES = 8 << 20
};

/* --- headers of an object --- */

struct headers {
    const char *lines[MAX_HEADERS];
    size_t n;
    struct arena arena;
    bool failed;
};

static void headers_init(struct headers *h)
{
    *h = (struct headers){.n = 0};
    arena_init(&h->arena, 256 * 1024);
}

/* Nothing when the value is NULL or "". */
static void add(struct headers *h, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    size_t n = strlen(name) + strlen(value) + 3;
    char *line = h->n == MAX_HEADERS || n > MAX_HEADER_BYTES ? NULL : arena_alloc(&h->arena, n);
    if (line == NULL) {
        h->failed = true;
        return;
    }
    (void)snprintf(line, n, "%s: %s", name, value);
    h->lines[h->n++] = line;
}

static bool headers_ok(const struct headers *h, struct err *e)
{
    return !h->failed || err_set(e, ERR_BAD_INPUT, "S3: too many or too long headers");
}

static void add_options(struct headers *h, const struct s3_put_options *o)
{
    char name[128];
    bool by_kms = o->kms_key != NULL && o->kms_key[0] != '\0';
    add(h, "x-amz-server-side-encryption", by_kms ? "aws:kms" : NULL);
    add(h, "x-amz-server-side-encryption-aws-kms-key-id", o->kms_key);
    add(h, "x-amz-server-side-encryption-bucket-key-enabled", by_kms ? "true" : NULL);
    add(h, "x-amz-tagging", o->tagging);
    add(h, "x-amz-object-lock-mode", o->lock_mode);
    add(h, "x-amz-object-lock-retain-until-date", o->lock_until);
    add(h, "x-amz-storage-class", o->storage_class);
    for (size_t i = 0; i < o->n_metadata; i++) {
        int n = snprintf(name, sizeof name, "x-amz-meta-%s", o->metadata[i].name);
        h->failed = h->failed || n < 0 || (size_t)n >= sizeof name;
        add(h, name, o->metadata[i].value);
    }
}

static void crc_text(struct slice body, char out[CRC_CHARS + 1])
{
    uint32_t crc = crc32c(0, body);
    const uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                              (uint8_t)crc};
    (void)EVP_EncodeBlock((unsigned char *)out, bytes, sizeof bytes);
}

static void add_checksum(struct headers *h, struct slice body)
{
    char crc[CRC_CHARS + 1];
    crc_text(body, crc);
    add(h, "x-amz-sdk-checksum-algorithm", "CRC32C");
    add(h, "x-amz-checksum-crc32c", crc);
}

static bool take_put(const struct s3_outcome *o, struct s3_put_result *out, struct slice key,
                     struct err *e)
{
    out->n_attempts = o->n_attempts;
    out->existed = o->status == 412;
    out->maybe_own = out->existed && o->maybe_stored;
    bool stored = o->status >= 200 && o->status < 300; /* not a 304 of some cache, nor a 404 */
    return stored || out->existed ||
           err_set(e, ERR_RETRY, "S3: PUT %.*s: status %d", key.len < 100 ? (int)key.len : 100,
                   (const char *)key.ptr, o->status);
}

/* What is not S3 (a proxy, a login page) may say 200 as well; and who is told so forgets the rows. */
static bool look_put(void *ctx, const struct s3_answer *a, struct err *e)
{
    (void)ctx;
    return a->status >= 300 || http_response_header(a->response, "ETag") != NULL ||
           err_set(e, ERR_RETRY, "S3: status %d, but no ETag: not stored", a->status);
}

bool s3_put(struct s3 *s, struct slice key, struct slice body, const struct s3_put_options *o,
            struct s3_put_result *out, struct err *e)
{
    struct headers h;
    struct s3_outcome outcome = {.look = look_put};
    headers_init(&h);
    add_options(&h, o);
    add_checksum(&h, body);
    add(&h, "If-None-Match", o->only_if_absent ? "*" : NULL);
    const struct s3_request r = {
        .method = "PUT", .key = key, .headers = h.lines, .n_headers = h.n, .body = body};
    bool ok = headers_ok(&h, e) && s3_exchange(s, &r, &outcome, e) && take_put(&outcome, out, key, e);
    arena_fini(&h.arena);
    return ok;
}

/* --- in parts --- */

struct part {
    struct upload *upload;
    size_t number; /* from 1 */
    struct slice body;
    char query[600];
    char crc_line[64];
    const char *headers[1];
    char crc[CRC_CHARS + 1];
    char etag[MAX_ETAG_CHARS + 1];
};

struct upload {
    struct s3 *s3;
    struct slice key;
    char id[512]; /* percent-encoded */
    struct part *parts;
    size_t n_parts;
    size_t n_under_way;
    bool failed;
    struct err why;
};

static bool on_upload_id(void *ctx, const char *path, struct slice text, struct err *e)
{
    struct upload *u = ctx;
    struct buf b;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0) {
        return true;
    }
    buf_init(&b, sizeof u->id - 1);
    encode_percent(&b, text, false);
    bool ok = buf_ok(&b) && b.len > 0;
    if (ok) {
        memcpy(u->id, b.ptr, b.len);
        u->id[b.len] = '\0';
    }
    buf_fini(&b);
    return ok || err_set(e, ERR_BAD_INPUT, "S3: an upload's id is empty or too long");
}

static bool look_upload_id(void *ctx, const struct s3_answer *a, struct err *e)
{
    struct upload *u = ctx;
    struct arena arena;
    const struct xml_sink sink = {.ctx = u, .element = on_upload_id};
    arena_init(&arena, PAGE_ARENA_BYTES);
    bool ok = a->status == 200 && xml_walk(a->response->body, &arena, &sink, e);
    arena_fini(&arena);
    return (ok && u->id[0] != '\0') || (ok && err_set(e, ERR_BAD_INPUT, "S3: no upload id")) ||
           (a->status != 200 && err_set(e, ERR_RETRY, "S3: status %d for a new upload", a->status));
}

static bool upload_create(struct upload *u, const struct s3_put_options *o, struct err *e)
{
    struct headers h;
    struct s3_outcome outcome = {.look = look_upload_id, .ctx = u};
    headers_init(&h);
    add_options(&h, o);
    add(&h, "x-amz-checksum-algorithm", "CRC32C");
    const struct s3_request r = {
        .method = "POST", .key = u->key, .query = "uploads=", .headers = h.lines, .n_headers = h.n};
    bool ok = headers_ok(&h, e) && s3_exchange(u->s3, &r, &outcome, e);
    arena_fini(&h.arena);
    return ok;
}

/* An ETag is quoted, and goes into XML: no other quote, no markup. */
static bool take_etag(struct part *p, const char *etag, struct err *e)
{
    int n = etag == NULL ? 0 : snprintf(p->etag, sizeof p->etag, "%s", etag);
    return (n > 0 && (size_t)n < sizeof p->etag && strpbrk(p->etag, "<>&") == NULL) ||
           err_set(e, ERR_BAD_INPUT, "S3: part %zu: no ETag of a usual form", p->number);
}

static void on_part(void *ctx, const struct s3_answer *a)
{
    struct part *p = ctx;
    struct upload *u = p->upload;
    struct err e = ERR_INIT;
    u->n_under_way--;
    bool ok = a->e == NULL;
    if (!ok) {
        e = *a->e;
    } else if (a->status != 200) {
        ok = err_set(&e, ERR_RETRY, "S3: part %zu: status %d", p->number, a->status);
    } else {
        ok = take_etag(p, http_response_header(a->response, "ETag"), &e);
    }
    if (!ok && !u->failed) {
        u->failed = true;
        u->why = e;
    }
}

static bool part_start(struct upload *u, struct part *p, struct err *e)
{
    crc_text(p->body, p->crc);
    (void)snprintf(p->crc_line, sizeof p->crc_line, "x-amz-checksum-crc32c: %s", p->crc);
    (void)snprintf(p->query, sizeof p->query, "partNumber=%zu&uploadId=%s", p->number, u->id);
    p->headers[0] = p->crc_line;
    const struct s3_request r = {.method = "PUT",
                                 .key = u->key,
                                 .query = p->query,
                                 .headers = p->headers,
                                 .n_headers = 1,
                                 .body = p->body};
    if (!s3_start(u->s3, &r, on_part, p, e)) {
        return false;
    }
    u->n_under_way++;
    return true;
}

/* All that were started are over at its return: nothing of the caller's is borrowed any more. */
static bool upload_parts(struct upload *u, struct err *e)
{
    size_t n_started = 0;
    bool ok = true;
    while (ok && ((n_started < u->n_parts && !u->failed) || u->n_under_way > 0)) {
        while (ok && !u->failed && n_started < u->n_parts && u->n_under_way < PARTS_AT_ONCE) {
            ok = part_start(u, &u->parts[n_started++], e);
        }
        ok = ok && s3_drive(u->s3, -1, STEP_MS, e);
    }
    struct err ignored = ERR_INIT;
    while (u->n_under_way > 0 && s3_drive(u->s3, -1, STEP_MS, &ignored)) {
    }
    if (ok && u->failed) {
        *e = u->why;
    }
    return ok && !u->failed;
}

static bool on_result(void *ctx, const char *path, struct slice text, struct err *e)
{
    bool *confirmed = ctx;
    (void)text;
    (void)e;
    *confirmed = *confirmed || strcmp(path, "CompleteMultipartUploadResult") == 0;
    return true;
}

/* S3 says 200 before it knows the outcome: only the whole answer tells it. */
static bool look_complete(void *ctx, const struct s3_answer *a, struct err *e)
{
    struct arena arena;
    struct err why = ERR_INIT;
    bool confirmed = false;
    const struct xml_sink sink = {.ctx = &confirmed, .element = on_result};
    (void)ctx;
    if (a->status >= 300) {
        return true;
    }
    arena_init(&arena, PAGE_ARENA_BYTES);
    confirmed = xml_walk(a->response->body, &arena, &sink, &why) && confirmed;
    arena_fini(&arena);
    return confirmed || err_set(e, ERR_RETRY, "S3: status %d, but the upload's end is not confirmed",
                                a->status);
}

static bool upload_complete(struct upload *u, const struct s3_put_options *o,
                            struct s3_put_result *out, struct err *e)
{
    struct buf xml;
    struct headers h;
    struct s3_outcome outcome = {.look = look_complete};
    char query[600];
    buf_init(&xml, 4 << 20);
    buf_printf(&xml, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < u->n_parts; i++) {
        buf_printf(&xml,
                   "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag><ChecksumCRC32C>%s</"
                   "ChecksumCRC32C></Part>",
                   u->parts[i].number, u->parts[i].etag, u->parts[i].crc);
    }
    buf_printf(&xml, "</CompleteMultipartUpload>");
    headers_init(&h);
    add(&h, "If-None-Match", o->only_if_absent ? "*" : NULL);
    (void)snprintf(query, sizeof query, "uploadId=%s", u->id);
    const struct s3_request r = {.method = "POST",
                                 .key = u->key,
                                 .query = query,
                                 .headers = h.lines,
                                 .n_headers = h.n,
                                 .body = buf_slice(&xml)};
    bool ok = (buf_ok(&xml) || err_set(e, ERR_RETRY, "out of memory")) &&
              s3_exchange(u->s3, &r, &outcome, e) && take_put(&outcome, out, u->key, e);
    arena_fini(&h.arena);
    buf_fini(&xml);
    return ok;
}

/* Its failure changes nothing of the outcome; a lifecycle rule of the bucket takes what stays. */
static void upload_abort(struct upload *u)
{
    struct err e = ERR_INIT;
    struct s3_outcome outcome = {.done = false};
    char query[600];
    (void)snprintf(query, sizeof query, "uploadId=%s", u->id);
    const struct s3_request r = {.method = "DELETE", .key = u->key, .query = query};
    (void)!s3_exchange(u->s3, &r, &outcome, &e);
}

static bool cut(struct upload *u, struct slice body, size_t part_bytes, struct err *e)
{
    u->n_parts = body.len == 0 ? 1 : (body.len - 1) / part_bytes + 1;
    if (part_bytes < MIN_PART_BYTES || u->n_parts > MAX_PARTS) {
        return err_set(e, ERR_BAD_INPUT,
                       "S3: %zu bytes in parts of %zu: not 5 MiB or more, or over %d parts",
                       body.len, part_bytes, MAX_PARTS);
    }
    u->parts = calloc(u->n_parts, sizeof *u->parts);
    if (u->parts == NULL) {
        return err_set(e, ERR_RETRY, "out of memory");
    }
    for (size_t i = 0; i < u->n_parts; i++) {
        size_t from = i * part_bytes;
        size_t left = body.len - from;
        u->parts[i].upload = u;
        u->parts[i].number = i + 1;
        u->parts[i].body = slice_of(body.ptr + from, left < part_bytes ? left : part_bytes);
    }
    return true;
}

bool s3_put_parts(struct s3 *s, struct slice key, struct slice body, size_t part_bytes,
                  const struct s3_put_options *o, struct s3_put_result *out, struct err *e)
{
    struct upload u = {.s3 = s, .key = key};
    if (!cut(&u, body, part_bytes, e)) {
        return false;
    }
    bool ok = upload_create(&u, o, e);
    if (ok) {
        ok = upload_parts(&u, e) && upload_complete(&u, o, out, e);
        if (!ok || out->existed) {
            upload_abort(&u);
        }
    }
    free(u.parts);
    return ok;
}

/* --- reading --- */

struct head_look {
    const char *const *names;
    size_t n_names;
    const char **values;
    struct arena *arena;
    struct s3_head *out;
};

static const char *copy(struct arena *a, const char *text)
{
    return text == NULL ? NULL : (const char *)arena_copy(a, slice_of(text, strlen(text) + 1)).ptr;
}

static bool look_head(void *ctx, const struct s3_answer *a, struct err *e)
{
    struct head_look *l = ctx;
    char name[128];
    const char *length = http_response_header(a->response, "Content-Length");
    *l->out = (struct s3_head){.found = a->status == 200};
    if (!l->out->found) {
        return true;
    }
    l->out->n_bytes = length == NULL ? -1 : strtoll(length, NULL, 10);
    l->out->etag = copy(l->arena, http_response_header(a->response, "ETag"));
    for (size_t i = 0; i < l->n_names; i++) {
        (void)snprintf(name, sizeof name, "x-amz-meta-%s", l->names[i]);
        const char *value = http_response_header(a->response, name);
        l->values[i] = copy(l->arena, value);
        if (value != NULL && l->values[i] == NULL) {
            return err_set(e, ERR_RETRY, "out of memory");
        }
    }
    return true;
}

bool s3_head(struct s3 *s, struct slice key, const char *const *names, size_t n_names,
             const char **values, struct arena *a, struct s3_head *out, struct err *e)
{
    struct head_look l = {
        .names = names, .n_names = n_names, .values = values, .arena = a, .out = out};
    struct s3_outcome o = {.look = look_head, .ctx = &l};
    const struct s3_request r = {.method = "HEAD", .key = key};
    for (size_t i = 0; i < n_names; i++) {
        values[i] = NULL;
    }
    return s3_exchange(s, &r, &o, e);
}

struct get_look {
    struct buf *out;
    bool found;
};

static bool look_get(void *ctx, const struct s3_answer *a, struct err *e)
{
    struct get_look *l = ctx;
    l->found = a->status == 200 || a->status == 206;
    if (l->found) {
        buf_put_slice(l->out, a->response->body);
    }
    return buf_ok(l->out) ||
           err_set(e, ERR_BAD_INPUT, "S3: the object is larger than there is room for");
}

bool s3_get(struct s3 *s, struct slice key, int64_t first, int64_t n_bytes, struct buf *out,
            bool *found, struct err *e)
{
    struct get_look l = {.out = out};
    struct s3_outcome o = {.look = look_get, .ctx = &l};
    char range[80];
    const char *const headers[] = {range};
    const struct s3_request r = {.method = "GET",
                                 .key = key,
                                 .headers = headers,
                                 .n_headers = first > 0 || n_bytes > 0 ? 1 : 0};
    if (n_bytes > 0) {
        (void)snprintf(range, sizeof range, "Range: bytes=%" PRId64 "-%" PRId64, first,
                       first + n_bytes - 1);
    } else {
        (void)snprintf(range, sizeof range, "Range: bytes=%" PRId64 "-", first);
    }
    bool ok = s3_exchange(s, &r, &o, e);
    *found = l.found;
    return ok;
}

/* --- list --- */

struct page {
    s3_each_fn each;
    void *ctx;
    struct arena arena;
    struct slice key;
    int64_t n_bytes;
    char next[2048]; /* the continuation token, percent-encoded; "" = the last page */
    bool truncated;
    char token[2048]; /* that it was asked for by */
    bool is_list;     /* not some other page that says 200 */
};

static bool on_list_element(void *ctx, const char *path, struct slice text, struct err *e)
{
    struct page *p = ctx;
    char number[24];
    if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
        p->key = text;
    } else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
        (void)snprintf(number, sizeof number, "%.*s", text.len < 20 ? (int)text.len : 20,
                       (const char *)text.ptr);
        p->n_bytes = strtoll(number, NULL, 10);
    } else if (strcmp(path, "ListBucketResult/Contents") == 0) {
        return p->each(p->ctx, p->key, p->n_bytes, e);
    } else if (strcmp(path, "ListBucketResult") == 0) {
        p->is_list = true;
    } else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
        p->truncated = slice_eq_str(text, "true");
    } else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
        struct buf b;
        buf_init(&b, sizeof p->next - 1);
        encode_percent(&b, text, false);
        size_t n = buf_ok(&b) ? b.len : 0;
        memcpy(p->next, n == 0 ? (const void *)"" : b.ptr, n);
        p->next[n] = '\0';
        buf_fini(&b);
    }
    return true;
}

static bool look_page(void *ctx, const struct s3_answer *a, struct err *e)
{
    struct page *p = ctx;
    const struct xml_sink sink = {.ctx = p, .element = on_list_element};
    memcpy(p->token, p->next, sizeof p->token);
    p->next[0] = '\0';
    p->truncated = p->is_list = false;
    arena_reset(&p->arena);
    if (a->status != 200) {
        return err_set(e, ERR_RETRY, "S3: LIST: status %d", a->status);
    }
    return xml_walk(a->response->body, &p->arena, &sink, e) &&
           (p->is_list || err_set(e, ERR_RETRY, "S3: LIST: status 200, but no list")) &&
           (!p->truncated || p->next[0] != '\0' ||
            err_set(e, ERR_BAD_INPUT, "S3: LIST: more to come, but no token for it")) &&
           (p->next[0] == '\0' || strcmp(p->next, p->token) != 0 ||
            err_set(e, ERR_BAD_INPUT, "S3: LIST: the same token again, this has no end"));
}

static bool list_page(struct s3 *s, struct slice prefix, struct page *p, struct err *e)
{
    struct buf query;
    struct s3_outcome o = {.look = look_page, .ctx = p};
    buf_init(&query, 8192);
    if (p->next[0] != '\0') {
        buf_printf(&query, "continuation-token=%s&", p->next);
    }
    buf_printf(&query, "list-type=2&prefix=");
    encode_percent(&query, prefix, false);
    const struct s3_request r = {.method = "GET", .query = buf_c_str(&query)};
    bool ok = buf_ok(&query) ? s3_exchange(s, &r, &o, e)
                             : err_set(e, ERR_BAD_INPUT, "S3: the prefix is too long");
    buf_fini(&query);
    return ok;
}

bool s3_list(struct s3 *s, struct slice prefix, s3_each_fn each, void *ctx, struct err *e)
{
    struct page p = {.each = each, .ctx = ctx};
    bool ok;
    arena_init(&p.arena, PAGE_ARENA_BYTES);
    do {
        ok = list_page(s, prefix, &p, e);
    } while (ok && p.next[0] != '\0');
    arena_fini(&p.arena);
    return ok;
}
