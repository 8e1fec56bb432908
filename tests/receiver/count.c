#include "receiver.h"

#include <snappy-c.h>
#include <stdlib.h>

#include "base/clock.h"
#include "skim.h"
#include "write.h"

static bool count_body(struct receiver *rx, const struct incoming *in, char *decoded, size_t len)
{
    struct err e = ERR_INIT;
    struct skim_counts counts = {0};
    if (snappy_uncompress((const char *)in->body.ptr, in->body.len, decoded, &len) != SNAPPY_OK ||
        !skim_request(slice_of(decoded, len), &counts, &e)) {
        return false;
    }
    atomic_fetch_add(&rx->n_decoded_bytes, len);
    atomic_fetch_add(&rx->n_series, counts.n_series);
    atomic_fetch_add(&rx->n_samples, counts.n_samples);
    atomic_fetch_add(&rx->n_histograms, counts.n_histograms);
    return true;
}

void write_count(struct receiver *rx, const struct incoming *in, struct answer *out)
{
    size_t len = 0;
    atomic_fetch_add(&rx->n_requests, 1);
    atomic_fetch_add(&rx->n_bytes, in->body.len);
    out->status = (int)rx->rules.ok_status;
    bool sized = !in->too_large && snappy_uncompressed_length((const char *)in->body.ptr,
                                                              in->body.len, &len) == SNAPPY_OK;
    char *decoded = sized && len <= (uint64_t)rx->rules.max_decoded_bytes ? malloc(len + 1) : NULL;
    if (decoded == NULL || !count_body(rx, in, decoded, len)) {
        atomic_fetch_add(&rx->n_bad, 1);
        answer_text(out, 400, "not a snappy block of a WriteRequest\n");
    }
    free(decoded);
}

static json_t *count_stats(const struct receiver *rx)
{
    return json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "count_only", 1, "requests",
        (json_int_t)atomic_load(&rx->n_requests), "bad", (json_int_t)atomic_load(&rx->n_bad),
        "bytes", (json_int_t)atomic_load(&rx->n_bytes), "decoded_bytes",
        (json_int_t)atomic_load(&rx->n_decoded_bytes), "series_received",
        (json_int_t)atomic_load(&rx->n_series), "samples_received",
        (json_int_t)atomic_load(&rx->n_samples), "histograms_received",
        (json_int_t)atomic_load(&rx->n_histograms), "cpu_s", (double)clock_cpu_ns() / 1e9,
        "uptime_s", (double)(clock_mono_ns() - rx->tally.start_ns) / 1e9);
}

json_t *receiver_stats(struct receiver *rx)
{
    if (rx->count_only) {
        return count_stats(rx);
    }
    pthread_mutex_lock(&rx->lock);
    json_t *stats = tally_stats(&rx->tally, &rx->store);
    pthread_mutex_unlock(&rx->lock);
    return stats;
}
