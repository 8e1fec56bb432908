#include "record_writer.h"

#include "base/clock.h"
#include "stage/topics.h"

#include <jansson.h>
#include <stdlib.h>

enum { WAIT_MS = 20000 };

struct waiting {
    size_t n_left;
    rd_kafka_resp_err_t failed;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct waiting *w = opaque;
    (void)rk;
    w->n_left--;
    w->failed = m->err != RD_KAFKA_RESP_ERR_NO_ERROR ? m->err : w->failed;
}

static bool put(rd_kafka_t *rk, const char *topic, struct slice key, struct slice value,
                struct waiting *w, struct err *e)
{
    const rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.ptr, key.len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.ptr, value.len}},
    };
    bool ok =
        kafka_err_take(rd_kafka_produceva(rk, record, sizeof record / sizeof record[0]), topic, e);
    w->n_left += ok;
    return ok;
}

bool records_write(const struct tool *t, const char *topic, const struct slice *keys,
                   const struct slice *values, size_t n, struct err *e)
{
    struct waiting w = {0};
    const struct kafka_callbacks callbacks = {.opaque = &w, .delivered = delivered};
    rd_kafka_t *rk = NULL;
    uint32_t n_partitions;
    uint8_t id[16];
    bool ok = kafka_open(KAFKA_PLAIN_PRODUCER, &t->kafka, &callbacks, &rk, e) &&
              topic_describe(rk, topic, &n_partitions, id, e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = put(rk, topic, keys == NULL ? SLICE_NONE : keys[i], values[i], &w, e);
    }
    if (ok) {
        (void)rd_kafka_flush(rk, WAIT_MS);
        ok = (w.n_left == 0 && w.failed == RD_KAFKA_RESP_ERR_NO_ERROR) ||
             err_set(e, ERR_RETRY, "%s: not written: %s", topic,
                     w.n_left > 0 ? "the brokers did not answer" : rd_kafka_err2str(w.failed));
    }
    if (rk != NULL) {
        (void)rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(rk, 1000); /* w outlives what is still on its way */
        rd_kafka_destroy(rk);
    }
    return ok;
}

const char *act_who(const struct tool *t)
{
    const char *names[3] = {t->command->values[OPTION_WHO], getenv("SUDO_USER"), getenv("USER")};
    for (int i = 0; i < 3; i++) {
        if (names[i] != NULL && names[i][0] != '\0') {
            return names[i];
        }
    }
    return "unknown";
}

bool act_note(const struct tool *t, const char *act, const char *id, const char *detail,
              struct err *e)
{
    const char *topic = config_str(t->config, "audit_topic");
    const char *reason = t->command->values[OPTION_REASON];
    if (topic[0] == '\0') {
        return true;
    }
    json_t *record =
        json_pack("{s:I, s:s, s:s, s:s, s:s?, s:o, s:s}", "at_ms", (json_int_t)clock_now_ms(),
                  "who", act_who(t), "act", act, "id", id, "reason", reason, "detail",
                  json_loads(detail, 0, NULL), "tool", "sluice-offsets " SLUICE_VERSION);
    char *text = json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(record);
    const struct slice key = slice_str(id);
    const struct slice value = text == NULL ? SLICE_NONE : slice_str(text);
    bool ok =
        (text != NULL ||
         err_set(e, ERR_FATAL, "the audit record can't be written: out of memory, or not UTF-8")) &&
        records_write(t, topic, &key, &value, 1, e);
    free(text);
    return ok ||
           err_wrap(e,
                    "nothing was changed, since it can't be told (audit_topic empty does without)");
}
