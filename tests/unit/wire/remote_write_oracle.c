#include "unit/wire/remote_write_oracle.h"

#include <inttypes.h>

#include "remote_write.pb-c.h"

enum { SCRATCH_MAX_BYTES = 64 << 20 };

static void put_quoted(struct buf *out, struct slice s)
{
    buf_printf(out, "%zu'", s.len);
    buf_put_slice(out, s);
    buf_put(out, "'", 1);
}

static void put_sample(struct buf *out, double value, int64_t time_ms)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    buf_printf(out, " sample %016" PRIx64 " @%" PRId64 "\n", bits, time_ms);
}

static void put_histogram(struct buf *out, bool is_gauge, int64_t time_ms)
{
    buf_printf(out, " histogram%s @%" PRId64 "\n", is_gauge ? " gauge" : "", time_ms);
}

static bool walk_series(void *ctx, const struct remote_write_series *s, struct err *e)
{
    struct buf *out = ctx;
    (void)e;
    put_quoted(out, s->metric);
    for (uint32_t i = 0; i < s->n_labels; i++) {
        put_quoted(out, s->labels[i].name);
        put_quoted(out, s->labels[i].value);
    }
    buf_put(out, "\n", 1);
    return true;
}

static bool walk_point(void *ctx, const struct remote_write_series *s, const struct remote_write_point *p, struct err *e)
{
    (void)s;
    (void)e;
    if (p->histogram.ptr != NULL) {
        put_histogram(ctx, p->is_gauge, p->time_ms);
    } else {
        put_sample(ctx, p->value, p->time_ms);
    }
    return true;
}

bool remote_write_dump_walk(enum remote_write_version version, struct slice message, const struct remote_write_caps *caps,
                            struct buf *out, struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MAX_BYTES);
    const struct remote_write_sink sink = {.ctx = out, .series = walk_series, .point = walk_point};
    bool ok = remote_write_walk(version, message, caps, &scratch, &sink, e);
    arena_fini(&scratch);
    return ok;
}

static void dump_series(const Prometheus__TimeSeries *s, struct buf *out)
{
    struct slice metric = SLICE_NONE;
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < s->n_labels && at == SIZE_MAX; i++) {
        if (strcmp(s->labels[i]->name, "__name__") == 0) {
            metric = slice_str(s->labels[i]->value);
            at = i;
        }
    }
    put_quoted(out, metric);
    for (size_t i = 0; i < s->n_labels; i++) {
        if (i != at) {
            put_quoted(out, slice_str(s->labels[i]->name));
            put_quoted(out, slice_str(s->labels[i]->value));
        }
    }
    buf_put(out, "\n", 1);
    for (size_t i = 0; i < s->n_samples; i++) {
        put_sample(out, s->samples[i]->value, s->samples[i]->timestamp);
    }
    for (size_t i = 0; i < s->n_histograms; i++) {
        put_histogram(out, s->histograms[i]->reset_hint == PROMETHEUS__HISTOGRAM__RESET_HINT__GAUGE,
                      s->histograms[i]->timestamp);
    }
}

bool remote_write_dump_protobuf_c(struct slice message, struct buf *out)
{
    Prometheus__WriteRequest *r = prometheus__write_request__unpack(NULL, message.len, message.ptr);
    if (r == NULL) {
        return false;
    }
    for (size_t i = 0; i < r->n_timeseries; i++) {
        if (r->timeseries[i]->n_samples + r->timeseries[i]->n_histograms > 0) {
            dump_series(r->timeseries[i], out);
        }
    }
    prometheus__write_request__free_unpacked(r, NULL);
    return true;
}
