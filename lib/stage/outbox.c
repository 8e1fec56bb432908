#include "stage/record.h"

#include <stdlib.h>

void outbox_init(struct outbox *o, size_t max_bytes)
{
    *o = (struct outbox){0};
    arena_init(&o->arena, max_bytes);
    tally_init(&o->tally);
}

void outbox_fini(struct outbox *o)
{
    arena_fini(&o->arena);
    tally_fini(&o->tally);
    free(o->records);
    free(o->ages);
    *o = (struct outbox){0};
}

void outbox_reset(struct outbox *o)
{
    arena_reset(&o->arena);
    tally_reset(&o->tally);
    o->n = 0;
    o->n_bytes = 0;
    o->n_reserved_bytes = 0;
    o->n_ages = 0;
}

/* Room for one more item in an owned array; the grown array or NULL. */
static void *array_room(void *items, size_t n, size_t *cap, size_t item_bytes)
{
    if (n < *cap) {
        return items;
    }
    size_t want = *cap == 0 ? 64 : *cap * 2;
    void *grown = reallocarray(items, want, item_bytes);
    if (grown != NULL) {
        *cap = want;
    }
    return grown;
}

static bool has_room(const struct outbox *o, size_t n_bytes)
{
    return o->n_bytes + o->n_reserved_bytes + n_bytes <= o->arena.max_bytes;
}

static bool is_full(const struct outbox *o, struct err *e)
{
    return err_set(e, ERR_RETRY, "the outbox is full at %zu bytes", o->n_bytes + o->n_reserved_bytes);
}

bool outbox_put(struct outbox *o, const struct outgoing *r, struct err *e)
{
    struct outgoing *records = array_room(o->records, o->n, &o->cap, sizeof *records);
    if (records == NULL) {
        return err_set(e, ERR_RETRY, "no memory for another output record");
    }
    o->records = records;

    if (!has_room(o, r->key.len + r->value.len)) {
        return is_full(o, e);
    }
    struct outgoing copy = *r;
    copy.key = r->key.ptr == NULL ? SLICE_NONE : arena_copy(&o->arena, r->key);
    copy.value = r->value.ptr == NULL ? SLICE_NONE : arena_copy(&o->arena, r->value);
    if ((copy.key.ptr == NULL) != (r->key.ptr == NULL) ||
        (copy.value.ptr == NULL) != (r->value.ptr == NULL)) {
        return is_full(o, e);
    }
    o->records[o->n++] = copy;
    o->n_bytes += r->key.len + r->value.len;
    return true;
}

bool outbox_reserve(struct outbox *o, size_t n_bytes, struct err *e)
{
    if (!has_room(o, n_bytes)) {
        return is_full(o, e);
    }
    o->n_reserved_bytes += n_bytes;
    return true;
}

bool outbox_age(struct outbox *o, int64_t received_ms, uint64_t n_samples, struct err *e)
{
    if (o->n_ages > 0 && o->ages[o->n_ages - 1].received_ms == received_ms) {
        o->ages[o->n_ages - 1].n_samples += n_samples;
        return true;
    }
    struct outbox_age *ages = array_room(o->ages, o->n_ages, &o->cap_ages, sizeof *ages);
    if (ages == NULL) {
        return err_set(e, ERR_RETRY, "no memory for another age");
    }
    o->ages = ages;
    o->ages[o->n_ages++] = (struct outbox_age){received_ms, n_samples};
    return true;
}

struct outbox_mark outbox_mark(const struct outbox *o)
{
    return (struct outbox_mark){o->n, o->n_bytes, o->n_reserved_bytes, o->tally.n, o->n_ages};
}

void outbox_rewind(struct outbox *o, struct outbox_mark mark)
{
    /* The bytes stay in the arena until its reset: a rewind is rare. */
    o->n = mark.n;
    o->n_bytes = mark.n_bytes;
    o->n_reserved_bytes = mark.n_reserved_bytes;
    tally_rewind(&o->tally, mark.n_tally);
    o->n_ages = mark.n_ages;
}
