#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

enum {
    MAX_CONNECT_MS = 10000,
    MAX_ANSWER_BYTES = 4096,
    TELLING_SKEW_MS = 60000 /* AWS refuses from 5 minutes on */
};

struct slot {
    struct store *store;
    struct http_request *request;
    enum write_version version; /* of the headers set */
    bool unsent;       /* there was nothing to sign with: answered in the next store_drive */
    char trouble[240]; /* … why */
};

struct store {
    struct http_client *client;
    struct slot *slots; /* one per shard */
    uint32_t n_shards;
    uint32_t n_unsent;
    struct auth *auth;
    void (*answered)(void *ctx, uint32_t shard, const struct sender_answer *a);
    void *ctx;
};

enum { N_HEADERS = 3 };
static const char *const headers_of[][N_HEADERS] = {
    [WRITE_1] = {"Content-Encoding: snappy", "Content-Type: application/x-protobuf",
                 "X-Prometheus-Remote-Write-Version: 0.1.0"},
    [WRITE_2] = {"Content-Encoding: snappy",
                 "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
                 "X-Prometheus-Remote-Write-Version: 2.0.0"},
};

static bool slots_open(struct store *s, const struct store_options *o, struct err *e)
{
    struct http_target target = {
        .method = "POST",
        .url = o->url,
        .headers = headers_of[WRITE_1],
        .n_headers = N_HEADERS,
        .timeout_ms = o->request_timeout_ms,
        .user_password = auth_user_password(o->auth),
    };
    const struct auth_request plain = {.headers = headers_of[WRITE_1], .n_headers = N_HEADERS};
    bool ok = auth_is_per_request(o->auth) ||
              auth_headers(o->auth, &plain, &target.headers, &target.n_headers, e);
    for (; ok && s->n_shards < o->n_shards; s->n_shards++) {
        s->slots[s->n_shards].store = s;
        ok = http_request_new(s->client, &target, &s->slots[s->n_shards].request, e);
    }
    return ok;
}

bool store_new(const struct store_options *o, struct store **out, struct err *e)
{
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    const struct http_client_options client = {
        .user_agent = "sluice/" SLUICE_VERSION,
        .ca_file = o->ca_file,
        .connect_timeout_ms =
            o->request_timeout_ms < MAX_CONNECT_MS ? o->request_timeout_ms : MAX_CONNECT_MS,
        .max_connections = o->n_shards,
        .max_response_bytes = MAX_ANSWER_BYTES,
    };
    s->auth = o->auth;
    s->answered = o->answered;
    s->ctx = o->ctx;
    s->slots = calloc(o->n_shards, sizeof *s->slots);
    bool ok = s->slots != NULL || err_set(e, ERR_FATAL, "out of memory");
    ok = ok && http_client_new(&client, &s->client, e) && slots_open(s, o, e);
    if (!ok) {
        store_free(s);
        return false;
    }
    *out = s;
    return true;
}

void store_free(struct store *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->n_shards; i++) {
        http_request_free(s->slots[i].request);
    }
    http_client_free(s->client);
    free(s->slots);
    free(s);
}

/* What else can be the reason of a denial: our clock, credentials that could not be renewed. */
static void advise(struct store *s, const struct http_response *r, char *out, size_t n_out)
{
    int64_t date_ms = http_response_date_ms(r);
    int64_t ahead_ms = date_ms == 0 ? 0 : date_ms - clock_now_ms();
    const char *trouble = auth_trouble(s->auth);
    out[0] = '\0';
    if (ahead_ms > TELLING_SKEW_MS || ahead_ms < -TELLING_SKEW_MS) {
        (void)snprintf(out, n_out, "our clock is %lld s %s the store's",
                       (long long)(ahead_ms < 0 ? -ahead_ms : ahead_ms) / 1000,
                       ahead_ms > 0 ? "behind" : "ahead of");
    }
    size_t n = strlen(out);
    (void)snprintf(out + n, n_out - n, "%s%s", n > 0 && trouble[0] != '\0' ? "; " : "", trouble);
}

static bool counts_written(const struct http_response *r)
{
    return http_response_header(r, "X-Prometheus-Remote-Write-Samples-Written") != NULL ||
           http_response_header(r, "X-Prometheus-Remote-Write-Histograms-Written") != NULL ||
           http_response_header(r, "X-Prometheus-Remote-Write-Exemplars-Written") != NULL;
}

static void on_done(void *ctx, const struct http_response *r)
{
    struct slot *slot = ctx;
    struct store *s = slot->store;
    char advice[240] = "";
    const char *type = r->status == 400 ? http_response_header(r, "x-amzn-ErrorType") : NULL;
    bool denied = auth_is_denial(s->auth, r->status, type);
    if (denied) {
        advise(s, r, advice, sizeof advice);
        auth_renew(s->auth);
    }
    const struct sender_answer answer = {
        .status = r->status,
        .maybe_sent = r->maybe_sent,
        .sent_again = r->n_sent_again > 0,
        .retry_after_ms = r->retry_after_ms,
        .seconds = r->seconds,
        .body = auth_mask(s->auth, r->body),
        .error = r->error,
        .counts_written = slot->version == WRITE_2 && counts_written(r),
        .denied = denied,
        .advice = advice,
    };
    s->answered(s->ctx, (uint32_t)(slot - s->slots), &answer);
}

/* The headers of this sending; true and slot->unsent when there are no credentials now. */
static bool dress(struct slot *slot, struct slice body, struct err *e)
{
    struct store *s = slot->store;
    const struct auth_request r = {.headers = headers_of[slot->version],
                                   .n_headers = N_HEADERS,
                                   .body = body,
                                   .now_ms = clock_now_ms()};
    const char *const *all;
    size_t n;
    if (auth_headers(s->auth, &r, &all, &n, e)) {
        return http_request_set_headers(slot->request, all, n, e);
    }
    if (e->kind != ERR_RETRY) {
        return false;
    }
    (void)snprintf(slot->trouble, sizeof slot->trouble, "%s", e->text);
    slot->unsent = true;
    s->n_unsent++;
    return true;
}

static void answer_unsent(struct store *s)
{
    for (uint32_t i = 0; s->n_unsent > 0 && i < s->n_shards; i++) {
        if (s->slots[i].unsent) {
            const struct sender_answer answer = {
                .error = s->slots[i].trouble, .denied = true, .advice = ""};
            s->slots[i].unsent = false;
            s->n_unsent--;
            s->answered(s->ctx, i, &answer);
        }
    }
}

bool store_send(struct store *s, uint32_t shard, enum write_version version, struct slice body,
                struct err *e)
{
    struct slot *slot = &s->slots[shard];
    bool other = slot->version != version;
    slot->version = version;
    if ((other || auth_is_per_request(s->auth)) && (!dress(slot, body, e) || slot->unsent)) {
        return slot->unsent;
    }
    return http_request_start(slot->request, body, on_done, slot, e);
}

bool store_drive(struct store *s, int wake_fd, int timeout_ms, struct err *e)
{
    bool any_unsent = s->n_unsent > 0;
    answer_unsent(s);
    return http_client_drive(s->client, wake_fd, any_unsent ? 0 : timeout_ms, e);
}
