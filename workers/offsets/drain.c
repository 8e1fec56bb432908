#include "drain.h"

#include "base/clock.h"

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
        if (clock_mono_ms() > deadline) {
            return err_set(e, ERR_RETRY,
                           "group %.80s still has %zu members after %lld s: do its workers read %.60s (control_topic)? "
                           "Static members stay for a session; else stop them",
                           group, n, (long long)timeout_ms / 1000, config_str(t->config, "control_topic"));
        }
        (void)usleep(LOOK_EVERY_MS * 1000);
        if (!members(rk, group, &n, e)) {
            return false;
        }
    }
    return true;
}

bool drain_begin(const struct tool *t, rd_kafka_t *rk, const char *group, struct drain *d, struct err *e)
{
    size_t n = 0;
    *d = (struct drain){0};
    if (!members(rk, group, &n, e) || n == 0) {
        return e->kind == ERR_NONE;
    }
    struct control_rule rule = {
        .group = slice_str(group), .leaves = true, .expires_ms = t->now_ms + RULE_MS};
    pause_id(&rule, d->id);
    return pause_put(t, "drain", &rule, SLICE_NONE, e) && wait_until_left(t, rk, group, n, e);
}

bool drain_end(const struct tool *t, const struct drain *d, bool ok, struct err *e)
{
    struct err why = ERR_INIT;
    if (d->id[0] == '\0' || pause_put(t, "drain ended", NULL, slice_str(d->id), &why)) {
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
