#include "stored.h"

#include <stdio.h>
#include <stdlib.h>

#include "layout.h"
#include "ledger/object_name.h"
#include "ledger/object_says.h"
#include "stored_footer.h"

enum { ARENA_BYTES = 256 << 20 };

struct listed {
    struct stored_range place;
    char *key;
};

struct listing {
    const char *topic;
    const char *topic_id;
    struct listed *all;
    size_t n;
    size_t cap;
};

static bool add(struct listing *l, const struct listed *one, struct err *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 256 : l->cap * 2;
        struct listed *more = realloc(l->all, cap * sizeof *more);
        if (more == NULL) {
            return err_set(e, ERR_RETRY, "out of memory for %zu objects", l->n);
        }
        l->all = more;
        l->cap = cap;
    }
    l->all[l->n++] = *one;
    return true;
}

static bool take(void *ctx, struct slice key, int64_t n_bytes, struct err *e)
{
    struct listing *l = ctx;
    struct object_name name;
    (void)n_bytes;
    if (!object_name_read(key, &name) || !slice_eq_str(name.topic, l->topic) ||
        !slice_eq_str(name.topic_id, l->topic_id)) {
        return true;
    }
    const struct listed one = {.place = {.partition = name.partition, .first = name.first, .last = name.last},
                               .key = strndup((const char *)key.ptr, key.len)};
    if (one.key == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for the objects' names");
    }
    if (!add(l, &one, e)) {
        free(one.key);
        return false;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct stored_range *x = &((const struct listed *)a)->place;
    const struct stored_range *y = &((const struct listed *)b)->place;
    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    return (x->last > y->last) - (x->last < y->last);
}

/* Objects of one range become one entry. The keys go over to out. */
static bool join(struct listing *l, struct stored *out, struct err *e)
{
    out->keys = calloc(l->n + 1, sizeof *out->keys);
    out->ranges = calloc(l->n + 1, sizeof *out->ranges);
    if (out->keys == NULL || out->ranges == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for %zu objects", l->n);
    }
    for (size_t i = 0; i < l->n; i++) {
        out->keys[i] = l->all[i].key;
        if (i == 0 || by_place(&l->all[i - 1], &l->all[i]) != 0) {
            out->ranges[out->n] = l->all[i].place;
            out->ranges[out->n++].keys = &out->keys[i];
        }
        out->ranges[out->n - 1].n_objects++;
    }
    out->n_keys = l->n;
    l->n = 0;
    return true;
}

bool stored_list(struct s3 *s3, const char *prefix, const char *topic, const char *topic_id,
                 struct stored *out, struct err *e)
{
    struct listing l = {.topic = topic, .topic_id = topic_id};
    char folder[LAYOUT_MAX_PREFIX + 64];
    bool ok = true;
    *out = (struct stored){0};
    for (unsigned i = 0; ok && i < N_TABLES; i++) {
        (void)snprintf(folder, sizeof folder, "%s%s%s/", prefix, prefix[0] == '\0' ? "" : "/",
                       table_name((enum table_id)i));
        ok = s3_list(s3, slice_str(folder), take, &l, e);
    }
    if (ok && l.n > 0) {
        qsort(l.all, l.n, sizeof *l.all, by_place);
    }
    ok = ok && join(&l, out, e);
    for (size_t i = 0; i < l.n; i++) {
        free(l.all[i].key);
    }
    free(l.all);
    if (!ok) {
        stored_free(out);
    }
    return ok;
}

void stored_free(struct stored *s)
{
    for (size_t i = 0; i < s->n_keys; i++) {
        free(s->keys[i]);
    }
    free(s->keys);
    free(s->ranges);
    *s = (struct stored){0};
}

const struct stored_range *stored_of(const struct stored *s, int32_t partition, size_t *n)
{
    size_t at = 0;
    *n = 0;
    while (at < s->n && s->ranges[at].partition < partition) {
        at++;
    }
    while (at + *n < s->n && s->ranges[at + *n].partition == partition) {
        (*n)++;
    }
    return *n == 0 ? NULL : &s->ranges[at];
}

const struct stored_range *stored_crossing(const struct stored *s, int32_t partition, int64_t first,
                                           int64_t last)
{
    size_t n;
    const struct stored_range *r = stored_of(s, partition, &n);
    for (size_t i = 0; i < n; i++) {
        if (r[i].first <= last && r[i].last >= first && (r[i].first != first || r[i].last != last)) {
            return &r[i];
        }
    }
    return NULL;
}

/* --- what they say --- */

static bool is_same(const struct intent *a, const struct intent *b)
{
    return a->n_rows == b->n_rows && strcmp(a->layout, b->layout) == 0;
}

static void says_take(struct stored_ledger *l, const struct object_says *s, bool by_footer)
{
    if (!l->is_known) {
        l->is_known = true;
        l->intent = s->intent;
        l->n_objects = s->n_objects;
    }
    bool fits = !by_footer && is_same(&l->intent, &s->intent) && l->n_objects == s->n_objects;
    l->n_silent += !fits;
    l->n_rows += fits ? s->n_rows : 0;
}

struct asking {
    struct s3 *s3;
    const struct stored_range *range;
    struct slice topic_id;
    struct arena arena;
};

static bool metadata_take(struct asking *x, const char *key, struct stored_ledger *out, struct err *e)
{
    const char *values[N_SAYS];
    struct s3_head head;
    struct object_says says;
    struct err why = ERR_INIT;
    arena_reset(&x->arena);
    if (!s3_head(x->s3, slice_str(key), object_says_names, N_SAYS, values, &x->arena, &head, e)) {
        return false;
    }
    if (head.found && object_says_read(values, x->range->first, x->range->last, x->topic_id, &says, &why)) {
        says_take(out, &says, false);
    } else {
        out->n_silent++;
    }
    return true;
}

/* The footers, until one tells: they say what the metadata did. */
static bool footers_take(struct asking *x, struct stored_ledger *out, struct err *e)
{
    const struct stored_range *r = x->range;
    const char *values[N_SAYS];
    struct object_says says;
    for (uint32_t i = 0; i < r->n_objects && !out->is_known; i++) {
        struct err why = ERR_INIT;
        arena_reset(&x->arena);
        if (!stored_footer(x->s3, r->keys[i], object_says_names, N_SAYS, values, &x->arena, e)) {
            return false;
        }
        if (object_says_read(values, r->first, r->last, x->topic_id, &says, &why)) {
            says_take(out, &says, true);
        }
    }
    out->n_silent = r->n_objects;
    return true;
}

bool stored_ledger(struct s3 *s3, const struct stored_range *r, const char *topic_id, struct stored_ledger *out,
                   struct err *e)
{
    struct asking x = {.s3 = s3, .range = r, .topic_id = slice_str(topic_id)};
    bool ok = true;
    *out = (struct stored_ledger){0};
    arena_init(&x.arena, ARENA_BYTES);
    for (uint32_t i = 0; ok && i < r->n_objects; i++) {
        ok = metadata_take(&x, r->keys[i], out, e);
    }
    ok = ok && (out->is_known || footers_take(&x, out, e));
    arena_fini(&x.arena);
    return ok;
}
