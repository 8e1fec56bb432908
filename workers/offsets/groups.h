/* What the brokers say of consumer groups: which there are, who is in them, what they committed. */
#pragma once

#include "base/err.h"

#include <librdkafka/rdkafka.h>

/* Which member has a partition. */
struct group_owner {
    char *topic;
    int32_t partition;
    char *client; /* its client.id and host */
};

struct group {
    char *name;
    rd_kafka_consumer_group_state_t state;
    size_t n_members;
    struct group_owner *owners;
    size_t n_owners;
    rd_kafka_topic_partition_list_t *committed; /* with metadata */
};

struct groups {
    struct group *items; /* all owned */
    size_t n;
};

/* Those whose names begin with the prefix, or those that are named: names alone. groups_free, also
 * on failure. */
bool groups_list(rd_kafka_t *rk, const char *prefix, struct groups *out, struct err *e) MUST_CHECK;
bool groups_named(const char *const *names, size_t n, struct groups *out, struct err *e) MUST_CHECK;
/* State, members and commits of each. A group that nobody knows is DEAD, with nothing. */
bool groups_describe(rd_kafka_t *rk, struct groups *g, struct err *e) MUST_CHECK;
void groups_free(struct groups *g);

/* All that the group has committed, with metadata; the caller destroys it. */
bool group_committed(rd_kafka_t *rk, const char *group, rd_kafka_topic_partition_list_t **out, struct err *e) MUST_CHECK;
/* Sets its offsets and metadata. Kafka refuses it while the group has members: ERR_RETRY. */
bool group_alter(rd_kafka_t *rk, const char *group, const rd_kafka_topic_partition_list_t *list,
                 struct err *e) MUST_CHECK;
/* NULL: nobody. */
const struct group_owner *group_owner_of(const struct group *g, const char *topic, int32_t partition);
