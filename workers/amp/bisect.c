/* How the parts of a refused request are sent, so that few requests find the culprits. Of a part
 * that was refused the left half goes first. Is that taken, the right one holds a culprit: it is
 * split unsent. Is it refused, the search goes on in it, and the right one joins the rest, of which
 * nothing is known; the rest goes as one request when the culprit is found. So a culprit among n
 * points costs log2(n) requests, one for itself and one for the rest. From the second culprit on
 * the rest goes in groups of the distance that they had so far, twice as many after each that is
 * taken: where most are culprits, they are asked for one by one. On the stack:
 *
 *   left, right (sibling), rest, what was there before */
#include "shard.h"

#include <stdlib.h>

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

/* Two parts that may go as one. */
static bool may_join(const struct work *a, const struct work *b)
{
    return a->rest && b->rest && a->suspect == b->suspect && a->parted == b->parted &&
           a->maybe_there == b->maybe_there && a->has_late == b->has_late &&
           a->late_ms == b->late_ms && a->singles && b->singles;
}

/* The sibling of what was refused is part of the rest now. */
static bool sibling_joins(struct shard *shard, struct err *e)
{
    struct work *top = shard->stack;
    if (top == NULL || !top->sibling) {
        return true;
    }
    top->sibling = false;
    top->rest = true;
    struct work *rest = top->next;
    if (rest == NULL || !may_join(top, rest)) {
        return true;
    }
    struct work *both = work_like(top, (size_t)top->n_pieces + rest->n_pieces);
    if (both == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < top->n_pieces; i++) {
        work_add(both, top->pieces[i]);
    }
    for (uint32_t i = 0; i < rest->n_pieces; i++) {
        work_add(both, rest->pieces[i]);
    }
    both->next = rest->next;
    shard->stack = both;
    free(top);
    free(rest);
    return true;
}

static bool split_push(struct shard *shard, const struct work *w, bool search, struct err *e)
{
    uint32_t middle = work_middle(w);
    struct work *left = work_like(w, middle);
    struct work *right = work_like(w, w->n_pieces - middle);
    if (left == NULL || right == NULL) {
        free(left);
        free(right);
        return no_memory(e);
    }
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        work_add(i < middle ? left : right, w->pieces[i]);
    }
    left->bad = left->rest = left->sibling = false;
    right->bad = right->rest = false;
    right->sibling = search;
    work_push(shard, right);
    work_push(shard, left);
    return true;
}

bool bisect_refused(struct shard *shard, const struct work *w, bool search, struct err *e)
{
    if (w->n_pieces > 1) {
        return sibling_joins(shard, e) && split_push(shard, w, search, e);
    }
    shard->n_culprits++;
    shard->n_resolved++;
    shard->n_group = shard->n_resolved / shard->n_culprits;
    return sibling_joins(shard, e);
}

void bisect_taken(struct shard *shard, uint32_t n_pieces)
{
    struct work *top = shard->stack;
    shard->n_resolved += n_pieces;
    if (top != NULL && top->sibling) {
        top->sibling = false;
        top->bad = true;
    } else if (top != NULL && top->rest && shard->n_group < UINT32_MAX / 2) {
        shard->n_group *= 2;
    }
}

/* A group off the rest, which is on top. */
static bool group_push(struct shard *shard, struct err *e)
{
    struct work *rest = shard->stack;
    uint32_t n = shard->n_group;
    struct work *group = work_like(rest, n);
    if (group == NULL) {
        return no_memory(e);
    }
    group->rest = false;
    for (uint32_t i = 0; i < n; i++) {
        work_add(group, rest->pieces[i]);
    }
    rest->n_pieces -= n;
    rest->n_points -= group->n_points;
    memmove(rest->pieces, rest->pieces + n, rest->n_pieces * sizeof *rest->pieces);
    work_push(shard, group);
    return true;
}

bool bisect_unsent(struct shard *shard, struct err *e)
{
    while (shard->stack != NULL && shard->stack->bad && shard->stack->n_pieces > 1) {
        struct work *w = shard->stack;
        shard->stack = w->next;
        bool ok = split_push(shard, w, true, e);
        free(w);
        if (!ok) {
            return false;
        }
    }
    struct work *top = shard->stack;
    if (top == NULL) {
        shard->n_culprits = shard->n_resolved = 0;
        return true;
    }
    bool dense = top->rest && shard->n_culprits > 1 && top->n_pieces > shard->n_group;
    return !dense || group_push(shard, e);
}
