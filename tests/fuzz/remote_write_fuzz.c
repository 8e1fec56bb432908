/* Any bytes as either version: remote_write_walk takes them or says why not, and what it takes as 1.0 protobuf-c reads the
 * same. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/wire/remote_write_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DUMP_MAX_BYTES = 64 << 20 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static bool taken(enum remote_write_version version, struct slice message, struct buf *out)
{
    struct err e = ERR_INIT;
    bool ok = remote_write_dump_walk(version, message, &remote_write_default_caps, out, &e);
    if (!ok && (e.kind != ERR_BAD_INPUT || e.text[0] == 0)) {
        fail("an error of the wrong kind or without text", e.text);
    }
    return ok;
}

/* protobuf-c's strings end at the first NUL, and a series' samples and histograms come apart there. */
static bool comparable(struct buf *dump)
{
    return memchr(dump->ptr, 0, dump->len) == NULL && strstr(buf_c_str(dump), "histogram") == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf ours;
    struct buf theirs;
    buf_init(&ours, DUMP_MAX_BYTES);
    buf_init(&theirs, DUMP_MAX_BYTES);
    struct slice message = slice_of(data, size);
    (void)taken(REMOTE_WRITE_2, message, &ours);
    buf_reset(&ours);
    if (taken(REMOTE_WRITE_1, message, &ours) && ours.len > 0 && comparable(&ours) &&
        remote_write_dump_protobuf_c(message, &theirs) && !slice_eq(buf_slice(&ours), buf_slice(&theirs))) {
        fprintf(stderr, "walk:\n%s\nprotobuf-c:\n%s\n", buf_c_str(&ours), buf_c_str(&theirs));
        fail("read differently", "");
    }
    buf_fini(&ours);
    buf_fini(&theirs);
    return 0;
}
