#include "write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "text.h"

enum { MAX_ARENA_BYTES = 1 << 30, WAIT_SLICE_MS = 50 };

/* False when the sender went away first. */
static bool wait_ms(struct receiver *rx, int fd, int64_t timeout_ms)
{
    int64_t end_ms = clock_mono_ms() + timeout_ms;
    for (int64_t left = timeout_ms; left > 0; left = end_ms - clock_mono_ms()) {
        if (atomic_load(&rx->stopping) ||
            peer_gone(fd, left < WAIT_SLICE_MS ? (int)left : WAIT_SLICE_MS)) {
            return false;
        }
    }
    return true;
}

/* The plan's step for this request, if any; the texts of its series are made for it. */
static const struct plan_step *plan_step_for(struct write *w)
{
    const struct admission *ad = &w->admission;
    struct receiver *rx = w->rx;
    size_t n = ad->request->n_timeseries;
    const char **texts = ARENA_ARRAY(&w->arena, const char *, n);
    if (!plan_waits(&rx->plan) || texts == NULL) {
        return NULL;
    }
    struct buf text;
    buf_init(&text, MAX_TEXT_BYTES);
    for (size_t i = 0; i < n; i++) {
        buf_reset(&text);
        text_series(&text, slice_of(ad->series[i]->key, ad->series[i]->key_len));
        buf_u8(&text, '\0');
        struct slice copy = arena_copy(&w->arena, buf_slice(&text));
        texts[i] = copy.ptr == NULL ? "" : (const char *)copy.ptr;
    }
    buf_fini(&text);
    return plan_take(&rx->plan, texts, n, (int64_t)(ad->n_samples + ad->n_histograms));
}

/* A token bucket of samples; false beyond the rate. */
static bool rate_take(struct receiver *rx, const struct rules *r, size_t n_samples)
{
    if (r->samples_per_s <= 0) {
        return true;
    }
    int64_t now_ns = clock_mono_ns();
    double burst = (double)(r->burst_samples > 0 ? r->burst_samples : r->samples_per_s);
    double fresh = (double)(now_ns - rx->rate_ns) / 1e9 * (double)r->samples_per_s;
    double tokens = rx->rate_ns == 0 ? burst : rx->rate_tokens + fresh;
    rx->rate_tokens = tokens < burst ? tokens : burst;
    rx->rate_ns = now_ns;
    if (rx->rate_tokens < (double)n_samples) {
        return false;
    }
    rx->rate_tokens -= (double)n_samples;
    return true;
}

static int refusal_status(const struct rules *r, enum reason reason)
{
    switch (reason) {
    case REASON_TOO_OLD:
    case REASON_OUT_OF_BOUNDS:
    case REASON_SAMPLE_AGE:
        return (int)r->too_old_status;
    case REASON_LABEL_TWICE:
        return (int)r->duplicate_label_status;
    default:
        return 400;
    }
}

static void refusal_answer(struct write *w)
{
    const struct admission *ad = &w->admission;
    struct buf *body = &w->out->body;
    answer_text(w->out, refusal_status(&w->rules, ad->first), "");
    if (ad->limit_hit) {
        w->out->status = 400;
        return; /* AMP says nothing then */
    }
    if (!w->rules.name_series) {
        buf_printf(body, "%s\n", reason_text(ad->first));
        return;
    }
    buf_printf(body, "user=double: err: %s. timestamp=", reason_text(ad->first));
    text_time(body, ad->first_ms);
    buf_printf(body, ", series=");
    text_series(body, slice_of(ad->first_series->key, ad->first_series->key_len));
    buf_printf(body, "\n");
}

static void samples_take(struct write *w)
{
    struct receiver *rx = w->rx;
    struct admission *ad = &w->admission;
    size_t n_all = ad->n_samples + ad->n_histograms;
    if (!rate_take(rx, &w->rules, n_all)) {
        answer_text(w->out, 429, "");
        buf_printf(&w->out->body,
                   "ingestion rate limit (%" PRId64 ") exceeded while adding %zu samples\n",
                   w->rules.samples_per_s, n_all);
        w->retry_after_s = w->rules.retry_after_s;
        if (w->retry_after_s >= 0) {
            snprintf(w->out->retry_after, sizeof w->out->retry_after, "%" PRId64, w->retry_after_s);
        }
        rx->tally.n_unstored += n_all;
        return;
    }
    ad->now_ms = w->rules.now_ms > 0 ? w->rules.now_ms : clock_now_ms();
    admission_take(ad, &rx->store, &w->rules);
    tally_admission(&rx->tally, ad);
    violations_late(w);
    if (ad->n_refused > 0) {
        refusal_answer(w);
    } else {
        answer_text(w->out, (int)w->rules.ok_status, "");
    }
}

static void plan_apply(struct write *w, const struct plan_step *step)
{
    struct answer *out = w->out;
    w->planned = true;
    w->delay_ms += step->delay_ms;
    w->hang_ms = step->action == PLAN_HANG ? step->hang_ms : 0;
    out->truncated = step->truncate;
    out->closed = step->action == PLAN_RESET || step->action == PLAN_HANG;
    if (step->action == PLAN_PASS || step->store) {
        samples_take(w);
    } else {
        w->rx->tally.n_unstored += w->admission.n_samples + w->admission.n_histograms;
    }
    if (step->action == PLAN_STATUS) {
        char text[64];
        snprintf(text, sizeof text, "planned answer %d\n", (int)step->status);
        answer_text(out, (int)step->status, step->body != NULL ? step->body : text);
        snprintf(out->retry_after, sizeof out->retry_after, "%s",
                 step->retry_after != NULL ? step->retry_after : "");
        w->retry_after_s = step->retry_after_s;
    }
}

/* protobuf-c's memory comes from the request's arena. */
static void *arena_alloc_for_pb(void *arena, size_t n_bytes)
{
    return arena_alloc(arena, n_bytes);
}

static void arena_free_for_pb(void *arena, void *piece)
{
    (void)arena;
    (void)piece;
}

static bool request_decode(struct write *w, struct err *e)
{
    ProtobufCAllocator allocator = {arena_alloc_for_pb, arena_free_for_pb, &w->arena};
    struct slice bytes;
    if (w->in->too_large) {
        return err_set_code(e, ERR_BAD_INPUT, 413, "request body too large");
    }
    if (!body_decode(w->in->body, &w->rules, &w->arena, &bytes, e)) {
        return false;
    }
    w->n_decoded_bytes = bytes.len;
    static const uint8_t nothing[1] = {0};
    const Prometheus__WriteRequest *request = prometheus__write_request__unpack(
        &allocator, bytes.len, bytes.len > 0 ? bytes.ptr : nothing);
    if (request == NULL) {
        return err_set_code(e, ERR_BAD_INPUT, 400, "proto: illegal WriteRequest");
    }
    if (!admission_init(&w->admission, request, &w->rules, &w->arena, e)) {
        e->code = 503;
        return false;
    }
    return true;
}

static void request_count(struct tally *t, const struct admission *ad)
{
    t->n_samples += ad->n_samples;
    t->n_histograms += ad->n_histograms;
    t->n_metadata += ad->request->n_metadata;
    for (size_t i = 0; i < ad->request->n_timeseries; i++) {
        t->n_exemplars += ad->request->timeseries[i]->n_exemplars;
    }
}

static void decode_refused(struct write *w, const struct err *e)
{
    struct tally *t = &w->rx->tally;
    bool protobuf = strncmp(e->text, "proto", 5) == 0;
    if (e->kind == ERR_BAD_INPUT) {
        tally_violation(t, protobuf ? VIOLATION_protobuf : VIOLATION_snappy, 1,
                        "request %" PRIu32 ": %s", w->flight.request, e->text);
    }
    answer_text(w->out, e->code, e->text);
    buf_printf(&w->out->body, "\n");
}

static void request_judge(struct write *w)
{
    struct err e = ERR_INIT;
    request_count(&w->rx->tally, &w->admission);
    if (!admission_series(&w->admission, &w->rx->store, &e)) {
        answer_text(w->out, 503, e.text);
        return;
    }
    violations_request(w);
    const struct plan_step *step = plan_step_for(w);
    if (step != NULL) {
        plan_apply(w, step);
    } else {
        samples_take(w);
    }
}

static void write_begin(struct write *w)
{
    struct receiver *rx = w->rx;
    struct tally *t = &rx->tally;
    w->rules = rx->rules;
    w->delay_ms = w->rules.latency_ms;
    t->n_requests += 1;
    t->n_bytes += w->in->body.len;
    t->n_in_flight += 1;
    t->max_in_flight = t->n_in_flight > t->max_in_flight ? t->n_in_flight : t->max_in_flight;
    w->flight = (struct flight){w->in->fd, (uint32_t)t->n_requests, w->in->start_ns};
    w->admission.number = w->flight.request;
    violations_headers(t, w->in);
}

static void write_end(struct write *w)
{
    const struct admission *ad = &w->admission;
    int64_t end_ns = clock_mono_ns();
    bool admitted = ad->request != NULL && ad->series != NULL;
    size_t n_series = admitted ? ad->request->n_timeseries : 0;
    for (size_t i = 0; i < n_series && ad->series[i] != NULL; i++) {
        struct series *series = ad->series[i];
        if (series->flight == &w->flight) {
            series->flight = NULL;
            series->flight_end_ns = w->abandoned ? 0 : end_ns;
        }
        series->not_before_ns =
            w->retry_after_s > 0 ? end_ns + w->retry_after_s * 1000 * NS_PER_MS : 0;
    }
    w->rx->tally.n_in_flight -= 1;
    w->rx->tally.n_decoded_bytes += w->n_decoded_bytes;
    struct request_log log = {.start_ns = w->in->start_ns,
                              .end_ns = end_ns,
                              .number = ad->number,
                              .n_series = (uint32_t)n_series,
                              .n_samples = (uint32_t)ad->n_samples,
                              .n_histograms = (uint32_t)ad->n_histograms,
                              .n_refused = (uint32_t)ad->n_refused,
                              .n_bytes = (uint32_t)w->in->body.len,
                              .status = w->out->closed ? 0 : (uint16_t)w->out->status,
                              .planned = w->planned};
    tally_request(&w->rx->tally, &log);
}

void write_record(struct receiver *rx, const struct incoming *in, struct answer *out)
{
    struct write w = {.rx = rx, .in = in, .out = out};
    struct err e = ERR_INIT;
    arena_init(&w.arena, MAX_ARENA_BYTES);
    pthread_mutex_lock(&rx->lock);
    write_begin(&w);
    pthread_mutex_unlock(&rx->lock);
    bool taken = headers_taken(in, out);
    bool decoded = taken && request_decode(&w, &e);
    pthread_mutex_lock(&rx->lock);
    if (decoded) {
        request_judge(&w);
    } else if (taken) {
        decode_refused(&w, &e);
    }
    pthread_mutex_unlock(&rx->lock);
    if (w.delay_ms + w.hang_ms > 0) {
        w.abandoned = !wait_ms(rx, in->fd, w.delay_ms + w.hang_ms);
    }
    pthread_mutex_lock(&rx->lock);
    write_end(&w);
    pthread_mutex_unlock(&rx->lock);
    arena_fini(&w.arena);
}
