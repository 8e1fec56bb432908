#include "stored.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "layout.h"
#include "ledger/object_name.h"

enum { HEAD_ARENA_BYTES = 1 << 20, MAX_OBJECTS = 1000000 };

struct listing {
    const char *topic;
    const char *topic_id;
    struct stored *out;
};

/* Digits, then `end`; *text moves behind it. */
static bool number_read(const char **text, char end, int64_t *out)
{
    char *behind;
    if (**text < '0' || **text > '9') {
        return false;
    }
    errno = 0;
    *out = strtoll(*text, &behind, 10);
    bool ok = errno == 0 && *behind == end;
    *text = behind + 1;
    return ok;
}

static bool add(struct stored *s, const struct stored_range *r, struct err *e)
{
    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 256 : s->cap * 2;
        struct stored_range *more = realloc(s->ranges, cap * sizeof *more);
        if (more == NULL) {
            return err_set(e, ERR_RETRY, "out of memory for %zu objects", s->n);
        }
        s->ranges = more;
        s->cap = cap;
    }
    s->ranges[s->n++] = *r;
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
    const struct stored_range r = {.partition = name.partition,
                                   .first = name.first,
                                   .last = name.last,
                                   .n_objects = 1,
                                   .key = strndup((const char *)key.ptr, key.len)};
    if (r.key == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for the objects' names");
    }
    if (!add(l->out, &r, e)) {
        free(r.key);
        return false;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct stored_range *x = a;
    const struct stored_range *y = b;
    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    return (x->last > y->last) - (x->last < y->last);
}

/* Objects of one range become one entry. */
static void join(struct stored *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (n > 0 && by_place(&s->ranges[n - 1], &s->ranges[i]) == 0) {
            s->ranges[n - 1].n_objects++;
            free(s->ranges[i].key);
        } else {
            s->ranges[n++] = s->ranges[i];
        }
    }
    s->n = n;
}

bool stored_list(struct s3 *s3, const char *prefix, const char *topic, const char *topic_id,
                 struct stored *out, struct err *e)
{
    struct listing l = {topic, topic_id, out};
    char folder[LAYOUT_MAX_PREFIX + 64];
    *out = (struct stored){0};
    for (unsigned i = 0; i < N_TABLES; i++) {
        (void)snprintf(folder, sizeof folder, "%s%s%s/", prefix, prefix[0] == '\0' ? "" : "/",
                       table_name((enum table_id)i));
        if (!s3_list(s3, slice_str(folder), take, &l, e)) {
            stored_free(out);
            return false;
        }
    }
    if (out->n > 0) {
        qsort(out->ranges, out->n, sizeof *out->ranges, by_place);
        join(out);
    }
    return true;
}

void stored_free(struct stored *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->ranges[i].key);
    }
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

bool stored_ledger(struct s3 *s3, const struct stored_range *r, struct intent *intent,
                   uint32_t *n_objects, bool *known, struct err *e)
{
    static const char *const names[2] = {"intent", "objects"};
    const char *values[2];
    struct s3_head head;
    struct arena a;
    struct err why = ERR_INIT;
    *known = false;
    arena_init(&a, HEAD_ARENA_BYTES);
    bool ok = s3_head(s3, slice_str(r->key), names, 2, values, &a, &head, e);
    if (ok && head.found && values[0] != NULL && values[1] != NULL) {
        int64_t n;
        const char *at = values[1];
        *known = number_read(&at, '\0', &n) && n > 0 && n <= MAX_OBJECTS &&
                 intent_parse(slice_str(values[0]), intent, &why) && intent->first == r->first &&
                 intent->last == r->last;
        *n_objects = *known ? (uint32_t)n : 0;
    }
    arena_fini(&a);
    return ok;
}
