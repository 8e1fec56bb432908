#include "redrive_letters.h"

#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_DIGITS = 32, MAX_REFERENCE = 2048 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text == NULL ? "" : text;
}

static int64_t number_of(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

static uint64_t half_of(const char *digits)
{
    uint64_t half = 0;
    for (unsigned i = 0; i < sizeof half; i++) { /* little-endian */
        char pair[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
        half |= strtoull(pair, NULL, 16) << (8 * i);
    }
    return half;
}

static struct redrive_point point_of(const json_t *point)
{
    const char *series = text_of(point, "series");
    struct redrive_point out = {.time_ms = number_of(point, "time_ms")};
    if (strlen(series) == ID_DIGITS) {
        out.has_series = true;
        out.series = (struct hash128){half_of(series), half_of(series + ID_DIGITS / 2)};
    }
    return out;
}

static int by_time(const void *a, const void *b)
{
    const struct redrive_point *x = a;
    const struct redrive_point *y = b;
    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

static bool points_read(struct redrive_letter *l, const json_t *points, struct err *e)
{
    l->n_points = json_array_size(points);
    l->points = calloc(l->n_points + 1, sizeof *l->points);
    if (l->points == NULL) {
        return no_memory(e);
    }
    for (size_t i = 0; i < l->n_points; i++) {
        l->points[i] = point_of(json_array_get(points, i));
    }
    qsort(l->points, l->n_points, sizeof *l->points, by_time);
    return true;
}

static bool key_make(struct redrive_letter *l, const char *dlq_topic_id, struct err *e)
{
    struct buf reference;
    buf_init(&reference, MAX_REFERENCE);
    buf_zigzag_bytes(&reference, slice_str(l->reason));
    buf_zigzag_bytes(&reference, slice_str(l->metric));
    buf_zigzag_bytes(&reference, slice_str(l->label));
    struct hash128 h = hash128(buf_slice(&reference));
    bool ok = buf_ok(&reference) || no_memory(e);
    buf_fini(&reference);
    if (l->is_limits) {
        (void)snprintf(l->key, sizeof l->key, "redriven/%.22s/%" PRId32 "/%" PRId64, dlq_topic_id,
                       l->partition, l->offset);
    } else {
        (void)snprintf(l->key, sizeof l->key,
                       "redriven/%.22s/%" PRId32 "/%" PRId64 "/%016" PRIx64 "%016" PRIx64,
                       l->topic_id, l->origin_partition, l->origin_offset, h.hi, h.lo);
    }
    l->id = hash64(slice_str(l->key));
    l->id = l->id == 0 ? 1 : l->id;
    return ok;
}

static bool room(struct redrive_letters *all, struct err *e)
{
    if (all->n < all->cap) {
        return true;
    }
    size_t cap = all->cap == 0 ? 64 : all->cap * 2;
    struct redrive_letter *items = reallocarray(all->items, cap, sizeof *items);
    if (items == NULL) {
        return no_memory(e);
    }
    all->items = items;
    all->cap = cap;
    return true;
}

struct gathering {
    struct redrive_letters *all;
    const char *dlq_topic_id;
    const char *shared_topic;
    struct table *marks;
};

/* Is it one that tenants' messages come on? */
static bool is_ingest(const char *shared, const char *topic)
{
    size_t n = strlen(shared);
    return strncmp(topic, shared, n) == 0 && (topic[n] == '\0' || topic[n] == '.');
}

static bool take(void *ctx, const json_t *letter, bool *enough, struct err *e)
{
    const struct gathering *g = ctx;
    struct redrive_letters *all = g->all;
    json_t *value = json_object_get(letter, "value");
    const json_t *origin = json_object_get(value, "origin");
    const char *stage = text_of(value, "stage");
    bool is_limits = strcmp(stage, "limit") == 0;
    size_t n_points = json_array_size(json_object_get(value, "points"));
    bool is_whole = number_of(value, "samples") == 0 && n_points == 0;
    if (strcmp(stage, "amp") == 0) {
        all->n_amp++;
        return true;
    }
    if ((!is_limits && strcmp(stage, "validate") != 0) || (is_limits && is_whole) ||
        !is_ingest(g->shared_topic, text_of(origin, "topic"))) {
        all->n_other++;
        return true;
    }
    struct redrive_letter l = {
        .partition = (int32_t)number_of(letter, "partition"),
        .offset = number_of(letter, "offset"),
        .tenant = text_of(value, "tenant"),
        .reason = text_of(value, "reason"),
        .metric = text_of(value, "metric"),
        .label = text_of(value, "label"),
        .topic = text_of(origin, "topic"),
        .topic_id = text_of(origin, "topic_id"),
        .origin_partition = (int32_t)number_of(origin, "partition"),
        .origin_offset = number_of(origin, "offset"),
        .received_ms = number_of(value, "received_ms"),
        .is_limits = is_limits,
        .is_whole = is_whole,
        .n_samples = number_of(value, "samples"),
    };
    if (!key_make(&l, g->dlq_topic_id, e)) {
        return false;
    }
    if (table_find(g->marks, hash128(slice_str(l.key))) != NULL) {
        all->n_before++;
        return true;
    }
    if (all->n == REDRIVE_MAX_LETTERS || all->n_points + n_points > REDRIVE_MAX_POINTS) {
        all->is_full = *enough = true;
        return true;
    }
    if (!room(all, e)) {
        return false;
    }
    l.json = json_incref((json_t *)(uintptr_t)letter);
    all->items[all->n++] = l;
    bool ok = points_read(&all->items[all->n - 1], json_object_get(value, "points"), e);
    all->n_points += n_points;
    (void)json_object_del(value, "points"); /* they take the most room */
    return ok;
}

static int by_origin(const void *a, const void *b)
{
    const struct redrive_letter *x = a;
    const struct redrive_letter *y = b;
    int order = strcmp(x->topic, y->topic);
    order = order != 0 ? order : strcmp(x->topic_id, y->topic_id);
    if (order != 0) {
        return order;
    }
    if (x->origin_partition != y->origin_partition) {
        return x->origin_partition < y->origin_partition ? -1 : 1;
    }
    if (x->origin_offset != y->origin_offset) {
        return x->origin_offset < y->origin_offset ? -1 : 1;
    }
    return (x->offset > y->offset) - (x->offset < y->offset);
}

bool redrive_letters_read(const struct tool *t, const char *dlq_topic_id, struct table *marks,
                          struct redrive_letters *out, struct err *e)
{
    struct gathering g = {out, dlq_topic_id, config_str(t->config, "shared_topic"), marks};
    *out = (struct redrive_letters){0};
    if (!letters_read(t, take, &g, e)) {
        return false;
    }
    if (out->n > 0) {
        qsort(out->items, out->n, sizeof *out->items, by_origin);
    }
    return true;
}

void redrive_letters_fini(struct redrive_letters *l)
{
    for (size_t i = 0; i < l->n; i++) {
        json_decref(l->items[i].json);
        free(l->items[i].points);
    }
    free(l->items);
    *l = (struct redrive_letters){0};
}

bool redrive_same_origin(const struct redrive_letter *a, const struct redrive_letter *b)
{
    return strcmp(a->topic, b->topic) == 0 && strcmp(a->topic_id, b->topic_id) == 0 &&
           a->origin_partition == b->origin_partition && a->origin_offset == b->origin_offset;
}
