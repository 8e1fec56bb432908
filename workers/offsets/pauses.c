#include "pauses.h"

#include "base/clock.h"
#include "record_writer.h"
#include "stage/follow.h"

#include <inttypes.h>
#include <stdio.h>

enum { READ_MS = 15000, OUT_MAX_BYTES = 64 << 10 };

static bool take(void *controls, size_t topic, const struct record *r, struct err *e)
{
    struct err why = ERR_INIT;
    (void)topic;
    if (!controls_take(controls, r->key, r->value, clock_now_ms(), &why) && why.kind != ERR_BAD_INPUT) {
        *e = why;
        return false;
    }
    return true; /* what is no rule is none of ours: sluice-control list tells */
}

bool pauses_read(const struct tool *t, struct controls *out, struct err *e)
{
    const char *topic = config_str(t->config, "control_topic");
    struct follower *f = NULL;
    bool ok = follower_open(&t->kafka, &topic, 1, &f, e);
    int64_t deadline = clock_mono_ms() + READ_MS;
    while (ok && !follower_caught_up(f)) {
        ok = follower_poll(f, 100, take, out, e);
        if (ok && clock_mono_ms() > deadline && !follower_caught_up(f)) {
            ok = err_set(e, ERR_RETRY, "%s could not be read to its end within %d s", topic, READ_MS / 1000);
        }
    }
    follower_close(f);
    return ok;
}

/* What it pauses, hashed: the same pause once more is another time for the same rule. */
static void pause_id(const struct control_rule *r, char out[PAUSE_ID_BYTES])
{
    struct buf what;
    buf_init(&what, OUT_MAX_BYTES);
    buf_printf(&what, "%.*s/%.*s/%d", SLICE_ARG(r->group), SLICE_ARG(r->topic), r->leaves);
    for (uint32_t i = 0; i < r->n_partitions; i++) {
        buf_printf(&what, "/%d", r->partitions[i]);
    }
    (void)snprintf(out, PAUSE_ID_BYTES, "p-%08" PRIx64, hash64(buf_slice(&what)) & 0xffffffff);
    buf_fini(&what);
}

bool pause_put(const struct tool *t, const char *act, struct control_rule *rule, char id[PAUSE_ID_BYTES],
               struct slice dropped_id, struct err *e)
{
    const char *reason = t->command->values[OPTION_REASON];
    struct buf json;
    buf_init(&json, OUT_MAX_BYTES);
    pause_id(rule, id);
    rule->kind = CONTROL_PAUSE;
    rule->id = slice_str(id);
    if (rule->who.len == 0) {
        rule->who = slice_str(act_who(t));
        rule->reason = slice_str(reason == NULL ? "no reason given" : reason);
    }
    rule->created_ms = rule->created_ms == 0 ? clock_now_ms() : rule->created_ms;
    bool ok = control_write_checked(rule, &json, e);
    if (!ok && e->kind == ERR_BAD_INPUT) {
        e->kind = ERR_CONFIG; /* it came from the command line */
    }
    const struct slice keys[2] = {rule->id, dropped_id};
    const struct slice values[2] = {buf_slice(&json), SLICE_NONE};
    size_t n = dropped_id.len > 0 && !slice_eq_str(dropped_id, id) ? 2 : 1;
    char told[2 * PAUSE_ID_BYTES];
    (void)snprintf(told, sizeof told, "%.*s", SLICE_ARG(n == 2 ? dropped_id : rule->id));
    ok = ok && act_note(t, act, told, buf_c_str(&json), e) &&
         records_write(t, config_str(t->config, "control_topic"), keys, values, n, e);
    buf_fini(&json);
    return ok;
}

bool pause_drop(const struct tool *t, const char *act, struct slice id, struct err *e)
{
    const struct slice none = SLICE_NONE;
    char told[CONTROL_MAX_ID_BYTES + 1];
    (void)snprintf(told, sizeof told, "%.*s", SLICE_ARG(id));
    return records_write(t, config_str(t->config, "control_topic"), &id, &none, 1, e) &&
           (act_note(t, act, told, "{}", e) || err_wrap(e, "%s is taken back, which could not be told", told));
}
