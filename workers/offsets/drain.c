#include "drain.h"

#include "base/clock.h"
#include "run/show.h"
#include "run/signals.h"

#include <stdio.h>
#include <unistd.h>

/* The rule ends by itself, should this process be killed. */
enum { RULE_MS = 15 * 60 * 1000, LOOK_EVERY_MS = 250 };

static bool members(rd_kafka_t *rk, const char *group, size_t *n, struct err *e)
{
    struct groups g = {0};
    bool ok = groups_named(&group, 1, &g, e) && groups_describe(rk, &g, e);
    *n = ok ? g.items[0].n_members : 0;
    groups_free(&g);
    return ok;
}

static bool wait_until_left(const struct tool *t, rd_kafka_t *rk, const char *group, size_t n, struct err *e)
{
    int64_t timeout_ms = config_int(t->config, "drain_timeout_ms");
    int64_t deadline = clock_mono_ms() + timeout_ms;
    size_t told = 0;
    while (n > 0) {
        if (n != told) {
            (void)fprintf(stderr, "sluice-offsets: %zu member%s of %s still to leave\n", n, n == 1 ? "" : "s", group);
            told = n;
        }
        if (signals_stop_requested()) {
            return err_set(e, ERR_RETRY, "ended by a signal: nothing was changed");
        }
        if (clock_mono_ms() > deadline) {
            return err_set(e, ERR_RETRY,
                           "group %.80s still has %zu members after %lld s: do its workers read %.60s (control_topic)? "
                           "Else stop them; nothing was changed",
                           group, n, (long long)timeout_ms / 1000, config_str(t->config, "control_topic"));
        }
        (void)usleep(LOOK_EVERY_MS * 1000);
        if (!members(rk, group, &n, e)) {
            return false;
        }
    }
    return true;
}

static bool rule_put(struct drain *d, const char *act, struct err *e)
{
    struct control_rule rule = {
        .group = slice_str(d->group), .leaves = true, .expires_ms = clock_now_ms() + RULE_MS};
    return pause_put(d->tool, act, &rule, d->id, SLICE_NONE, e);
}

static void tell(const struct drain *d)
{
    struct buf until;
    buf_init(&until, 64);
    show_time(&until, clock_now_ms() + RULE_MS);
    (void)fprintf(stderr,
                  "sluice-offsets: rule %s takes the workers out of %s; should this be cut off, they come back at %s, or by "
                  "sluice-offsets resume %s\n", d->id, d->group, buf_c_str(&until), d->id);
    buf_fini(&until);
}

bool drain_begin(const struct tool *t, rd_kafka_t *rk, const char *group, struct drain *d, struct err *e)
{
    size_t n = 0;
    *d = (struct drain){.tool = t, .group = group};
    if (!members(rk, group, &n, e)) {
        return false;
    }
    if (n == 0) {
        return true;
    }
    signals_install(); /* Ctrl-C ends it in order */
    if (!rule_put(d, "drain", e)) {
        d->id[0] = e->kind == ERR_CONFIG ? '\0' : d->id[0]; /* nothing was written */
        return false;
    }
    tell(d);
    return wait_until_left(t, rk, group, n, e);
}

bool drain_renew(struct drain *d, struct err *e)
{
    if (signals_stop_requested()) {
        return err_set(e, ERR_RETRY, "ended by a signal: nothing was changed");
    }
    return d->id[0] == '\0' || rule_put(d, "drain", e);
}

bool drain_end(const struct drain *d, bool ok, struct err *e)
{
    struct err why = ERR_INIT;
    if (d->id[0] == '\0' || pause_drop(d->tool, "drain ended", slice_str(d->id), &why)) {
        return ok;
    }
    (void)err_wrap(&why, "the workers come back when rule %s ends, within 15 min, or by sluice-offsets resume %s", d->id,
                   d->id);
    if (!ok) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", why.text);
        return false;
    }
    *e = why;
    return false;
}
