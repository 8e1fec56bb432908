#include "stage/ingest.h"

#include "batch_avsc.h"
#include "wire/media_type.h"
#include "wire/tenant_avro.h"

enum { HEAD_BYTES = 10 };

static bool is_batch(struct slice value)
{
    return slice_starts_with(value, slice_of(BATCH_HEAD, HEAD_BYTES));
}

/* The message that a protobuf content type names: remote write says it by `proto` (its specification 2.0, "Content-Type"),
 * or 1.0 by its version header alone. */
static enum ingest_format protobuf_look(const struct record *in, struct slice type, enum reason *reason)
{
    struct slice proto = media_type_parameter(type, "proto");
    struct slice version;
    if (slice_eq_str(proto, "prometheus.WriteRequest")) {
        return INGEST_REMOTE_WRITE_1;
    }
    if (slice_eq_str(proto, "io.prometheus.write.v2.Request")) {
        return INGEST_REMOTE_WRITE_2;
    }
    if (proto.len > 0) {
        *reason = REASON_UNSUPPORTED_TYPE;
    }
    return record_header_find(in, "x-prometheus-remote-write-version", &version) ? INGEST_REMOTE_WRITE_1 : INGEST_OTLP;
}

/* Remote write is always in snappy's block format, everything else plain. */
static bool encoding_is_ok(struct slice encoding, enum ingest_format format)
{
    bool is_remote_write = format == INGEST_REMOTE_WRITE_1 || format == INGEST_REMOTE_WRITE_2;
    return encoding.len == 0 || slice_eq_str(encoding, is_remote_write ? "snappy" : "identity");
}

static void format_look(const struct record *in, struct ingest *out)
{
    struct slice header = SLICE_NONE;
    struct slice encoding = SLICE_NONE;
    out->format = !tenant_avro_is(in->value) ? INGEST_OTLP
                  : is_batch(in->value)      ? INGEST_BATCH
                                             : INGEST_TENANT_AVRO;
    (void)record_header_find(in, "content-encoding", &encoding);
    (void)record_header_find(in, "content-type", &header);
    if (media_type_is(header, "application/x-protobuf") || media_type_is(header, "application/protobuf")) {
        out->format = protobuf_look(in, header, &out->reason);
    } else if (header.len > 0 && !media_type_is(header, "avro/binary") && !media_type_is(header, "application/avro") &&
               !media_type_is(header, "application/octet-stream")) {
        out->reason = REASON_UNSUPPORTED_TYPE;
    }
    if (!encoding_is_ok(encoding, out->format)) {
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
