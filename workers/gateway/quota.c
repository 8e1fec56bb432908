#include "quota.h"

#include <math.h>

enum { MS = 1000 };
#define NOISE 1e-6 /* of adding up fractions */

const char *quota_name(enum quota_kind which)
{
    static const char *const names[] = {[QUOTA_REQUESTS] = "requests_per_second",
                                        [QUOTA_BYTES] = "bytes_per_second",
                                        [QUOTA_SAMPLES] = "samples_per_second"};
    return names[which];
}

static void refill(struct quota_meter *m, int64_t mono_ms)
{
    double elapsed_ms = mono_ms > m->at_ms ? (double)(mono_ms - m->at_ms) : 0;
    for (int i = 0; i < N_QUOTAS; i++) {
        struct quota_bucket *b = &m->buckets[i];
        b->level = fmin(b->level + b->per_ms * elapsed_ms, b->most);
    }
    m->at_ms = mono_ms > m->at_ms ? mono_ms : m->at_ms;
}

static void bucket_set(struct quota_bucket *b, int64_t per_second, int64_t burst_seconds, int64_t n_replicas)
{
    double per_ms = (double)per_second / (double)n_replicas / MS;
    double most = fmax(per_ms * (double)burst_seconds * MS, 1); /* or nothing would ever pass */
    /* As full as before, by its own measure; a debt stays what it is. */
    b->level = b->per_ms == 0 ? most : b->level < 0 ? b->level : b->level / b->most * most;
    b->per_ms = per_ms;
    b->most = most;
}

void quota_set(struct quota_meter *m, const struct quota *q, int64_t n_replicas, int64_t mono_ms)
{
    refill(m, mono_ms);
    bucket_set(&m->buckets[QUOTA_REQUESTS], q->requests_per_second, q->burst_seconds, n_replicas);
    bucket_set(&m->buckets[QUOTA_BYTES], q->bytes_per_second, q->burst_seconds, n_replicas);
    bucket_set(&m->buckets[QUOTA_SAMPLES], q->samples_per_second, q->burst_seconds, n_replicas);
}

bool quota_admit(struct quota_meter *m, int64_t mono_ms, enum quota_kind *which, int64_t *wait_ms)
{
    refill(m, mono_ms);
    for (int i = 0; i < N_QUOTAS; i++) {
        const struct quota_bucket *b = &m->buckets[i];
        /* One request must be there whole; of the others anything. */
        double missing = i == QUOTA_REQUESTS || b->level <= NOISE ? 1 - b->level : 0;
        if (b->per_ms > 0 && missing > NOISE) {
            *which = (enum quota_kind)i;
            *wait_ms = (int64_t)fmin(ceil((missing - NOISE) / b->per_ms), 1e15);
            return false;
        }
    }
    quota_charge(m, QUOTA_REQUESTS, 1);
    return true;
}

void quota_charge(struct quota_meter *m, enum quota_kind which, uint64_t n)
{
    if (m->buckets[which].per_ms > 0) {
        m->buckets[which].level -= (double)n;
    }
}
