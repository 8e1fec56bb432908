#include "sending.h"

#include <stdlib.h>

enum { LEAST_PARCELS = 64 };

void sending_init(struct sending *s, int32_t partition, size_t max_record_bytes)
{
    *s = (struct sending){.partition = partition};
    splitter_init(&s->splitter, max_record_bytes);
}

void sending_fini(struct sending *s)
{
    for (size_t i = s->first; i < s->n; i++) {
        free(s->parcels[i].bytes);
    }
    free(s->parcels);
    splitter_fini(&s->splitter);
}

static bool room_make(struct sending *s)
{
    if (s->n < s->cap) {
        return true;
    }
    if (s->first > s->n / 2) {
        memmove(s->parcels, s->parcels + s->first, (s->n - s->first) * sizeof *s->parcels);
        s->n -= s->first;
        s->first = 0;
        return true;
    }
    size_t cap = s->cap == 0 ? LEAST_PARCELS : s->cap * 2;
    struct parcel *parcels = reallocarray(s->parcels, cap, sizeof *parcels);
    if (parcels == NULL) {
        return false;
    }
    s->parcels = parcels;
    s->cap = cap;
    return true;
}

bool sending_put(struct sending *s, const struct parcel *p, struct slice bytes, struct err *e)
{
    uint8_t *copy = malloc(bytes.len + 1);
    if (copy == NULL || !room_make(s)) {
        free(copy);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    memcpy(copy, bytes.ptr, bytes.len);
    s->parcels[s->n] = *p;
    s->parcels[s->n].bytes = copy;
    s->parcels[s->n++].n_bytes = bytes.len;
    s->n_bytes += bytes.len + sizeof *p;
    return true;
}

struct row_putting {
    struct sending *sending;
    const struct leaving *leaving;
    int output;
};

static bool part_put(void *ctx, struct slice bytes, bool is_last, struct err *e)
{
    const struct row_putting *x = ctx;
    const struct parcel p = {.output = x->output,
                             .has_more = !is_last || x->leaving->has_more,
                             .log_ms = x->leaving->log_ms,
                             .needs = x->leaving->needs,
                             .key = x->leaving->row->source};
    return sending_put(x->sending, &p, bytes, e);
}

bool sending_put_row(struct sending *s, const struct leaving *l, int output, struct err *e)
{
    struct row_putting x = {s, l, output};
    return rollup_split(&s->splitter, l->row, part_put, &x, e);
}

static bool parcel_out(const struct sending *s, const struct parcel *p, struct outbox *out,
                       struct err *e)
{
    const struct outgoing r = {.output = p->output,
                               .partition = p->key == 0 && p->log_ms == 0 ? -1 : s->partition,
                               .timestamp_ms = p->log_ms,
                               .key = p->key == 0 ? SLICE_NONE : slice_of(&p->key, sizeof p->key),
                               .value = slice_of(p->bytes, p->n_bytes)};
    return outbox_put(out, &r, e);
}

/* The first parcel and those that go with it. *n: how many. */
static bool group_out(const struct sending *s, struct outbox *out, size_t *n, struct err *e)
{
    size_t i = s->first;
    do {
        if (!parcel_out(s, &s->parcels[i], out, e)) {
            return false;
        }
    } while (s->parcels[i++].has_more);
    *n = i - s->first;
    return true;
}

bool sending_drain(struct sending *s, struct outbox *out, struct err *e)
{
    while (s->first < s->n) {
        struct outbox_mark mark = outbox_mark(out);
        size_t n = 0;
        if (!group_out(s, out, &n, e)) {
            bool has_room_later = mark.n > 0 || mark.n_reserved_bytes > 0;
            outbox_rewind(out, mark);
            if (e->kind == ERR_RETRY && has_room_later) {
                err_reset(e);
                return true;
            }
            e->kind = ERR_FATAL;
            return err_wrap(e, "a source's rows need a larger transaction, see commit_max_bytes");
        }
        for (; n > 0; n--) {
            struct parcel *p = &s->parcels[s->first++];
            s->n_bytes -= p->n_bytes + sizeof *p;
            free(p->bytes);
        }
    }
    s->first = s->n = 0;
    return true;
}

struct place sending_needs(const struct sending *s, struct place first)
{
    for (size_t i = s->first; i < s->n; i++) {
        first = place_first(first, s->parcels[i].needs);
    }
    return first;
}

int64_t sending_passed_on(const struct sending *s, int64_t position)
{
    for (size_t i = s->first; i < s->n; i++) {
        if (s->parcels[i].is_passed_on) {
            return s->parcels[i].needs.offset;
        }
    }
    return position;
}
