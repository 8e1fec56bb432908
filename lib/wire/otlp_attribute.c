#include "wire/otlp_attribute.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/protobuf.h"

static const struct pb_type key_value_type = {"KeyValue", {PB_TAG(1, PB_LEN), PB_TAG(2, PB_LEN)}};
static const struct pb_type any_value_type = {
    "AnyValue",
    {PB_TAG(1, PB_LEN), PB_TAG(2, PB_VARINT), PB_TAG(3, PB_VARINT), PB_TAG(4, PB_I64),
     PB_TAG(5, PB_LEN), PB_TAG(6, PB_LEN), PB_TAG(7, PB_LEN)}};

/* A oneof: the last member counts. A value that comes twice is merged by reading one after the
 * other into the same *out. */
static bool any_value_read(struct slice raw, struct otlp_attribute *out)
{
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            out->type = OTLP_V_STRING;
            out->text = cursor_varint_bytes(&c);
            break;
        case PB_TAG(2, PB_VARINT):
            out->type = OTLP_V_BOOL;
            out->integer = cursor_varint(&c) != 0;
            break;
        case PB_TAG(3, PB_VARINT):
            out->type = OTLP_V_INT;
            out->integer = (int64_t)cursor_varint(&c);
            break;
        case PB_TAG(4, PB_I64):
            out->type = OTLP_V_DOUBLE;
            out->number = cursor_double(&c);
            break;
        case PB_TAG(5, PB_LEN):
        case PB_TAG(6, PB_LEN):
            out->type = OTLP_V_NESTED;
            out->text = cursor_varint_bytes(&c);
            break;
        case PB_TAG(7, PB_LEN):
            out->type = OTLP_V_BYTES;
            out->text = cursor_varint_bytes(&c);
            break;
        default:
            pb_skip(&c, tag, &any_value_type);
            break;
        }
    }
    return cursor_ok(&c);
}

static bool key_value_read(struct slice raw, struct otlp_attribute *out)
{
    struct cursor c = cursor_of(raw);
    bool ok = true;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            out->name = cursor_varint_bytes(&c);
            break;
        case PB_TAG(2, PB_LEN):
            ok &= any_value_read(cursor_varint_bytes(&c), out);
            break;
        default:
            pb_skip(&c, tag, &key_value_type);
            break;
        }
    }
    return ok && cursor_ok(&c);
}

bool otlp_attribute_next(struct cursor *c, struct otlp_attribute *out)
{
    *out = (struct otlp_attribute){.type = OTLP_V_NONE};
    uint32_t tag = pb_tag(c);
    if (tag == 0) {
        return false;
    }
    if ((tag & 7) != PB_LEN || !key_value_read(cursor_varint_bytes(c), out) || !cursor_ok(c)) {
        cursor_fail(c);
        return false;
    }
    return true;
}

/* As Prometheus writes them: NaN, +Inf, -Inf, and the shortest digits that read back. */
static int print_double(char *space, size_t max_bytes, double v)
{
    if (isnan(v)) {
        return snprintf(space, max_bytes, "NaN");
    }
    if (isinf(v)) {
        return snprintf(space, max_bytes, v > 0 ? "+Inf" : "-Inf");
    }
    for (int digits = 15; digits < 17; digits++) {
        int len = snprintf(space, max_bytes, "%.*g", digits, v);
        if (strtod(space, NULL) == v) {
            return len;
        }
    }
    return snprintf(space, max_bytes, "%.17g", v);
}

bool otlp_attribute_text(const struct otlp_attribute *a, char *text_space, size_t max_bytes,
                         struct slice *out)
{
    int len;
    switch (a->type) {
    case OTLP_V_STRING:
        *out = a->text;
        return true;
    case OTLP_V_BOOL:
        *out = a->integer != 0 ? SLICE_LITERAL("true") : SLICE_LITERAL("false");
        return true;
    case OTLP_V_INT:
        len = snprintf(text_space, max_bytes, "%" PRId64, a->integer);
        break;
    case OTLP_V_DOUBLE:
        len = print_double(text_space, max_bytes, a->number);
        break;
    default:
        return false;
    }
    if (len < 0 || (size_t)len >= max_bytes) {
        return false;
    }
    *out = slice_of(text_space, (size_t)len);
    return true;
}
