/* Any bytes as a record of our topics, behind each head that sluice-offsets knows, and as what a tenant sent: shown, or
 * refused as bad input; never a crash, never more than memory allows. The first byte chooses the head. */
#include <stdio.h>
#include <stdlib.h>

#include "origin_points.h"
#include "record_json.h"

#include "dlq_avsc.h"
#include "gap_avsc.h"
#include "limit_grants_avsc.h"
#include "limit_lease_avsc.h"
#include "limit_partition_avsc.h"
#include "limit_source_avsc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_BYTES = 10, N_HEADS = 7, ARENA_BYTES = 64 << 20 };

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static void check_record(struct record_printer *p, struct slice value)
{
    struct err e = ERR_INIT;
    const char *kind;
    json_t *out = NULL;
    if (!record_value_json(p, "metrics.any", value, &kind, &out, &e)) {
        if (e.kind != ERR_BAD_INPUT || e.text[0] == '\0' || out != NULL) {
            fail("an error of the wrong kind, without text or with a value", e.text);
        }
        return;
    }
    char *text = json_dumps(out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (text == NULL) {
        fail("a value that is no JSON", kind);
    }
    free(text);
    json_decref(out);
}

static void check_origin(struct slice value)
{
    struct partition partition = {.topic = SLICE_LITERAL("metrics.ingest.demo")};
    const struct record r = {.partition = &partition, .value = value};
    const struct origin_wanted wanted = {.shared_topic = "metrics.ingest"};
    struct origin_points points;
    struct arena a;
    struct err e = ERR_INIT;
    arena_init(&a, ARENA_BYTES);
    if (origin_points_read(&r, &wanted, &a, &points, &e)) {
        if (json_array_size(points.points) > ORIGIN_MAX_POINTS) {
            fail("more points than the cap", "");
        }
        json_decref(points.points);
    } else if (e.kind != ERR_BAD_INPUT || e.text[0] == '\0') {
        fail("an error of the wrong kind or without text", e.text);
    }
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const heads[N_HEADS] = {"",        DLQ_HEAD, GAP_HEAD, LIMIT_SOURCE_HEAD, LIMIT_PARTITION_HEAD,
                                               LIMIT_LEASE_HEAD, LIMIT_GRANTS_HEAD};
    static struct record_printer printer;
    static bool is_open;
    struct err e = ERR_INIT;
    struct buf value;
    if (size == 0) {
        return 0;
    }
    if (!is_open && !record_printer_init(&printer, NULL, NULL, &e)) {
        fail("open", e.text);
    }
    is_open = true;
    unsigned head = data[0] % N_HEADS;
    buf_init(&value, size + HEAD_BYTES);
    buf_put(&value, heads[head], head == 0 ? 0 : HEAD_BYTES);
    buf_put(&value, data + 1, size - 1);
    check_record(&printer, buf_slice(&value));
    check_origin(slice_of(data + 1, size - 1));
    buf_fini(&value);
    return 0;
}
