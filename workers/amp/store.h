/* The store at the other end: one connection per shard at most, Remote Write 1.0's headers, and
 * those that say who asks (auth.h). */
#pragma once

#include "auth.h"
#include "http/client.h"
#include "sender.h"

struct store;

struct store_options {
    const char *url;
    const char *ca_file;
    struct auth *auth; /* the caller's, for longer than the store */
    uint32_t n_shards;
    int64_t request_timeout_ms;
    /* A shard's answer. */
    void (*answered)(void *ctx, uint32_t shard, const struct sender_answer *a);
    void *ctx;
};

bool store_new(const struct store_options *o, struct store **out, struct err *e) MUST_CHECK;
void store_free(struct store *s);
/* The body is borrowed until the answer. */
bool store_send(struct store *s, uint32_t shard, enum write_version version, struct slice body,
                struct err *e) MUST_CHECK;
bool store_drive(struct store *s, int wake_fd, int timeout_ms, struct err *e) MUST_CHECK;
