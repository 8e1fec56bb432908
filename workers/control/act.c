#include "act.h"

#include "base/clock.h"
#include "reading.h"
#include "policy/control_show.h"
#include "writer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum {
    ID_LETTERS = 6,
    ID_BYTES = 16,
    OUT_MAX_BYTES = 1 << 20,
    MAX_SKEW_MS = 60000,
    KEEP_OVER_MS = 3600000
};

struct act {
    const struct tool *t;
    struct writer writer;
    struct reading *reading;
};

static bool act_open(struct act *a, const struct tool *t, struct err *e)
{
    *a = (struct act){.t = t};
    if (!writer_open(t, &a->writer, e)) {
        return false;
    }
    if (!reading_new(t, &a->reading, e)) {
        writer_close(&a->writer);
        return false;
    }
    return true;
}

static void act_close(struct act *a)
{
    reading_free(a->reading);
    writer_close(&a->writer);
}

/* "k-7f3a9c": short enough to be read out, long enough not to come twice. */
static bool draw_id(enum control_kind kind, char out[ID_BYTES], struct err *e)
{
    static const char letters[] =
        "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's 32: none looks like another */
    uint8_t random[ID_LETTERS];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return err_set(e, ERR_FATAL, "no random numbers");
    }
    out[0] = control_kind_name(kind)[0];
    out[1] = '-';
    for (int i = 0; i < ID_LETTERS; i++) {
        out[2 + i] = letters[random[i] % 32];
    }
    out[2 + ID_LETTERS] = '\0';
    return true;
}

/* What workers would not take came from the command line. */
static bool rule_write(const struct control_rule *rule, struct buf *out, struct err *e)
{
    bool ok = control_write_checked(rule, out, e);
    if (!ok && e->kind == ERR_BAD_INPUT) {
        e->kind = ERR_CONFIG;
    }
    return ok;
}

static json_t *text(struct slice s)
{
    return json_stringn((const char *)s.ptr, s.len);
}

static json_t *rule_json(const struct control_rule *rule)
{
    struct buf out;
    struct err ignored = ERR_INIT;
    buf_init(&out, OUT_MAX_BYTES);
    json_t *json = rule == NULL ? NULL
                   : control_write(rule, &out, &ignored)
                       ? json_loadb((const char *)out.ptr, out.len, 0, NULL)
                       : NULL;
    buf_fini(&out);
    return json;
}

static void put_time(json_t *record, int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    char day[48] = "";
    char full[64];
    if (gmtime_r(&seconds, &tm) != NULL) {
        (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    }
    (void)snprintf(full, sizeof full, "%s.%03dZ", day, (int)(now_ms % 1000));
    (void)json_object_set_new(record, "time", json_string(full));
    (void)json_object_set_new(record, "time_ms", json_integer(now_ms));
}

/* What was done, to the audit topic. rule: what it is about; replaced: what it takes the place of;
 * may be NULL. */
static bool audit(struct act *a, const char *what, struct slice id, struct slice reason,
                  const struct control_rule *rule, const struct control_rule *replaced,
                  struct err *e)
{
    json_t *record = json_object();
    put_time(record, clock_now_ms());
    (void)json_object_set_new(record, "who", json_string(a->t->command->who));
    (void)json_object_set_new(record, "act", json_string(what));
    (void)json_object_set_new(record, "id", text(id));
    (void)json_object_set_new(record, "reason", text(reason));
    json_t *of = rule_json(rule);
    json_t *before = rule_json(replaced);
    (void)(of == NULL || json_object_set_new(record, "rule", of) == 0);
    (void)(before == NULL || json_object_set_new(record, "replaces", before) == 0);
    (void)json_object_set_new(record, "tool", json_string("sluice-control " SLUICE_VERSION));
    char *line = json_dumps(record, JSON_COMPACT);
    json_decref(record);
    bool ok = line == NULL
                  ? err_set(e, ERR_FATAL,
                            "the audit record cannot be written: out of memory, or not UTF-8")
                  : writer_put(&a->writer, config_str(a->t->config, "audit_topic"), id,
                               slice_str(line), e);
    free(line);
    return ok;
}

/* Times on rules are this machine's; workers go by theirs. */
static void warn_skew(const struct writer *w)
{
    int64_t ahead_ms = w->broker_ms == 0 ? 0 : clock_now_ms() - w->broker_ms;
    if (ahead_ms > MAX_SKEW_MS || ahead_ms < -MAX_SKEW_MS) {
        (void)fprintf(stderr,
                      "sluice-control: warning: this machine's clock is %lld s %s the brokers'; "
                      "rules end by the "
                      "workers' clocks\n",
                      (long long)llabs(ahead_ms) / 1000, ahead_ms > 0 ? "ahead of" : "behind");
    }
}

static bool commit_audit(struct act *a, struct err *e)
{
    if (!writer_wait(&a->writer, e)) {
        return err_wrap(e, "nothing was changed");
    }
    warn_skew(&a->writer);
    return true;
}

static bool is_old(const struct act *a, const struct control_rule *r)
{
    return r->expires_ms < a->t->now_ms - KEEP_OVER_MS;
}

/* Rules that ended more than an hour ago leave the topic. What was asked for is done by now, so a
 * failure is told and no more: the next command tries again. */
static void sweep(struct act *a)
{
    const struct controls *c = &a->reading->controls;
    struct err e = ERR_INIT;
    bool ok = true;
    uint32_t n = 0;
    for (uint32_t i = 0; ok && i < c->n_rules; i++) {
        if (is_old(a, c->rules[i])) {
            ok = audit(a, "expired", c->rules[i]->id, SLICE_LITERAL("its time was over"),
                       c->rules[i], NULL, &e);
            n++;
        }
    }
    ok = ok && (n == 0 || writer_wait(&a->writer, &e));
    for (uint32_t i = 0; ok && n > 0 && i < c->n_rules; i++) {
        if (is_old(a, c->rules[i])) {
            ok = writer_put(&a->writer, config_str(a->t->config, "control_topic"), c->rules[i]->id,
                            SLICE_NONE, &e);
        }
    }
    ok = ok && (n == 0 || writer_wait(&a->writer, &e));
    if (!ok) {
        (void)fprintf(
            stderr,
            "sluice-control: warning: rules that are over could not be taken off the topic: %s\n",
            e.text);
    } else if (n > 0) {
        (void)printf("taken off the topic: %u rule%s whose time was over\n", n, n == 1 ? "" : "s");
    }
}

static void print_in_force(const struct control_rule *r, const struct control_rule *replaced)
{
    struct buf out;
    buf_init(&out, OUT_MAX_BYTES);
    buf_printf(&out, "%.*s is in force: ", SLICE_ARG(r->id));
    control_show(&out, r);
    if (replaced != NULL) {
        buf_printf(&out, " (before: %lld, until ", (long long)replaced->value);
        show_time(&out, replaced->expires_ms);
        buf_printf(&out, ")");
    }
    buf_printf(&out, "\n  until ");
    show_time(&out, r->expires_ms);
    buf_printf(&out, ", for ");
    show_duration(&out, r->expires_ms - r->created_ms);
    buf_printf(&out, "\n  take it back: sluice-control revoke %.*s --reason '…'\n",
               SLICE_ARG(r->id));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    buf_fini(&out);
}

/* A tenant's budget has one temporary value: a new one takes the live one's place. */
static const struct control_rule *live_limit(const struct act *a, const struct control_rule *rule)
{
    if (rule->kind != CONTROL_LIMIT) {
        return NULL;
    }
    const struct control_rule *r =
        controls_limit(&a->reading->controls, rule->tenant, rule->budget, rule->metric);
    return r == NULL || r->expires_ms <= a->t->now_ms ? NULL : r;
}

static bool put_rule(struct act *a, struct control_rule *rule, struct buf *json, struct err *e)
{
    const struct control_rule *replaced = live_limit(a, rule);
    if (replaced != NULL) {
        rule->id = replaced->id;
        if (!rule_write(rule, json, e)) {
            return false;
        }
    } else if (reading_find(a->reading, (const char *)rule->id.ptr) != NULL) {
        return err_set(e, ERR_RETRY, "the id that was drawn is taken; try again");
    }
    if (!audit(a, control_kind_name(rule->kind), rule->id, rule->reason, rule, replaced, e) ||
        !commit_audit(a, e)) {
        return false;
    }
    if (!writer_put(&a->writer, config_str(a->t->config, "control_topic"), rule->id,
                    buf_slice(json), e) ||
        !writer_wait(&a->writer, e)) {
        return false;
    }
    print_in_force(rule, replaced);
    return true;
}

bool act_rule(const struct tool *t, struct err *e)
{
    struct control_rule rule = t->command->rule;
    char id[ID_BYTES];
    struct act a;
    struct buf json;
    buf_init(&json, OUT_MAX_BYTES);
    rule.who = slice_str(t->command->who);
    rule.reason = slice_str(t->command->values[OPTION_REASON]);
    rule.created_ms = t->now_ms;
    rule.expires_ms = t->now_ms + t->command->ttl_ms;
    bool ok = draw_id(rule.kind, id, e);
    rule.id = slice_str(id);
    ok = ok && rule_write(&rule, &json, e) && act_open(&a, t, e);
    if (ok) {
        ok = put_rule(&a, &rule, &json, e);
        if (ok) {
            sweep(&a);
        }
        act_close(&a);
    }
    buf_fini(&json);
    return ok;
}

/* Does limit clear mean this rule? */
static bool is_meant(const struct command *c, const struct control_rule *r)
{
    if (r->kind != CONTROL_LIMIT) {
        return false;
    }
    if (c->id != NULL) {
        return slice_eq_str(r->id, c->id);
    }
    return slice_eq(r->tenant, c->rule.tenant) &&
           (c->values[OPTION_BUDGET] == NULL || r->budget == c->rule.budget) &&
           (c->rule.metric.len == 0 || slice_eq(r->metric, c->rule.metric));
}

/* The rules that are meant go to the front of the list; their number. */
static bool choose(const struct act *a, const struct control_rule **chosen, uint32_t *n,
                   struct err *e)
{
    const struct command *c = a->t->command;
    const struct controls *all = &a->reading->controls;
    *n = 0;
    for (uint32_t i = 0; i < all->n_rules; i++) {
        const struct control_rule *r = all->rules[i];
        if (c->verb == VERB_REVOKE ? slice_eq_str(r->id, c->id) : is_meant(c, r)) {
            chosen[(*n)++] = r;
        }
    }
    bool is_odd = c->verb == VERB_REVOKE && reading_has_odd(a->reading, c->id);
    if (*n == 0 && !is_odd) {
        return err_set(e, ERR_BAD_INPUT, "there is no %s %.64s; see sluice-control list --all",
                       c->verb == VERB_REVOKE ? "rule" : "limit",
                       c->id != NULL ? c->id : c->values[OPTION_TENANT]);
    }
    return true;
}

static void print_revoked(const struct act *a, const struct control_rule *r)
{
    struct buf out;
    buf_init(&out, OUT_MAX_BYTES);
    buf_printf(&out, "%.*s is %s: ", SLICE_ARG(r->id),
               r->expires_ms > a->t->now_ms ? "revoked" : "taken off, it was over");
    control_show(&out, r);
    buf_printf(&out, "\n");
    (void)fwrite(out.ptr, 1, out.len, stdout);
    buf_fini(&out);
}

static bool revoke_chosen(struct act *a, const struct control_rule **chosen, uint32_t n,
                          struct err *e)
{
    const struct command *c = a->t->command;
    const char *control_topic = config_str(a->t->config, "control_topic");
    struct slice reason = slice_str(c->values[OPTION_REASON]);
    bool odd = n == 0; /* no rule here, but a record */
    bool ok = !odd || audit(a, "revoke", slice_str(c->id), reason, NULL, NULL, e);
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = audit(a, "revoke", chosen[i]->id, reason, chosen[i], NULL, e);
    }
    ok = ok && commit_audit(a, e);
    ok = ok && (!odd || writer_put(&a->writer, control_topic, slice_str(c->id), SLICE_NONE, e));
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = writer_put(&a->writer, control_topic, chosen[i]->id, SLICE_NONE, e);
    }
    if (!ok || !writer_wait(&a->writer, e)) {
        return false;
    }
    if (odd) {
        (void)printf("%s is taken off the topic\n", c->id);
    }
    for (uint32_t i = 0; i < n; i++) {
        print_revoked(a, chosen[i]);
        /* Nothing that is left for the sweep. */
        ok = controls_take(&a->reading->controls, chosen[i]->id, SLICE_NONE, 0, e) && ok;
    }
    return ok;
}

bool act_revoke(const struct tool *t, struct err *e)
{
    struct act a;
    uint32_t n;
    if (!act_open(&a, t, e)) {
        return false;
    }
    const struct control_rule **chosen = calloc(a.reading->controls.n_rules + 1, sizeof *chosen);
    bool ok = chosen != NULL || err_set(e, ERR_FATAL, "out of memory");
    ok = ok && choose(&a, chosen, &n, e) && revoke_chosen(&a, chosen, n, e);
    if (ok) {
        sweep(&a);
    }
    free(chosen);
    act_close(&a);
    return ok;
}
