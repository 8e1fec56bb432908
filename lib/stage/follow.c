#include "stage/follow.h"

#include "run/log.h"
#include "stage/topics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Its records are few and small. */
enum { MEMORY_BYTES = 64 << 20, END_TRIES = 8, TRY_AGAIN_MS = 500 };

struct followed {
    struct partition partition; /* topic: owned */
    int64_t end;                /* when opened */
    int64_t position;           /* of the next record */
};

struct follower {
    rd_kafka_t *reader;
    struct followed *topics; /* owned */
    size_t n;
};

static bool end_patiently(rd_kafka_t *rk, const char *topic, int64_t *end, struct err *e)
{
    for (int i = 0; i < END_TRIES; i++) {
        if (topic_end_uncommitted(rk, topic, 0, end, e)) {
            return true;
        }
        (void)usleep(TRY_AGAIN_MS * 1000);
    }
    return false;
}

static bool open_topic(struct follower *f, const char *topic, struct followed *out, struct err *e)
{
    uint32_t n_partitions;
    if (!topic_describe_patiently(f->reader, topic, &n_partitions, e)) {
        return false;
    }
    if (n_partitions != 1) {
        return err_set(e, ERR_CONFIG,
                       "topic %s has %u partitions, and must have 1: everyone reads it whole, in "
                       "order; delete it and "
                       "create it anew: sluice-offsets topics apply",
                       topic, n_partitions);
    }
    char *name = strdup(topic);
    if (name == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    out->partition = (struct partition){.topic = slice_str(name), .n_partitions = 1};
    return end_patiently(f->reader, topic, &out->end, e);
}

static bool assign_all(struct follower *f, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)f->n);
    for (size_t i = 0; i < f->n; i++) {
        const char *topic = (const char *)f->topics[i].partition.topic.ptr;
        rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(f->reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_FATAL, code, "assign: %s", rd_kafka_err2str(code));
}

bool follower_open(const struct kafka_settings *settings, const char *const *topics, size_t n,
                   struct follower **out, struct err *e)
{
    struct kafka_settings own = *settings;
    own.memory_limit_bytes = MEMORY_BYTES;
    struct follower *f = calloc(1, sizeof *f);
    struct followed *followed = calloc(n, sizeof *followed);
    if (f == NULL || followed == NULL) {
        free(f);
        free(followed);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    f->topics = followed;
    f->n = n;
    bool ok = kafka_open(KAFKA_READER, &own, NULL, &f->reader, e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = open_topic(f, topics[i], &followed[i], e);
    }
    if (!ok || !assign_all(f, e)) {
        follower_close(f);
        return false;
    }
    *out = f;
    return true;
}

void follower_close(struct follower *f)
{
    if (f == NULL) {
        return;
    }
    if (f->reader != NULL) {
        rd_kafka_destroy(f->reader);
    }
    for (size_t i = 0; i < f->n; i++) {
        free((void *)(uintptr_t)f->topics[i].partition.topic.ptr);
    }
    free(f->topics);
    free(f);
}

/* NULL: an event of no topic (a broker's connection). */
static struct followed *followed_of(struct follower *f, const rd_kafka_message_t *m)
{
    const char *name = m->rkt == NULL ? NULL : rd_kafka_topic_name(m->rkt);
    for (size_t i = 0; name != NULL && i < f->n; i++) {
        if (slice_eq_str(f->topics[i].partition.topic, name)) {
            return &f->topics[i];
        }
    }
    return NULL;
}

/* Never back, though a reader that was left behind by the topic's beginning starts over. */
static void advance(struct followed *topic, int64_t position)
{
    if (position > topic->position) {
        topic->position = position;
    }
}

static bool take(struct follower *f, const rd_kafka_message_t *m, follow_fn each, void *ctx,
                 struct err *e)
{
    struct followed *topic = followed_of(f, m);
    if (topic != NULL && m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        advance(topic, m->offset); /* behind the transactions' markers too */
        return true;
    }
    if (topic == NULL || m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_line(LOG_WARN, "a followed topic could not be read, trying on",
                 LOG_FIELDS(LOG_STR("topic",
                                    topic == NULL ? "" : (const char *)topic->partition.topic.ptr),
                            LOG_STR("error", rd_kafka_message_errstr(m))));
        return true;
    }
    const struct record r = {
        .partition = &topic->partition,
        .offset = m->offset,
        .timestamp_ms = rd_kafka_message_timestamp(m, NULL),
        .key = slice_of(m->key, m->key_len),
        .value = slice_of(m->payload, m->len),
    };
    advance(topic, m->offset + 1);
    return each(ctx, (size_t)(topic - f->topics), &r, e);
}

bool follower_poll(struct follower *f, int timeout_ms, follow_fn each, void *ctx, struct err *e)
{
    bool ok = true;
    for (int i = 0; ok && i < FOLLOW_MAX_RECORDS; i++) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(f->reader, i == 0 ? timeout_ms : 0);
        if (m == NULL) {
            break;
        }
        ok = take(f, m, each, ctx, e);
        rd_kafka_message_destroy(m);
    }
    return ok;
}

bool follower_caught_up(const struct follower *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->topics[i].position < f->topics[i].end) {
            return false;
        }
    }
    return true;
}
