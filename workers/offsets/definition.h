/* deploy/topics.json: which topics there are. A topic takes what it does not say from "defaults"; a
 * profile (say, local) replaces defaults; {tenant} stands for each tenant that has a topic of its
 * own. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct topic_setting {
    const char *name;
    const char *value;
};

struct topic_definition {
    const char *name;
    const char *tenant; /* whose own it is; NULL = nobody's */
    int n_partitions;
    int replication;
    const struct topic_setting *settings; /* min.insync.replicas included */
    size_t n_settings;
};

struct topic_definitions {
    struct topic_definition *topics;
    size_t n;
};

/* Everything lives in a. profile "" = production. ERR_CONFIG names the place in the file. */
bool definitions_read(const char *path, const char *profile, const char *const *tenants,
                      size_t n_tenants, struct arena *a, struct topic_definitions *out,
                      struct err *e) MUST_CHECK;
