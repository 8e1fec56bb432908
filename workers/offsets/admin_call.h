/* One admin call at a time: begin, hand it to librdkafka, wait for the answer, end. */
#pragma once

#include "base/err.h"

#include <librdkafka/rdkafka.h>

struct admin_call {
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *event; /* the answer, until the end */
};

struct admin_call admin_call_begin(rd_kafka_t *rk, rd_kafka_admin_op_t op);
/* ERR_RETRY: no answer, or the brokers refuse the call as a whole. */
bool admin_call_wait(struct admin_call *c, const char *what, struct err *e) MUST_CHECK;
void admin_call_end(struct admin_call *c);
