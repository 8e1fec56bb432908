#include "amp.h"

#include <stdlib.h>

#include "letter.h"
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
    struct metadata metadata;
    struct arena arena;  /* of one record */
    struct table shapes; /* struct wire_shape by (tenant, shape) */
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
    arena_init(&a->arena, MAX_ARENA_BYTES);
    table_init(&a->shapes, o->max_shapes_bytes, wire_shape_unref);
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
    table_fini(&a->shapes);
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
    if (!a->templates || w->templates[form] != NULL || w->n_scalars == 0) {
        return;
    }
    w->templates[form] = template_new(w, form);
    table_recost(&a->shapes, key, wire_shape_cost(w));
    cell_set(a->shapes_bytes, (double)a->shapes.cost_bytes);
}

/* The result is the cache's until the next call. */
static bool shape_get(struct amp *a, const struct batch *b, struct wire_shape **out, struct err *e)
{
    struct hash128 key = hash128_seeded(b->shape, hash64(b->tenant));
    *out = table_find(&a->shapes, key);
    if (*out != NULL) {
        cell_add(a->hits, 1);
        template_ensure(a, key, *out, b);
        return true;
    }
    struct shape shape;
    cell_add(a->misses, 1);
    if (!shape_decode(b->shape, b->tenant, &shape_default_caps, &a->arena, &shape, e) ||
        !wire_shape_new(&shape, b->tenant, a->tenant_label, MAX_LABEL_BYTES, out, e)) {
        return false;
    }
    metadata_learn(&a->metadata, &shape);
    (*out)->key = key;
    (*out)->cells = cells_of(a->metrics, (*out)->tenant);
    if (!table_put(&a->shapes, key, *out, wire_shape_cost(*out))) {
        wire_shape_unref(*out);
        return err_set(e, ERR_RETRY, "out of memory");
    }
    cell_set(a->shapes_bytes, (double)a->shapes.cost_bytes);
    return true;
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

/* *scrape stays NULL for a heartbeat, and for what goes elsewhere. */
static bool scrape_make(struct amp *a, const struct record *r, struct scrape **scrape,
                        struct err *e)
{
    struct batch b;
    struct wire_shape *shape;
    if (!batch_decode(r->value, &batch_default_caps, &a->arena, &b, e)) {
        return false;
    }
    if (b.shape.len > 0 && !comes_here(&a->route, b.tenant)) {
        cell_add(metrics_cell(a->metrics, M_RW_ELSEWHERE, &b.tenant), 1);
        return true;
    }
    return b.shape.len == 0 || (shape_get(a, &b, &shape, e) &&
                                (shape->n_series == 0 || scrape_new(&b, shape, scrape, e)));
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

bool amp_take(struct amp *a, const struct record *r, bool redelivered, struct moment now,
              struct err *e)
{
    struct scrape *scrape = NULL;
    arena_reset(&a->arena);
    if (r->value.ptr != NULL && !scrape_make(a, r, &scrape, e)) {
        return e->kind == ERR_BAD_INPUT && reject(a, r, e);
    }
    if (scrape == NULL) {
        a->hooks.release(a->hooks.ctx, r->partition, r->offset);
        return true;
    }
    scrape->partition = r->partition;
    scrape->offset = r->offset;
    scrape->redelivered = redelivered;
    sender_take(a->sender, scrape, now);
    return true;
}
