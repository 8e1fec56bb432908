/* The idempotent producer (librdkafka), as an outlet. */
#pragma once

#include "outlet.h"

struct producer_options {
    const char *brokers;
    const char *topic;
    const char *codec;
    const char *const *properties; /* "name=value", for librdkafka */
    size_t n_properties;
    int64_t linger_ms;
    int64_t max_queue_kbytes;
    outlet_result result; /* ACKED or UNACKED */
    void *ctx;
};

/* ERR_CONFIG: an option. */
bool producer_open(const struct producer_options *options, struct outlet *out,
                   struct err *e) MUST_CHECK;
