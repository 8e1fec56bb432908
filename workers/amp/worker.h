/* amp as a sink stage: its configuration, and the wires between the step, the sender, the store
 * and lib/stage. */
#pragma once

#include "amp.h"
#include "stage/stage.h"
#include "stage/stage_config.h"
#include "store.h"

#if SLUICE_FAULTS
#define AMP_FAULT_CONFIG(KEY)                                                                      \
    KEY("fault.no_retry", BOOL, "false", 0, 0, "TEST: what may pass counts as delivered")          \
    KEY("fault.no_gaps", BOOL, "false", 0, 0, "TEST: gaps are not told")                           \
    KEY("fault.unordered", BOOL, "false", 0, 0,                                                    \
        "TEST: a source's scrapes go through all shards in turn")
#else
#define AMP_FAULT_CONFIG(KEY)
#endif

#define AMP_CONFIG(KEY)                                                                            \
    KEY("url", STRING, NULL, 0, 0, "remote write endpoint, http(s)://…/api/v1/write")              \
    KEY("topics", LIST, "metrics.admitted", 0, 0, "series and rollup topics to read")              \
    KEY("dlq_topic", STRING, "metrics.dlq", 0, 0, "where references to refused samples go")        \
    KEY("gaps_topic", STRING, "sluice.gaps", 0, 0, "where it is told what was too old to be sent") \
    KEY("max_sample_age_ms", INT, "3600000", 0, 31536000000,                                       \
        "the store takes nothing older: skipped, and told as gaps; 0 = takes any, ms")             \
    KEY("out_of_order_ms", INT, "600000", 0, 31536000000,                                          \
        "the store takes nothing that is further behind its series' newest sample; 0 = not "       \
        "known, "                                                                                  \
        "ms")                                                                                      \
    KEY("check_names", BOOL, "true", 0, 0,                                                         \
        "names beyond Prometheus's classic rules ([a-zA-Z_:][a-zA-Z0-9_:]*) are not sent; false "  \
        "for "                                                                                     \
        "stores that take UTF-8")                                                                  \
    KEY("tenants", LIST, "", 0, 0,                                                                 \
        "only these tenants' samples go to this destination, which needs a group of its own; "     \
        "empty "                                                                                   \
        "= all")                                                                                   \
    KEY("not_tenants", LIST, "", 0, 0, "these tenants' samples go elsewhere")                      \
    KEY("tenant_label", STRING, "", 0, 0,                                                          \
        "label that carries the tenant's name (a series' own one becomes exported_…); empty = "    \
        "none")                                                                                    \
    KEY("rollup_columns", LIST, "min,max", 0, 0,                                                   \
        "of rollups, beside total (counters, histograms) and last (gauges): delta, count "         \
        "(counters), min, max, sum, count (gauges)")                                               \
    KEY("rollup_names", STRING, "suffix", 0, 0,                                                    \
        "suffix: <name>:<window>[:<column>]; plain: <name>[:<column>], for one window's topic "    \
        "and a store of its own")                                                                  \
    KEY("rollup_repeat_topic", STRING, "metrics.rollup.1h", 0, 0,                                  \
        "of this topic the last total and last are sent again every 5 minutes until the next is "  \
        "due, since instant queries look back no further; empty = of none")                        \
    KEY("shards", INT, "16", 1, 1000,                                                              \
        "requests under way at a time; a source's samples all go through one of them, in order")   \
    KEY("max_samples", INT, "2000", 1, 1000000, "samples per request")                             \
    KEY("max_bytes", INT, "4194304", 1024, 268435456,                                              \
        "size of a request before compression, about, bytes")                                      \
    KEY("protocol", STRING, "1.0", 0, 0,                                                           \
        "remote write: 1.0; 2.0; auto (2.0, and 1.0 with a store that knows that only)")           \
    KEY("metadata_interval_ms", INT, "60000", 0, 86400000,                                         \
        "types and units of metrics are sent once in this time; 0 = never, ms")                    \
    KEY("compressed_templates", BOOL, "true", 0, 0,                                                \
        "compress what repeats of a server's scrapes once; false: each request anew (smaller by "  \
        "little, several times the work)")                                                         \
    KEY("batch_deadline_ms", INT, "500", 0, 60000,                                                 \
        "a request that is not full goes after this, ms")                                          \
    KEY("request_timeout_ms", INT, "30000", 10, 600000, "no answer within this is an error, ms")   \
    KEY("min_backoff_ms", INT, "100", 1, 600000,                                                   \
        "first wait before a retry, doubled each time, ms")                                        \
    KEY("max_backoff_ms", INT, "10000", 1, 3600000, "longest wait before a retry, ms")             \
    KEY("max_retry_after_ms", INT, "300000", 0, 86400000,                                          \
        "a longer Retry-After is cut to this, ms")                                                 \
    KEY("bisect", BOOL, "true", 0, 0,                                                              \
        "find the culprits of a refused request by sending its parts; false: all of it goes to "   \
        "the "                                                                                     \
        "DLQ")                                                                                     \
    KEY("limited_wait_ms", INT, "600000", 0, 86400000,                                             \
        "samples of new series wait so long for the store's series limit, then go to the DLQ, "    \
        "ms; "                                                                                     \
        "the oldest sooner when they take half of what may be queued")                             \
    KEY("max_queued_samples", INT, "1000000", 1, 1000000000,                                       \
        "samples taken in and not delivered yet")                                                  \
    KEY("ca_file", STRING, "", 0, 0, "certificates of authorities, PEM; empty = the system's")     \
    KEY("auth", STRING, "none", 0, 0,                                                              \
        "none; sigv4 (Amazon Managed Prometheus: credentials by AWS's chain); basic; bearer")      \
    KEY("aws.region", STRING, "", 0, 0,                                                            \
        "of sigv4; empty = that of the url's host, else AWS_REGION, AWS_DEFAULT_REGION, profile")  \
    KEY("auth_refresh_ms", INT, "30000", 100, 3600000,                                             \
        "of sigv4: after a 401 or 403 credentials are fetched anew, once in this time at most, "   \
        "ms")                                                                                      \
    KEY("username", STRING, "", 0, 0, "of basic")                                                  \
    KEY("password", SECRET, "", 0, 0, "of basic")                                                  \
    KEY("bearer_token", SECRET, "", 0, 0, "of bearer")                                             \
    KEY("bearer_token_file", STRING, "", 0, 0,                                                     \
        "of bearer, in bearer_token's place: a file, read again when it changes")                  \
    KEY("org_id", STRING, "", 0, 0, "tenant at Mimir or Cortex (X-Scope-OrgID); empty = none")     \
    AMP_FAULT_CONFIG(KEY)

struct worker;

/* enum sender_protocol; -1: the key says none of them. */
int worker_protocol(const struct config *c);
/* How rollups go; without max_shapes_bytes. ERR_CONFIG. */
bool worker_rows_of(const struct config *c, struct rows_options *out, struct err *e) MUST_CHECK;

extern const struct stage_spec amp_spec;

bool worker_new(const struct config *c, struct metrics *m, struct worker **out,
                struct err *e) MUST_CHECK;
void worker_free(struct worker *w);
