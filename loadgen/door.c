#include "door.h"

#include <errno.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "http/client.h"
#include "http/url.h"
#include "run/signals.h"

enum {
    MAX_URL_BYTES = 2048,
    MAX_TOKEN_BYTES = 4096,
    MAX_ANSWER_BYTES = 65536,
    MAX_BODY_BYTES = 16 << 20,
    CONNECT_TIMEOUT_MS = 10000,
    REQUEST_TIMEOUT_MS = 60000,
    FIRST_BACKOFF_MS = 50,
    MAX_BACKOFF_SHIFT = 7, /* 6.4 s */
    FULL_WAIT_MS = 20,
    GZIP_WINDOW_BITS = 15 + 16,
    GZIP_LEVEL = 1,
    GZIP_MEMORY = 8
};

/* A message that waits in a lane. */
struct letter {
    struct letter *next;
    uint64_t tag;
    size_t n_bytes;
    uint8_t bytes[];
};

/* One request at a time; the messages of a source are all in one lane. */
struct lane {
    struct door *door;
    struct http_request *request;
    struct letter *first; /* under way, or the next */
    struct letter *last;
    int64_t resume_ms;
    uint32_t n_failures; /* in a row */
};

struct door {
    struct http_client *client;
    struct lane *lanes;
    uint32_t n_lanes;
    enum door_format format;
    bool gzip;
    int64_t max_queued_bytes;
    int64_t n_queued_bytes;
    int n_queued;
    outlet_result result;
    void *ctx;
    struct buf packed;
    struct door_stats stats;
    bool broken;
    char trouble[256];
};

/* --- bodies --- */

static bool pack_snappy(struct slice plain, struct buf *out)
{
    size_t n = snappy_max_compressed_length(plain.len);
    buf_reset(out);
    uint8_t *to = buf_extend(out, n);
    if (to == NULL ||
        snappy_compress((const char *)plain.ptr, plain.len, (char *)to, &n) != SNAPPY_OK) {
        return false;
    }
    out->len = n;
    return true;
}

static bool pack_gzip(struct slice plain, struct buf *out)
{
    z_stream z = {0};
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    size_t n = deflateBound(&z, plain.len);
    buf_reset(out);
    z.next_out = buf_extend(out, n);
    z.avail_out = (uInt)n;
    z.next_in = (uint8_t *)(uintptr_t)plain.ptr; /* zlib takes no const, and only reads */
    z.avail_in = (uInt)plain.len;
    bool ok = z.next_out != NULL && deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->len = z.total_out;
    (void)deflateEnd(&z);
    return ok;
}

static bool pack(struct door *d, struct slice plain, struct slice *out)
{
    *out = plain;
    if (d->format == DOOR_OTLP && !d->gzip) {
        return true;
    }
    bool ok =
        d->format == DOOR_OTLP ? pack_gzip(plain, &d->packed) : pack_snappy(plain, &d->packed);
    *out = buf_slice(&d->packed);
    return ok;
}

/* --- answers --- */

static void tell(struct door *d, const struct http_response *r)
{
    if (r->status == 0) {
        (void)snprintf(d->trouble, sizeof d->trouble, "%s", r->error);
        return;
    }
    size_t n = r->body.len < 160 ? r->body.len : 160;
    (void)snprintf(d->trouble, sizeof d->trouble, "status %d: %.*s", r->status, (int)n,
                   (const char *)r->body.ptr);
    for (char *c = d->trouble; *c != '\0'; c++) {
        *c = *c < ' ' || *c > '~' ? ' ' : *c;
    }
}

static void letter_end(struct lane *lane, enum outcome outcome)
{
    struct door *d = lane->door;
    struct letter *l = lane->first;
    lane->first = l->next;
    lane->resume_ms = 0;
    lane->n_failures = 0;
    d->n_queued--;
    d->n_queued_bytes -= (int64_t)l->n_bytes;
    d->result(d->ctx, l->tag, outcome);
    free(l);
}

/* The same again, later. */
static void letter_again(struct lane *lane, const struct http_response *r)
{
    uint32_t shift = lane->n_failures < MAX_BACKOFF_SHIFT ? lane->n_failures : MAX_BACKOFF_SHIFT;
    int64_t backoff_ms = (int64_t)FIRST_BACKOFF_MS << shift;
    bool asked = r->retry_after_ms > backoff_ms;
    lane->resume_ms = clock_mono_ms() + (asked ? r->retry_after_ms : backoff_ms);
    lane->n_failures++;
    /* 429 was not taken in; of all else it is not known. */
    if (r->status != 429 && r->maybe_sent) {
        lane->door->result(lane->door->ctx, lane->first->tag, OUTCOME_REPEATED);
    }
}

/* ExportMetricsServiceResponse: partial_success = 1 { rejected_data_points = 1, error_message = 2
 * }. What can't be read says nothing. */
static uint64_t rejected_points(struct slice answer)
{
    enum { PARTIAL_SUCCESS = 1 << 3 | 2, REJECTED = 1 << 3 };
    struct cursor c = cursor_of(answer);
    if (answer.len == 0 || cursor_varint(&c) != PARTIAL_SUCCESS) {
        return 0;
    }
    struct cursor inner = cursor_of(cursor_varint_bytes(&c));
    uint64_t n = cursor_ok(&c) && cursor_varint(&inner) == REJECTED ? cursor_varint(&inner) : 0;
    return cursor_ok(&inner) ? n : 0;
}

static void on_done(void *ctx, const struct http_response *r)
{
    struct lane *lane = ctx;
    struct door *d = lane->door;
    d->stats.n_requests += r->status > 0 ? 1 : 0;
    for (uint32_t i = 0; i < r->n_sent_again; i++) {
        d->result(d->ctx, lane->first->tag, OUTCOME_REPEATED);
    }
    if (r->status >= 200 && r->status < 300) {
        latency_add(&d->stats.first_byte, r->first_byte_s);
        d->stats.n_rejected += d->format == DOOR_OTLP ? rejected_points(r->body) : 0;
        letter_end(lane, OUTCOME_ACKED);
        return;
    }
    tell(d, r);
    if (r->status == 0 || r->status == 429 || r->status >= 500) {
        d->stats.n_held += r->status == 429 || r->status == 503 ? 1 : 0;
        letter_again(lane, r);
        return;
    }
    letter_end(lane, OUTCOME_REFUSED);
}

/* --- the outlet --- */

static void fail(struct door *d, const struct err *e)
{
    d->broken = true;
    (void)snprintf(d->trouble, sizeof d->trouble, "%s", e->text);
}

/* Starts what is due; how long nothing else will be, at most timeout_ms. */
static int start_due(struct door *d, int timeout_ms)
{
    struct err e = ERR_INIT;
    int64_t now_ms = clock_mono_ms();
    for (uint32_t i = 0; i < d->n_lanes && !d->broken; i++) {
        struct lane *lane = &d->lanes[i];
        if (lane->first == NULL || http_request_busy(lane->request)) {
            continue;
        }
        if (lane->resume_ms > now_ms) {
            int64_t left_ms = lane->resume_ms - now_ms;
            timeout_ms = left_ms < timeout_ms ? (int)left_ms : timeout_ms;
        } else if (!http_request_start(lane->request,
                                       slice_of(lane->first->bytes, lane->first->n_bytes), on_done,
                                       lane, &e)) {
            fail(d, &e);
        }
    }
    return timeout_ms;
}

static void door_poll(void *self, int timeout_ms)
{
    struct door *d = self;
    struct err e = ERR_INIT;
    int wait_ms = start_due(d, timeout_ms);
    if (!d->broken && !http_client_drive(d->client, -1, wait_ms, &e)) {
        fail(d, &e);
    }
    (void)start_due(d, 0);
}

/* False: see door_send. */
static bool wait_for_room(struct door *d, size_t n_bytes, struct err *e)
{
    while (!d->broken && d->n_queued > 0 &&
           d->n_queued_bytes + (int64_t)n_bytes > d->max_queued_bytes) {
        if (signals_stop_requested()) {
            return err_set(e, ERR_ABORT, "stopped while the queue was full");
        }
        door_poll(d, FULL_WAIT_MS);
    }
    return !d->broken || err_set(e, ERR_FATAL, "%s", d->trouble);
}

static bool door_send(void *self, const struct parcel *p, struct err *e)
{
    struct door *d = self;
    struct slice body;
    if (!pack(d, p->bytes, &body)) {
        return err_set(e, ERR_FATAL, "a message that can't be compressed");
    }
    if (!wait_for_room(d, body.len, e)) {
        return false;
    }
    struct letter *l = malloc(sizeof *l + body.len);
    if (l == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    *l = (struct letter){.tag = p->tag, .n_bytes = body.len};
    memcpy(l->bytes, body.ptr, body.len);
    struct lane *lane = &d->lanes[p->server % d->n_lanes];
    if (lane->first == NULL) {
        lane->first = l;
    } else {
        lane->last->next = l;
    }
    lane->last = l;
    d->n_queued++;
    d->n_queued_bytes += (int64_t)l->n_bytes;
    door_poll(d, 0);
    return true;
}

static int door_queued(const void *self)
{
    const struct door *d = self;
    return d->n_queued;
}

static const char *door_trouble(const void *self)
{
    const struct door *d = self;
    return d->trouble;
}

static void door_close(void *self)
{
    struct door *d = self;
    for (uint32_t i = 0; i < d->n_lanes; i++) {
        http_request_free(d->lanes[i].request);
        while (d->lanes[i].first != NULL) {
            letter_end(&d->lanes[i], OUTCOME_UNACKED);
        }
    }
    http_client_free(d->client);
    buf_fini(&d->packed);
    free(d->lanes);
    free(d);
}

const struct door_stats *door_stats(const struct outlet *o)
{
    const struct door *d = o->self;
    return &d->stats;
}

/* --- its opening --- */

/* The first line, without what stands around it. */
static bool token_read(const char *path, char out[MAX_TOKEN_BYTES], struct err *e)
{
    out[0] = '\0';
    if (path == NULL) {
        return true;
    }
    FILE *file = fopen(path, "r");
    bool read = file != NULL && fgets(out, MAX_TOKEN_BYTES, file) != NULL;
    if (!read) {
        err_set(e, ERR_CONFIG, "--token-file %s: %s", path,
                file == NULL ? strerror(errno) : "it is empty");
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    out[strcspn(out, " \t\r\n")] = '\0';
    return read;
}

static bool url_of(const struct door_options *o, char out[MAX_URL_BYTES], struct err *e)
{
    struct http_url parts;
    size_t len = strlen(o->url);
    if (!http_url_parse(o->url, &parts, e)) {
        return err_wrap(e, "--gateway");
    }
    while (len > 0 && o->url[len - 1] == '/') {
        len--;
    }
    const char *path = o->format == DOOR_OTLP ? "/v1/metrics" : "/api/v1/write";
    if (len + strlen(path) >= MAX_URL_BYTES) {
        return err_set(e, ERR_CONFIG, "--gateway: the URL is too long");
    }
    (void)snprintf(out, MAX_URL_BYTES, "%.*s%s", (int)len, o->url, path);
    return true;
}

static bool lanes_open(struct door *d, const struct door_options *o, const char *token,
                       struct err *e)
{
    static const char *const otlp[] = {"Content-Type: application/x-protobuf",
                                       "Content-Encoding: gzip"};
    static const char *const write[] = {"Content-Type: application/x-protobuf",
                                        "Content-Encoding: snappy",
                                        "X-Prometheus-Remote-Write-Version: 0.1.0"};
    bool is_otlp = o->format == DOOR_OTLP;
    char url[MAX_URL_BYTES];
    if (!url_of(o, url, e)) {
        return false;
    }
    const struct http_target target = {.method = "POST",
                                       .url = url,
                                       .headers = is_otlp ? otlp : write,
                                       .n_headers = is_otlp ? (o->gzip ? 2 : 1) : 3,
                                       .timeout_ms = REQUEST_TIMEOUT_MS,
                                       .bearer = token};
    d->lanes = calloc(o->n_connections, sizeof *d->lanes);
    if (d->lanes == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (; d->n_lanes < o->n_connections; d->n_lanes++) {
        struct lane *lane = &d->lanes[d->n_lanes];
        lane->door = d;
        if (!http_request_new(d->client, &target, &lane->request, e)) {
            return err_wrap(e, "--gateway");
        }
    }
    return true;
}

bool door_open(const struct door_options *o, struct outlet *out, struct err *e)
{
    char token[MAX_TOKEN_BYTES];
    const struct http_client_options client = {.user_agent = "sluice-loadgen/" SLUICE_VERSION,
                                               .ca_file = o->ca_file,
                                               .cert_file = o->cert_file,
                                               .key_file = o->key_file,
                                               .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                               .max_connections = o->n_connections,
                                               .max_response_bytes = MAX_ANSWER_BYTES};
    struct door *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    d->format = o->format;
    d->gzip = o->gzip;
    d->max_queued_bytes = o->max_queue_kbytes * 1024;
    d->result = o->result;
    d->ctx = o->ctx;
    buf_init(&d->packed, MAX_BODY_BYTES);
    if (!token_read(o->token_file, token, e) || !http_client_new(&client, &d->client, e) ||
        !lanes_open(d, o, token, e)) {
        door_close(d);
        return false;
    }
    *out = (struct outlet){.self = d,
                           .send = door_send,
                           .poll = door_poll,
                           .queued = door_queued,
                           .trouble = door_trouble,
                           .close = door_close};
    return true;
}
