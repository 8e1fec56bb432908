#include "answer.h"

#include "base/json_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    TAG_1_VARINT = 0x08, /* protobuf: field number << 3 | wire type */
    TAG_1_BYTES = 0x0a,
    TAG_2_BYTES = 0x12
};

void answer_refuse(struct answer *a, unsigned status, enum reason reason, const char *fmt, ...)
{
    va_list args;
    *a = (struct answer){.status = status, .reason = reason};
    va_start(args, fmt);
    (void)vsnprintf(a->text, sizeof a->text, fmt, args);
    va_end(args);
}

const char *answer_content_type(enum answer_form form)
{
    static const char *const types[] = {[ANSWER_TEXT] = "text/plain; charset=utf-8",
                                        [ANSWER_PROTOBUF] = "application/x-protobuf",
                                        [ANSWER_JSON] = "application/json"};
    return types[form];
}

/* google.rpc.Code */
static unsigned rpc_code(unsigned status)
{
    switch (status) {
    case 401:
        return 16; /* UNAUTHENTICATED */
    case 403:
        return 7; /* PERMISSION_DENIED */
    case 404:
        return 5; /* NOT_FOUND */
    case 405:
        return 12; /* UNIMPLEMENTED */
    case 408:
        return 4; /* DEADLINE_EXCEEDED */
    case 429:
        return 8; /* RESOURCE_EXHAUSTED */
    case 500:
        return 13; /* INTERNAL */
    case 503:
        return 14; /* UNAVAILABLE */
    default:
        return 3; /* INVALID_ARGUMENT */
    }
}

static void protobuf_body(const struct answer *a, struct buf *out)
{
    struct slice text = slice_str(a->text);
    if (a->status >= 300) {
        buf_u8(out, TAG_1_VARINT);
        buf_varint(out, rpc_code(a->status));
        buf_u8(out, TAG_2_BYTES);
        buf_varint_bytes(out, text);
        return;
    }
    if (a->n_rejected == 0 && text.len == 0) {
        return;
    }
    struct buf partial;
    buf_init(&partial, sizeof a->text + 32);
    if (a->n_rejected > 0) {
        buf_u8(&partial, TAG_1_VARINT);
        buf_varint(&partial, a->n_rejected);
    }
    buf_u8(&partial, TAG_2_BYTES);
    buf_varint_bytes(&partial, text);
    buf_u8(out, TAG_1_BYTES);
    buf_varint_bytes(out, buf_slice(&partial));
    out->failed |= !buf_ok(&partial);
    buf_fini(&partial);
}

static void json_body(const struct answer *a, struct buf *out)
{
    if (a->status >= 300) {
        buf_printf(out, "{\"code\":%u,\"message\":", rpc_code(a->status));
        json_text(out, a->text);
        buf_u8(out, '}');
        return;
    }
    if (a->n_rejected == 0 && a->text[0] == '\0') {
        buf_printf(out, "{}");
        return;
    }
    buf_printf(out, "{\"partialSuccess\":{\"rejectedDataPoints\":\"%" PRIu64 "\",\"errorMessage\":",
               a->n_rejected);
    json_text(out, a->text);
    buf_printf(out, "}}");
}

void answer_body(const struct answer *a, enum answer_form form, struct buf *out)
{
    switch (form) {
    case ANSWER_PROTOBUF:
        protobuf_body(a, out);
        break;
    case ANSWER_JSON:
        json_body(a, out);
        break;
    default:
        if (a->text[0] != '\0') {
            buf_printf(out, "%s\n", a->text);
        }
        break;
    }
}
