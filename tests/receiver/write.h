/* One write request on its way through the recording double. */
#pragma once

#include "receiver.h"

enum { MAX_TEXT_BYTES = 64 << 20 };
static const int64_t NS_PER_MS = 1000000;

/* One write on its way through. */
struct write {
    struct receiver *rx;
    const struct incoming *in;
    struct answer *out;
    struct rules rules; /* as they were at its start */
    struct flight flight;
    struct arena arena;
    struct admission admission;
    size_t n_decoded_bytes;
    bool planned;
    bool abandoned; /* the sender closed the connection while it waited */
    int64_t delay_ms;
    int64_t hang_ms;
    int64_t retry_after_s;
};

void answer_text(struct answer *out, int status, const char *text);
/* False: out says why (415). */
bool headers_taken(const struct incoming *in, struct answer *out) MUST_CHECK;
/* Snappy block -> bytes, in the arena. On failure the status is in err.code. */
bool body_decode(struct slice body, const struct rules *r, struct arena *a, struct slice *bytes,
                 struct err *e) MUST_CHECK;

/* True when the other end has closed, within timeout_ms. */
bool peer_gone(int fd, int timeout_ms);
/* What the sender promised and did not keep, each with the lock held. */
void violations_headers(struct tally *t, const struct incoming *in);
/* Also marks the request's series as in flight. */
void violations_request(struct write *w);
void violations_late(struct write *w);
