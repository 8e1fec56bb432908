/* Misbehaviour on demand: a list of steps, each answering some requests otherwise than the rules
 * would. The first step with times left whose conditions hold takes the request. JSON, an array of
 *   {"match": REGEX on {__name__="x", a="b"} of any series, "min_samples": n, "skip": n,
 *    "times": n (1; -1 = for ever), "action": "status" | "reset" | "hang" | "pass",
 *    "status": n, "retry_after_s": n, "retry_after": TEXT, "body": TEXT, "store": bool,
 *    "delay_ms": n, "hang_ms": n, "reset": bool, "truncate": bool}
 * action follows from the other keys when it is absent. store: take the samples by the rules all
 * the same (the answer is lost). truncate: the answer breaks off before its end. delay_ms: wait, then answer. reset: RST after the body. hang_ms:
 * no answer for so long, then RST. */
#pragma once

#include <jansson.h>
#include <regex.h>

#include "base/err.h"
#include "base/slice.h"

enum plan_action { PLAN_PASS, PLAN_STATUS, PLAN_RESET, PLAN_HANG };

struct plan_step {
    char *match; /* owned; NULL = any request */
    regex_t regex;
    int64_t min_samples;
    int64_t skip;
    int64_t times; /* left; below 0 = for ever */
    enum plan_action action;
    int64_t status;
    int64_t delay_ms;
    int64_t hang_ms;
    char *retry_after; /* owned; NULL = none */
    int64_t retry_after_s;
    char *body; /* owned; NULL = a default text */
    bool store;
    bool truncate;
    int64_t n_hits;
};

struct plan {
    struct plan_step *steps; /* owned */
    size_t n;
};

/* Replaces what is there; all or nothing. ERR_CONFIG names the step and key. */
bool plan_load(struct plan *p, const json_t *steps, struct err *e) MUST_CHECK;
void plan_fini(struct plan *p);
json_t *plan_json(const struct plan *p);
static inline bool plan_waits(const struct plan *p)
{
    return p->n > 0;
}
/* The step for a request of these series (texts, NUL-terminated), used once by this; or NULL. */
const struct plan_step *plan_take(struct plan *p, const char *const *series, size_t n_series,
                                  int64_t n_samples);
