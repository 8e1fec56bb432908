/* `topics apply | check`: makes the cluster's topics what the definition says, or says how they
 * differ. */
#pragma once

#include "definition.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

enum topic_state { TOPIC_OK, TOPIC_CREATED, TOPIC_CHANGED, TOPIC_MISSING, TOPIC_DIFFERS };

struct topic_report {
    enum topic_state state;
    char detail[240]; /* what differs, or what was changed */
};

/* One topic against the cluster; apply: creates it or changes its settings. The number of
 * partitions and the replication of a topic that exists are never changed, only told. False: the
 * brokers refused or did not answer. */
bool topic_settle(rd_kafka_t *rk, const struct topic_definition *want, bool apply,
                  struct topic_report *report, struct err *e) MUST_CHECK;
const char *topic_state_name(enum topic_state state);
