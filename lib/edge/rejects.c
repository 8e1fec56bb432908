#include "edge/rejects.h"

#include <stdio.h>

#include "base/utf8.h"

enum { MAX_NAME_BYTES = 256, FIRST_POINTS = 8, TEXT_BYTES = 512 };

void rejects_init(struct rejects *r, size_t max_bytes, uint32_t max_points)
{
    *r = (struct rejects){.last = &r->first, .max_points = max_points};
    arena_init(&r->arena, max_bytes);
    table_init(&r->by_key, 0, NULL);
}

void rejects_fini(struct rejects *r)
{
    arena_fini(&r->arena);
    table_fini(&r->by_key);
}

void rejects_reset(struct rejects *r)
{
    if (r->first == NULL) {
        return;
    }
    arena_reset(&r->arena);
    table_clear(&r->by_key);
    r->first = NULL;
    r->last = &r->first;
    r->n_samples = 0;
}

static bool too_large(struct err *e)
{
    return err_set_code(e, ERR_BAD_INPUT, REASON_TOO_LARGE, "takes more memory than a message may");
}

struct slice printable_name(struct arena *a, struct slice name)
{
    size_t n = utf8_fit(name, MAX_NAME_BYTES);
    uint8_t *copy = arena_alloc(a, n);
    if (copy == NULL) {
        return SLICE_NONE;
    }
    if (n > 0) {
        memcpy(copy, name.ptr, n);
    }
    struct slice s = slice_of(copy, n);
    for (size_t bad; (bad = utf8_check(s)) < s.len;) {
        copy[bad] = '?';
    }
    return s;
}

static struct slice what_of(struct arena *a, const struct rejected_point *p)
{
    char text[TEXT_BYTES];
    const char *help = reason_info(p->reason)->help;
    bool said = p->detail == NULL && p->culprit != NULL && p->culprit->detail != NULL;
    if (said) {
        (void)snprintf(text, sizeof text, "%s. %s", p->culprit->detail, help);
    }
    return arena_copy(a, slice_str(said ? text : p->detail != NULL ? p->detail : help));
}

static bool has_label(const struct reject *reject, struct slice name)
{
    struct slice cut = slice_of(name.ptr, utf8_fit(name, MAX_NAME_BYTES));
    for (uint32_t i = 0; i < reject->n_more; i++) {
        if (slice_eq(reject->more[i].label, cut)) {
            return true;
        }
    }
    return false;
}

/* The other labels of a series that joins the reject. */
static bool gather(struct rejects *r, struct reject *reject, const struct culprit *from)
{
    if (from == NULL || from->n_more == 0 || from == reject->gathered) {
        return true;
    }
    if (reject->more == NULL) {
        reject->more = arena_alloc(&r->arena, VERDICT_MAX_MORE * sizeof *reject->more);
        if (reject->more == NULL) {
            return false;
        }
    }
    reject->gathered = from;
    for (uint32_t i = 0; i < from->n_more && reject->n_more < VERDICT_MAX_MORE; i++) {
        if (has_label(reject, from->more[i].label)) {
            continue;
        }
        struct culprit_label *label = &reject->more[reject->n_more];
        *label = from->more[i];
        label->label = printable_name(&r->arena, from->more[i].label);
        if (label->label.ptr == NULL) {
            return false;
        }
        reject->n_more++;
    }
    return true;
}

static struct reject *reject_new(struct rejects *r, const struct rejected_point *p)
{
    struct reject *reject = arena_calloc(&r->arena, 1, sizeof *reject);
    struct culprit *culprit = NULL;
    if (reject == NULL) {
        return NULL;
    }
    reject->reason = p->reason;
    reject->metric = printable_name(&r->arena, p->metric);
    reject->what = what_of(&r->arena, p);
    if (p->place != NULL) {
        reject->place = *p->place;
        reject->has_place = true;
    }
    if (p->culprit != NULL) {
        culprit = arena_alloc(&r->arena, sizeof *culprit);
        if (culprit == NULL) {
            return NULL;
        }
        *culprit = *p->culprit;
        culprit->label = printable_name(&r->arena, p->culprit->label);
        reject->culprit = culprit;
    }
    if (reject->metric.ptr == NULL || reject->what.ptr == NULL ||
        (culprit != NULL && culprit->label.ptr == NULL)) {
        return NULL;
    }
    *r->last = reject;
    r->last = &reject->next;
    return reject;
}

static struct reject *reject_of(struct rejects *r, const struct rejected_point *p)
{
    uint64_t salt = (uint64_t)p->reason;
    if (p->culprit != NULL) {
        salt = hash64_seeded(p->culprit->label, salt);
    }
    struct hash128 key = hash128_seeded(p->metric, salt);
    struct reject *reject = table_find(&r->by_key, key);
    if (reject == NULL) {
        reject = reject_new(r, p);
        if (reject != NULL && !table_put(&r->by_key, key, reject, 0)) {
            return NULL;
        }
    }
    return reject;
}

static bool point_room(struct rejects *r, struct reject *reject)
{
    if (reject->n_points < reject->cap) {
        return true;
    }
    uint32_t cap = reject->cap == 0 ? FIRST_POINTS : reject->cap * 2;
    struct reject_point *points = arena_alloc(&r->arena, cap * sizeof *points);
    if (points == NULL) {
        return false;
    }
    if (reject->n_points > 0) {
        memcpy(points, reject->points, reject->n_points * sizeof *points);
    }
    reject->points = points;
    reject->cap = cap;
    return true;
}

bool reject_add(struct rejects *r, const struct rejected_point *p, struct err *e)
{
    struct reject *reject = reject_of(r, p);
    if (reject == NULL || !gather(r, reject, p->culprit)) {
        return too_large(e);
    }
    reject->n_samples++;
    r->n_samples++;
    if (reject->n_points >= r->max_points) {
        return true;
    }
    if (!point_room(r, reject)) {
        return too_large(e);
    }
    struct reject_point *point = &reject->points[reject->n_points++];
    *point = (struct reject_point){.has_series = p->id != NULL, .time_ms = p->time_ms};
    if (p->id != NULL) {
        point->series = *p->id;
    }
    return true;
}
