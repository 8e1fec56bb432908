/* validate: ingest records in, batches and dead letters out (design: the first stage).
 *
 *   metrics.ingest, metrics.ingest.<tenant> ──► step ──► metrics.valid  (key: source, 8 bytes
 * little-endian; │                     partition: source mod count) └────► metrics.dlq    (key:
 * tenant) */
#pragma once

#include "mask_source.h"
#include "policy/policy_file.h"
#include "run/config.h"
#include "stage/stage.h"

#define VALIDATE_CONFIG(KEY)                                                                       \
    KEY("topics", LIST, "^metrics\\.ingest(\\.[A-Za-z0-9_-]+)?$", 0, 0,                            \
        "ingest topics; ^… is a regular expression")                                               \
    KEY("shared_topic", STRING, "metrics.ingest", 0, 0,                                            \
        "the topic that only the gateway writes to; <this>.<tenant> are the tenants' own")         \
    KEY("valid_topic", STRING, "metrics.valid", 0, 0, "output: batches")                           \
    KEY("dlq_topic", STRING, "metrics.dlq", 0, 0, "output: dead letters, by reference")            \
    KEY("policy", STRING, NULL, 0, 0, "the policy's file; read again when it changes")             \
    KEY("mask_key", SECRET, "", 0, 0,                                                              \
        "key of the HMAC that masks label values in dead letters; empty = left out")               \
    KEY("mask_key_file", STRING, "", 0, 0,                                                         \
        "the same from a file of 16 bytes and more, read again when it changes")                   \
    KEY("tenant_schemas", LIST, "", 0, 0,                                                          \
        "files of the other Avro schemas that tenants write with: older or newer tenant_metrics.avsc") \
    KEY("dlq_samples_per_minute", INT, "10000", 0, 1000000,                                        \
        "dead letters for at most this many samples of a tenant, reason, partition and minute")    \
    KEY("cache_mb", INT, "256", 0, 65536,                                                          \
        "ceiling for what is remembered of series and shapes, MiB")

#if SLUICE_FAULTS
#define VALIDATE_FAULT_CONFIG(KEY)                                                                 \
    KEY("fault.lose_letters", BOOL, "false", 0, 0, "TEST: records at even offsets get no dead letters")
#else
#define VALIDATE_FAULT_CONFIG(KEY)
#endif

struct pass_watch;
struct validate;

enum validate_output { OUTPUT_VALID, OUTPUT_DLQ };

struct validate_options {
    struct slice shared_topic; /* borrowed, as all here */
    const char *policy_path;
    struct slice mask_key;
    const char *mask_key_file; /* "" = none */
    const char *const *tenant_schemas; /* paths */
    size_t n_tenant_schemas;
    uint64_t dlq_samples_per_minute;
    size_t cache_bytes;
    /* Told of each series of each record, for which nothing is remembered from record to record;
     * NULL = nobody. For who judges old records again. */
    const struct pass_watch *watch;
    bool fault_lose_letters;
};

/* ERR_CONFIG when the policy is refused. */
bool validate_new(const struct validate_options *o, struct metrics *m, struct validate **out,
                  struct err *e) MUST_CHECK;
void validate_free(struct validate *v);

/* Reads the policy again if its file has changed. POLICY_REFUSED: e says why. */
enum policy_change validate_reload(struct validate *v, struct err *e);
/* The same for the key that masks. */
enum mask_change validate_reload_mask(struct validate *v, struct err *e);
const char *validate_mask_key_id(const struct validate *v);
const char *validate_policy_version(const struct validate *v);
/* Cache counters into their cells. */
void validate_export(struct validate *v);

/* Callbacks of struct stage_spec; ctx is the struct validate. */
bool validate_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                      struct slice metadata, struct err *e);
bool validate_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                   struct outbox *out, struct err *e);
bool validate_give_up(void *ctx, struct stage *s, const struct record *in, const char *reason,
                      struct outbox *out, struct err *e);
void validate_drop(void *ctx, struct partition *p);
