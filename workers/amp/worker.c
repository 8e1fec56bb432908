#include "worker.h"

#include <stdlib.h>

#include "base/clock.h"
#include "delivery.h"
#include "letter.h"
#include "run/log.h"

enum { MAX_LETTER_BYTES = 65536 };
/* How far rows are read back for repeats: an hour, by Kafka's timestamps, which are the log's time
 * when the window closed (its end, or later), and some minutes for clocks that run ahead. */
enum { REPEATED_MS = 75 * 60 * 1000 };

struct worker {
    struct delivery delivery; /* first: the hooks' context is it */
    struct stage *stage; /* while it runs */
    const char *group;   /* of the stage: names the destination in gaps */
    const char *repeat_topic;
    struct buf letter;
};

/* --- the sender's hooks --- */

static void hook_release(void *ctx, struct partition *p, int64_t offset)
{
    struct worker *w = ctx;
    (void)stage_release(w->stage, p, offset);
}

static bool hook_owns(void *ctx, const struct partition *p)
{
    struct worker *w = ctx;
    return stage_owns(w->stage, p);
}

static bool letter_send(struct worker *w, struct slice tenant, struct partition *p, int64_t offset,
                        struct err *e)
{
    if (!buf_ok(&w->letter)) {
        return err_set(e, ERR_FATAL, "a dead letter of more than %d bytes", MAX_LETTER_BYTES);
    }
    const struct outgoing out = {
        .output = 0, .partition = -1, .key = tenant, .value = buf_slice(&w->letter)};
    return stage_put(w->stage, &out, p, offset, e);
}

static bool hook_dead_letter(void *ctx, const struct letter *l, struct err *e)
{
    struct worker *w = ctx;
    buf_reset(&w->letter);
    letter_encode(l, &w->letter);
    return letter_send(w, l->scrape->shape->tenant, l->scrape->partition, l->scrape->offset, e);
}

static void hook_hold(void *ctx, const struct partition *p, int64_t offset)
{
    struct worker *w = ctx;
    stage_hold(w->stage, p, offset);
}

static bool hook_gap(void *ctx, const struct gap *g, struct err *e)
{
    struct worker *w = ctx;
    buf_reset(&w->letter);
    gap_encode(g, w->group, &w->letter);
    const struct outgoing out = {
        .output = 1, .partition = -1, .key = g->tenant, .value = buf_slice(&w->letter)};
    log_line(LOG_WARN, "samples too old for the store were skipped",
             LOG_FIELDS(LOG_INT("samples", g->n_samples), LOG_INT("from_ms", g->from_ms),
                        LOG_INT("to_ms", g->to_ms)));
    return stage_put(w->stage, &out, g->partition, g->first_offset, e);
}

static bool reject_record(void *ctx, const struct record *r, const char *text, struct err *e)
{
    struct worker *w = ctx;
    buf_reset(&w->letter);
    letter_encode_record(r, text, &w->letter);
    return letter_send(w, SLICE_NONE, r->partition, r->offset, e);
}

/* --- the stage's callbacks --- */

static bool worker_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                        struct outbox *out, struct err *e)
{
    struct worker *w = ctx;
    (void)out;
    w->stage = s;
    bool redelivered = in->offset < stage_end_at_assignment(s, in->partition);
    struct moment now = {.mono_ms = clock_mono_ms(), .wall_ms = now_ms};
    return amp_take(w->delivery.amp, in, redelivered, now, e);
}

static bool worker_drive(void *ctx, struct stage *s, int wake_fd, int timeout_ms, struct err *e)
{
    struct worker *w = ctx;
    w->stage = s;
    return delivery_drive(&w->delivery, wake_fd, timeout_ms, e);
}

/* While rows are read back. */
struct restoring {
    struct worker *worker;
    struct partition *partition;
    int64_t committed;
};

static bool restore_one(void *ctx, const struct record *r, struct err *e)
{
    struct restoring *x = ctx;
    /* What is not committed comes again by itself, and in order. */
    return r->offset >= x->committed || amp_restore(x->worker->delivery.amp, r, x->partition, e);
}

/* Reads back the rows that may still have to be repeated. */
static bool worker_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                           struct slice metadata, struct err *e)
{
    struct worker *w = ctx;
    struct restoring x = {w, p, committed};
    int64_t from;
    (void)metadata;
    if (committed < 0 || w->repeat_topic[0] == '\0' || !slice_eq_str(p->topic, w->repeat_topic)) {
        return true;
    }
    return stage_offset_at(s, w->repeat_topic, p->number, clock_now_ms() - REPEATED_MS, &from, e) &&
           (from >= committed ||
            stage_restore(s, w->repeat_topic, p->number, from, restore_one, &x, e));
}

static void worker_drop(void *ctx, struct partition *p)
{
    struct worker *w = ctx;
    amp_drop(w->delivery.amp, p);
}

static bool worker_has_room(void *ctx)
{
    struct worker *w = ctx;
    return sender_has_room(amp_sender(w->delivery.amp));
}

static bool worker_wants(void *ctx, const struct partition *p)
{
    struct worker *w = ctx;
    return !sender_holds_up(amp_sender(w->delivery.amp), p);
}

static bool worker_is_idle(void *ctx)
{
    struct worker *w = ctx;
    return sender_is_idle(amp_sender(w->delivery.amp));
}

static const char *const outputs[] = {"dlq_topic", "gaps_topic", NULL};

const struct stage_spec amp_spec = {
    .name = "amp",
    .kind = STAGE_SINK,
    .outputs = outputs,
    .recover = worker_recover,
    .drop = worker_drop,
    .step = worker_step,
    .drive = worker_drive,
    .has_room = worker_has_room,
    .wants = worker_wants,
    .is_idle = worker_is_idle,
};

/* --- life --- */

bool worker_new(const struct config *c, struct metrics *m, struct worker **out, struct err *e)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    const struct sender_hooks hooks = {
        .release = hook_release,
        .dead_letter = hook_dead_letter,
        .hold = hook_hold,
        .gap = hook_gap,
        .owns = hook_owns,
    };
    struct amp_options options;
    buf_init(&w->letter, MAX_LETTER_BYTES);
    w->repeat_topic = config_str(c, "rollup_repeat_topic");
    w->group = config_str(c, "group")[0] != '\0' ? config_str(c, "group") : "sluice-amp";
    if (!delivery_options(c, &options, e) ||
        !delivery_open(&w->delivery, c, m, &options, &hooks, reject_record, e)) {
        worker_free(w);
        return false;
    }
    *out = w;
    return true;
}

void worker_free(struct worker *w)
{
    if (w == NULL) {
        return;
    }
    delivery_close(&w->delivery);
    buf_fini(&w->letter);
    free(w);
}
