/* validate's step in memory: a policy, one partition, an outbox; its output as text that tests
 * compare. */
#pragma once

#include <check.h>

#include "message.h"
#include "validate.h"

#define NOW_MS INT64_C(1780000000000)

/* The usual resource, and the usual point's time. */
#define RES "service.instance.id=gs-1,shard_id=s1"
#define CUMULATIVE .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS

struct rig {
    struct metrics *metrics;
    struct validate *validate;
    struct outbox out;
    struct partition partition;
    char policy_path[64];
    int64_t offset;
    int64_t received_ms; /* of the next record; NOW_MS at first */
    struct record_header headers[MAX_RECORD_HEADERS];
    uint32_t n_headers;
};

struct rig_options {
    const char *topic;  /* NULL: metrics.ingest.t */
    const char *policy; /* NULL: {"tenants": {"t": {}}} */
    const char *mask_key;
    const char *mask_key_file;
    const char *const *tenant_schemas;
    size_t n_tenant_schemas;
    int64_t dlq_cap;    /* 0: 1,000; -1: none */
    size_t cache_bytes; /* 0: 64 MiB */
};

void rig_open(struct rig *r, const struct rig_options *o);
void rig_close(struct rig *r);
void rig_policy(struct rig *r,
                const char *json); /* writes the file; validate_reload is the test's */
/* One record through the step; its output is added to what is there. */
void rig_send(struct rig *r, struct slice value);
/* The same for a message of one resource. */
void rig_send_points(struct rig *r, const char *attributes, const struct message_point *points,
                     size_t n);
/* As a commit does: counts move, output is forgotten. */
void rig_commit(struct rig *r);

/* What is in the outbox, one line each, in order; valid until the next call.
 *   "class source metric{labels} kind value @time-NOW [+start-NOW]"
 *   "! reason metric [label] n_samples/n_points [text]" */
const char *rig_text(struct rig *r, bool with_text);
/* A counter's value after rig_commit; tenant "": it has no labels. */
double rig_count(struct rig *r, enum metric_id id, const char *tenant, const char *reason);
/* in = out + rejected, over all tenants and reasons of this rig's tenant t. */
void rig_check_accounts(struct rig *r);
