/* Access control lists of one topic: who may do what. */
#pragma once

#include "topics.h"

struct acl {
    const char *topic;
    const char *principal; /* "User:studio-a" */
    rd_kafka_AclOperation_t operation;
};

/* TOPIC_OK: is there; TOPIC_CREATED, or without apply TOPIC_MISSING. ERR_CONFIG: the brokers have no authorizer, or
 * refuse the principal. */
bool acl_settle(rd_kafka_t *rk, const struct acl *want, bool apply, struct topic_report *report,
                struct err *e) MUST_CHECK;
