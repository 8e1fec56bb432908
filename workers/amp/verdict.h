/* What a store's answer means for a request (the table of design/sinks, Remote Write 1.0, and what
 * Amazon Managed Prometheus, Cortex and Prometheus 2.42 are known to say). */
#pragma once

#include "base/slice.h"

enum verdict {
    VERDICT_TAKEN,     /* 2xx */
    VERDICT_RETRY,     /* 429, 5xx, no answer: the same again, later */
    VERDICT_AUTH,      /* 401, 403, no credentials: later, with an alarm */
    VERDICT_MISROUTED, /* 404, 405, 415 and the like, redirects: later, with an alarm */
    VERDICT_TOO_LARGE, /* 413: in halves */
    VERDICT_REFUSED /* 400, other 4xx, and 5xx that name a cause which stays: find the culprits */
};

/* Why, by the text. */
enum refusal {
    REFUSAL_SILENT,    /* no text */
    REFUSAL_UNKNOWN,   /* a text that tells nothing */
    REFUSAL_OTHER,     /* the same by another 4xx: not what a store says of a sample it has */
    REFUSAL_LIMIT,     /* of active series: the store's state, not the sample's fault */
    REFUSAL_OWN,       /* labels, name, histogram, time ahead: whatever the store has */
    REFUSAL_ORDER,     /* behind its series' newest: can mean that it is there */
    REFUSAL_OLD,       /* older than the store's window: can mean that it is there */
    REFUSAL_DUPLICATE, /* the timestamp is taken: can mean that it is there */
    N_REFUSALS
};

enum verdict verdict_of(int status, struct slice body);
enum refusal refusal_of(int status, struct slice body);
/* The label "outcome" of the metric of requests. */
const char *verdict_outcome(enum verdict verdict, int status);
/* The label "reason" of rejected samples, and the reason in the DLQ. */
const char *refusal_reason(enum refusal refusal);

/* The store's words fit for a log or the DLQ: at most n_out - 1 bytes of valid UTF-8 without
 * control characters; a C string. */
void store_text(struct slice body, char *out, size_t n_out);
