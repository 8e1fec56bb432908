/* The inside of the sender, shared by sender.c (requests, answers), queue.c,
 * refused.c and bisect.c (culprits), limited.c, precheck.c and settle.c (accounting). */
#pragma once

#include "known.h"
#include "pack.h"
#include "sender.h"

/* For the culprits of one request (bisect.c); all 0: none was refused. */
struct search {
    uint32_t n_points; /* of the request */
    uint32_t n_asked;  /* answers since its own */
    uint32_t n_culprits;
    uint32_t n_resolved; /* points that are out of it */
    uint32_t n_group;    /* the distance of the culprits: so many of the rest go at a time */
    bool by_name;        /* the store named what it refused last */
    bool misled;         /* it named what it took alone: what it says is no guide */
};

struct shard {
    struct scrape *first; /* queue, oldest first */
    struct scrape *last;
    uint32_t first_at;    /* points of the first that have left already */
    uint32_t n_points;    /* in the queue */
    size_t n_bytes;       /* … on the wire, about */
    struct work *stack;   /* parts of a request that was taken apart, the next on top */
    struct work *current; /* under way, or to be sent again at resume_ms */
    struct buf body;      /* of current, compressed */
    struct slice wire;    /* … what of it is sent */
    bool body_ready;
    enum write_version version; /* of body */
    bool in_flight;
    int64_t resume_ms;
    uint32_t n_failures; /* in a row */
    struct parked parked;
    int64_t probe_ms; /* when parked series are tried again */
    uint32_t n_probe_failures;
    size_t n_probe_series;
    struct search search;
    uint32_t n_limit_run; /* single points refused for a limit, in a row */
};

struct sender_cells {
    struct cell *queued;
    struct cell *in_flight;
    struct cell *limited;
    struct cell *denied;
    struct cell *bytes;
    struct cell *retried;
    struct cell *bisections;
    struct cell_histogram *seconds;
    struct cell_histogram *freshness;
};

struct sender {
    struct sender_options o;
    struct sender_hooks hooks;
    struct metrics *metrics;
    struct sender_cells cells;
    struct shard *shards;
    struct known known;
    struct newest newest;
    struct metadata *metadata; /* the caller's */
    struct gaps gaps;
    double request_ms; /* usual duration of a request that is taken */
    struct packer packer;
    size_t n_queued; /* points that are not settled */
    size_t n_queued_bytes;
    bool limited;
    char limit_text[256]; /* what the store said to it */
    size_t n_in_flight;
    uint64_t random;
    uint64_t n_faults;
    int64_t wall_ms; /* of the call under way */
};

/* settle.c: the end of points. Each frees the scrape and releases its offset with its last point.
 */
void settle_taken(struct sender *s, const struct piece *p);
void settle_already_there(struct sender *s, const struct piece *p);
bool settle_dead(struct sender *s, const struct piece *p, const char *reason, const char *text,
                 struct err *e) MUST_CHECK;
/* Counted under that reason, without a dead letter. */
void settle_skipped(struct sender *s, const struct piece *p, const char *reason);
/* The partition is another's now: not counted, whoever has it counts. */
void settle_lost(struct sender *s, const struct piece *p);
/* Counts the delta-temporality points of a piece and leaves them unsettled. */
uint32_t piece_n_delta(const struct piece *p);

/* refused.c */
/* Takes the shard's current request apart, or judges its only point. */
bool refused_handle(struct sender *s, struct shard *shard, enum verdict verdict,
                    const struct sender_answer *a, int64_t now_ms, struct err *e) MUST_CHECK;

/* limited.c */
bool series_known(struct sender *s, const struct piece *p);
/* The point waits, behind those of its series that do. */
bool limited_park(struct sender *s, struct shard *shard, const struct piece *p, bool maybe_there,
                  int64_t now_ms, struct err *e) MUST_CHECK;
/* … and what is next on the stack, if the limit explains its refusal. */
bool limited_park_suspects(struct sender *s, struct shard *shard, int64_t now_ms,
                           struct err *e) MUST_CHECK;
/* The current request, a probe, was refused for the limit: its points wait on. */
bool limited_probe_failed(struct sender *s, struct shard *shard, int64_t now_ms,
                          struct err *e) MUST_CHECK;
/* Takes the unknown series out of a work: the caller's; NULL: out of memory. */
struct work *limited_part_unknown(struct sender *s, struct work *w);
/* Out of a work that is about to be sent: what must wait behind parked points goes there, known
 * and unknown series part while the store is at its limit. What is left, or NULL. */
bool limited_divert(struct sender *s, struct shard *shard, struct work **w, int64_t now_ms,
                    struct err *e) MUST_CHECK;
/* Gives up on what waits since that time or before. */
bool limited_expire(struct sender *s, struct shard *shard, int64_t before_ms,
                    struct err *e) MUST_CHECK;
/* Gives up on what has waited longest, while half of the queue's room or more is what waits. */
bool limited_make_room(struct sender *s, int64_t now_ms, struct err *e) MUST_CHECK;
/* A probe was taken. */
void limited_taken(struct shard *shard, int64_t now_ms);
/* The gauge and the alarm. */
void limited_update(struct sender *s);

/* bisect.c */
/* Of a refused work of singles: its parts onto the stack, but for a single one, which is a culprit.
 * named: the piece that the store named, n_pieces or more: none. */
bool bisect_refused(struct shard *shard, const struct work *w, uint32_t named,
                    struct err *e) MUST_CHECK;
/* Of several singles that were too many: the halves onto the stack. */
bool bisect_too_large(struct shard *shard, const struct work *w, struct err *e) MUST_CHECK;
/* A part was taken: then its sibling is not. */
void bisect_taken(struct shard *shard, const struct work *w);
/* Before the top of the stack is sent: splits what is known to hold a culprit, cuts the rest. */
bool bisect_unsent(struct shard *shard, struct err *e) MUST_CHECK;

/* precheck.c */
/* Is something in there that the store would find too old by now? */
bool precheck_finds_old(const struct sender *s, const struct work *w);
/* Takes out of a work that is about to be sent what the store is sure to refuse. */
bool precheck_work(struct sender *s, struct work **w, int64_t now_ms, struct err *e) MUST_CHECK;
/* Writes what was gathered of gaps, when it is time. */
bool gaps_flush(struct sender *s, int64_t now_ms, struct err *e) MUST_CHECK;

/* sender.c */
int64_t backoff_ms(struct sender *s, uint32_t n_failures);

/* queue.c */
bool scrape_is_ours(const struct sender *s, const struct scrape *c);
void work_push(struct shard *shard, struct work *w);
/* When the next request is to be cut; INT64_MAX: nothing is there. */
int64_t queue_due_ms(const struct sender *s, const struct shard *shard);
/* The oldest scrapes, as much as a request has room for; NULL: out of memory. */
struct work *queue_cut(struct sender *s, struct shard *shard);
