#include "ingest.h"

#include <strings.h>

#include "batch_avsc.h"
#include "wire/tenant_avro.h"

enum { HEAD_BYTES = 10 };

static bool is_batch(struct slice value)
{
    return slice_starts_with(value, slice_of(BATCH_HEAD, HEAD_BYTES));
}

/* The media type of a content-type header, without its parameters. */
static bool type_is(struct slice header, const char *type)
{
    size_t n = strlen(type);
    return header.len >= n && strncasecmp((const char *)header.ptr, type, n) == 0 &&
           (header.len == n || header.ptr[n] == ';' || header.ptr[n] == ' ');
}

static void format_look(const struct record *in, struct ingest *out)
{
    struct slice header;
    out->format = !tenant_avro_is(in->value) ? INGEST_OTLP
                  : is_batch(in->value)      ? INGEST_BATCH
                                             : INGEST_TENANT_AVRO;
    if (record_header_find(in, "content-encoding", &header) && header.len > 0 &&
        !slice_eq_str(header, "identity")) {
        out->reason = REASON_UNSUPPORTED_TYPE;
        return;
    }
    if (!record_header_find(in, "content-type", &header) || header.len == 0) {
        return;
    }
    if (type_is(header, "application/x-protobuf") || type_is(header, "application/protobuf")) {
        out->format = INGEST_OTLP;
    } else if (!type_is(header, "avro/binary") && !type_is(header, "application/avro") &&
               !type_is(header, "application/octet-stream")) {
        out->reason = REASON_UNSUPPORTED_TYPE;
    }
}

struct ingest ingest_look(const struct record *in, struct slice shared_topic)
{
    struct slice topic = in->partition->topic;
    struct ingest out = {.topic = topic, .is_shared = slice_eq(topic, shared_topic)};
    if (out.is_shared) {
        (void)record_header_find(in, "sluice-tenant", &out.tenant_name);
    } else if (slice_starts_with(topic, shared_topic) && topic.len > shared_topic.len + 1 &&
               topic.ptr[shared_topic.len] == '.') {
        out.tenant_name =
            slice_of(topic.ptr + shared_topic.len + 1, topic.len - shared_topic.len - 1);
    }
    if (in->value.len == 0) {
        out.reason = REASON_EMPTY;
        return out;
    }
    if (out.tenant_name.len == 0) {
        out.reason = REASON_MISSING_TENANT;
        return out;
    }
    format_look(in, &out);
    if (out.reason == REASON_NONE && out.format == INGEST_BATCH && !out.is_shared) {
        out.reason = REASON_FORGED_BATCH;
    }
    return out;
}
