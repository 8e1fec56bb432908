#include "explain_story.h"

#include <math.h>
#include <stdlib.h>

#include "explain_json.h"
#include "input.h"

enum { ARENA_BYTES = 192 << 20 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

static bool is_of(const struct story *s, uint64_t source, enum batch_class class,
                  struct slice tenant)
{
    return source == s->stream.source && class == s->stream.class &&
           slice_eq(tenant, s->stream.tenant);
}

static bool is_ours(const struct story *s, const struct stream *x)
{
    return is_of(s, x->source, x->class, x->tenant);
}

/* ---- what the worker's code tells ---- */

/* The slot's series, decoded once more; of a row's size that does not matter. */
static json_t *series_of(struct story *s, const struct stream *x, uint32_t at)
{
    struct err why = ERR_INIT;
    struct shape shape;
    const struct slot *slot = &x->slots[at];
    arena_reset(&s->arena);
    bool ok = shape_decode(slot->shape->bytes, x->tenant, &row_shape_caps, &s->arena, &shape, &why);
    return ok ? json_series(&shape.series[slot->index]) : json_object();
}

static json_t *before_of(struct story *s, const struct slot *slot)
{
    json_t *out = json_pack("{s:I}", "row_log_ms", (json_int_t)slot->row_ms);
    if (slot->kind == SERIES_COUNTER) {
        (void)json_object_set_new(out, "total", json_double(slot->total));
        (void)json_object_set_new(out, "last", json_double(slot->last));
    } else if (slot_is_packed(slot) && slot->packed != NULL) {
        struct slice total = slice_of(slot->packed, slot->n_total_bytes);
        struct slice last = slice_of(slot->packed + slot->n_total_bytes, slot->n_last_bytes);
        (void)json_object_set_new(out, "total",
                                  json_packed(slot->kind, slot->n_bounds, total, &s->arena));
        (void)json_object_set_new(out, "last",
                                  json_packed(slot->kind, slot->n_bounds, last, &s->arena));
    }
    if (slot->last_ms != 0) {
        (void)json_object_set_new(out, "last_ms", json_integer(slot->last_ms));
    }
    return out;
}

static void series_told(void *ctx, const struct stream *x, const struct window *w, uint32_t at,
                        bool is_known)
{
    struct story *s = ctx;
    const struct slot *slot = &x->slots[at];
    s->samples = NULL;
    if (!is_ours(s, x)) {
        return;
    }
    json_t *series = series_of(s, x, at);
    s->window = w;
    s->kind = slot->kind;
    s->n_bounds = slot->n_bounds;
    s->samples = json_array();
    bool has_state = is_known && slot->kind != SERIES_GAUGE;
    (void)json_object_set_new(series, "before", has_state ? before_of(s, slot) : json_null());
    (void)json_object_set_new(series, "samples", s->samples);
    (void)json_array_append_new(s->series, series);
}

static const struct fed_record *fed_find(const struct story *s, int64_t offset)
{
    for (size_t i = s->n_fed; i > 0; i--) {
        if (s->fed[i - 1].offset == offset) {
            return &s->fed[i - 1];
        }
    }
    return NULL;
}

/* Where a sample is from, and how long after its own time it came, by the log. */
static void place_put(const struct story *s, json_t *sample, int64_t offset, int64_t ms)
{
    const struct fed_record *f = fed_find(s, offset);
    (void)json_object_set_new(sample, "offset", json_integer(offset));
    if (f != NULL) {
        (void)json_object_set_new(sample, "came_after_ms", json_integer(f->log_ms - ms));
        (void)json_object_set(sample, "origin", f->origin);
    }
}

static const char *effect_name(enum point_effect effect)
{
#define POINT_NAME(id, name, words) [POINT_##id] = (name),
    static const char *const names[N_POINT_EFFECTS] = {POINT_EFFECTS(POINT_NAME)};
#undef POINT_NAME
    return names[effect];
}

static void point_told(void *ctx, const struct point *p, enum point_effect effect, double added)
{
    struct story *s = ctx;
    if (s->samples == NULL) {
        return;
    }
    json_t *value = kind_is_packed(s->kind)
                        ? json_packed(s->kind, s->n_bounds, p->packed, &s->arena)
                        : json_double(p->value);
    json_t *sample = json_pack("{s:I, s:o, s:s}", "time_ms", (json_int_t)p->ms, "value", value,
                               "effect", effect_name(effect));
    if (p->start_ms != 0) {
        (void)json_object_set_new(sample, "start_ms", json_integer(p->start_ms));
    }
    if (s->kind != SERIES_GAUGE) {
        (void)json_object_set_new(sample, "added", json_double(added));
    }
    place_put(s, sample, s->window->scrapes[p->order]->offset, p->ms);
    (void)json_array_append_new(s->samples, sample);
}

static void late_told(void *ctx, const struct stream *x, const struct late_told *l)
{
    struct story *s = ctx;
    if (!is_ours(s, x)) {
        return;
    }
    const struct slot *slot = &x->slots[l->slot];
    json_t *sample = series_of(s, x, l->slot);
    json_t *value = slot_is_packed(slot)
                        ? json_packed(slot->kind, slot->n_bounds, l->packed, &s->arena)
                        : json_double(l->value);
    (void)json_object_set_new(sample, "time_ms", json_integer(l->ms));
    (void)json_object_set_new(sample, "window_end_ms", json_integer(l->end_ms));
    (void)json_object_set_new(sample, "value", value);
    (void)json_object_set_new(sample, "effect",
                              json_string(l->is_kept ? "late" : "late_in_next_total"));
    place_put(s, sample, s->minute->record.offset, l->ms);
    if (!s->is_done) {
        (void)json_array_append_new(s->late, sample);
    } else if (l->end_ms > s->asked->end_ms - s->asked->window_ms &&
               l->end_ms <= s->asked->end_ms) {
        (void)json_array_append_new(s->too_late, sample);
    } else {
        json_decref(sample);
    }
}

/* ---- rows ---- */

static const char *cause_of(const struct story *s, const struct rollup_counts *now)
{
    const struct rollup_counts *b = &s->before;
    return now->amends != b->amends                             ? "late_amounts_waited"
           : now->closed_by_watermark != b->closed_by_watermark ? "watermark"
           : now->closed_by_idle != b->closed_by_idle           ? "silence"
           : now->closed_by_age != b->closed_by_age             ? "age"
           : now->closed_by_five != b->closed_by_five           ? "five_minutes"
                                                                : "unknown";
}

struct compared {
    struct story *story;
    int32_t part;
};

static bool part_compare(void *ctx, struct slice bytes, bool is_last, struct err *e)
{
    struct compared *x = ctx;
    const struct kept_row *asked = x->story->asked;
    (void)is_last;
    (void)e;
    if (x->part++ == asked->part) {
        x->story->is_same = slice_eq(bytes, asked->bytes);
    }
    return true;
}

/* The rows of 5 m that this row of an hour has: of its window, and what was late since the row
 * before. The others stay; the one at hand, whose effect is not known yet, is in none so far. */
static json_t *inputs_take(struct story *s, const struct rollup *row)
{
    json_t *taken = json_array();
    json_t *rest = json_array();
    for (size_t i = 0; i < json_array_size(s->inputs); i++) {
        json_t *input = json_array_get(s->inputs, i);
        const char *effect = json_string_value(json_object_get(input, "effect"));
        int64_t end_ms = json_integer_value(json_object_get(input, "end_ms"));
        bool is_in = row->kind == ROLLUP_ROW && end_ms > row->end_ms - row->window_ms &&
                     end_ms <= row->end_ms;
        bool is_told = effect != NULL && (strcmp(effect, "late") == 0 || is_in);
        (void)json_array_append(is_told ? taken : rest, input);
    }
    json_decref(s->inputs);
    s->inputs = rest;
    return taken;
}

static json_t *row_told(struct story *s, const struct rollup *row, const char *cause)
{
    json_t *series = json_row(row, &s->arena);
    for (size_t i = 0; i < json_array_size(s->series); i++) { /* the same ones, in the same order */
        json_t *told = json_array_get(s->series, i);
        (void)json_object_set(told, "row", json_object_get(json_array_get(series, i), "row"));
    }
    json_t *all = json_array_size(s->series) > 0 ? json_incref(s->series) : json_incref(series);
    json_decref(series);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:o, s:O, s:o}", "kind",
                     row->kind == ROLLUP_AMEND ? "amend" : "row", "end_ms", (json_int_t)row->end_ms,
                     "window_ms", (json_int_t)row->window_ms, "closed_at",
                     (json_int_t)row->closed_at, "log_ms", (json_int_t)story_log_ms(s), "closed_by",
                     cause, "series", all, "late", s->late, "inputs", inputs_take(s, row));
}

static bool done(struct story *s, const struct leaving *l, struct err *e)
{
    struct compared x = {s, 0};
    s->is_done = true;
    s->done_ms = l->log_ms;
    s->is_same = false;
    return rollup_split(&s->splitter, l->row, part_compare, &x, e) &&
           ((s->is_same = s->is_same && l->log_ms == s->asked->log_ms), true);
}

static void window_forget(struct story *s)
{
    json_decref(s->series);
    json_decref(s->late);
    s->series = json_array();
    s->late = json_array();
}

static bool row_leaves(struct story *s, const struct leaving *l, const char *cause, struct err *e)
{
    bool is_five = s->asked->window_ms == FIVE_MS && s->minute != NULL;
    if (l->is_merged) {
        if (!is_five || l->row->end_ms != s->five_end_ms) {
            return true;
        }
        s->after = json_row(l->row, &s->arena);
        return done(s, l, e);
    }
    (void)json_array_append_new(s->rows, row_told(s, l->row, cause));
    window_forget(s);
    return is_five || done(s, l, e);
}

static bool put(void *ctx, const struct leaving *l, struct err *e)
{
    struct story *s = ctx;
    const struct rollup_counts *now = s->minute != NULL ? &s->minute->counts : &s->hour->counts;
    const char *cause = cause_of(s, now);
    bool ours = is_of(s, l->row->source, l->row->class, l->row->tenant);
    s->before = *now;
    return !ours || s->is_done || row_leaves(s, l, cause, e);
}

/* ---- feeding ---- */

static const struct trace *trace_of(struct story *s, struct trace *t)
{
    *t = (struct trace){s, series_told, point_told, late_told};
    return t;
}

bool story_init(struct story *s, const struct rules *rules, size_t max_row_bytes,
                const struct row_stream *stream, const struct kept_row *asked, struct err *e)
{
    bool is_hourly = rules->window_ms == HOUR_MS;
    const struct row_sink sink = {put, s};
    *s = (struct story){.stream = *stream, .asked = asked};
    s->five_end_ms = asked->window_ms == FIVE_MS ? asked->end_ms : 0;
    arena_init(&s->arena, ARENA_BYTES);
    splitter_init(&s->splitter, max_row_bytes);
    s->series = json_array();
    s->late = json_array();
    s->inputs = json_array();
    s->rows = json_array();
    s->too_late = json_array();
    bool ok =
        is_hourly ? hour_new(rules, &sink, &s->hour, e) : minute_new(rules, &sink, &s->minute, e);
    if (ok && s->minute != NULL) {
        s->minute->increase.trace = trace_of(s, &s->trace);
    }
    return ok;
}

void story_fini(struct story *s)
{
    minute_free(s->minute);
    hour_free(s->hour);
    splitter_fini(&s->splitter);
    arena_fini(&s->arena);
    for (size_t i = 0; i < s->n_fed; i++) {
        json_decref(s->fed[i].origin);
    }
    free(s->fed);
    json_decref(s->series);
    json_decref(s->late);
    json_decref(s->inputs);
    json_decref(s->rows);
    json_decref(s->after);
    json_decref(s->too_late);
}

int64_t story_log_ms(const struct story *s)
{
    return s->minute != NULL ? s->minute->log_ms : s->hour->log_ms;
}

bool story_restore(struct story *s, const struct kept_rows *rows, struct place begin, struct err *e)
{
    const struct rules *rules = s->minute != NULL ? &s->minute->rules : &s->hour->rules;
    for (size_t i = 0; i < rows->n; i++) {
        const struct kept_row *r = &rows->items[i];
        bool is_old = r->log_ms < begin.log_before_ms - rules_forget_ms(rules);
        if (!is_old && !(s->minute != NULL ? minute_restore(s->minute, r->bytes, r->log_ms, e)
                                           : hour_restore(s->hour, r->bytes, r->log_ms, e))) {
            return err_wrap(e, "row at %lld", (long long)r->offset);
        }
    }
    if (s->minute != NULL) {
        minute_restored(s->minute, begin.log_before_ms);
    } else {
        hour_restored(s->hour, begin.log_before_ms);
    }
    return true;
}

static bool fed_add(struct story *s, int64_t offset, int64_t log_ms, json_t *origin, struct err *e)
{
    if (s->n_fed == s->cap_fed) {
        size_t cap = s->cap_fed == 0 ? 256 : s->cap_fed * 2;
        struct fed_record *fed = reallocarray(s->fed, cap, sizeof *fed);
        if (fed == NULL) {
            json_decref(origin);
            return no_memory(e);
        }
        s->fed = fed;
        s->cap_fed = cap;
    }
    s->fed[s->n_fed++] = (struct fed_record){offset, log_ms, origin};
    return true;
}

static bool batch_take(struct story *s, const struct record *in, struct err *e)
{
    struct batch b;
    struct arena a;
    arena_init(&a, (size_t)32 << 20);
    bool ok = input_read(in, &a, &b, e);
    if (ok && b.shape.len > 0 && is_of(s, b.source, b.class, b.tenant)) {
        int64_t log_ms = b.received_ms > s->minute->log_ms ? b.received_ms : s->minute->log_ms;
        json_t *origin =
            json_pack("{s:o, s:i, s:I}", "topic",
                      json_stringn((const char *)b.origin.topic.ptr, b.origin.topic.len),
                      "partition", (int)b.origin.partition, "offset", (json_int_t)b.origin.offset);
        ok = fed_add(s, in->offset, log_ms, origin, e);
    }
    ok = ok && minute_take(s->minute, in->offset, &b, e);
    arena_fini(&a);
    return ok;
}

static bool row_take(struct story *s, const struct record *in, struct err *e)
{
    struct err why = ERR_INIT;
    struct rollup row;
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    bool ours = rollup_decode(in->value, &a, &row, &why) && row.kind == ROLLUP_ROW &&
                is_of(s, row.source, row.class, row.tenant);
    struct rollup_counts was = s->hour->counts;
    bool was_done = s->is_done;
    if (ours && !fed_add(s, in->offset, in->timestamp_ms, NULL, e)) {
        arena_fini(&a);
        return false;
    }
    if (ours) { /* before it is taken: it may be what closes the hour */
        json_t *told = json_pack("{s:I, s:I, s:I, s:o}", "offset", (json_int_t)in->offset, "end_ms",
                                 (json_int_t)row.end_ms, "log_ms", (json_int_t)in->timestamp_ms,
                                 "series", json_row(&row, &s->arena));
        (void)json_array_append_new(s->inputs, told);
    }
    bool ok = hour_take(s->hour, in->offset, in->timestamp_ms, in->value, e);
    const struct rollup_counts *now = &s->hour->counts;
    json_t *told = ours && !was_done && !s->is_done
                       ? json_array_get(s->inputs, json_array_size(s->inputs) - 1)
                       : NULL;
    if (told != NULL) {
        const char *effect =
            now->too_old != was.too_old ? "too_old"
            : now->reread != was.reread ? "reread"
            : now->late_folded != was.late_folded || now->late_dropped != was.late_dropped
                ? "late"
                : "added";
        (void)json_object_set_new(told, "effect", json_string(effect));
    }
    arena_fini(&a);
    return ok;
}

bool story_take(struct story *s, const struct record *in, struct err *e)
{
    bool ok = s->minute != NULL ? batch_take(s, in, e) : row_take(s, in, e);
    if (!ok && e->kind == ERR_BAD_INPUT) {
        err_reset(e);
        return true; /* the worker has dead-lettered it */
    }
    return ok;
}
