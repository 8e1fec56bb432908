/* One lane's judge: the body of a request, as it came, becomes records and an answer. Between them a
 * lock, since policies and rules change while it works. */
#pragma once

#include "edge/edge.h"
#include "route.h"

#include <pthread.h>

struct judge_options {
    const char *policy_path;
    size_t cache_bytes;
    bool passes; /* edge: pass; nothing is judged here, but whose it is */
    size_t max_unpacked_bytes;
    int64_t max_ratio; /* unpacked to packed, for what is over a MiB */
};

struct judge {
    pthread_mutex_t lock;
    struct judge_options o;
    struct edge *edge;
    struct controls controls;
    uint64_t draw;
    struct buf unpacked;
    struct buf converted; /* JSON that is passed on, as protobuf */
    struct arena scratch; /* of a remote write 2.0 that is passed on and counted */
};

/* What judge_body found; what it points to lives until the judge is let go. */
struct judged {
    struct slice unpacked; /* passes: what goes on; JSON as protobuf */
    struct edge_answer edge; /* passes: all 0, but of remote write 2.0 n_scalars and n_histograms */
};

bool judge_init(struct judge *j, const struct judge_options *o, struct err *e) MUST_CHECK;
void judge_fini(struct judge *j);
/* Unpacks and judges. True: *out is filled in; the judge stays taken until judge_let_go. False: the
 * refusal is 400, 413, 415, 403 or 500, and the judge is free again. */
bool judge_body(struct judge *j, struct slice tenant, const struct routed *routed, struct slice body,
                int64_t now_ms, struct judged *out, struct answer *refusal);
/* Passes: an unpacked OTLP message in parts, one for each partition; they live as what judge_body found. */
bool judge_split(struct judge *j, struct slice tenant, struct slice otlp, const struct edge_way *way,
                 struct edge_parts *out, struct err *e) MUST_CHECK;
void judge_let_go(struct judge *j);
/* From any thread. */
enum policy_change judge_reload(struct judge *j, struct err *e);
bool judge_control(struct judge *j, struct slice id, struct slice value, int64_t now_ms, struct err *e) MUST_CHECK;
void judge_expire(struct judge *j, int64_t now_ms);
