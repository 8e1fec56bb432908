/* Logging in to Amazon MSK by IAM: kafka.sasl.mechanism=AWS_MSK_IAM in our configuration becomes
 * SASL/OAUTHBEARER with a token that the process's AWS credentials sign (aws/msk.h). librdkafka asks for
 * one on its background thread, at 80 % of the last one's life. Keys: kafka.aws.region (otherwise
 * AWS_REGION, AWS_DEFAULT_REGION, or the profile's). */
#pragma once

#include "run/config.h"

#include <librdkafka/rdkafka.h>

/* Is it asked for? */
bool login_by_iam(const struct config *config);
/* Is the property ours, and none of librdkafka's? */
bool login_owns(const char *property, const char *value);
/* Our defaults for it (SASL over TLS, calm reconnects) and the callback. Call it before the properties of
 * the configuration are set, which may override the defaults. Starts fetching credentials. */
bool login_prepare(rd_kafka_conf_t *conf, const struct config *config, struct err *e) MUST_CHECK;
/* Once the handle is there. */
bool login_start(rd_kafka_t *rk, struct err *e) MUST_CHECK;
