#include "wire/protobuf.h"

uint32_t pb_tag_slow(struct cursor *c)
{
    uint64_t tag = cursor_varint(c);
    if (tag < PB_TAG(1, 0) || tag > UINT32_MAX) {
        cursor_fail(c);
        return 0;
    }
    return (uint32_t)tag;
}

/* The wire type that a known field should have had; -1 when the tag is right or unknown. */
static int expected_wire(uint32_t tag, const struct pb_type *type)
{
    int wire = -1;
    for (const uint32_t *known = type->tags; *known != 0; known++) {
        if (*known == tag) {
            return -1;
        }
        if (*known >> 3 == tag >> 3) {
            wire = (int)(*known & 7);
        }
    }
    return wire;
}

static void pass_value(struct cursor *c, uint32_t tag)
{
    switch (tag & 7) {
    case PB_VARINT:
        (void)cursor_varint(c);
        break;
    case PB_I64:
        (void)cursor_take(c, 8);
        break;
    case PB_LEN:
        (void)cursor_varint_bytes(c);
        break;
    case PB_I32:
        (void)cursor_take(c, 4);
        break;
    default:
        cursor_fail(c);
        break;
    }
}

void pb_skip(struct cursor *c, uint32_t tag, const struct pb_type *type)
{
    if (expected_wire(tag, type) >= 0) {
        cursor_fail(c);
        return;
    }
    pass_value(c, tag);
}

size_t pb_packed_varints(struct slice packed)
{
    size_t n = 0;
    for (size_t i = 0; i < packed.len; i++) {
        n += packed.ptr[i] < 0x80;
    }
    return n;
}

struct slice pb_gather(struct slice message, uint32_t tag, bool with_tags, struct arena *a)
{
    uint8_t *all = arena_alloc(a, message.len); /* more than the fields can hold */
    if (all == NULL) {
        return SLICE_NONE;
    }
    size_t len = 0;
    struct cursor c = cursor_of(message);
    const uint8_t *at = c.next;
    for (uint32_t t; (t = pb_tag(&c)) != 0; at = c.next) {
        if (t != tag) {
            pass_value(&c, t);
            continue;
        }
        struct slice value = cursor_varint_bytes(&c);
        struct slice part = with_tags ? slice_of(at, (size_t)(c.next - at)) : value;
        if (part.len > 0 && cursor_ok(&c)) {
            memcpy(all + len, part.ptr, part.len);
            len += part.len;
        }
    }
    return slice_of(all, len);
}

static const char *wire_name(uint32_t wire)
{
    static const char *const names[8] = {"varint", "64-bit", "length-delimited", "group",
                                         "group",  "32-bit", "wire type 6",      "wire type 7"};
    return names[wire & 7];
}

/* One field: true when it is in order. */
static bool explain_field(struct cursor *c, size_t at, const struct pb_type *type, struct err *e)
{
    uint64_t tag = cursor_varint(c);
    if (!cursor_ok(c)) {
        return err_set(e, ERR_BAD_INPUT, "%s: bad or cut off tag at byte %zu", type->name, at);
    }
    if (tag < PB_TAG(1, 0) || tag > UINT32_MAX) {
        return err_set(e, ERR_BAD_INPUT, "%s: field number %llu at byte %zu", type->name,
                       (unsigned long long)(tag >> 3), at);
    }
    uint32_t number = (uint32_t)tag >> 3;
    uint32_t wire = (uint32_t)tag & 7;
    if (wire > PB_LEN && wire != PB_I32) {
        return err_set(e, ERR_BAD_INPUT, "%s: field %u at byte %zu: %s is not taken", type->name,
                       number, at, wire_name(wire));
    }
    int expected = expected_wire((uint32_t)tag, type);
    if (expected >= 0) {
        return err_set(e, ERR_BAD_INPUT, "%s: field %u at byte %zu is %s, not %s", type->name,
                       number, at, wire_name(wire), wire_name((uint32_t)expected));
    }
    pass_value(c, (uint32_t)tag);
    if (!cursor_ok(c)) {
        return err_set(e, ERR_BAD_INPUT, "%s: field %u at byte %zu: bad or cut off value",
                       type->name, number, at);
    }
    return true;
}

bool pb_explain(struct slice message, const struct pb_type *type, struct err *e)
{
    struct cursor c = cursor_of(message);
    while (cursor_more(&c)) {
        if (!explain_field(&c, cursor_at(&c), type, e)) {
            return false;
        }
    }
    return err_set(e, ERR_BAD_INPUT, "%s: bad or cut off contents", type->name);
}
