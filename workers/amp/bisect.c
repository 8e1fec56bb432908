/* How the parts of a refused request are sent, so that few requests find the culprits. On the
 * stack:
 *
 *   left, right (sibling), rest, what was there before
 *
 * A store that names the culprit is believed so far that it goes first and alone; all others are
 * the rest then. Otherwise the left half goes first. Is that taken, the right one holds a culprit:
 * it is split unsent. Is it refused, the search goes on in it, and the right one joins the rest, of
 * which nothing is known. When a culprit has been refused alone, the rest goes on: as one request
 * behind the first culprit, since mostly there is but one, or where the store names them; else in
 * groups of the distance that the culprits had so far, twice as many after each that is taken.
 * Where most are culprits, they are asked for one by one.
 *
 * The budget: with N points and L = ceil(log2 N), n culprits may cost n L + SPARE requests beyond
 * the first. A group of N/4 costs L if a culprit is in there (one request for itself, L-2 down to
 * the single point, one for that point alone if it was found by what was taken), and the rest is
 * no more than four such groups. So as long as what is left of the budget is as much as the rest
 * has groups, groups are smaller as it pleases; and if not, they are of N/4, which never costs
 * more. The first culprit takes L+1, the one behind it at most L+2. Hence, beyond the first
 * request,
 *
 *   one culprit: L+2;   n: n L + 7;   by name: 2 n
 *
 * No scheme keeps n log2 N, a batch of two shows: the answer to a part that holds the only culprit
 * is always "refused", so what was beside it has to be sent once more. tests/model/bisection.py
 * plays all schemes through. That a culprit is dead-lettered only for a request that held nothing
 * else is one of these requests, and stays: a store may refuse a request for its size, for its
 * limit of series or by chance, and whatever follows from that about the points in it may be wrong.
 */
#include "shard.h"

#include <stdlib.h>

enum { SPARE = 5 };

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

static void halves_push(struct shard *shard, struct work *left, struct work *right, bool search)
{
    left->bad = left->rest = left->sibling = left->named = false;
    right->bad = right->rest = right->named = false;
    right->sibling = search;
    work_push(shard, right);
    work_push(shard, left);
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
    halves_push(shard, left, right, search);
    return true;
}

/* The one that the store names, then all others. */
static bool single_out(struct shard *shard, const struct work *w, uint32_t named, struct err *e)
{
    struct work *one = work_like(w, 1);
    struct work *others = work_like(w, w->n_pieces - 1);
    if (one == NULL || others == NULL) {
        free(one);
        free(others);
        return no_memory(e);
    }
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        work_add(i == named ? one : others, w->pieces[i]);
    }
    halves_push(shard, one, others, true);
    one->named = true;
    return true;
}

static uint32_t log2_up(uint32_t n)
{
    uint32_t log2 = 0;
    while (n > UINT32_C(1) << log2) {
        log2++;
    }
    return log2;
}

static void search_asked(struct search *search)
{
    search->n_asked += search->n_points > 0 ? 1 : 0;
}

static void culprit_found(struct search *search, bool by_name)
{
    search->by_name = by_name;
    search->n_culprits++;
    search->n_resolved++;
    search->n_group = search->n_resolved / search->n_culprits;
}

bool bisect_refused(struct shard *shard, const struct work *w, uint32_t named, struct err *e)
{
    struct search *search = &shard->search;
    search_asked(search);
    if (search->n_points == 0) {
        search->n_points = w->n_pieces;
    }
    if (!sibling_joins(shard, e)) {
        return false;
    }
    if (w->n_pieces == 1) {
        culprit_found(search, w->named);
        return true;
    }
    search->by_name = named < w->n_pieces && !search->misled;
    return search->by_name ? single_out(shard, w, named, e) : split_push(shard, w, true, e);
}

bool bisect_too_large(struct shard *shard, const struct work *w, struct err *e)
{
    return sibling_joins(shard, e) && split_push(shard, w, false, e);
}

void bisect_taken(struct shard *shard, const struct work *w)
{
    struct search *search = &shard->search;
    struct work *top = shard->stack;
    search_asked(search);
    search->n_resolved += w->n_pieces;
    search->misled = search->misled || w->named;
    if (top != NULL && top->sibling) {
        top->sibling = false;
        top->bad = true;
    } else if (top != NULL && top->rest && search->n_group < UINT32_MAX / 2) {
        search->n_group *= 2;
    }
}

static uint32_t at_most(uint32_t n, uint32_t limit)
{
    return n < limit ? n : limit;
}

/* How many of the rest go as one. */
static uint32_t group_size(const struct search *search, uint32_t n_rest)
{
    if (search->by_name || search->n_culprits < 2) {
        return n_rest;
    }
    uint32_t log2 = log2_up(search->n_points);
    uint32_t quarter = log2 > 2 ? UINT32_C(1) << (log2 - 2) : 1;
    int64_t budget = (int64_t)search->n_culprits * log2 + SPARE - search->n_asked;
    int64_t others = budget > 1 ? (budget - 1) * quarter : 0;
    uint32_t least = others < n_rest ? n_rest - (uint32_t)others : 1;
    uint32_t wanted = search->n_group > least ? search->n_group : least;
    return at_most(at_most(wanted, quarter), n_rest);
}

/* A group off the rest, which is on top. */
static bool group_push(struct shard *shard, uint32_t n, struct err *e)
{
    struct work *rest = shard->stack;
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
        shard->search = (struct search){0};
        return true;
    }
    uint32_t n = top->rest ? group_size(&shard->search, top->n_pieces) : top->n_pieces;
    return n == top->n_pieces || group_push(shard, n, e);
}
