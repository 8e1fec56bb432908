#include "store.h"

#include <stdlib.h>

enum { MAX_CONNECT_MS = 10000, MAX_ANSWER_BYTES = 4096 };

struct slot {
    struct store *store;
    struct http_request *request;
};

struct store {
    struct http_client *client;
    struct slot *slots; /* one per shard */
    uint32_t n_shards;
    void (*answered)(void *ctx, uint32_t shard, const struct sender_answer *a);
    void *ctx;
};

static const char *const headers[] = {
    "Content-Encoding: snappy",
    "Content-Type: application/x-protobuf",
    "X-Prometheus-Remote-Write-Version: 0.1.0",
};

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
    const struct http_target target = {
        .method = "POST",
        .url = o->url,
        .headers = headers,
        .n_headers = sizeof headers / sizeof headers[0],
        .timeout_ms = o->request_timeout_ms,
        .bearer = o->bearer,
        .user_password = o->user_password,
    };
    s->answered = o->answered;
    s->ctx = o->ctx;
    s->slots = calloc(o->n_shards, sizeof *s->slots);
    bool ok = s->slots != NULL || err_set(e, ERR_FATAL, "out of memory");
    ok = ok && http_client_new(&client, &s->client, e);
    for (; ok && s->n_shards < o->n_shards; s->n_shards++) {
        s->slots[s->n_shards].store = s;
        ok = http_request_new(s->client, &target, &s->slots[s->n_shards].request, e);
    }
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

static void on_done(void *ctx, const struct http_response *r)
{
    struct slot *slot = ctx;
    struct store *s = slot->store;
    const struct sender_answer answer = {
        .status = r->status,
        .maybe_sent = r->maybe_sent,
        .sent_again = r->sent_again,
        .retry_after_ms = r->retry_after_ms,
        .seconds = r->seconds,
        .body = r->body,
        .error = r->error,
    };
    s->answered(s->ctx, (uint32_t)(slot - s->slots), &answer);
}

bool store_send(struct store *s, uint32_t shard, struct slice body, struct err *e)
{
    return http_request_start(s->slots[shard].request, body, on_done, &s->slots[shard], e);
}

bool store_drive(struct store *s, int wake_fd, int timeout_ms, struct err *e)
{
    return http_client_drive(s->client, wake_fd, timeout_ms, e);
}
