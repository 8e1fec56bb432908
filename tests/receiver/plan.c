#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ACTIONS[] = {"pass", "status", "reset", "hang"};
static const char *const KEYS[] = {
    "match",       "min_samples",   "skip",  "times", "action",   "status", "body",
    "retry_after", "retry_after_s", "store", "reset", "delay_ms", "hang_ms", "truncate"};

static void step_fini(struct plan_step *step)
{
    if (step->match != NULL) {
        regfree(&step->regex);
    }
    free(step->match);
    free(step->retry_after);
    free(step->body);
}

void plan_fini(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        step_fini(&p->steps[i]);
    }
    free(p->steps);
    *p = (struct plan){0};
}

static bool keys_check(const json_t *object, struct err *e)
{
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        bool known = false;
        for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
            known = known || strcmp(KEYS[i], json_object_iter_key(at)) == 0;
        }
        if (!known) {
            return err_set(e, ERR_CONFIG, "unknown key \"%s\"", json_object_iter_key(at));
        }
    }
    return true;
}

static bool number_read(const json_t *object, const char *key, int64_t *value, struct err *e)
{
    const json_t *v = json_object_get(object, key);
    if (v == NULL || json_is_null(v)) {
        return true;
    }
    if (!json_is_integer(v)) {
        return err_set(e, ERR_CONFIG, "%s must be a whole number", key);
    }
    *value = json_integer_value(v);
    return true;
}

static bool flag_read(const json_t *object, const char *key, bool *value, struct err *e)
{
    const json_t *v = json_object_get(object, key);
    if (v != NULL && !json_is_boolean(v)) {
        return err_set(e, ERR_CONFIG, "%s must be a boolean", key);
    }
    *value = json_is_true(v);
    return true;
}

static bool text_read(const json_t *object, const char *key, char **value, struct err *e)
{
    const json_t *v = json_object_get(object, key);
    if (v == NULL || json_is_null(v)) {
        return true;
    }
    if (!json_is_string(v)) {
        return err_set(e, ERR_CONFIG, "%s must be a string", key);
    }
    *value = strdup(json_string_value(v));
    return *value != NULL || err_set(e, ERR_FATAL, "out of memory");
}

static bool match_read(const json_t *object, struct plan_step *step, struct err *e)
{
    char *match = NULL;
    if (!text_read(object, "match", &match, e) || match == NULL) {
        return match == NULL && e->kind == ERR_NONE;
    }
    int code = regcomp(&step->regex, match, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        char text[100];
        regerror(code, &step->regex, text, sizeof text);
        free(match);
        return err_set(e, ERR_CONFIG, "match: %s", text);
    }
    step->match = match;
    return true;
}

static bool action_read(const json_t *object, bool reset, struct plan_step *step, struct err *e)
{
    const json_t *v = json_object_get(object, "action");
    if (v == NULL) {
        step->action = reset               ? PLAN_RESET
                       : step->hang_ms > 0 ? PLAN_HANG
                       : step->status > 0  ? PLAN_STATUS
                                           : PLAN_PASS;
        return true;
    }
    for (int i = 0; json_is_string(v) && i < 4; i++) {
        if (strcmp(json_string_value(v), ACTIONS[i]) == 0) {
            step->action = (enum plan_action)i;
            return true;
        }
    }
    return err_set(e, ERR_CONFIG, "action must be pass, status, reset or hang");
}

static bool step_read(const json_t *object, struct plan_step *step, struct err *e)
{
    *step = (struct plan_step){.times = 1};
    bool reset = false;
    if (!json_is_object(object)) {
        return err_set(e, ERR_CONFIG, "not an object");
    }
    if (!keys_check(object, e) || !match_read(object, step, e) ||
        !number_read(object, "min_samples", &step->min_samples, e) ||
        !number_read(object, "skip", &step->skip, e) ||
        !number_read(object, "times", &step->times, e) ||
        !number_read(object, "status", &step->status, e) ||
        !number_read(object, "delay_ms", &step->delay_ms, e) ||
        !number_read(object, "hang_ms", &step->hang_ms, e) ||
        !number_read(object, "retry_after_s", &step->retry_after_s, e) ||
        !text_read(object, "retry_after", &step->retry_after, e) ||
        !text_read(object, "body", &step->body, e) ||
        !flag_read(object, "store", &step->store, e) ||
        !flag_read(object, "truncate", &step->truncate, e) || !flag_read(object, "reset", &reset, e) ||
        !action_read(object, reset, step, e)) {
        return false;
    }
    if (step->action == PLAN_STATUS && (step->status < 200 || step->status > 599)) {
        return err_set(e, ERR_CONFIG, "status must lie in 200..599");
    }
    if (step->retry_after == NULL && step->retry_after_s > 0 &&
        asprintf(&step->retry_after, "%lld", (long long)step->retry_after_s) < 0) {
        step->retry_after = NULL;
        return err_set(e, ERR_FATAL, "out of memory");
    }
    return true;
}

bool plan_load(struct plan *p, const json_t *steps, struct err *e)
{
    if (!json_is_array(steps)) {
        return err_set(e, ERR_CONFIG, "a plan must be a JSON array of steps");
    }
    struct plan fresh = {calloc(json_array_size(steps) + 1, sizeof(struct plan_step)), 0};
    if (fresh.steps == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (size_t i = 0; i < json_array_size(steps); i++) {
        fresh.n = i + 1;
        if (!step_read(json_array_get(steps, i), &fresh.steps[i], e)) {
            plan_fini(&fresh);
            return err_wrap(e, "step %zu", i);
        }
    }
    plan_fini(p);
    *p = fresh;
    return true;
}

json_t *plan_json(const struct plan *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_step *step = &p->steps[i];
        json_t *object = json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:b}", "action", ACTIONS[step->action], "status",
            (json_int_t)step->status, "times_left", (json_int_t)step->times, "skip_left",
            (json_int_t)step->skip, "hits", (json_int_t)step->n_hits, "store", (int)step->store);
        if (step->match != NULL) {
            json_object_set_new(object, "match", json_string(step->match));
        }
        json_array_append_new(list, object);
    }
    return list;
}

static bool step_matches(const struct plan_step *step, const char *const *series, size_t n_series,
                         int64_t n_samples)
{
    if (step->times == 0 || n_samples < step->min_samples) {
        return false;
    }
    if (step->match == NULL) {
        return true;
    }
    for (size_t i = 0; i < n_series; i++) {
        if (regexec(&step->regex, series[i], 0, NULL, 0) == 0) {
            return true;
        }
    }
    return false;
}

const struct plan_step *plan_take(struct plan *p, const char *const *series, size_t n_series,
                                  int64_t n_samples)
{
    for (size_t i = 0; i < p->n; i++) {
        struct plan_step *step = &p->steps[i];
        if (!step_matches(step, series, n_series, n_samples)) {
            continue;
        }
        if (step->skip > 0) {
            step->skip -= 1;
            continue;
        }
        step->times -= step->times > 0 ? 1 : 0;
        step->n_hits += 1;
        return step;
    }
    return NULL;
}
