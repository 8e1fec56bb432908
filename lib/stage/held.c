/* Records whose step said ERR_WAIT: each waits here while its partition is paused, so that the
 * other partitions go on. Resuming continues behind the last record that was handed over. */
#include "stage/runtime.h"

void held_pause(struct stage *s, struct owned *p, bool on)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, (const char *)p->pub.topic.ptr, p->pub.number);
    (void)(on ? rd_kafka_pause_partitions(s->consumer, list)
              : rd_kafka_resume_partitions(s->consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
}

void held_keep(struct stage *s, struct owned *p, rd_kafka_message_t *m)
{
    held_pause(s, p, true);
    p->held = m;
    s->transform.n_held++;
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
        held_pause(s, p, false);
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
