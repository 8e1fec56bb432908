#include "dry_run.h"

#include "base/clock.h"
#include "hits.h"
#include "policy/control_show.h"
#include "stage/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* One partition's stretch of the topic. */
struct stretch {
    int64_t from;
    int64_t end; /* the last stable offset when asked */
    bool done;
};

struct reader {
    const struct tool *t;
    const char *topic;
    rd_kafka_t *rk;
    uint32_t n_partitions;
    struct stretch *stretches; /* owned; by partition */
    size_t n_left;
};

/* Where the window begins in each partition. */
static bool find_starts(struct reader *r, int64_t from_ms, int timeout_ms, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->n_partitions);
    for (uint32_t p = 0; p < r->n_partitions; p++) {
        rd_kafka_topic_partition_list_add(list, r->topic, (int32_t)p)->offset = from_ms;
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(r->rk, list, timeout_ms);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        code = list->elems[i].err;
        r->stretches[list->elems[i].partition].from =
            list->elems[i].offset; /* negative: nothing so young */
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "%s: offsets by time: %s", r->topic,
                        rd_kafka_err2str(code));
}

static bool find_ends(struct reader *r, int timeout_ms, struct err *e)
{
    for (uint32_t p = 0; p < r->n_partitions; p++) {
        struct stretch *s = &r->stretches[p];
        int64_t low;
        /* A reader of what is committed is told the last stable offset. */
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(r->rk, r->topic, (int32_t)p,
                                                                    &low, &s->end, timeout_ms);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return err_set_code(e, ERR_RETRY, code, "%s[%u]: its end: %s", r->topic, p,
                                rd_kafka_err2str(code));
        }
        s->done = s->from < 0 || s->from >= s->end;
        r->n_left += !s->done;
    }
    return true;
}

static bool assign(struct reader *r, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->n_partitions);
    for (uint32_t p = 0; p < r->n_partitions; p++) {
        if (!r->stretches[p].done) {
            rd_kafka_topic_partition_list_add(list, r->topic, (int32_t)p)->offset =
                r->stretches[p].from;
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(r->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_FATAL, code, "assign: %s", rd_kafka_err2str(code));
}

static bool take(struct reader *r, const rd_kafka_message_t *m, struct hits *h, struct err *e)
{
    bool is_eof = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if ((m->err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_eof) || m->partition < 0 ||
        (uint32_t)m->partition >= r->n_partitions) {
        return true; /* brokers that are away: the deadline ends it */
    }
    struct stretch *s = &r->stretches[m->partition];
    if (!is_eof && m->offset < s->end && !hits_take(h, slice_of(m->payload, m->len), e)) {
        return false;
    }
    if (!s->done && (is_eof ? m->offset : m->offset + 1) >= s->end) {
        s->done = true;
        r->n_left--;
    }
    return true;
}

static bool read_stretches(struct reader *r, struct hits *h, struct err *e)
{
    int64_t timeout_ms = config_int(r->t->config, "dry_run_timeout_ms");
    int64_t deadline = clock_mono_ms() + timeout_ms;
    while (r->n_left > 0) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, 100);
        bool ok = m == NULL || take(r, m, h, e);
        if (m != NULL) {
            rd_kafka_message_destroy(m);
        }
        if (!ok) {
            return false;
        }
        if (r->n_left > 0 && clock_mono_ms() > deadline) {
            return err_set(e, ERR_RETRY,
                           "%s: %zu partitions not read to their end within %" PRId64
                           " ms; a shorter --window, or dry_run_timeout_ms",
                           r->topic, r->n_left, timeout_ms);
        }
    }
    return true;
}

static bool read_window(struct reader *r, struct hits *h, struct err *e)
{
    int timeout_ms = (int)config_int(r->t->config, "timeout_ms");
    uint8_t id[16];
    if (!kafka_open(KAFKA_READER, &r->t->kafka, NULL, &r->rk, e) ||
        !topic_describe(r->rk, r->topic, &r->n_partitions, id, e)) {
        return false;
    }
    r->stretches = calloc(r->n_partitions, sizeof *r->stretches);
    return (r->stretches != NULL || err_set(e, ERR_FATAL, "out of memory")) &&
           find_starts(r, r->t->now_ms - r->t->command->window_ms, timeout_ms, e) &&
           find_ends(r, timeout_ms, e) && assign(r, e) && read_stretches(r, h, e);
}

static void put_share(struct buf *out, uint64_t part, uint64_t all)
{
    if (all > 0) {
        buf_printf(out, " (%.1f %% of the tenant's %" PRIu64 ")",
                   100.0 * (double)part / (double)all, all);
    }
}

static void print(const struct tool *t, const struct hits *h)
{
    const char *at_least = h->at_least ? "at least " : "";
    double seconds = (double)t->command->window_ms / 1000;
    struct hits_metric top[HITS_TOP];
    size_t n_top = hits_top(h, top);
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_printf(&out, "dry run, nothing is written: ");
    control_show(&out, &t->command->rule);
    buf_printf(&out, "\n  in the last ");
    show_duration(&out, t->command->window_ms);
    buf_printf(&out, " it would have hit\n  series    %s%" PRIu64, at_least, h->hit.n_series);
    put_share(&out, h->hit.n_series, h->tenant.n_series);
    buf_printf(&out, "\n  sources   %s%" PRIu64, at_least, h->hit.n_sources);
    put_share(&out, h->hit.n_sources, h->tenant.n_sources);
    buf_printf(&out, "\n  samples   %" PRIu64 ", %.1f/s", h->hit.n_samples,
               (double)h->hit.n_samples / seconds);
    put_share(&out, h->hit.n_samples, h->tenant.n_samples);
    buf_printf(&out, "\n");
    for (size_t i = 0; i < n_top; i++) {
        buf_printf(&out,
                   "    %.1f samples/s, %s%" PRIu64 " series: ", (double)top[i].n_samples / seconds,
                   at_least, top[i].n_series);
        show_text(&out, top[i].name);
        buf_printf(&out, "\n");
    }
    if (h->tenant.n_samples == 0) {
        buf_printf(&out, "  the tenant sent nothing in that time\n");
    }
    if (h->n_bad > 0) {
        buf_printf(&out, "  %" PRIu64 " records are no batches and were left out\n", h->n_bad);
    }
    (void)fwrite(out.ptr, 1, out.len, stdout);
    buf_fini(&out);
}

bool dry_run(const struct tool *t, struct err *e)
{
    struct hits h;
    struct reader r = {.t = t, .topic = config_str(t->config, "valid_topic")};
    hits_init(&h, &t->command->rule, (size_t)config_int(t->config, "dry_run_max_series"));
    bool ok = read_window(&r, &h, e);
    if (ok) {
        print(t, &h);
    }
    if (r.rk != NULL) {
        rd_kafka_destroy(r.rk);
    }
    free(r.stretches);
    hits_fini(&h);
    return ok;
}
