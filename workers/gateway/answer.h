/* What a request is answered: status, reason, a text for a person, and the body in the form that
 * its protocol wants.
 *
 *   OTLP 200   ExportMetricsServiceResponse { partial_success = 1 { rejected_data_points = 1, error_message = 2 } }
 *   OTLP 4xx+  google.rpc.Status { code = 1, message = 2 }
 *   both as protobuf or JSON (opentelemetry-proto, docs/specification.md "OTLP/HTTP Response"); else text */
#pragma once

#include "base/buf.h"
#include "policy/reason.h"

enum answer_form { ANSWER_TEXT, ANSWER_PROTOBUF, ANSWER_JSON };

enum { ANSWER_TEXT_BYTES = 1280 };

struct answer {
    unsigned status;
    enum reason reason; /* REASON_NONE: nothing was refused */
    int64_t retry_after_s; /* 0 = not said */
    uint64_t n_rejected;   /* of a 200: data points that were not taken */
    /* Remote write 2.0: what was written. */
    bool says_written;
    uint64_t n_scalars;
    uint64_t n_histograms;
    char text[ANSWER_TEXT_BYTES]; /* empty: nothing to say */
};

/* A refusal of the whole request. */
void answer_refuse(struct answer *a, unsigned status, enum reason reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
const char *answer_content_type(enum answer_form form);
/* Appends the body. */
void answer_body(const struct answer *a, enum answer_form form, struct buf *out);
