/* Pauses by operators (sluice.control, kind "pause"): the partitions stay ours, nothing more is taken from them, what was
 * taken goes its way. A rule that says so takes the whole process out of the group (for sluice-offsets reset --drain). */
#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"

enum { MAX_SHOWN_BYTES = 64 << 10, MAX_RULE_BYTES = 2048 };

bool pause_open(struct stage *s, struct err *e)
{
    struct pauses *k = &s->pauses;
    controls_init(&k->controls, &k->draw);
    k->applied_version = k->controls.version;
    buf_init(&k->shown, MAX_SHOWN_BYTES);
    return pthread_mutex_init(&k->lock, NULL) == 0 || err_set(e, ERR_FATAL, "no mutex");
}

void pause_close(struct stage *s)
{
    controls_fini(&s->pauses.controls);
    buf_fini(&s->pauses.shown);
    (void)pthread_mutex_destroy(&s->pauses.lock);
}

bool pause_take(struct stage *s, const struct record *r, struct err *e)
{
    struct err why = ERR_INIT;
    if (controls_take(&s->pauses.controls, r->key, r->value, clock_now_ms(), &why)) {
        return true;
    }
    if (why.kind != ERR_BAD_INPUT) {
        *e = why;
        return false;
    }
    log_err(LOG_WARN, "a control record that is no rule is left out", &why);
    return true;
}

static const struct control_rule *rule_of(const struct stage *s, const struct partition *p)
{
    return controls_pause_of(&s->pauses.controls, slice_str(s->group), p->topic, p->number);
}

bool pause_halts(const struct stage *s, const struct partition *p)
{
    return rule_of(s, p) != NULL;
}

/* Tells it for /ready; true: a rule wants the group to be left. */
static bool show(struct stage *s)
{
    struct slice group = slice_str(s->group);
    bool leaves = false;
    bool ok = true;
    struct err ignored = ERR_INIT;
    (void)pthread_mutex_lock(&s->pauses.lock);
    struct buf *out = &s->pauses.shown;
    buf_reset(out);
    for (const struct control_rule *r = controls_pauses(&s->pauses.controls); r != NULL; r = r->next) {
        if (slice_eq(r->group, group)) {
            leaves = leaves || r->leaves;
            buf_printf(out, "%s", out->len > 0 ? "," : "");
            ok = ok && control_write(r, out, &ignored); /* not: too many to be shown */
        }
    }
    (void)pthread_mutex_unlock(&s->pauses.lock);
    return leaves;
}

void pause_show(struct stage *s, struct buf *out)
{
    (void)pthread_mutex_lock(&s->pauses.lock);
    const struct buf *shown = &s->pauses.shown;
    buf_printf(out, "[%.*s]", buf_ok(shown) ? (int)shown->len : 0, shown->ptr == NULL ? "" : (const char *)shown->ptr);
    (void)pthread_mutex_unlock(&s->pauses.lock);
}

static void halt(struct stage *s, struct owned *p)
{
    const struct control_rule *r = rule_of(s, &p->pub);
    if (p->halted == (r != NULL)) {
        return;
    }
    p->halted = r != NULL;
    p->at_end = false; /* what comes to the log meanwhile is not seen */
    assignment_fetch(s, p);
    const char *topic = (const char *)p->pub.topic.ptr;
    if (r == NULL) {
        log_line(LOG_INFO, "a paused partition goes on",
                 LOG_FIELDS(LOG_STR("topic", topic), LOG_INT("partition", p->pub.number)));
        return;
    }
    struct buf rule;
    buf_init(&rule, MAX_RULE_BYTES);
    buf_printf(&rule, "%.*s by %.*s: %.*s", SLICE_ARG(r->id), SLICE_ARG(r->who), SLICE_ARG(r->reason));
    log_line(LOG_WARN, "an operator pauses a partition",
             LOG_FIELDS(LOG_STR("topic", topic), LOG_INT("partition", p->pub.number), LOG_STR("rule", buf_c_str(&rule))));
    buf_fini(&rule);
}

void pause_turn(struct stage *s, int64_t now_ms)
{
    struct pauses *k = &s->pauses;
    (void)controls_expire(&k->controls, now_ms);
    if (k->controls.version == k->applied_version) {
        return;
    }
    k->applied_version = k->controls.version;
    k->leaves = show(s);
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (p->assigned) {
            halt(s, p);
        }
    }
    assignment_count(s);
}
