#include "scan.h"

#include "base/clock.h"
#include "stage/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 10000, POLL_MS = 200 };

/* The first offsets of a time, by partition; the end where nothing is so young. */
static bool offsets_at(struct scan *s, int64_t time_ms, bool is_from, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)s->n_stretches);
    for (uint32_t i = 0; i < s->n_stretches; i++) {
        rd_kafka_topic_partition_list_add(list, s->topic, s->stretches[i].partition)->offset =
            time_ms;
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(s->rk, list, CALL_MS);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        struct scan_stretch *p = &s->stretches[i];
        int64_t found = list->elems[i].offset < 0 || list->elems[i].offset > p->end
                            ? p->end
                            : list->elems[i].offset;
        code = list->elems[i].err;
        *(is_from ? &p->from : &p->end) = found;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "%s: offsets by time: %s", s->topic,
                        rd_kafka_err2str(code));
}

static bool bounds_read(struct scan *s, struct scan_stretch *p, struct err *e)
{
    int64_t end;
    /* A reader of what is committed is told the last stable offset. */
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(s->rk, s->topic, p->partition, &p->low, &p->end, CALL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, code, "%s[%d]: its end: %s", s->topic, p->partition,
                            rd_kafka_err2str(code));
    }
    if (!topic_end_uncommitted(s->rk, s->topic, p->partition, &end, e)) {
        return false;
    }
    p->from = p->low;
    p->hidden = end > p->end ? end : -1;
    return true;
}

static void clip(struct scan_stretch *p, const struct scan_request *r)
{
    if (r->to.kind == MOMENT_OFFSET && r->to.value < p->end) {
        p->end = r->to.value;
        p->hidden = -1;
    }
    if (r->from.kind == MOMENT_OFFSET) {
        p->from = r->from.value;
    } else if (r->from.kind == MOMENT_END) {
        p->from = p->end;
    }
    p->from = p->from < p->low ? p->low : p->from;
}

static bool stretches_find(struct scan *s, const struct scan_request *r, struct err *e)
{
    int64_t time_ms;
    for (uint32_t i = 0; i < s->n_stretches; i++) {
        s->stretches[i].partition = r->partition == SCAN_ALL ? (int32_t)i : r->partition;
        if (!bounds_read(s, &s->stretches[i], e)) {
            return false;
        }
        clip(&s->stretches[i], r);
    }
    return (!moment_time_ms(&r->from, s->tool->now_ms, &time_ms) ||
            offsets_at(s, time_ms, true, e)) &&
           (!moment_time_ms(&r->to, s->tool->now_ms, &time_ms) || offsets_at(s, time_ms, false, e));
}

bool scan_open(const struct tool *t, rd_kafka_t *rk, const struct scan_request *r, struct scan *out,
               struct err *e)
{
    *out = (struct scan){.tool = t, .rk = rk, .topic = r->topic};
    if (!topic_describe(rk, r->topic, &out->n_partitions, out->topic_id, e)) {
        return false;
    }
    if (r->partition != SCAN_ALL && (uint32_t)r->partition >= out->n_partitions) {
        return err_set(e, ERR_CONFIG, "%s has %u partitions, 0 to %u: there is no %d", r->topic,
                       out->n_partitions, out->n_partitions - 1, r->partition);
    }
    out->n_stretches = r->partition == SCAN_ALL ? out->n_partitions : 1;
    out->stretches = calloc(out->n_stretches, sizeof *out->stretches);
    if (out->stretches == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!stretches_find(out, r, e)) {
        scan_close(out);
        return false;
    }
    return true;
}

void scan_close(struct scan *s)
{
    free(s->stretches);
    s->stretches = NULL;
}

static bool assign_at(struct scan *s, const struct scan_stretch *p, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, s->topic, p->partition)->offset = p->from;
    rd_kafka_resp_err_t code = rd_kafka_assign(s->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "assign: %s", rd_kafka_err2str(code));
}

/* One message further; *position moves behind it. */
static bool take(struct scan *s, const struct scan_stretch *p, const rd_kafka_message_t *m,
                 scan_fn each, void *ctx, int64_t *position, bool *enough, struct err *e)
{
    bool is_ours = m->rkt != NULL && m->partition == p->partition &&
                   strcmp(rd_kafka_topic_name(m->rkt), s->topic) == 0;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *position = is_ours ? m->offset : *position; /* behind the markers too */
        return true;
    }
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) { /* brokers that are away: the deadline ends it */
        return true;
    }
    if (!is_ours || m->offset < *position) {
        return true; /* of the partition that was read before */
    }
    *position = m->offset + 1;
    return m->offset >= p->end || each(ctx, m, enough, e);
}

static void tell(struct scan *s, const struct scan_stretch *p, int64_t position)
{
    if (s->shows_progress && progress_due(&s->told)) {
        (void)fprintf(stderr, "%s[%d]: offset %" PRId64 " of %" PRId64 "\n", s->topic,
                      p->partition, position, p->end);
    }
}

static bool read_stretch(struct scan *s, const struct scan_stretch *p, scan_fn each, void *ctx,
                         bool *enough, struct err *e)
{
    int64_t idle_ms = config_int(s->tool->config, "idle_timeout_ms");
    int64_t position = p->from;
    int64_t moved_mono_ms = clock_mono_ms();
    if (position >= p->end) {
        return true;
    }
    bool ok = assign_at(s, p, e);
    while (ok && !*enough && position < p->end) {
        int64_t before = position;
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->rk, POLL_MS);
        ok = m == NULL || take(s, p, m, each, ctx, &position, enough, e);
        if (m != NULL) {
            rd_kafka_message_destroy(m);
        }
        moved_mono_ms = position != before ? clock_mono_ms() : moved_mono_ms;
        tell(s, p, position);
        if (ok && position < p->end && clock_mono_ms() - moved_mono_ms > idle_ms) {
            ok = err_set(e, ERR_RETRY,
                         "stands at %" PRId64 " of %" PRId64 ", nothing came for %" PRId64 " ms",
                         position, p->end, idle_ms);
        }
    }
    (void)rd_kafka_assign(s->rk, NULL);
    return ok || err_wrap(e, "%s[%d]", s->topic, p->partition);
}

bool scan_run(struct scan *s, scan_fn each, void *ctx, struct err *e)
{
    bool enough = false;
    for (uint32_t i = 0; i < s->n_stretches && !enough; i++) {
        if (!read_stretch(s, &s->stretches[i], each, ctx, &enough, e)) {
            return false;
        }
    }
    return true;
}
