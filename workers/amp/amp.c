#include "amp.h"

#include <stdlib.h>

#include "letter.h"
#include "policy/glob.h"
#include "template.h"

enum { MAX_ARENA_BYTES = 256 << 20, MAX_LABEL_BYTES = 64 << 20 };

struct amp {
    struct sender *sender;
    struct sender_hooks hooks;
    amp_reject_fn reject;
    struct metrics *metrics;
    const char *tenant_label;
    bool templates;
    struct amp_route route;
    struct slice metric;
    struct metadata metadata;
    struct arena arena;  /* of one record */
    struct table shapes; /* struct wire_shape by (tenant, shape) */
    struct rows rows;
    struct repeats repeats;
    struct slice repeat_topic;
    struct cell *hits;
    struct cell *misses;
    struct cell *shapes_bytes;
};

bool amp_new(const struct amp_options *o, const struct sender_hooks *hooks, amp_reject_fn reject,
             struct metrics *m, struct amp **out, struct err *e)
{
    struct amp *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    metadata_init(&a->metadata, o->metadata_interval_ms, o->max_metadata_bytes);
    const struct sender_lore lore = {&a->shapes, &a->metadata};
    if (!sender_new(&o->sender, hooks, m, &lore, &a->sender, e)) {
        free(a);
        return false;
    }
    static const struct slice hit = SLICE_LITERAL("hit");
    static const struct slice miss = SLICE_LITERAL("miss");
    a->hooks = *hooks;
    a->reject = reject;
    a->metrics = m;
    a->tenant_label = o->tenant_label;
    a->templates = o->templates;
    a->route = o->route;
    a->metric = slice_str(o->metric == NULL ? "" : o->metric);
    arena_init(&a->arena, MAX_ARENA_BYTES);
    table_init(&a->shapes, o->max_shapes_bytes, wire_shape_unref);
    rows_init(&a->rows, &o->rows);
    repeats_init(&a->repeats, o->max_repeats_bytes);
    a->repeat_topic = slice_str(o->repeat_topic);
    a->hits = metrics_cell(m, M_SHAPE_CACHE, &hit);
    a->misses = metrics_cell(m, M_SHAPE_CACHE, &miss);
    a->shapes_bytes = metrics_cell(m, M_SHAPE_CACHE_BYTES, NULL);
    *out = a;
    return true;
}

void amp_free(struct amp *a)
{
    if (a == NULL) {
        return;
    }
    sender_free(a->sender);
    repeats_fini(&a->repeats);
    table_fini(&a->shapes);
    rows_fini(&a->rows);
    metadata_fini(&a->metadata);
    arena_fini(&a->arena);
    free(a);
}

struct sender *amp_sender(struct amp *a)
{
    return a->sender;
}

static struct tenant_cells cells_of(struct metrics *m, struct slice tenant)
{
    struct slice rejected[2] = {tenant, SLICE_LITERAL(REASON_DELTA)};
    return (struct tenant_cells){
        .samples_in = metrics_cell(m, M_SAMPLES_IN, &tenant),
        .samples_out = metrics_cell(m, M_SAMPLES_OUT, &tenant),
        .already_there = metrics_cell(m, M_RW_ALREADY_THERE, &tenant),
        .delta = metrics_cell(m, M_SAMPLES_REJECTED, rejected),
    };
}

/* Shapes that come again get a template; one that is seen once would not pay for it. Without
 * memory there is none. */
static void template_ensure(struct amp *a, struct hash128 key, struct wire_shape *w,
                            const struct batch *b)
{
    enum template_form form = b->times.n_deltas == 0 ? TEMPLATE_ONE_TIME : TEMPLATE_MANY_TIMES;
    if (!a->templates || w->templates[form] != NULL || w->n_scalars + w->n_exp == 0) {
        return;
    }
    w->templates[form] = template_new(w, form);
    table_recost(&a->shapes, key, wire_shape_cost(w));
    cell_set(a->shapes_bytes, (double)a->shapes.cost_bytes);
}

/* The cache's until the next call, or NULL. */
static struct wire_shape *shape_find(struct amp *a, struct hash128 key, const struct batch *b)
{
    struct wire_shape *found = table_find(&a->shapes, key);
    cell_add(found != NULL ? a->hits : a->misses, 1);
    if (found != NULL) {
        template_ensure(a, key, found, b);
    }
    return found;
}

/* Marks what a replay of some metrics is not for. The wire form has the shape's order. */
static void unwanted_mark(const struct amp *a, const struct shape *shape, struct wire_shape *w)
{
    for (uint32_t i = 0; a->metric.len > 0 && i < w->n_series; i++) {
        w->series[i].unwanted = !glob_match(a->metric, shape->series[i].metric);
        w->n_unwanted += w->series[i].unwanted ? 1 : 0;
    }
}

/* A new one for the cache; NULL: e says why. */
static struct wire_shape *shape_add(struct amp *a, struct hash128 key, const struct shape *shape,
                                    struct slice tenant, struct slice part_suffix, struct err *e)
{
    struct wire_shape *made;
    const struct wire_names names = {a->tenant_label, part_suffix};
    if (!wire_shape_new(shape, tenant, &names, MAX_LABEL_BYTES, &made, e)) {
        return NULL;
    }
    metadata_learn(&a->metadata, shape);
    unwanted_mark(a, shape, made);
    made->key = key;
    made->cells = cells_of(a->metrics, made->tenant);
    if (!table_put(&a->shapes, key, made, wire_shape_cost(made))) {
        wire_shape_unref(made);
        (void)err_set(e, ERR_RETRY, "out of memory");
        return NULL;
    }
    cell_set(a->shapes_bytes, (double)a->shapes.cost_bytes);
    return made;
}

static bool shape_get(struct amp *a, const struct batch *b, struct wire_shape **out, struct err *e)
{
    struct shape shape;
    struct hash128 key = hash128_seeded(b->shape, hash64(b->tenant));
    *out = shape_find(a, key, b);
    if (*out == NULL &&
        shape_decode(b->shape, b->tenant, &shape_default_caps, &a->arena, &shape, e)) {
        *out = shape_add(a, key, &shape, b->tenant, SLICE_NONE, e);
    }
    return *out != NULL;
}

static bool is_listed(struct slice tenant, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_eq_str(tenant, names[i])) {
            return true;
        }
    }
    return false;
}

static bool comes_here(const struct amp_route *r, struct slice tenant)
{
    return (r->n_only == 0 || is_listed(tenant, r->only, r->n_only)) &&
           !is_listed(tenant, r->others, r->n_others);
}

/* Counts what does not. */
static bool is_passed_over(struct amp *a, struct slice tenant)
{
    bool passed_over = !comes_here(&a->route, tenant);
    if (passed_over) {
        cell_add(metrics_cell(a->metrics, M_RW_ELSEWHERE, &tenant), 1);
    }
    return passed_over;
}

/* What a record comes to, in order of time; NULL: nothing. */
struct scrapes {
    struct scrape *first;
    struct scrape *behind; /* of a row: stale markers */
};

static bool batch_take(struct amp *a, const struct record *r, struct scrapes *out, struct err *e)
{
    struct batch b;
    struct wire_shape *shape;
    if (!batch_decode(r->value, &batch_default_caps, &a->arena, &b, e)) {
        return false;
    }
    return b.shape.len == 0 || is_passed_over(a, b.tenant) ||
           (shape_get(a, &b, &shape, e) &&
            (shape->n_series == 0 || scrape_new(&b, shape, &out->first, e)));
}

static bool row_scrape(struct amp *a, const struct record *r, const struct row *row,
                       enum row_part part, struct scrape **out, struct err *e)
{
    struct batch b;
    uint32_t n_series;
    struct hash128 key;
    if (!rows_batch(&a->rows, row, part, &b, &n_series, &key, e)) {
        return false;
    }
    if (n_series == 0) {
        return true;
    }
    b.received_ms = r->timestamp_ms; /* the log's time when the window closed */
    struct shape shape;
    struct slice part_suffix;
    struct wire_shape *wire = shape_find(a, key, &b);
    if (wire == NULL && rows_shape(&a->rows, row, &a->arena, &shape, &part_suffix, e)) {
        wire = shape_add(a, key, &shape, b.tenant, part_suffix, e);
    }
    return wire != NULL && scrape_new(&b, wire, out, e);
}

/* For repeats. */
static bool row_keep(struct amp *a, const struct record *r, const struct row *row,
                     struct partition *p, struct err *e)
{
    struct scrape *scrape = NULL;
    const struct rollup *rollup = &row->rollup;
    const uint64_t stream[] = {rollup->source, (uint64_t)rollup->class, (uint64_t)rollup->part};
    if (a->repeat_topic.len == 0 || !slice_eq(p->topic, a->repeat_topic)) {
        return true;
    }
    if (!row_scrape(a, r, row, ROW_REPEAT, &scrape, e)) {
        return false;
    }
    struct hash128 of = hash128_seeded(slice_of(stream, sizeof stream), hash64(rollup->tenant));
    repeats_put(&a->repeats, of, p, scrape, rollup->window_ms);
    return true;
}

static bool row_take(struct amp *a, const struct record *r, struct scrapes *out, struct err *e)
{
    struct row row;
    if (!rows_read(&a->rows, r->value, &a->arena, &row, e)) {
        return false;
    }
    return row.shape == NULL || is_passed_over(a, row.rollup.tenant) ||
           (row_scrape(a, r, &row, ROW_VALUES, &out->first, e) &&
            row_scrape(a, r, &row, ROW_ENDS, &out->behind, e) &&
            row_keep(a, r, &row, r->partition, e));
}

static bool reject(struct amp *a, const struct record *r, struct err *e)
{
    struct slice values[2] = {SLICE_NONE, SLICE_LITERAL(REASON_UNREADABLE)};
    struct err why = *e;
    err_reset(e);
    if (!a->reject(a->hooks.ctx, r, why.text, e)) {
        return false;
    }
    cell_add(metrics_cell(a->metrics, M_RECORDS_REJECTED, values), 1);
    cell_add(metrics_cell(a->metrics, M_DLQ_RECORDS, values), 1);
    a->hooks.release(a->hooks.ctx, r->partition, r->offset);
    return true;
}

static bool record_take(struct amp *a, const struct record *r, struct scrapes *out, struct err *e)
{
    arena_reset(&a->arena);
    if (r->value.ptr != NULL && !(rows_are(r->value) ? row_take : batch_take)(a, r, out, e)) {
        scrape_free(out->first);
        scrape_free(out->behind);
        *out = (struct scrapes){NULL, NULL};
        return false;
    }
    struct scrape *const both[2] = {out->first, out->behind};
    for (size_t i = 0; i < 2; i++) {
        if (both[i] != NULL) {
            both[i]->partition = r->partition;
            both[i]->offset = r->offset;
        }
    }
    return true;
}

bool amp_look(struct amp *a, const struct record *r, struct scrape **first, struct scrape **behind,
              struct err *e)
{
    struct scrapes scrapes = {NULL, NULL};
    bool ok = record_take(a, r, &scrapes, e);
    *first = scrapes.first;
    *behind = scrapes.behind;
    return ok;
}

static void scrape_hand(struct amp *a, struct scrape *scrape, bool redelivered, struct moment now)
{
    if (scrape != NULL) {
        scrape->redelivered = redelivered;
        sender_take(a->sender, scrape, now);
    }
}

bool amp_take(struct amp *a, const struct record *r, bool redelivered, struct moment now,
              struct err *e)
{
    struct scrapes scrapes = {NULL, NULL};
    if (!record_take(a, r, &scrapes, e)) {
        return e->kind == ERR_BAD_INPUT && reject(a, r, e);
    }
    if (scrapes.first != NULL && scrapes.behind != NULL) {
        a->hooks.hold(a->hooks.ctx, r->partition, r->offset); /* each releases it */
    }
    scrape_hand(a, scrapes.first, redelivered, now);
    scrape_hand(a, scrapes.behind, redelivered, now);
    if (scrapes.first == NULL && scrapes.behind == NULL) {
        a->hooks.release(a->hooks.ctx, r->partition, r->offset);
    }
    return true;
}

bool amp_restore(struct amp *a, const struct record *r, struct partition *p, struct err *e)
{
    struct row row;
    arena_reset(&a->arena);
    if (r->value.ptr == NULL || !rows_are(r->value)) {
        return true;
    }
    bool ok = rows_read(&a->rows, r->value, &a->arena, &row, e) &&
              (row.shape == NULL || !comes_here(&a->route, row.rollup.tenant) ||
               row_keep(a, r, &row, p, e));
    if (!ok && e->kind == ERR_BAD_INPUT) { /* it was dead-lettered when its turn came */
        err_reset(e);
        return true;
    }
    return ok;
}

void amp_drop(struct amp *a, const struct partition *p)
{
    repeats_drop(&a->repeats, p);
}

void amp_turn(struct amp *a, struct moment now)
{
    repeats_turn(&a->repeats, a->sender, now);
}
