/* A tenant's quotas at the door: three buckets that fill at the quota's rate (its share of one
 * replica) up to the burst. A request passes while none is empty, and what it turned out to hold
 * is charged afterwards, so that a bucket may owe: on average the rate holds exactly, and a body
 * need not be read to know that it comes too soon. */
#pragma once

#include "policy/policy.h"

enum quota_kind { QUOTA_REQUESTS, QUOTA_BYTES, QUOTA_SAMPLES, N_QUOTAS };

struct quota_bucket {
    double per_ms; /* 0 = no quota */
    double most;
    double level;
};

struct quota_meter {
    struct quota_bucket buckets[N_QUOTAS];
    int64_t at_ms; /* when the levels were right */
};

/* New rates; what was used so far stays so. A meter that is all zero has not been set yet. */
void quota_set(struct quota_meter *m, const struct quota *q, int64_t n_replicas, int64_t mono_ms);
/* Takes a request. False: which quota stands against it, and for how long at least (ms, > 0). */
bool quota_admit(struct quota_meter *m, int64_t mono_ms, enum quota_kind *which, int64_t *wait_ms);
void quota_charge(struct quota_meter *m, enum quota_kind which, uint64_t n);
/* "requests_per_second" … as in the policy. */
const char *quota_name(enum quota_kind which);
