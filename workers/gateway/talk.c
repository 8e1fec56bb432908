#include "talk.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_MAX_BYTES = 8192, NUMBER_BYTES = 24, RAW_MAX_BYTES = 16384 };

/* A header line, for whichever way the answer goes. */
struct heading {
    const char *name;
    char value[96];
};
enum { MAX_HEADINGS = 10 };

static void heading_add(struct heading *h, int *n, const char *name, const char *value)
{
    h[*n].name = name;
    (void)snprintf(h[*n].value, sizeof h[*n].value, "%s", value);
    ++*n;
}

static void heading_add_number(struct heading *h, int *n, const char *name, uint64_t value)
{
    char text[NUMBER_BYTES];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    heading_add(h, n, name, text);
}

static int headings(const struct request *r, struct heading h[MAX_HEADINGS])
{
    const struct answer *a = &r->answer;
    int n = 0;
    if (a->status != 204) {
        heading_add(h, &n, "Content-Type", answer_content_type(r->routed.form));
    }
    if (a->reason != REASON_NONE) {
        heading_add(h, &n, "X-Sluice-Reason", reason_name(a->reason));
    }
    if (a->retry_after_s > 0) {
        heading_add_number(h, &n, "Retry-After", (uint64_t)a->retry_after_s);
    }
    if (a->says_written) {
        heading_add_number(h, &n, "X-Prometheus-Remote-Write-Samples-Written", a->n_scalars);
        heading_add_number(h, &n, "X-Prometheus-Remote-Write-Histograms-Written", a->n_histograms);
        heading_add_number(h, &n, "X-Prometheus-Remote-Write-Exemplars-Written", 0);
    }
    if (a->status == 401) {
        heading_add(h, &n, "WWW-Authenticate", "Bearer realm=\"sluice\"");
    }
    if (a->status == 405) {
        heading_add(h, &n, "Allow", "POST");
    }
    return n;
}

static void note_answer(struct request *r)
{
    r->is_answered = true;
    r->outcome.status = r->answer.status;
    r->outcome.answer_ns = r->body_end_ns == 0 ? 0 : clock_mono_ns() - r->body_end_ns;
    if (r->answer.status >= 300 && !(r->answer.status == 400 && r->outcome.n_in > 0)) {
        r->outcome.refused = r->answer.reason;
    }
}

static void body_of(const struct request *r, struct buf *body)
{
    buf_init(body, BODY_MAX_BYTES);
    if (r->answer.status != 204) {
        answer_body(&r->answer, r->routed.form, body);
    }
    if (!buf_ok(body)) {
        buf_reset(body);
    }
}

enum MHD_Result talk_answer(struct request *r)
{
    struct heading h[MAX_HEADINGS];
    struct buf body;
    size_t len;
    body_of(r, &body);
    uint8_t *bytes = buf_take(&body, &len);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        len, bytes, len == 0 ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
    if (response == NULL || len == 0) {
        free(bytes);
    }
    if (response == NULL) {
        return MHD_NO;
    }
    int n = headings(r, h);
    for (int i = 0; i < n; i++) {
        (void)MHD_add_response_header(response, h[i].name, h[i].value);
    }
    if (atomic_load(&r->lane->retired) || atomic_load(&r->service->draining)) {
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    enum MHD_Result result = MHD_queue_response(r->connection, r->answer.status, response);
    MHD_destroy_response(response);
    note_answer(r);
    return result;
}

static void raw_of(const struct request *r, struct buf *out)
{
    struct heading h[MAX_HEADINGS];
    struct buf body;
    body_of(r, &body);
    buf_printf(out, "HTTP/1.1 %u %s\r\n", r->answer.status, MHD_get_reason_phrase_for(r->answer.status));
    int n = headings(r, h);
    for (int i = 0; i < n; i++) {
        buf_printf(out, "%s: %s\r\n", h[i].name, h[i].value);
    }
    buf_printf(out, "Connection: close\r\nContent-Length: %zu\r\n\r\n", body.len);
    buf_put_slice(out, buf_slice(&body));
    buf_fini(&body);
}

void talk_now(struct request *r)
{
    struct buf raw;
    buf_init(&raw, RAW_MAX_BYTES);
    raw_of(r, &raw);
    const union MHD_ConnectionInfo *tls =
        r->peer->is_tls ? MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    /* A few hundred bytes on a connection that nothing was written to: they fit, or it is broken. */
    if (buf_ok(&raw) && tls != NULL) {
        (void)gnutls_record_send(tls->tls_session, raw.ptr, raw.len);
        (void)gnutls_bye(tls->tls_session, GNUTLS_SHUT_WR);
    } else if (buf_ok(&raw) && !r->peer->is_tls) {
        (void)send(r->peer->fd, raw.ptr, raw.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)shutdown(r->peer->fd, SHUT_WR);
    }
    buf_fini(&raw);
    note_answer(r);
}
