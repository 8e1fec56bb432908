#include "stage/publisher.h"

#include "stage/topics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 100, CLOSE_MS = 5000 };

struct publisher {
    void (*published)(void *token, const struct err *failed);
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    uint32_t n_partitions;
    pthread_t thread;
    bool runs;
    _Atomic(bool) stop;
};

/* What the sender can do about a record that was not taken. */
static enum err_kind kind_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return ERR_BAD_INPUT;
    case RD_KAFKA_RESP_ERR__FATAL:
        return ERR_FATAL;
    default:
        return ERR_RETRY;
    }
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *publisher)
{
    const struct publisher *p = publisher;
    struct err e = ERR_INIT;
    (void)rk;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        p->published(m->_private, NULL);
        return;
    }
    (void)err_set_code(&e, kind_of(m->err), m->err, "%s", rd_kafka_err2str(m->err));
    p->published(m->_private, &e);
}

static void *take_reports(void *publisher)
{
    struct publisher *p = publisher;
    while (!atomic_load(&p->stop)) {
        (void)rd_kafka_poll(p->producer, POLL_MS);
    }
    return NULL;
}

static bool start(struct publisher *p, const struct publisher_options *o, struct err *e)
{
    struct kafka_settings settings = *o->kafka;
    settings.delivery_timeout_ms = o->timeout_ms;
    settings.queue_bytes = o->queue_bytes;
    const struct kafka_callbacks callbacks = {.opaque = p, .delivered = on_delivered};
    if (!kafka_open(KAFKA_PLAIN_PRODUCER, &settings, &callbacks, &p->producer, e) ||
        !topic_describe_patiently(p->producer, o->topic, &p->n_partitions, e)) {
        return false;
    }
    p->topic = rd_kafka_topic_new(p->producer, o->topic, NULL);
    if (p->topic == NULL || pthread_create(&p->thread, NULL, take_reports, p) != 0) {
        return err_set(e, ERR_FATAL, "publisher: cannot start its thread");
    }
    p->runs = true;
    return true;
}

bool publisher_open(const struct publisher_options *o, struct publisher **out, struct err *e)
{
    struct publisher *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return err_set(e, ERR_FATAL, "publisher: out of memory");
    }
    p->published = o->published;
    if (!start(p, o, e)) {
        publisher_close(p);
        return false;
    }
    *out = p;
    return true;
}

void publisher_close(struct publisher *p)
{
    if (p == NULL) {
        return;
    }
    if (p->runs) {
        atomic_store(&p->stop, true);
        (void)pthread_join(p->thread, NULL);
        (void)rd_kafka_purge(p->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(p->producer, CLOSE_MS);
    }
    if (p->topic != NULL) {
        rd_kafka_topic_destroy(p->topic);
    }
    if (p->producer != NULL) {
        rd_kafka_destroy(p->producer);
    }
    free(p);
}

uint32_t publisher_n_partitions(const struct publisher *p)
{
    return p->n_partitions;
}

bool publisher_put(struct publisher *p, const struct publication *r, struct err *e)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(r->n_headers);
    for (uint32_t i = 0; i < r->n_headers; i++) {
        const struct record_header *h = &r->headers[i];
        (void)rd_kafka_header_add(headers, (const char *)h->name.ptr, (ssize_t)h->name.len, h->value.ptr,
                                  (ssize_t)h->value.len);
    }
    const rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = p->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION,
         .u.i32 = r->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)r->value.ptr, r->value.len}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = r->token},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(p->producer, record, sizeof record / sizeof record[0]);
    if (error == NULL) {
        return true;
    }
    rd_kafka_headers_destroy(headers); /* ours again when it fails */
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    (void)err_set_code(e, kind_of(code), code, "%s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

bool publisher_ok(struct publisher *p, struct err *e)
{
    char text[200];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(p->producer, text, sizeof text);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || err_set_code(e, ERR_FATAL, code, "publisher: %s", text);
}
