/* A request's body on its way through the door: unpacked, judged, judged again with bytes changed, as a server's next scrape is.
 * With skeletons and without, the answers are the same, to the byte; accounts close; memory has its caps.
 *
 *   format and encoding (1 byte) | n changes (1 byte) | n times: place (2 bytes), bits (1 byte) | body */
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "unit/edge/twins.h"
#include "wire/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1780000000000)

enum { BODY_BYTES = 1 << 20, CACHE_BYTES = 1 << 20, MAX_CHANGES = 16, N_ROUNDS = 3 };

static const char policy[] =
    "{\"tenants\": {\"t\": {\"mode\": \"open\", \"classes\": {\"rules\": [{\"metrics\": [\"a*\"], "
    "\"class\": \"critical\"}]}}}}";

/* Kept from input to input: what one leaves behind in the caches must not change the next. */
static struct twins twins;

static void judge(enum edge_format format, struct slice body)
{
    uint64_t n_accepted;
    const char *what = twins_differ(&twins, format, body, NOW_MS, &n_accepted);
    if (what != NULL) {
        fprintf(stderr, "skeletons change %s\n", what);
        abort();
    }
}

/* A gateway that judges nothing sends it on in parts: none of it is lost, none of it doubled. */
static void split(struct slice body)
{
    const struct edge_way way = {.other_source = 5, .n_partitions = 12};
    struct edge_parts parts;
    struct err e = ERR_INIT;
    size_t n_bytes = 0;
    if (!edge_split(twins.edges[0], SLICE_LITERAL("t"), body, &way, &parts, &e)) {
        fprintf(stderr, "not split: %s\n", e.text);
        abort();
    }
    for (uint32_t i = 0; i < parts.n; i++) {
        n_bytes += parts.items[i].value.len;
    }
    if (n_bytes != body.len) {
        fprintf(stderr, "the parts are not the whole\n");
        abort();
    }
}

static bool unpack(unsigned encoding, struct slice in, struct buf *out)
{
    static const enum inflate_format formats[] = {INFLATE_SNAPPY, INFLATE_GZIP, INFLATE_ZSTD};
    struct err e = ERR_INIT;
    if (encoding == 0) {
        buf_put_slice(out, in);
        return buf_ok(out);
    }
    bool ok = inflate_bytes(formats[encoding - 1], in, BODY_BYTES, out, &e);
    if (!ok && (e.kind != ERR_BAD_INPUT || e.text[0] == '\0')) {
        fprintf(stderr, "an error of the wrong kind or without text\n");
        abort();
    }
    if (out->len > BODY_BYTES) {
        fprintf(stderr, "more than the cap\n");
        abort();
    }
    return ok;
}

static void change(struct buf *body, struct cursor changes)
{
    while (cursor_more(&changes)) {
        size_t place = cursor_u8(&changes);
        place |= (size_t)cursor_u8(&changes) << 8;
        uint8_t bits = cursor_u8(&changes);
        if (body->len > 0) {
            body->ptr[place % body->len] ^= bits;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    unsigned how = cursor_u8(&c);
    struct cursor changes = cursor_of(cursor_take(&c, (size_t)(cursor_u8(&c) % MAX_CHANGES) * 3));
    if (!cursor_ok(&c)) {
        return 0;
    }
    if (twins.edges[0] == NULL) {
        twins_open(&twins, policy, CACHE_BYTES);
    }
    enum edge_format format = (enum edge_format)(how & 3);
    struct buf body;
    buf_init(&body, BODY_BYTES + 1);
    if (unpack(how >> 2 & 3, cursor_take(&c, cursor_left(&c)), &body)) {
        for (int round = 0; round < N_ROUNDS; round++) {
            judge(format, buf_slice(&body));
            split(buf_slice(&body));
            change(&body, changes);
        }
    }
    buf_fini(&body);
    return 0;
}
