#include <inttypes.h>
#include <snappy-c.h>
#include <stdio.h>

#include "base/cursor.h"
#include "http.h"
#include "readers.h"

/* Remote read 1.0 (prometheus prompb/remote.proto), answered with samples:
 *   ReadRequest  { queries=1 { start_ms=1 end_ms=2 matchers=3 { type=1 name=2 value=3 } } }
 *   ReadResponse { results=1 { timeseries=1 { labels=1 { name=1 value=2 } samples=2 { value=1
 *                  timestamp_ms=2 } histograms=4 } } } */

enum {
    SAMPLES_PER_QUERY = 400000,
    MAX_SERVERS_PER_QUERY = 200,
    MATCH_REGEX = 2,
    MAX_LABELS = 64,
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

struct window {
    int64_t from_ms;
    int64_t to_ms; /* both included */
    uint32_t first;
    uint32_t n_servers;
};

static void request_fill(struct remote *q, const struct window *w)
{
    const struct model *m = q->reader->ledger->model;
    struct buf *names = &q->packed; /* free at this moment */
    buf_reset(names);
    for (uint32_t i = 0; i < w->n_servers; i++) {
        struct model_server server;
        model_server(m, w->first + i, &server);
        buf_printf(names, "%s%s", i == 0 ? "" : "|", server.shard_id);
    }
    struct buf matcher;
    struct buf query;
    buf_init(&matcher, MAX_REQUEST_BYTES);
    buf_init(&query, MAX_REQUEST_BYTES);
    buf_u8(&matcher, 1 << 3);
    buf_u8(&matcher, MATCH_REGEX);
    buf_u8(&matcher, 2 << 3 | 2);
    buf_varint_bytes(&matcher, SLICE_LITERAL("shard_id"));
    buf_u8(&matcher, 3 << 3 | 2);
    buf_varint_bytes(&matcher, buf_slice(names));
    buf_u8(&query, 1 << 3);
    buf_varint(&query, (uint64_t)w->from_ms);
    buf_u8(&query, 2 << 3);
    buf_varint(&query, (uint64_t)w->to_ms);
    buf_u8(&query, 3 << 3 | 2);
    buf_varint_bytes(&query, buf_slice(&matcher));
    buf_reset(&q->request);
    buf_u8(&q->request, 1 << 3 | 2);
    buf_varint_bytes(&q->request, buf_slice(&query));
    q->request.failed |= matcher.failed || query.failed || names->failed;
    buf_fini(&matcher);
    buf_fini(&query);
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

struct stored_series {
    struct slice metric;
    uint32_t n_labels;
    struct label labels[MAX_LABELS];
    enum match match;
    uint32_t server;
    uint32_t series;
};

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
    if (!cursor_ok(&c) || s->n_labels == MAX_LABELS) {
        cursor_fail(whole);
        return;
    }
    if (slice_eq_str(label.name, "__name__")) {
        s->metric = label.value;
    }
    s->labels[s->n_labels++] = label;
}

static void sighting_put(struct remote *q, const struct stored_series *s, struct sighting *seen)
{
    q->reader->n_read++;
    if (s->match == MATCH_OTHER) {
        q->reader->ledger->n_other++;
    } else if (s->match == MATCH_UNEXPECTED) {
        ledger_unexpected(q->reader->ledger, 1, s->metric, s->labels, s->n_labels, seen->time_ms);
    } else {
        seen->server = s->server;
        seen->series = s->series;
        seen->n_times = 1;
        seen->start_ms = -1;
        ledger_see(q->reader->ledger, seen);
    }
}

static bool sample_read(struct remote *q, const struct stored_series *s, struct slice bytes)
{
    struct cursor c = cursor_of(bytes);
    struct sighting seen = {.is_histogram = false};
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
    sighting_put(q, s, &seen);
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
        if (tag >> 3 == 4) {
            struct native_histogram h;
            if (!native_decode(field, &h, e)) {
                return err_wrap(e, "%s", q->url);
            }
            struct sighting seen = {.is_histogram = true, .histogram = &h, .time_ms = h.time_ms};
            sighting_put(q, s, &seen);
        }
    }
    return cursor_ok(&c) || err_set(e, ERR_FATAL, "%s: a series that can't be read", q->url);
}

static bool series_read(struct remote *q, struct slice bytes, struct err *e)
{
    struct stored_series s = {.n_labels = 0, .metric = SLICE_NONE};
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
    s.match = matcher_find(q->reader->matcher, s.metric, s.labels, s.n_labels, &s.server, &s.series);
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

/* Queries of about the same size: some servers for all the time, or one for a part of it. */
static bool queries_run(struct remote *q, int64_t end_ms, struct err *e)
{
    const struct model *m = q->reader->ledger->model;
    int64_t n_steps = q->reader->ledger->manifest->n_scrapes / m->p.n_servers + 1;
    int64_t per_server = n_steps * m->p.n_series;
    int64_t n_servers = SAMPLES_PER_QUERY / per_server;
    n_servers = n_servers < 1 ? 1 : n_servers > MAX_SERVERS_PER_QUERY ? MAX_SERVERS_PER_QUERY : n_servers;
    int64_t steps_at_once = SAMPLES_PER_QUERY / m->p.n_series;
    int64_t window_ms = (steps_at_once < 1 ? 1 : steps_at_once) * m->p.interval_ms;
    for (uint32_t at = 0; at < m->p.n_servers; at += (uint32_t)n_servers) {
        struct window w = {.from_ms = m->p.start_ms, .first = at};
        uint32_t left = m->p.n_servers - at;
        w.n_servers = left < n_servers ? left : (uint32_t)n_servers;
        for (; w.from_ms <= end_ms; w.from_ms += window_ms) {
            w.to_ms = w.from_ms + window_ms - 1 < end_ms ? w.from_ms + window_ms - 1 : end_ms;
            request_fill(q, &w);
            if (!request_send(q, e) || !answer_read(q, e)) {
                return false;
            }
        }
    }
    return true;
}

bool read_prometheus(struct reader *r, const char *url, struct err *e)
{
    const struct model *m = r->ledger->model;
    struct remote q = {.reader = r, .http = http_open()};
    if (q.http == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    (void)snprintf(q.url, sizeof q.url, "%.*s/api/v1/read", (int)(len < 1900 ? len : 1900), url);
    buf_init(&q.request, MAX_REQUEST_BYTES);
    buf_init(&q.packed, MAX_REQUEST_BYTES * 2);
    buf_init(&q.answer, MAX_ANSWER_BYTES);
    buf_init(&q.plain, MAX_ANSWER_BYTES);
    int64_t last = r->ledger->manifest->n_scrapes;
    /* One step more than was sent: there must be nothing. */
    int64_t end_ms = model_time_ms(m, m->p.n_servers - 1, last / m->p.n_servers + 1);
    bool ok = queries_run(&q, end_ms, e);
    buf_fini(&q.request);
    buf_fini(&q.packed);
    buf_fini(&q.answer);
    buf_fini(&q.plain);
    http_close(q.http);
    return ok;
}
