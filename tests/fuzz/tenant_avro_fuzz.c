/* Any bytes, and any bytes behind the right head: tenant_avro_walk takes them or says why not, and
 * what it takes avro-c reads the same. */
#include <stdio.h>
#include <stdlib.h>

#include "tenant_metrics_avsc.h"
#include "unit/wire/tenant_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DUMP_MAX_BYTES = 64 << 20, HEAD_BYTES = 10 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

/* avro-c's strings end at the first NUL where keys of maps are concerned. */
static bool has_nul_text(const struct buf *dump)
{
    return memchr(dump->ptr, 0, dump->len) != NULL;
}

static void check(struct slice message)
{
    struct err e = ERR_INIT;
    struct buf ours;
    struct buf theirs;
    buf_init(&ours, DUMP_MAX_BYTES);
    buf_init(&theirs, DUMP_MAX_BYTES);
    if (!tenant_dump_walk(message, &tenant_avro_default_caps, &ours, &e)) {
        if (e.kind != ERR_BAD_INPUT || e.text[0] == 0) {
            fail("an error of the wrong kind or without text", e.text);
        }
    } else if (!has_nul_text(&ours)) {
        if (!tenant_dump_avro_c(message, &theirs)) {
            fail("avro-c refuses what the walk takes", "");
        }
        if (!slice_eq(buf_slice(&ours), buf_slice(&theirs))) {
            fprintf(stderr, "walk:\n%s\navro-c:\n%s\n", buf_c_str(&ours), buf_c_str(&theirs));
            fail("read differently", "");
        }
    }
    buf_fini(&ours);
    buf_fini(&theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(slice_of(data, size));
    struct buf headed;
    buf_init(&headed, size + HEAD_BYTES);
    buf_put(&headed, TENANT_METRICS_HEAD, HEAD_BYTES);
    buf_put(&headed, data, size);
    check(buf_slice(&headed));
    buf_fini(&headed);
    return 0;
}
