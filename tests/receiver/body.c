#include "write.h"

#include <snappy-c.h>
#include <string.h>
#include <strings.h>

void answer_text(struct answer *out, int status, const char *text)
{
    out->status = status;
    buf_reset(&out->body);
    buf_put_slice(&out->body, slice_str(text));
}

bool headers_taken(const struct incoming *in, struct answer *out)
{
    if (in->encoding == NULL || strcasecmp(in->encoding, "snappy") != 0) {
        answer_text(out, 415, "Content-Encoding must be snappy\n");
        return false;
    }
    if (in->type == NULL || strncasecmp(in->type, "application/x-protobuf", 22) != 0 ||
        strstr(in->type, "io.prometheus.write.v2") != NULL) {
        answer_text(out, 415, "Content-Type must be application/x-protobuf, version 0.1.0\n");
        return false;
    }
    return true;
}

bool body_decode(struct slice body, const struct rules *r, struct arena *a, struct slice *bytes,
                 struct err *e)
{
    static const char framed[] = "\xff\x06\x00\x00sNaPpY";
    size_t len = 0;
    if (slice_starts_with(body, slice_of(framed, sizeof framed - 1))) {
        return err_set_code(e, ERR_BAD_INPUT, 400, "framed snappy, a block is required");
    }
    if (snappy_uncompressed_length((const char *)body.ptr, body.len, &len) != SNAPPY_OK) {
        return err_set_code(e, ERR_BAD_INPUT, 400, "snappy: corrupt input");
    }
    if (r->max_decoded_bytes > 0 && len > (uint64_t)r->max_decoded_bytes) {
        return err_set_code(e, ERR_BAD_INPUT, 413, "snappy: %zu bytes decoded", len);
    }
    char *decoded = arena_alloc(a, len);
    if (decoded == NULL) {
        return err_set_code(e, ERR_RETRY, 503, "out of memory");
    }
    if (snappy_uncompress((const char *)body.ptr, body.len, decoded, &len) != SNAPPY_OK) {
        return err_set_code(e, ERR_BAD_INPUT, 400, "snappy: corrupt input");
    }
    *bytes = slice_of(decoded, len);
    return true;
}
