/* Records whose step said ERR_WAIT: each waits here while nothing is fetched of its partition, so that the
 * other partitions go on. */
#include "stage/runtime.h"

void held_keep(struct stage *s, struct owned *p, rd_kafka_message_t *m)
{
    p->held = m;
    s->transform.n_held++;
    assignment_fetch(s, p);
}

void held_forget(struct stage *s, struct owned *p)
{
    if (p->held != NULL) {
        rd_kafka_message_destroy(p->held);
        p->held = NULL;
        s->transform.n_held--;
    }
}

static bool retry_one(struct stage *s, struct owned *p, struct err *e)
{
    const rd_kafka_message_t *m = p->held;
    struct record r;
    stage_read_record(p, m, &r);
    bool ok = s->spec->kind == STAGE_SINK ? sink_record(s, p, &r, e) : transform_record(s, p, &r, e);
    if (!ok) {
        return false;
    }
    /* Rewound meanwhile, it is gone already. */
    if (p->held == m && !p->waits) {
        held_forget(s, p);
        assignment_fetch(s, p);
    }
    return true;
}

bool held_retry(struct stage *s, int64_t now_mono_ms, struct err *e)
{
    if (s->transform.n_held == 0 || now_mono_ms - s->transform.held_mono_ms < HELD_EVERY_MS) {
        return true;
    }
    s->transform.held_mono_ms = now_mono_ms;
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (p->held != NULL && !retry_one(s, p, e)) {
            return false;
        }
    }
    return true;
}
