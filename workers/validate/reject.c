#include "reject.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "stage/dlq.h"

enum {
    MAX_NAME_BYTES = 256,
    FIRST_POINTS = 8,
    LETTER_BYTES = 8 << 20,
    TEXT_BYTES = 512
};

struct reject {
    struct reject *next;
    enum reason reason;
    struct slice metric;
    struct slice text;
    const struct culprit *culprit;
    uint64_t n_samples;
    uint32_t n_points;
    uint32_t cap;
    struct dead_letter_point *points;
};

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

static struct slice text_of(struct arena *a, const struct rejected_point *p)
{
    char text[TEXT_BYTES];
    const char *what = p->detail != NULL ? p->detail : reason_info(p->reason)->help;
    if (p->place != NULL) {
        (void)snprintf(text, sizeof text,
                       "resource %" PRIu32 ": metric %" PRIu32 ": point %" PRIu32 ": %s",
                       p->place->resource, p->place->metric, p->place->point, what);
    } else {
        (void)snprintf(text, sizeof text, "%s", what);
    }
    return arena_copy(a, slice_str(text));
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
    reject->text = text_of(&r->arena, p);
    if (p->culprit != NULL) {
        culprit = arena_alloc(&r->arena, sizeof *culprit);
        if (culprit == NULL) {
            return NULL;
        }
        *culprit = *p->culprit;
        culprit->label = printable_name(&r->arena, p->culprit->label);
        reject->culprit = culprit;
    }
    if (reject->metric.ptr == NULL || reject->text.ptr == NULL ||
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
    struct dead_letter_point *points = arena_alloc(&r->arena, cap * sizeof *points);
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
    if (reject == NULL) {
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
    struct dead_letter_point *point = &reject->points[reject->n_points++];
    *point = (struct dead_letter_point){.has_series = p->id != NULL, .time_ms = p->time_ms};
    if (p->id != NULL) {
        point->series = *p->id;
    }
    return true;
}

/* What a letter says beyond its origin. */
struct letter {
    enum reason reason;
    struct slice metric;
    struct slice text;
    const struct culprit *culprit;
    int32_t index;
    uint64_t n_samples;
    uint64_t n_points;
    const struct dead_letter_point *points;
};

static void letter_encode(const struct letter_origin *o, const struct letter *l, struct buf *b)
{
    const struct culprit *culprit = l->culprit;
    const struct dead_letter letter = {
        .tenant = o->tenant_name,
        .stage = "validate",
        .reason = reason_name(l->reason),
        .metric = l->metric,
        .received_ms = o->received_ms,
        .topic = o->topic,
        .topic_id = o->in->partition->topic_id,
        .partition = o->in->partition->number,
        .offset = o->in->offset,
        .index = l->index,
        .n_samples = (int64_t)l->n_samples,
        .n_points = (uint32_t)l->n_points,
        .points = l->points,
        .label = culprit == NULL ? SLICE_NONE : culprit->label,
        .masked_value = culprit != NULL && culprit->is_masked ? slice_of(culprit->mask, MASK_BYTES)
                                                              : SLICE_NONE,
        .text = l->text,
    };
    dead_letter_encode(&letter, b);
}

static bool count(struct outbox *out, struct cell *cell, uint64_t n, struct err *e)
{
    return n == 0 || tally_add(&out->tally, cell, (double)n) ||
           err_set(e, ERR_RETRY, "no memory for a count");
}

static bool letter_put(const struct letter_origin *o, const struct letter *l,
                       const struct tenants *tenants, int output, struct outbox *out, struct err *e)
{
    struct buf b;
    buf_init(&b, LETTER_BYTES);
    letter_encode(o, l, &b);
    const struct outgoing r = {.output = output,
                               .partition = -1,
                               .key = o->tenant_name.len > 0 ? o->tenant_name : SLICE_NONE,
                               .value = buf_slice(&b)};
    bool ok = buf_ok(&b) || err_set(e, ERR_FATAL, "out of memory");
    ok = ok && outbox_put(out, &r, e) &&
         count(out, tenant_cell(tenants, o->tenant, o->tenant->letters, M_DLQ_RECORDS, l->reason),
               1, e);
    buf_fini(&b);
    return ok;
}

static bool reject_put(const struct reject *reject, const struct letter_origin *o,
                       const struct tenants *tenants, struct caps *caps, int output,
                       struct outbox *out, int32_t *n_letters, struct err *e)
{
    struct tenant *t = o->tenant;
    if (!count(out, tenant_cell(tenants, t, t->rejected, M_SAMPLES_REJECTED, reject->reason),
               reject->n_samples, e)) {
        return false;
    }
    if (!reason_info(reject->reason)->redrivable) {
        return true;
    }
    uint64_t granted = 0;
    if (!caps_take(caps, t->label, reject->reason, o->received_ms, reject->n_samples, &granted,
                   e) ||
        !count(out, tenant_cell(tenants, t, t->suppressed, M_DLQ_SUPPRESSED, reject->reason),
               reject->n_samples - granted, e)) {
        return false;
    }
    if (granted == 0) {
        return true;
    }
    const struct letter l = {
        .reason = reject->reason,
        .metric = reject->metric,
        .text = reject->text,
        .culprit = reject->culprit,
        .index = (*n_letters)++,
        .n_samples = reject->n_samples,
        .n_points = granted < reject->n_points ? granted : reject->n_points,
        .points = reject->points,
    };
    return letter_put(o, &l, tenants, output, out, e);
}

bool rejects_put(const struct rejects *r, const struct letter_origin *o,
                 const struct tenants *tenants, struct caps *caps, int output, struct outbox *out,
                 int32_t *n_letters, struct err *e)
{
    for (const struct reject *reject = r->first; reject != NULL; reject = reject->next) {
        if (!reject_put(reject, o, tenants, caps, output, out, n_letters, e)) {
            return false;
        }
    }
    return true;
}

bool reject_record(const struct letter_origin *o, const struct tenants *tenants, enum reason reason,
                   const char *detail, struct caps *caps, int output, struct outbox *out,
                   struct err *e)
{
    struct tenant *t = o->tenant;
    if (!count(out, tenant_cell(tenants, t, t->records_rejected, M_RECORDS_REJECTED, reason), 1,
               e)) {
        return false;
    }
    if (!reason_info(reason)->redrivable) {
        return true;
    }
    uint64_t granted = 0;
    if (!caps_take(caps, t->label, reason, o->received_ms, 1, &granted, e)) {
        return false;
    }
    if (granted == 0) {
        return true;
    }
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%s%s%s", detail == NULL ? "" : detail,
                   detail == NULL ? "" : " | ", reason_info(reason)->help);
    const struct letter l = {.reason = reason, .text = slice_str(text)};
    return letter_put(o, &l, tenants, output, out, e);
}
