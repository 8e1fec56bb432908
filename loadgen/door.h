/* A gateway's HTTP door, as an outlet: POSTs over connections that are kept open, each source's
 * messages one after the other. 429 and 503 go again when Retry-After says; so does what got no
 * answer, or another 5xx. */
#pragma once

#include "latency.h"
#include "outlet.h"

enum door_format { DOOR_OTLP, DOOR_REMOTE_WRITE };

struct door_options {
    const char *url; /* of the gateway, without the path */
    enum door_format format;
    bool gzip;              /* of OTLP; remote write is in snappy's block format always */
    const char *token_file; /* NULL = none; first line: the bearer token */
    const char *cert_file;  /* with key_file: mTLS; NULL = none */
    const char *key_file;
    const char *ca_file; /* NULL = the system's */
    uint32_t n_connections;
    int64_t max_queue_kbytes;
    outlet_result result;
    void *ctx;
};

struct door_stats {
    uint64_t n_requests;       /* with an answer */
    uint64_t n_held;           /* ... 429 or 503 */
    uint64_t n_rejected;       /* samples that the gateway said it left out (OTLP) */
    struct latency first_byte; /* of those that were taken */
};

/* ERR_CONFIG: an option, the token file. */
bool door_open(const struct door_options *o, struct outlet *out, struct err *e) MUST_CHECK;
/* Of a door; valid until it is closed. */
const struct door_stats *door_stats(const struct outlet *o);
