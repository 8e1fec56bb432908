#include "stage/journal.h"

#include "base/clock.h"
#include "stage/follow.h"

#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000, BOUND_MS = 30000, POLL_MS = 200, READ_MS = 60000, TRANSACTION_MS = 10000 };

struct journal {
    rd_kafka_t *producer;
    char *topic;
};

struct reading {
    journal_fn each;
    void *ctx;
};

static bool read_one(void *ctx, size_t topic, const struct record *r, struct err *e)
{
    const struct reading *x = ctx;
    (void)topic;
    return x->each(x->ctx, r, e);
}

bool journal_read(const struct kafka_settings *s, const char *topic, journal_fn each, void *ctx,
                  struct err *e)
{
    struct follower *f;
    struct reading x = {each, ctx};
    int64_t until_ms = clock_mono_ms() + READ_MS;
    if (!follower_open(s, &topic, 1, &f, e)) {
        return false;
    }
    bool ok = true;
    while (ok && !follower_caught_up(f)) {
        ok = follower_poll(f, POLL_MS, read_one, &x, e);
        if (ok && clock_mono_ms() > until_ms) {
            ok = err_set(e, ERR_RETRY, "%s could not be read to its end within %d s", topic,
                         READ_MS / 1000);
        }
    }
    follower_close(f);
    return ok;
}

/* Calls that librdkafka asks to be made again, up to a bound. */
typedef rd_kafka_error_t *(*transaction_call)(rd_kafka_t *rk, int timeout_ms);

static bool call_on(struct journal *j, transaction_call call, const char *what, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + BOUND_MS;
    while (!kafka_err_take(call(j->producer, CALL_MS), what, e)) {
        if (e->kind != ERR_RETRY || clock_mono_ms() > until_ms) {
            return err_wrap(e, "%s", j->topic);
        }
    }
    err_reset(e);
    return true;
}

bool journal_open(const struct kafka_settings *s, const char *topic, struct journal **out,
                  struct err *e)
{
    struct kafka_settings own = *s;
    own.transaction_timeout_ms = TRANSACTION_MS;
    struct journal *j = calloc(1, sizeof *j);
    char *name = strdup(topic);
    if (j == NULL || name == NULL) {
        free(j);
        free(name);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    j->topic = name;
    if (!kafka_open(KAFKA_TRANSACTIONAL_PRODUCER, &own, NULL, &j->producer, e) ||
        !call_on(j, rd_kafka_init_transactions, "init_transactions", e)) {
        journal_close(j);
        return false;
    }
    *out = j;
    return true;
}

void journal_close(struct journal *j)
{
    if (j == NULL) {
        return;
    }
    if (j->producer != NULL) {
        (void)rd_kafka_purge(j->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(j->producer);
    }
    free(j->topic);
    free(j);
}

/* A queue that is full (ours, since the brokers are slow) drains. */
static bool produce(struct journal *j, const struct journal_record *r, struct err *e)
{
    const char *topic = r->topic == NULL ? j->topic : r->topic;
    int64_t until_ms = clock_mono_ms() + BOUND_MS;
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_producev(j->producer, RD_KAFKA_V_TOPIC(topic),
                                 RD_KAFKA_V_PARTITION(r->partition),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_KEY((void *)(uintptr_t)r->key.ptr, r->key.len),
                                 RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value.ptr, r->value.len),
                                 RD_KAFKA_V_END);
        (void)rd_kafka_poll(j->producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? POLL_MS : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && clock_mono_ms() < until_ms);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "%s: %s", topic, rd_kafka_err2str(code));
}

bool journal_put_all(struct journal *j, const struct journal_record *records, size_t n,
                     struct err *e)
{
    if (!kafka_err_take(rd_kafka_begin_transaction(j->producer), "begin_transaction", e)) {
        return err_wrap(e, "%s", j->topic);
    }
    for (size_t i = 0; i < n; i++) {
        if (!produce(j, &records[i], e)) {
            return false;
        }
    }
    return call_on(j, rd_kafka_commit_transaction, "commit_transaction", e);
}

bool journal_put(struct journal *j, struct slice key, struct slice value, struct err *e)
{
    return journal_put_all(j, &(struct journal_record){.key = key, .value = value}, 1, e);
}
