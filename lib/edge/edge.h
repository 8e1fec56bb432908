/* A message judged outside validate, by the very code that validate runs:
 *
 *   body of a request ──► edge_judge ──► batches (without origin, received_ms 0), which validate passes on
 *                                   └──► what is refused, counted by reason, and a text for a person
 *
 * One thread's: caches lie inside. No I/O but for reading the policy, no clock, no Kafka. */
#pragma once

#include "batch/series.h"
#include "edge/parts.h"
#include "policy/controls.h"
#include "policy/policy_file.h"
#include "policy/reason.h"

struct edge;

enum edge_format { EDGE_OTLP, EDGE_OTLP_JSON, EDGE_REMOTE_WRITE_1, EDGE_REMOTE_WRITE_2 };

enum { EDGE_TEXT_BYTES = 1024 };

struct edge_options {
    const char *policy_path; /* borrowed for the edge's life */
    size_t cache_bytes;      /* ceiling of what is remembered of series, shapes and messages */
    bool no_skeletons;       /* each message is walked: for comparison */
};

struct edge_batch {
    uint64_t source;    /* its partition: batch_partition(source) */
    struct slice value; /* the encoded batch */
    uint64_t n_samples; /* histograms included */
    uint64_t n_histograms;
    enum batch_class class;
};

/* Samples that a kill switch refused. */
struct edge_kill {
    struct slice rule_id;
    uint64_t n_samples;
};

/* n_in = n_accepted + n_same + n_rejected. What it points to lives until the edge's next call. */
struct edge_answer {
    uint64_t n_in;
    uint64_t n_accepted; /* in the batches: n_scalars + n_histograms */
    uint64_t n_scalars;
    uint64_t n_histograms;
    uint64_t n_same;     /* the very samples that the message has already: kept once, which is no error */
    uint64_t n_rejected; /* the sum of n_by_reason */
    uint64_t n_by_reason[N_REASONS];
    uint32_t n_batches;
    const struct edge_batch *batches;
    uint32_t n_kills;
    const struct edge_kill *kills;
    enum reason first_reason; /* of the first sample refused; REASON_NONE */
    /* Where it stands ("resource 0: metric 3: point 1", "series 7: sample 0"), metric and label by
     * name, what is wrong, what to change, how much else was refused. Never a label's value. */
    char text[EDGE_TEXT_BYTES];
};

struct edge_way {
    uint64_t other_source;
    int32_t n_partitions;
};

struct edge_parts {
    uint32_t n;
    const struct message_part *items;
};

/* ERR_CONFIG when the policy is refused. */
bool edge_new(const struct edge_options *o, struct edge **out, struct err *e) MUST_CHECK;
void edge_free(struct edge *edge);

/* body: unpacked. now_ms: what the points' times are held against. ERR_BAD_INPUT, nothing of the
 * message is accepted: code REASON_MALFORMED (can't be read; the text says where),
 * REASON_UNKNOWN_TENANT, REASON_TOO_LARGE (too many points, or takes too much memory). Other kinds
 * are not the message's fault. */
bool edge_judge(struct edge *edge, struct slice tenant, enum edge_format format, struct slice body,
                int64_t now_ms, struct edge_answer *out, struct err *e) MUST_CHECK;

/* A message that goes on unjudged, in parts by source (edge/parts.h). other_source: see there. What
 * *out points to lives as long as body and until the edge's next call. */
bool edge_split(struct edge *edge, struct slice tenant, struct slice otlp, const struct edge_way *way,
                struct edge_parts *out, struct err *e) MUST_CHECK;

/* Reads the policy again if its file has changed. POLICY_REFUSED: e says why, the old one stays. */
enum policy_change edge_reload(struct edge *edge, struct err *e);

/* Kill switches: series that match are refused with the rule's id in the text, a sampling rule's in
 * the same batches as in limit. c is borrowed, may change between two calls, and NULL means none. */
void edge_set_controls(struct edge *edge, const struct controls *c);

/* Counters since edge_new, and what the caches hold now. */
struct edge_stats {
    uint64_t n_series_hits;
    uint64_t n_series_misses;
    uint64_t n_shape_hits;
    uint64_t n_shape_misses;
    uint64_t n_skeleton_hits; /* samples read out of a known message's holes */
    uint64_t n_skeleton_misses;
    size_t cache_bytes;
};
struct edge_stats edge_stats(const struct edge *edge);
