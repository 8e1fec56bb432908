#include "edge/answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BATCHES = 16, MORE_BYTES = 200 };

void answer_batches_init(struct answer_batches *b, size_t max_bytes)
{
    *b = (struct answer_batches){.n = 0};
    arena_init(&b->arena, max_bytes);
}

void answer_batches_fini(struct answer_batches *b)
{
    arena_fini(&b->arena);
    free(b->items);
    b->items = NULL;
}

void answer_batches_reset(struct answer_batches *b)
{
    arena_reset(&b->arena);
    b->n = 0;
    b->n_scalars = 0;
    b->n_histograms = 0;
}

static bool room(struct answer_batches *b, struct err *e)
{
    if (b->n < b->cap) {
        return true;
    }
    uint32_t cap = b->cap == 0 ? FIRST_BATCHES : b->cap * 2;
    struct edge_batch *items = reallocarray(b->items, cap, sizeof *items);
    if (items == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    b->items = items;
    b->cap = cap;
    return true;
}

bool answer_batch_put(void *ctx, const struct batch *batch, uint32_t n_samples,
                      struct slice encoded, struct err *e)
{
    struct answer_batches *b = ctx;
    struct slice copy = arena_copy(&b->arena, encoded);
    uint64_t n_scalars = batch->values.len / sizeof(double);
    if (copy.ptr == NULL) {
        return pass_no_room(e);
    }
    if (!room(b, e)) {
        return false;
    }
    b->items[b->n++] = (struct edge_batch){
        .source = batch->source,
        .value = copy,
        .n_samples = n_samples,
        .n_histograms = n_samples - n_scalars,
        .class = batch->class,
    };
    b->n_scalars += n_scalars;
    b->n_histograms += n_samples - n_scalars;
    return true;
}

/* ---- the text ---- */

struct text {
    char *at;
    size_t left; /* the NUL's included */
};

static void __attribute__((format(printf, 2, 3))) text_put(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->at, t->left, fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += used;
    t->left -= used;
}

static void place_put(struct text *t, const struct point_place *place, enum edge_format format)
{
    if (format == EDGE_REMOTE_WRITE_1 || format == EDGE_REMOTE_WRITE_2) {
        text_put(t, "series %" PRIu32 ": sample %" PRIu32 ": ", place->metric, place->point);
    } else {
        text_put(t, "resource %" PRIu32 ": metric %" PRIu32 ": point %" PRIu32 ": ",
                 place->resource, place->metric, place->point);
    }
}

/* As many as are read in a line: who mends the one should know of the others, each with its reason
 * where that is another. */
static void more_put(struct text *t, const struct reject *r)
{
    size_t left = MORE_BYTES;
    uint32_t i = 0;
    for (; i < r->n_more; i++) {
        const struct culprit_label *l = &r->more[i];
        const char *reason = l->reason == r->reason ? NULL : reason_name(l->reason);
        size_t n = l->label.len + (reason == NULL ? 0 : strlen(reason));
        if (n >= left) {
            break;
        }
        left -= n;
        text_put(t, "%s\"%.*s\"", i == 0 ? " (and " : ", ", SLICE_ARG(l->label));
        if (reason != NULL) {
            text_put(t, " (%s)", reason);
        }
    }
    if (r->n_more > 0) {
        text_put(t, "%s", i == 0 ? " (and others)" : i < r->n_more ? ", …)" : ")");
    }
}

static void reject_put(struct text *t, const struct reject *r, enum edge_format format)
{
    const char *help = reason_info(r->reason)->help;
    if (r->has_place) {
        place_put(t, &r->place, format);
    }
    text_put(t, "metric \"%.*s\"", SLICE_ARG(r->metric));
    if (r->culprit != NULL && r->culprit->label.len > 0) {
        text_put(t, ", label \"%.*s\"", SLICE_ARG(r->culprit->label));
        more_put(t, r);
    }
    text_put(t, ": %s: ", reason_name(r->reason));
    if (!slice_eq_str(r->what, help)) {
        text_put(t, "%.*s. ", SLICE_ARG(r->what));
    }
    text_put(t, "%s", help);
}

static void rest_put(struct text *t, const struct edge_answer *a)
{
    text_put(t, " Refused in all: %" PRIu64 " of %" PRIu64 " samples (", a->n_rejected, a->n_in);
    const char *between = "";
    for (int i = 0; i < N_REASONS; i++) {
        if (a->n_by_reason[i] > 0) {
            text_put(t, "%s%" PRIu64 " %s", between, a->n_by_reason[i], reason_name((enum reason)i));
            between = ", ";
        }
    }
    text_put(t, ").");
}

static void rejects_fill(const struct answer_parts *p, struct edge_answer *a)
{
    struct text t = {a->text, sizeof a->text};
    a->text[0] = '\0';
    for (const struct reject *r = p->rejects->first; r != NULL; r = r->next) {
        if (r->reason == REASON_DUPLICATE_SAME) {
            a->n_same += r->n_samples;
            continue;
        }
        a->n_rejected += r->n_samples;
        a->n_by_reason[r->reason] += r->n_samples;
        if (a->first_reason == REASON_NONE) {
            a->first_reason = r->reason;
            reject_put(&t, r, p->format);
        }
    }
    if (a->n_rejected > 1) {
        rest_put(&t, a);
    }
}

static bool kills_fill(const struct answer_parts *p, struct edge_answer *a, struct err *e)
{
    const struct kills *k = p->kills;
    struct edge_kill *kills = ARENA_ARRAY(p->arena, struct edge_kill, k->n_counts);
    if (kills == NULL) {
        return pass_no_room(e);
    }
    a->kills = kills;
    for (uint32_t i = 0; i < k->n_counts; i++) {
        if (k->counts[i].n_samples == 0) {
            continue;
        }
        struct slice id = arena_copy(p->arena, k->counts[i].rule->id);
        if (id.ptr == NULL) {
            return pass_no_room(e);
        }
        kills[a->n_kills++] = (struct edge_kill){id, k->counts[i].n_samples};
    }
    return true;
}

bool answer_fill(const struct answer_parts *p, struct edge_answer *out, struct err *e)
{
    const struct answer_batches *b = p->batches;
    *out = (struct edge_answer){
        .n_accepted = b->n_scalars + b->n_histograms,
        .n_scalars = b->n_scalars,
        .n_histograms = b->n_histograms,
        .n_batches = b->n,
        .batches = b->items,
    };
    out->n_in = out->n_accepted + p->rejects->n_samples;
    rejects_fill(p, out);
    return p->kills->n_counts == 0 || kills_fill(p, out, e);
}
