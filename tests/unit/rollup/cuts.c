#include "cuts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_TOLD = 20, MAX_QUEUED = 12 };

/* The undisturbed run: after each record, how many rows there were and what was needed. */
struct trail {
    size_t *n_out;       /* owned, as needs: by input */
    struct place *needs; /* with all rows out */
};

struct commit {
    size_t at; /* the input that it was made behind */
    size_t n_out;
    struct place needs;
};

static bool place_eq(struct place a, struct place b)
{
    return a.offset == b.offset && a.log_before_ms == b.log_before_ms;
}

static void rows_take(struct rerun *r, const struct rerun *calm, size_t n)
{
    rerun_cut(r, 0);
    for (size_t i = 0; i < n; i++) {
        r->out = rerun_grown(r->out, r->n_out, &r->cap_out, sizeof *r->out);
        struct output *o = &r->out[r->n_out++];
        *o = calm->out[i];
        uint8_t *bytes = malloc(o->bytes.len + 1);
        if (bytes == NULL) {
            rerun_die("no memory");
        }
        memcpy(bytes, o->bytes.ptr, o->bytes.len);
        o->bytes.ptr = bytes;
    }
}

static void tell(const struct cuts *found, const struct rerun *calm, const struct commit *c,
                 const char *what, size_t where)
{
    if (found->n_wrong < MAX_TOLD) {
        fprintf(stderr,
                "cut behind offset %" PRId64 " (log time %" PRId64
                "), %zu rows, to go on at %" PRId64 ": %s %zu\n",
                calm->in[c->at].offset, calm->in[c->at].log_ms, c->n_out, c->needs.offset, what,
                where);
    }
}

/* Goes on from the commit; false: not as the undisturbed run did. */
static bool goes_on(struct rerun *r, const struct rerun *calm, const struct trail *t,
                    const struct commit *c, const struct cuts *found)
{
    size_t n = c->n_out;
    bool ok = true;
    rows_take(r, calm, n);
    rerun_recover(r, c->needs.log_before_ms);
    for (size_t i = rerun_index(r, c->needs.offset); ok && i < r->n_in; i++) {
        rerun_take(r, i);
        for (; ok && n < r->n_out; n++) {
            ok = n < t->n_out[i] && output_eq(&r->out[n], &calm->out[n]);
        }
        if (!ok) {
            tell(found, calm, c, "other is row", n - 1);
        } else if (i >= c->at && n != t->n_out[i]) {
            tell(found, calm, c, "missing is row", n);
            ok = false;
        } else if (i >= c->at && !place_eq(rerun_needs(r, r->in[i].offset + 1, n), t->needs[i])) {
            tell(found, calm, c, "needs something else behind input", i);
            ok = false;
        }
    }
    rerun_end(r);
    return ok;
}

/* By what a new owner would find; the earliest of the same first. */
static int commit_order(const void *a, const void *b)
{
    const struct commit *x = a;
    const struct commit *y = b;
    if (x->n_out != y->n_out) {
        return x->n_out < y->n_out ? -1 : 1;
    }
    if (x->needs.offset != y->needs.offset) {
        return x->needs.offset < y->needs.offset ? -1 : 1;
    }
    return x->at < y->at ? -1 : x->at > y->at;
}

static bool is_same(const struct commit *a, const struct commit *b)
{
    return a->n_out == b->n_out && place_eq(a->needs, b->needs);
}

struct commits {
    struct commit *items; /* owned */
    size_t n;
    size_t cap;
};

/* All that could be committed behind input i: some of the last rows may still wait to leave. */
static void commits_of(const struct rerun *r, size_t i, struct commits *out)
{
    for (size_t n = r->n_out < MAX_QUEUED ? 0 : r->n_out - MAX_QUEUED; n <= r->n_out; n++) {
        if (rerun_whole(r, n) == n) {
            out->items = rerun_grown(out->items, out->n, &out->cap, sizeof *out->items);
            out->items[out->n++] = (struct commit){i, n, rerun_needs(r, r->in[i].offset + 1, n)};
        }
    }
}

static void calm_run(struct rerun *r, struct trail *t, struct commits *out)
{
    rerun_begin(r);
    for (size_t i = 0; i < r->n_in; i++) {
        rerun_take(r, i);
        t->n_out[i] = r->n_out;
        t->needs[i] = rerun_needs(r, r->in[i].offset + 1, r->n_out);
        commits_of(r, i, out);
    }
}

struct cuts cuts_try_all(struct rerun *calm)
{
    struct cuts found = {0};
    struct commits commits = {0};
    struct rerun r;
    struct trail t = {calloc(calm->n_in + 1, sizeof *t.n_out),
                      calloc(calm->n_in + 1, sizeof *t.needs)};
    if (t.n_out == NULL || t.needs == NULL) {
        rerun_die("no memory");
    }
    calm_run(calm, &t, &commits);
    qsort(commits.items, commits.n, sizeof *commits.items, commit_order);
    rerun_init(&r, calm->is_hourly, calm->in, calm->n_in);
    r.rules = calm->rules;
    for (size_t k = 0; k < commits.n; k++) {
        if (k == 0 || !is_same(&commits.items[k], &commits.items[k - 1])) {
            found.n++;
            found.n_wrong += !goes_on(&r, calm, &t, &commits.items[k], &found);
        }
    }
    rerun_fini(&r);
    free(commits.items);
    free(t.n_out);
    free(t.needs);
    return found;
}
