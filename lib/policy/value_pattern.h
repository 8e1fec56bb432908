/* Patterns on label values: what a value as a whole must look like. A small part of regular
 * expressions, whose match takes time in value times pattern and no stack:
 *
 *   [a-z]{2}-[a-z]+-\d     letters stand for themselves; . any byte; [a-z_] and [^a-z] sets;
 *                          \d digit, \w letter, digit or _; \ takes a sign's meaning away;
 *                          behind each of them * + ? {3} {2,5} {2,} say how often */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct pattern_masks;

struct value_pattern {
    struct slice text; /* as it was written */
    uint32_t n_steps;
    const struct pattern_masks *masks;
};

/* What it points to lives in a. ERR_CONFIG says what is wrong, and at which byte. */
bool value_pattern_compile(struct slice text, struct arena *a, struct value_pattern *out,
                           struct err *e) MUST_CHECK;
bool value_pattern_match(const struct value_pattern *p, struct slice value);
