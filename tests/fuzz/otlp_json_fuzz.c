/* Any bytes as OTLP's JSON: what is taken is a message that the walk takes too, no larger than its caps; what is not is
 * told with a text. */
#include <stdio.h>
#include <stdlib.h>

#include "wire/otlp.h"
#include "wire/otlp_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_BYTES = 1 << 20, SCRATCH_BYTES = 64 << 20 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static bool on_point(void *ctx, const struct otlp_metric *m, const struct otlp_point *p, struct err *e)
{
    (void)ctx;
    (void)m;
    (void)p;
    (void)e;
    return true;
}

static void walk(struct slice message)
{
    static const struct otlp_caps wide = {
        .max_message_bytes = MESSAGE_BYTES, .max_points = 1 << 30, .max_buckets = 1 << 20, .max_attributes = 1 << 20};
    const struct otlp_sink sink = {.point = on_point};
    struct arena scratch;
    struct err e = ERR_INIT;
    arena_init(&scratch, SCRATCH_BYTES);
    if (!otlp_walk(message, &wide, &scratch, &sink, &e)) {
        fail("a message made of JSON that the walk refuses", e.text);
    }
    arena_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct otlp_json_caps caps = {.max_json_bytes = 1 << 16, .max_message_bytes = MESSAGE_BYTES};
    struct buf out;
    struct err e = ERR_INIT;
    buf_init(&out, 4 * MESSAGE_BYTES);
    if (otlp_json_read(slice_of(data, size), &caps, &out, &e)) {
        if (out.len > MESSAGE_BYTES) {
            fail("a message beyond the cap", "");
        }
        walk(buf_slice(&out));
    } else if (e.kind != ERR_BAD_INPUT || e.text[0] == '\0') {
        fail("an error of the wrong kind or without text", e.text);
    }
    buf_fini(&out);
    return 0;
}
