#include <inttypes.h>
#include <snappy-c.h>
#include <stdio.h>

#include "base/cursor.h"
#include "prometheus.h"
#include "stored.h"

/* Numbers by remote read 1.0 (prometheus prompb/remote.proto), answered with samples:
 *   ReadRequest  { queries=1 { start_ms=1 end_ms=2 matchers=3 { type=1 name=2 value=3 } } }
 *   ReadResponse { results=1 { timeseries=1 { labels=1 { name=1 value=2 } samples=2 { value=1
 *                  timestamp_ms=2 } } } }
 * Prometheus below 2.44 leaves native histograms out: those come by read_prometheus_histograms. */

enum {
    SAMPLES_PER_QUERY = 400000,
    MATCH_REGEX = 2,
    MATCH_NOT_REGEX = 3,
    MAX_REQUEST_BYTES = 1 << 20,
    MAX_ANSWER_BYTES = 1 << 30,
    MAX_URL_BYTES = 2048
};

struct remote {
    struct reader *reader;
    struct http *http;
    char url[MAX_URL_BYTES];
    struct buf request;
    struct buf packed;
    struct buf answer;
    struct buf plain;
};

static void matcher_put(struct buf *query, int type, const char *label, const char *regex)
{
    struct buf inner;
    buf_init(&inner, MAX_REQUEST_BYTES);
    buf_u8(&inner, 1 << 3);
    buf_u8(&inner, (uint8_t)type);
    buf_u8(&inner, 2 << 3 | 2);
    buf_varint_bytes(&inner, slice_str(label));
    buf_u8(&inner, 3 << 3 | 2);
    buf_varint_bytes(&inner, slice_str(regex));
    buf_u8(query, 3 << 3 | 2);
    buf_varint_bytes(query, buf_slice(&inner));
    query->failed |= inner.failed;
    buf_fini(&inner);
}

static void request_fill(struct remote *q, const struct prometheus_window *w)
{
    struct buf query;
    struct buf regex;
    buf_init(&query, MAX_REQUEST_BYTES);
    buf_init(&regex, MAX_REQUEST_BYTES);
    buf_u8(&query, 1 << 3);
    buf_varint(&query, (uint64_t)w->from_ms);
    buf_u8(&query, 2 << 3);
    buf_varint(&query, (uint64_t)w->to_ms);
    prometheus_shards(q->reader->ledger->model, w, &regex);
    const char *text = buf_c_str(&regex);
    matcher_put(&query, MATCH_REGEX, "shard_id", text == NULL ? "" : text);
    query.failed |= text == NULL;
    buf_reset(&regex);
    prometheus_histogram_names(&regex);
    text = buf_c_str(&regex);
    matcher_put(&query, MATCH_NOT_REGEX, "__name__", text == NULL ? "" : text);
    buf_reset(&q->request);
    buf_u8(&q->request, 1 << 3 | 2);
    buf_varint_bytes(&q->request, buf_slice(&query));
    q->request.failed |= query.failed || regex.failed;
    buf_fini(&query);
    buf_fini(&regex);
}

static bool request_send(struct remote *q, struct err *e)
{
    size_t len = snappy_max_compressed_length(q->request.len);
    buf_reset(&q->packed);
    uint8_t *packed = buf_extend(&q->packed, len);
    if (!buf_ok(&q->request) || packed == NULL ||
        snappy_compress((const char *)q->request.ptr, q->request.len, (char *)packed, &len) !=
            SNAPPY_OK) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    buf_reset(&q->answer);
    if (!http_remote_read(q->http, q->url, slice_of(packed, len), &q->answer, e)) {
        return false;
    }
    size_t plain_len;
    if (snappy_uncompressed_length((const char *)q->answer.ptr, q->answer.len, &plain_len) !=
            SNAPPY_OK ||
        plain_len > MAX_ANSWER_BYTES) {
        return err_set(e, ERR_FATAL, "%s: not an answer to remote read", q->url);
    }
    buf_reset(&q->plain);
    uint8_t *plain = buf_extend(&q->plain, plain_len);
    if (plain_len > 0 &&
        (plain == NULL || snappy_uncompress((const char *)q->answer.ptr, q->answer.len,
                                            (char *)plain, &plain_len) != SNAPPY_OK)) {
        return err_set(e, ERR_FATAL, "%s: the answer can't be uncompressed", q->url);
    }
    return true;
}

/* The fields of these messages are length-delimited, but for a sample's own. */
static bool next_field(struct cursor *c, uint64_t *tag, struct slice *bytes)
{
    if (!cursor_more(c)) {
        return false;
    }
    *tag = cursor_varint(c);
    if ((*tag & 7) != 2) {
        cursor_fail(c);
        return false;
    }
    *bytes = cursor_varint_bytes(c);
    return cursor_ok(c);
}

static void label_read(struct slice bytes, struct stored_series *s, struct cursor *whole)
{
    struct cursor c = cursor_of(bytes);
    struct label label = {SLICE_NONE, SLICE_NONE};
    uint64_t tag;
    struct slice text;
    while (next_field(&c, &tag, &text)) {
        if (tag >> 3 == 1) {
            label.name = text;
        } else if (tag >> 3 == 2) {
            label.value = text;
        }
    }
    if (!cursor_ok(&c) || !stored_label_add(s, label.name, label.value)) {
        cursor_fail(whole);
    }
}

static bool sample_read(struct remote *q, const struct stored_series *s, struct slice bytes)
{
    struct cursor c = cursor_of(bytes);
    struct sighting seen = {.start_ms = -1, .n_times = 1};
    while (cursor_more(&c)) {
        uint64_t tag = cursor_varint(&c);
        if (tag == (1 << 3 | 1)) {
            seen.value = cursor_double(&c);
        } else if (tag == 2 << 3) {
            seen.time_ms = (int64_t)cursor_varint(&c);
        } else {
            cursor_fail(&c);
        }
    }
    if (!cursor_ok(&c)) {
        return false;
    }
    stored_see(s, q->reader, &seen);
    return true;
}

static bool points_read(struct remote *q, const struct stored_series *s, struct slice bytes,
                        struct err *e)
{
    struct cursor c = cursor_of(bytes);
    uint64_t tag;
    struct slice field;
    while (next_field(&c, &tag, &field)) {
        if (tag >> 3 == 2 && !sample_read(q, s, field)) {
            return err_set(e, ERR_FATAL, "%s: a sample that can't be read", q->url);
        }
    }
    return cursor_ok(&c) || err_set(e, ERR_FATAL, "%s: a series that can't be read", q->url);
}

static bool series_read(struct remote *q, struct slice bytes, struct err *e)
{
    struct stored_series s = {.n_labels = 0};
    struct cursor c = cursor_of(bytes);
    uint64_t tag;
    struct slice field;
    while (next_field(&c, &tag, &field)) {
        if (tag >> 3 == 1) {
            label_read(field, &s, &c);
        }
    }
    if (!cursor_ok(&c)) {
        return err_set(e, ERR_FATAL, "%s: labels that can't be read", q->url);
    }
    stored_match(&s, q->reader);
    return points_read(q, &s, bytes, e);
}

static bool answer_read(struct remote *q, struct err *e)
{
    struct cursor c = cursor_of(buf_slice(&q->plain));
    uint64_t tag;
    struct slice result;
    while (next_field(&c, &tag, &result)) {
        struct cursor inner = cursor_of(result);
        struct slice series;
        while (next_field(&inner, &tag, &series)) {
            if (!series_read(q, series, e)) {
                return false;
            }
        }
        if (!cursor_ok(&inner)) {
            cursor_fail(&c);
        }
    }
    return cursor_ok(&c) || err_set(e, ERR_FATAL, "%s: an answer that can't be read", q->url);
}

static bool numbers_query(void *ctx, const struct prometheus_window *w, struct err *e)
{
    struct remote *q = ctx;
    request_fill(q, w);
    return request_send(q, e) && answer_read(q, e);
}

bool read_prometheus(struct reader *r, const char *url, struct err *e)
{
    struct remote q = {.reader = r, .http = http_open()};
    if (q.http == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    (void)snprintf(q.url, sizeof q.url, "%.*s/api/v1/read", prometheus_base_len(url), url);
    buf_init(&q.request, MAX_REQUEST_BYTES);
    buf_init(&q.packed, MAX_REQUEST_BYTES * 2);
    buf_init(&q.answer, MAX_ANSWER_BYTES);
    buf_init(&q.plain, MAX_ANSWER_BYTES);
    bool ok = prometheus_windows(r, r->ledger->model->n_counters, SAMPLES_PER_QUERY, numbers_query,
                                 &q, e) &&
              read_prometheus_histograms(r, q.http, url, e);
    buf_fini(&q.request);
    buf_fini(&q.packed);
    buf_fini(&q.answer);
    buf_fini(&q.plain);
    http_close(q.http);
    return ok;
}
