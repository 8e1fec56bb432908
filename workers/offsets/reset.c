#include "reset.h"

#include "groups.h"
#include "base/clock.h"
#include "batch/rollup.h"
#include "batch/rollup_commit.h"
#include "stage/topics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 15000, POLL_MS = 200, MAX_TEXT = 128, ARENA_BYTES = 64 << 20 };

enum target_kind { TO_EARLIEST, TO_BACK, TO_OFFSET };

struct target {
    enum target_kind kind;
    int64_t value; /* ms back, or the offset */
};

/* What a partition's commit says, and what it shall say. */
struct place {
    int64_t offset;
    int64_t log_ms;
    int64_t position;
};

struct scan {
    rd_kafka_t *rk;
    const struct reset_options *o;
    struct target target;
    struct arena arena;
    int64_t deadline_mono_ms;
};

static bool target_read(const char *text, struct target *out, struct err *e)
{
    char *end = NULL;
    if (strcmp(text, "earliest") == 0) {
        *out = (struct target){TO_EARLIEST, 0};
        return true;
    }
    errno = 0;
    long long n = strtoll(text, &end, 10);
    int64_t unit_ms = *end == 's' ? 1000 : *end == 'm' ? 60000 : *end == 'h' ? 3600000 : 0;
    bool is_back = n < 0 && n > -1000000 && unit_ms > 0 && end[1] == '\0';
    bool is_offset = n >= 0 && *end == '\0' && end != text;
    if (errno != 0 || (!is_back && !is_offset)) {
        return err_set(e, ERR_CONFIG, "--to %.40s: neither earliest, -30m (s, m, h) nor an offset", text);
    }
    *out = is_back ? (struct target){TO_BACK, -n * unit_ms} : (struct target){TO_OFFSET, n};
    return true;
}

static bool metadata_read(const rd_kafka_topic_partition_t *at, struct place *out)
{
    struct rollup_commit c;
    if (!rollup_commit_read(slice_of(at->metadata, at->metadata_size), &c)) {
        return false;
    }
    out->position = c.position;
    out->log_ms = c.log_ms;
    return true;
}

/* The time that the record brings: a batch's received_ms; of other records their own. */
static int64_t time_of(struct scan *x, const rd_kafka_message_t *m)
{
    struct err why = ERR_INIT;
    struct batch b;
    arena_reset(&x->arena);
    if (batch_decode(slice_of(m->payload, m->len), &batch_default_caps, &x->arena, &b, &why)) {
        return b.received_ms;
    }
    struct rollup row;
    arena_reset(&x->arena);
    bool is_row = rollup_decode(slice_of(m->payload, m->len), &x->arena, &row, &why);
    return is_row ? rd_kafka_message_timestamp(m, NULL) : ROLLUP_NEVER; /* a bad record tells no time */
}

/* Is the offset at hand where we go, log time before and with it being so? */
static bool is_there(const struct scan *x, int64_t offset, int64_t with_ms, int64_t back_to_ms)
{
    switch (x->target.kind) {
    case TO_EARLIEST:
        return true;
    case TO_OFFSET:
        return offset >= x->target.value;
    case TO_BACK:
        return with_ms >= back_to_ms;
    }
    return true;
}

static bool assign_at(struct scan *x, int32_t number, int64_t offset, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, x->o->topic, number)->offset = offset;
    rd_kafka_resp_err_t code = rd_kafka_assign(x->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "assign: %s", rd_kafka_err2str(code));
}

/* One message further. *found: it is where we go. */
static bool scan_message(struct scan *x, const rd_kafka_message_t *m, int64_t back_to_ms,
                         struct place *at, bool *found, bool *at_end, struct err *e)
{
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *at_end = true;
        at->offset = m->offset;
        return true;
    }
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, m->err, "read: %s", rd_kafka_message_errstr(m));
    }
    int64_t ms = time_of(x, m);
    int64_t with_ms = ms > at->log_ms ? ms : at->log_ms;
    at->offset = m->offset;
    *found = is_there(x, m->offset, with_ms, back_to_ms);
    if (!*found) {
        at->log_ms = with_ms;
        at->offset = m->offset + 1;
    }
    return true;
}

/* Reads from low on, up to the place that is asked for or `end`. */
static bool scan_partition(struct scan *x, int32_t number, int64_t low, int64_t end,
                           int64_t back_to_ms, struct place *out, struct err *e)
{
    struct place at = {low, ROLLUP_NEVER, 0};
    bool found = x->target.kind == TO_EARLIEST || low >= end;
    bool at_end = false;
    if (!found && !assign_at(x, number, low, e)) {
        return false;
    }
    bool ok = true;
    x->deadline_mono_ms = clock_mono_ms() + x->o->timeout_ms;
    while (ok && !found && !at_end && at.offset < end) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(x->rk, POLL_MS);
        if (m != NULL) {
            ok = scan_message(x, m, back_to_ms, &at, &found, &at_end, e);
            rd_kafka_message_destroy(m);
        }
        if (ok && clock_mono_ms() > x->deadline_mono_ms) {
            ok = err_set(e, ERR_RETRY, "stands at %" PRId64 " of %" PRId64 " after %" PRId64 " ms", at.offset, end,
                         x->o->timeout_ms);
        }
    }
    (void)rd_kafka_assign(x->rk, NULL);
    at.offset = at.offset > end && x->target.kind != TO_OFFSET ? end : at.offset;
    *out = at;
    return ok;
}

static bool settle(struct scan *x, rd_kafka_topic_partition_t *at, struct place *old,
                   struct place *new, struct err *e)
{
    int64_t low;
    int64_t high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(x->rk, at->topic, at->partition, &low, &high, CALL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, code, "end: %s", rd_kafka_err2str(code));
    }
    *old = (struct place){at->offset, ROLLUP_NEVER, at->offset};
    bool is_ours = metadata_read(at, old);
    if (!is_ours && x->target.kind == TO_BACK) {
        return err_set(e, ERR_CONFIG, "its commit says no log time to go back from; use --to earliest or an offset");
    }
    int64_t end = x->target.kind == TO_OFFSET && x->target.value > at->offset ? x->target.value : at->offset;
    end = end < high ? end : high;
    if (!scan_partition(x, at->partition, low, end, old->log_ms - x->target.value, new, e)) {
        return false;
    }
    new->position = old->position;
    if (new->offset > old->offset && !x->o->force) {
        return err_set(e, ERR_CONFIG,
                       "offset %" PRId64 " lies behind the committed one, %" PRId64
                       ": what is between would be in no row; --force does it all the same",
                       new->offset, old->offset);
    }
    return true;
}

static bool metadata_write(rd_kafka_topic_partition_t *at, const struct place *p, struct err *e)
{
    struct buf text;
    size_t len;
    const struct rollup_commit c = {p->position, p->log_ms};
    buf_init(&text, MAX_TEXT);
    rollup_commit_put(&c, &text);
    if (!buf_ok(&text)) {
        buf_fini(&text);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    free(at->metadata);
    at->metadata_size = text.len;
    at->metadata = buf_take(&text, &len); /* the list frees it */
    at->offset = p->offset;
    return true;
}

static bool settle_all(struct scan *x, rd_kafka_topic_partition_list_t *list, struct err *e)
{
    for (int i = 0; i < list->cnt;) {
        struct place old = {0};
        struct place new = {0};
        rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->offset < 0) { /* nothing was committed: it begins at the log's start anyway */
            (void)rd_kafka_topic_partition_list_del_by_idx(list, i);
            continue;
        }
        if (!settle(x, at, &old, &new, e) || !metadata_write(at, &new, e)) {
            return err_wrap(e, "%s[%d]", at->topic, at->partition);
        }
        (void)printf("%s[%d] %" PRId64 " -> %" PRId64 "\n", at->topic, at->partition, old.offset, new.offset);
        i++;
    }
    return true;
}

static bool committed_read(struct scan *x, rd_kafka_topic_partition_list_t *list, struct err *e)
{
    uint32_t n_partitions;
    uint8_t id[16];
    if (!topic_describe(x->rk, x->o->topic, &n_partitions, id, e)) {
        return false;
    }
    for (uint32_t i = 0; i < n_partitions; i++) {
        (void)rd_kafka_topic_partition_list_add(list, x->o->topic, (int32_t)i);
    }
    rd_kafka_resp_err_t code = rd_kafka_committed(x->rk, list, CALL_MS);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "committed offsets: %s", rd_kafka_err2str(code));
}

bool group_reset(const struct kafka_settings *s, const struct reset_options *o, struct err *e)
{
    struct scan x = {.o = o};
    if (!target_read(o->to, &x.target, e) || !kafka_open(KAFKA_READER, s, NULL, &x.rk, e)) {
        return false;
    }
    arena_init(&x.arena, ARENA_BYTES);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    bool ok = committed_read(&x, list, e) && settle_all(&x, list, e);
    if (ok && list->cnt == 0) {
        ok = err_set(e, ERR_CONFIG, "group %s has committed nothing of %s", o->group, o->topic);
    }
    ok = ok && (o->dry_run || group_alter(x.rk, o->group, list, e));
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(x.rk);
    rd_kafka_destroy(x.rk);
    arena_fini(&x.arena);
    return ok;
}
