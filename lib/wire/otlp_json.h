/* OTLP in JSON (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON")
 * into the same message in protobuf, which is then walked as any other:
 *
 *   {"resourceMetrics": [{"resource": {"attributes": […]}, "scopeMetrics": [{"metrics": […]}]}]} ──► MetricsData
 *
 * Keys are lowerCamelCase; what is not known is passed over, but for a known field's name_in_snake_case: to pass over that
 * would lose everything without a word. Integers may be strings, enums names, a double "NaN", "Infinity",
 * "-Infinity", bytes in either base64; null is an absent field. A key twice is refused, and so are two of a oneof.
 * Exemplars are left out, as the walk does. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct otlp_json_caps {
    size_t max_json_bytes;    /* 32 MiB */
    size_t max_message_bytes; /* what it becomes: 8 MiB */
};
extern const struct otlp_json_caps otlp_json_default_caps;

/* Appends the message. ERR_BAD_INPUT with the place: "resourceMetrics[0].scopeMetrics[1].metrics[7].sum.isMonotonic: must be
 * true or false, at byte 4711"; code PB_TOO_LARGE (protobuf.h) beyond a cap. */
bool otlp_json_read(struct slice json, const struct otlp_json_caps *caps, struct buf *out, struct err *e) MUST_CHECK;
