/* Delivers scrapes to a store: shards by source, one request of a shard under way, so that each
 * series' points arrive in order; retries, bisection of refused requests, series that wait for the
 * store's limit. Pure: no Kafka, no HTTP, no clock; it is told answers and the time.
 *
 *   sender_take ──► shard queues ──► hooks.send … sender_answer ──► release | dead_letter
 *
 * Is a refused point the store's already? Then it is counted as such, and never dead-lettered.
 * What lies with the point itself (labels, a histogram, a time ahead) goes to the DLQ always. Else:
 *   there   its offset lies below the partition's end at the assignment, or it was in a request
 *           whose outcome is unknown (5xx, 429, no answer, curl sent it twice);
 *   maybe   it was in a refused request, of which a store may keep the good part. For the newest
 *           point of its series that changes nothing: a store takes that again in silence. But the
 *           time may be taken, the window may have moved on, or a newer one was in the request. So
 *           it counts as there, unless the very first refusal named it, or named as too old a
 *           newer one (stores: Prometheus, Cortex; the window counts from the store's newest). */
#pragma once

#include "gap.h"
#include "metadata.h"
#include "newest.h"
#include "pack.h"
#include "parked.h"
#include "verdict.h"

struct sender;

/* auto: 2.0 until the store answers that it knows 1.0 only (415, or no counts of what it wrote). */
enum sender_protocol { PROTOCOL_1, PROTOCOL_2, PROTOCOL_AUTO };

struct sender_options {
    enum sender_protocol protocol;
    uint32_t n_shards;
    uint32_t max_samples; /* points per request */
    size_t max_bytes;     /* of a request before compression, about */
    int64_t batch_deadline_ms;
    int64_t min_backoff_ms;
    int64_t max_backoff_ms;
    int64_t max_retry_after_ms; /* a longer Retry-After is cut to this */
    bool bisect;                /* false: a refused request is given up as a whole */
    int64_t limited_wait_ms;    /* points that wait for the series limit go to the DLQ then */
    size_t max_queued_samples;
    size_t max_queued_bytes;
    size_t max_known_bytes; /* of the set of known series */
    /* What is not sent, since the store would refuse it (precheck.c). */
    size_t max_newest_bytes;   /* of what is known of series' newest samples */
    int64_t max_sample_age_ms; /* older ones are gaps; 0 = any age */
    int64_t
        out_of_order_ms; /* further behind its series goes to the DLQ; 0 = is the store's to say */
    bool check_names;    /* names of metrics and labels, too */
    uint64_t seed;       /* of the jitter */
    /* Only in tests: faults that they must see (worker.h). */
    bool fault_no_retry;
    bool fault_no_gaps;
    bool fault_unordered;
};

/* A point that the store will not take, ever. Borrowed for the call. */
struct letter {
    const struct scrape *scrape;
    uint32_t point;
    int64_t time_ms;
    const char *reason;
    const char *text; /* the store's words */
};

/* What happened that an operator should know; text is the store's or curl's. */
enum notice {
    NOTICE_AUTH,
    NOTICE_MISROUTED,
    NOTICE_LIMITED,
    NOTICE_NOT_LIMITED,
    NOTICE_REFUSED,
    NOTICE_FALLBACK
};

struct sender_hooks {
    void *ctx;
    /* Sends; the body is borrowed until sender_answer was called for the shard. */
    bool (*send)(void *ctx, uint32_t shard, enum write_version version, struct slice body,
                 struct err *e);
    /* Everything of this offset is delivered or accounted. */
    void (*release)(void *ctx, struct partition *p, int64_t offset);
    bool (*dead_letter)(void *ctx, const struct letter *l, struct err *e);
    /* One more release will come for this offset. */
    void (*hold)(void *ctx, const struct partition *p, int64_t offset);
    /* Writes it; its first_offset is held until then. */
    bool (*gap)(void *ctx, const struct gap *g, struct err *e);
    bool (*owns)(void *ctx, const struct partition *p);
    void (*notice)(void *ctx, enum notice notice, int status, const char *text);
};

/* Waiting goes by a clock that never steps, ages by the wall's. */
struct moment {
    int64_t mono_ms;
    int64_t wall_ms;
};

struct sender_answer {
    int status;      /* 0 = none */
    bool maybe_sent; /* with status 0: could it have reached the store? */
    bool sent_again;
    int64_t retry_after_ms;
    double seconds;
    struct slice body;
    const char *error;   /* with status 0 */
    bool counts_written; /* it has a header X-Prometheus-Remote-Write-…-Written */
    bool denied;         /* about who asks (401, 403, …), or there was nothing to ask with */
    const char *advice;  /* with denied: what to look at besides; "" = nothing */
};

/* What the step knows; lives as long as the sender. */
struct sender_lore {
    const struct table *shapes; /* the cache, struct wire_shape by key */
    struct metadata *metadata;
};

bool sender_new(const struct sender_options *o, const struct sender_hooks *hooks, struct metrics *m,
                const struct sender_lore *lore, struct sender **out, struct err *e) MUST_CHECK;
void sender_free(struct sender *s);

/* Takes the scrape over; it is freed before its offset is released. taken_ms is set here. */
void sender_take(struct sender *s, struct scrape *scrape, struct moment now);
/* Starts what is due. */
bool sender_turn(struct sender *s, struct moment now, struct err *e) MUST_CHECK;
/* How long nothing will be due, at most max_ms. */
int64_t sender_wait_ms(const struct sender *s, int64_t now_mono_ms, int64_t max_ms);
bool sender_answer(struct sender *s, uint32_t shard, const struct sender_answer *a,
                   struct moment now, struct err *e) MUST_CHECK;
bool sender_has_room(const struct sender *s);
/* Does so much of the partition wait for requests that fail that it would crowd out the others? */
bool sender_holds_up(const struct sender *s, const struct partition *p);
/* The partition goes: repeats of it, which hold no offset and so do not keep it, are dropped. */
void sender_forget(struct sender *s, const struct partition *p);
/* Nothing is queued, waiting or under way. */
bool sender_is_idle(const struct sender *s);
