#include "route.h"

#include "wire/media_type.h"

#include <strings.h>

const char *route_name(enum route r)
{
    static const char *const names[] = {
        [ROUTE_NONE] = "none", [ROUTE_OTLP] = "otlp", [ROUTE_REMOTE_WRITE] = "remote_write"};
    return names[r];
}

static bool is_word(struct slice s, const char *word)
{
    return s.len == strlen(word) && strncasecmp((const char *)s.ptr, word, s.len) == 0;
}

static bool is_protobuf(struct slice type)
{
    return media_type_is(type, "application/x-protobuf") || media_type_is(type, "application/protobuf");
}

static bool refuse_type(struct answer *refusal, const char *what, struct slice got, const char *want)
{
    answer_refuse(refusal, 415, REASON_UNSUPPORTED_TYPE, "%s \"%.*s\" is not taken here: send %s", what,
                  (int)(got.len < 80 ? got.len : 80), got.len == 0 ? "" : (const char *)got.ptr, want);
    return false;
}

static bool otlp_look(const struct route_headers *h, struct routed *out, struct answer *refusal)
{
    out->form = ANSWER_PROTOBUF;
    out->format = EDGE_OTLP;
    if (media_type_is(h->content_type, "application/json")) {
        out->form = ANSWER_JSON;
        out->format = EDGE_OTLP_JSON;
    } else if (!is_protobuf(h->content_type) ||
               media_type_parameter(h->content_type, "proto").len > 0) {
        out->form = ANSWER_TEXT;
        return refuse_type(refusal, "Content-Type", h->content_type,
                           "OTLP as application/x-protobuf or application/json");
    }
    struct slice encoding = h->content_encoding;
    out->is_packed = is_word(encoding, "gzip") || is_word(encoding, "zstd");
    out->packing = is_word(encoding, "gzip") ? INFLATE_GZIP : INFLATE_ZSTD;
    return out->is_packed || encoding.len == 0 || is_word(encoding, "identity") ||
           refuse_type(refusal, "Content-Encoding", encoding, "gzip, zstd or identity, one of them");
}

static bool remote_write_look(const struct route_headers *h, struct routed *out, struct answer *refusal)
{
    struct slice proto = media_type_parameter(h->content_type, "proto");
    out->form = ANSWER_TEXT;
    out->format = EDGE_REMOTE_WRITE_1;
    out->is_packed = true;
    out->packing = INFLATE_SNAPPY;
    if (slice_eq_str(proto, "io.prometheus.write.v2.Request")) {
        out->format = EDGE_REMOTE_WRITE_2;
    } else if (proto.len > 0 && !slice_eq_str(proto, "prometheus.WriteRequest")) {
        return refuse_type(refusal, "Content-Type", h->content_type,
                           "proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request");
    }
    if (!is_protobuf(h->content_type)) {
        return refuse_type(refusal, "Content-Type", h->content_type,
                           "remote write as application/x-protobuf");
    }
    return h->content_encoding.len == 0 || is_word(h->content_encoding, "snappy") ||
           refuse_type(refusal, "Content-Encoding", h->content_encoding,
                       "a snappy block (Content-Encoding: snappy)");
}

bool route_look(const struct route_headers *h, struct routed *out, struct answer *refusal)
{
    *out = (struct routed){.form = ANSWER_TEXT};
    if (slice_eq_str(h->path, "/v1/metrics")) {
        out->route = ROUTE_OTLP;
    } else if (slice_eq_str(h->path, "/api/v1/write")) {
        out->route = ROUTE_REMOTE_WRITE;
    } else {
        answer_refuse(refusal, 404, REASON_NO_SUCH_ROUTE,
                      "nothing is here: OTLP goes to POST /v1/metrics, remote write to POST "
                      "/api/v1/write");
        return false;
    }
    if (!slice_eq_str(h->method, "POST")) {
        answer_refuse(refusal, 405, REASON_NO_SUCH_ROUTE, "only POST");
        return false;
    }
    return out->route == ROUTE_OTLP ? otlp_look(h, out, refusal) : remote_write_look(h, out, refusal);
}
