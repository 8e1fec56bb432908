/* Reading protobuf by hand (protobuf.dev, "Encoding"): a message is a run of fields, each a varint
 * tag (number << 3 | wire type) and a value. A decoder is a loop over pb_tag with a switch on whole
 * tags; its default case is pb_skip. Groups (wire types 3 and 4, dead since proto2) and the wire
 * types 6 and 7 are refused, so nothing here nests or recurses. Why a message was refused is found
 * by pb_explain, afterwards: the fast path carries no reasons. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"

enum pb_wire { PB_VARINT = 0, PB_I64 = 1, PB_LEN = 2, PB_I32 = 5 };

/* e.code of a walk's ERR_BAD_INPUT: the message as a whole is beyond a cap. An HTTP server answers 413 to
 * it, 400 otherwise. */
enum { PB_TOO_LARGE = 1 };

#define PB_TAG(number, wire) ((uint32_t)(number) << 3 | (uint32_t)(wire))

/* A message type: the tags of its known fields (a packable field has two), ended by 0. */
struct pb_type {
    const char *name;
    uint32_t tags[24];
};

/* The general case of pb_tag: fails on field number 0 and on tags beyond 32 bits. */
uint32_t pb_tag_slow(struct cursor *c);

/* The next field's tag; 0 at the end, and when *c failed. */
static inline uint32_t pb_tag(struct cursor *c)
{
    if (c->next >= c->end) {
        return 0;
    }
    uint8_t first = *c->next;
    if (first >= 8 && first < 0x80) {
        c->next++;
        return first;
    }
    return pb_tag_slow(c);
}

enum { PB_AHEAD_BYTES = 4096, PB_CACHE_LINE_BYTES = 64 };

/* Asks for the bytes ahead, from `fetched` on (at first c->next), and tells how far. A pass that leaps from field
 * to field is what no processor foresees: each leap would be a trip to memory. */
static inline const uint8_t *pb_fetch_ahead(const struct cursor *c, const uint8_t *fetched)
{
    const uint8_t *to = cursor_left(c) > PB_AHEAD_BYTES ? c->next + PB_AHEAD_BYTES : c->end;
    fetched = fetched < c->next ? c->next : fetched;
    for (; to - fetched >= PB_CACHE_LINE_BYTES; fetched += PB_CACHE_LINE_BYTES) {
        __builtin_prefetch(fetched);
    }
    return fetched;
}

/* Passes over an unknown field. Fails *c when it is a known one with a wrong wire type. */
void pb_skip(struct cursor *c, uint32_t tag, const struct pb_type *type);

/* The bytes behind a length; the lengths up to 16 KiB without a call. */
static inline struct slice pb_bytes(struct cursor *c)
{
    if (cursor_left(c) >= 2 && c->next[0] >= 0x80 && c->next[1] < 0x80) {
        uint64_t len = (uint64_t)(c->next[0] & 0x7f) | (uint64_t)c->next[1] << 7;
        c->next += 2;
        return cursor_take(c, len);
    }
    return cursor_varint_bytes(c);
}

/* Values as protobuf narrows them: the low 32 bits of a varint. */
static inline uint32_t pb_uint32(struct cursor *c)
{
    return (uint32_t)cursor_varint(c);
}

static inline int32_t pb_sint32(struct cursor *c)
{
    uint32_t v = (uint32_t)cursor_varint(c);
    return (int32_t)((v >> 1) ^ (~(v & 1) + 1));
}

/* How many varints a packed field holds: its bytes that end one. */
size_t pb_packed_varints(struct slice packed);

/* The values of all length-delimited fields with this tag, one after the other (with tags: the
 * whole fields). For a message field that comes more than once this is protobuf's merge. ptr NULL
 * at the arena's ceiling. The message must have been read to its end before. */
struct slice pb_gather(struct slice message, uint32_t tag, bool with_tags, struct arena *a);

/* Sets e (ERR_BAD_INPUT) to what is wrong with this message, and returns false. */
bool pb_explain(struct slice message, const struct pb_type *type, struct err *e);
