#include "reading.h"

#include "base/clock.h"
#include "stage/follow.h"
#include "stage/topics.h"

#include <stdlib.h>
#include <string.h>

static void forget_odd(struct reading *r, struct slice id)
{
    for (size_t i = 0; i < r->n_odd; i++) {
        if (slice_eq_str(id, r->odd[i].id)) {
            free(r->odd[i].id);
            free(r->odd[i].cause);
            r->odd[i] = r->odd[--r->n_odd];
            return;
        }
    }
}

static bool keep_odd(struct reading *r, struct slice id, const char *cause, struct err *e)
{
    if (r->n_odd == MAX_ODD) {
        return true;
    }
    const struct odd odd = {strndup(id.len == 0 ? "" : (const char *)id.ptr, id.len),
                            strdup(cause)};
    if (odd.id == NULL || odd.cause == NULL) {
        free(odd.id);
        free(odd.cause);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    r->odd[r->n_odd++] = odd;
    return true;
}

static bool take(void *ctx, size_t topic, const struct record *record, struct err *e)
{
    struct reading *r = ctx;
    struct err why = ERR_INIT;
    (void)topic;
    uint64_t n_unknown_kinds = r->controls.n_unknown_kinds;
    forget_odd(r, record->key);
    if (controls_take(&r->controls, record->key, record->value, 0, &why)) {
        return r->controls.n_unknown_kinds == n_unknown_kinds ||
               keep_odd(r, record->key, "of a kind that this version does not know", e);
    }
    if (why.kind != ERR_BAD_INPUT) {
        *e = why;
        return false;
    }
    (void)err_wrap(&why, "offset %lld", (long long)record->offset);
    return keep_odd(r, record->key, why.text, e);
}

static bool read_all(struct reading *r, const struct tool *t, struct err *e)
{
    const char *topic = config_str(t->config, "control_topic");
    int64_t timeout_ms = config_int(t->config, "timeout_ms");
    struct follower *f = NULL;
    if (!follower_open(&t->kafka, &topic, 1, &f, e)) {
        return false;
    }
    int64_t deadline = clock_mono_ms() + timeout_ms;
    bool ok = true;
    while (ok && !follower_caught_up(f)) {
        ok = follower_poll(f, 100, take, r, e);
        if (ok && clock_mono_ms() > deadline && !follower_caught_up(f)) {
            ok = err_set(e, ERR_RETRY,
                         "%s could not be read to its end within %lld ms: the brokers are away, or "
                         "somebody's open "
                         "transaction hides it",
                         topic, (long long)timeout_ms);
        }
    }
    follower_close(f);
    return ok;
}

bool reading_check(const struct tool *t, struct err *e)
{
    rd_kafka_t *rk = NULL;
    uint32_t n_partitions;
    uint8_t id[16];
    bool ok = kafka_open(KAFKA_PLAIN_PRODUCER, &t->kafka, NULL, &rk, e) &&
              topic_describe(rk, config_str(t->config, "control_topic"), &n_partitions, id, e);
    if (rk != NULL) {
        rd_kafka_destroy(rk);
    }
    return ok;
}

bool reading_new(const struct tool *t, struct reading **out, struct err *e)
{
    struct reading *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    controls_init(&r->controls, &r->draw);
    if (!read_all(r, t, e)) {
        reading_free(r);
        return false;
    }
    *out = r;
    return true;
}

void reading_free(struct reading *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->n_odd; i++) {
        free(r->odd[i].id);
        free(r->odd[i].cause);
    }
    controls_fini(&r->controls);
    free(r);
}

const struct control_rule *reading_find(const struct reading *r, const char *id)
{
    for (uint32_t i = 0; i < r->controls.n_rules; i++) {
        if (slice_eq_str(r->controls.rules[i]->id, id)) {
            return r->controls.rules[i];
        }
    }
    return NULL;
}

bool reading_has_odd(const struct reading *r, const char *id)
{
    for (size_t i = 0; i < r->n_odd; i++) {
        if (strcmp(r->odd[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}
