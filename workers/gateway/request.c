#include "request.h"

#include "base/clock.h"
#include "publish.h"
#include "talk.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    DRAIN_BYTES = 1 << 20, /* of a refused body that are read before the answer, so that the client hears it */
    DRAIN_UNKNOWN_BYTES = 64 << 10,
    ROOM_WAIT_MS = 1000
};

/* --- what the headers say --- */

static struct slice header(struct MHD_Connection *c, const char *name)
{
    const char *value = NULL;
    size_t len = 0;
    if (MHD_lookup_connection_value_n(c, MHD_HEADER_KIND, name, strlen(name), &value, &len) != MHD_YES ||
        value == NULL) {
        return SLICE_NONE;
    }
    return slice_of(value, len);
}

struct counting {
    const char *name;
    int n;
};

static enum MHD_Result count_name(void *counting, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct counting *c = counting;
    (void)kind;
    (void)value;
    c->n += strcasecmp(name, c->name) == 0;
    return MHD_YES;
}

/* A header that is there twice is a list in two lines. */
static bool is_repeated(struct MHD_Connection *c, const char *name)
{
    struct counting counting = {.name = name};
    (void)MHD_get_connection_values(c, MHD_HEADER_KIND, count_name, &counting);
    return counting.n > 1;
}

/* The body's announced length; UINT64_MAX: it comes in chunks. */
static uint64_t announced_bytes(struct MHD_Connection *c)
{
    struct slice length = header(c, "Content-Length");
    if (header(c, "Transfer-Encoding").len > 0) {
        return UINT64_MAX;
    }
    /* libmicrohttpd has checked it. */
    return length.len == 0 ? 0 : strtoull((const char *)length.ptr, NULL, 10);
}

static const struct certificate *certificate_of(const struct request *r)
{
    if (!r->peer->is_tls) {
        return NULL;
    }
    if (!r->peer->identified) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        if (info != NULL) {
            certificate_read(info->tls_session, &r->peer->certificate);
        }
        r->peer->identified = true;
    }
    return &r->peer->certificate;
}

/* --- before the body --- */

static bool route(struct request *r, const char *url, const char *method)
{
    const struct route_headers h = {
        .method = slice_str(method),
        .path = slice_str(url),
        .content_type = header(r->connection, "Content-Type"),
        .content_encoding = is_repeated(r->connection, "Content-Encoding")
                                ? SLICE_LITERAL("several")
                                : header(r->connection, "Content-Encoding"),
    };
    bool ok = route_look(&h, &r->routed, &r->answer);
    r->outcome.route = r->routed.route;
    return ok;
}

static bool identify(struct request *r)
{
    const struct credentials who = {
        .authorization = header(r->connection, "Authorization"),
        .named = {header(r->connection, "sluice-tenant"), header(r->connection, "X-Scope-OrgID")},
        .certificate = certificate_of(r),
    };
    bool ok = directory_identify(r->service->directory, &who, clock_now_ms(), &r->tenant, &r->answer);
    r->outcome.tenant = r->tenant->name;
    return ok;
}

static bool refuse_for_now(struct request *r, const char *why)
{
    answer_refuse(&r->answer, 503, REASON_OVERLOADED, "%s; send it again later", why);
    r->answer.retry_after_s = directory_retry_after(r->service->directory, ROOM_WAIT_MS);
    return false;
}

static bool admit(struct request *r)
{
    struct service *s = r->service;
    uint64_t n = announced_bytes(r->connection);
    if (!directory_admit(s->directory, r->tenant, clock_mono_ms(), &r->answer)) {
        return false;
    }
    if (n != UINT64_MAX && n > s->max_body_bytes) {
        answer_refuse(&r->answer, 413, REASON_TOO_LARGE, "the body has %" PRIu64 " bytes, %zu are taken; send it in parts",
                      n, s->max_body_bytes);
        return false;
    }
    if (!load_begin(&s->load, r->tenant)) {
        return refuse_for_now(r, "the gateway has as many requests under way as it may");
    }
    r->is_loaded = true;
    return load_has_room(&s->load, r->tenant, n == UINT64_MAX ? 0 : (size_t)n) ||
           refuse_for_now(r, "the gateway has as many bytes under way as it may");
}

static enum MHD_Result linger(struct request *r)
{
    talk_now(r);
    r->state = REQUEST_LINGERS;
    return peers_enter(r->service->peers, r->peer, PEER_LINGERS, clock_mono_ms()) ? MHD_YES : MHD_NO;
}

/* The answer is there already. So that the client hears it, its body is read, if it is not too
 * much: closing with bytes unread would reset the connection, and take the answer along. */
static enum MHD_Result refuse(struct request *r)
{
    uint64_t n = announced_bytes(r->connection);
    bool is_known = r->tenant != directory_nobody(r->service->directory);
    r->state = REQUEST_REFUSED;
    r->n_to_discard = is_known ? DRAIN_BYTES : DRAIN_UNKNOWN_BYTES;
    if (n > 0 && header(r->connection, "Expect").len > 0) {
        return talk_answer(r); /* it waits for a word before it sends the body */
    }
    return n != UINT64_MAX && n > r->n_to_discard ? linger(r) : MHD_YES;
}

static enum MHD_Result begin(struct lane *lane, struct MHD_Connection *c, const char *url, const char *method,
                             void **state)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct request *r = info == NULL || info->socket_context == NULL ? NULL : calloc(1, sizeof *r);
    if (r == NULL) {
        return MHD_NO;
    }
    r->service = lane->service;
    r->lane = lane;
    r->connection = c;
    r->peer = info->socket_context;
    r->tenant = directory_nobody(r->service->directory);
    r->outcome.tenant = r->tenant->name;
    buf_init(&r->body, r->service->max_body_bytes);
    *state = r;
    if (!peers_enter(r->service->peers, r->peer, PEER_BODY, clock_mono_ms())) {
        return MHD_NO;
    }
    return route(r, url, method) && identify(r) && admit(r) ? MHD_YES : refuse(r);
}

/* --- the body --- */

static bool take(struct request *r, struct slice piece)
{
    struct service *s = r->service;
    size_t before = r->body.cap;
    if (!load_has_room(&s->load, r->tenant, piece.len)) {
        return refuse_for_now(r, "the gateway has as many bytes under way as it may");
    }
    buf_put_slice(&r->body, piece);
    load_add(&s->load, r->tenant, r->body.cap - before);
    r->n_body_bytes_loaded += r->body.cap - before;
    if (!buf_ok(&r->body)) {
        answer_refuse(&r->answer, 413, REASON_TOO_LARGE, "the body has more than %zu bytes; send it in parts",
                      s->max_body_bytes);
        return false;
    }
    return true;
}

static enum MHD_Result receive(struct request *r, struct slice piece)
{
    r->outcome.n_received_bytes += piece.len;
    switch (r->state) {
    case REQUEST_RECEIVES:
        if (take(r, piece)) {
            return MHD_YES;
        }
        publish_drop_body(r);
        r->state = REQUEST_REFUSED;
        r->n_to_discard = DRAIN_BYTES;
        return MHD_YES;
    case REQUEST_REFUSED:
        if (piece.len <= r->n_to_discard) {
            r->n_to_discard -= piece.len;
            return MHD_YES;
        }
        return linger(r);
    default:
        return MHD_YES;
    }
}

static enum MHD_Result end_of_body(struct request *r)
{
    if (r->state == REQUEST_LINGERS || !peers_enter(r->service->peers, r->peer, PEER_ANSWERING, clock_mono_ms())) {
        return MHD_NO;
    }
    r->body_end_ns = clock_mono_ns();
    if (r->state == REQUEST_RECEIVES && atomic_load(&r->service->closed)) {
        r->state = REQUEST_REFUSED;
        (void)refuse_for_now(r, "the gateway is ending");
    }
    return r->state == REQUEST_REFUSED || publish_request(r) ? talk_answer(r) : MHD_YES;
}

enum MHD_Result request_on(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                           const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    struct request *r = *state;
    (void)version;
    if (r == NULL) {
        return begin(ctx, c, url, method, state);
    }
    if (*upload_bytes > 0) {
        struct slice piece = slice_of(upload, *upload_bytes);
        *upload_bytes = 0;
        return receive(r, piece);
    }
    if (r->state == REQUEST_FLIES) {
        publish_outcome(r);
        return talk_answer(r);
    }
    return end_of_body(r);
}

/* --- the end --- */

void request_over(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
    struct request *r = *state;
    (void)ctx;
    (void)c;
    (void)code;
    if (r == NULL) {
        return;
    }
    *state = NULL;
    if (!r->is_answered) {
        r->outcome.status = r->peer->cut ? 408 : 499;
        r->outcome.refused = r->peer->cut ? REASON_TOO_SLOW : REASON_NONE;
        r->outcome.n_in = 0; /* nobody was told; what was sent on comes again, or not */
    }
    directory_count(r->service->directory, &r->outcome);
    publish_drop_body(r);
    if (r->is_loaded) {
        load_end(&r->service->load, r->tenant);
    }
    (void)peers_enter(r->service->peers, r->peer, PEER_IDLE, clock_mono_ms());
    if (r->flight.flights == NULL) {
        request_free(&r->flight);
    } else {
        flight_leave(&r->flight);
    }
}

void request_landed(void *service, struct flight *f)
{
    struct service *s = service;
    load_remove(&s->load, ((struct request *)(uintptr_t)f)->tenant, f->n_bytes);
}

void request_free(struct flight *f)
{
    struct request *r = (struct request *)(uintptr_t)f;
    buf_fini(&r->body);
    free(r);
}

/* --- the connection --- */

void *request_begins(void *ctx, const char *uri, struct MHD_Connection *c)
{
    struct lane *lane = ctx;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    (void)uri;
    if (info != NULL && info->socket_context != NULL) {
        (void)peers_enter(lane->service->peers, info->socket_context, PEER_HEAD, clock_mono_ms());
    }
    return NULL;
}

void connection_changed(void *ctx, struct MHD_Connection *c, void **peer, enum MHD_ConnectionNotificationCode code)
{
    struct lane *lane = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *peer = info == NULL ? NULL : peers_begin(lane->service->peers, info->connect_fd);
    } else if (*peer != NULL) {
        peers_remove(lane->service->peers, *peer);
        *peer = NULL;
    }
}
