/* librdkafka's message as steps see it. */
#pragma once

#include "stage/record.h"

#include <librdkafka/rdkafka.h>

/* Borrowed from the message; headers beyond MAX_RECORD_HEADERS are left out. */
void message_record(const rd_kafka_message_t *m, struct partition *p, struct record *out);
