/* The objects of a range: a table and slot each, with the tenant level a tenant as well, and what
 * is known of their rows. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/table.h"
#include "row.h"

struct object {
    enum table_id table;
    int64_t slot;
    struct slice tenant; /* empty without the tenant level; the object's own */
    uint64_t n_rows;
    int64_t min_ts_ms;
    int64_t max_ts_ms;
};

struct objects {
    bool tenant_level;
    struct table by_key;
    struct object *last; /* found lately */
    size_t held_bytes;
};

void objects_init(struct objects *o, bool tenant_level);
void objects_fini(struct objects *o);
/* The object of these rows, made if need be; NULL: no memory. */
struct object *objects_get(struct objects *o, enum table_id table, int64_t slot,
                           struct slice tenant);
/* Some may have no rows: those whose rows there was no memory for. */
size_t objects_n(const struct objects *o);
/* Those that have rows, in the order of tables, slots, then tenants: how many. out has room for
 * objects_n.
 */
size_t objects_sort(const struct objects *o, const struct object **out);
/* Whether the head's rows lie in it. */
bool object_has(const struct object *o, const struct objects *all, const struct head *head);

static inline void object_note(struct object *o, int64_t ts_ms, uint64_t n_rows)
{
    o->min_ts_ms = o->n_rows == 0 || ts_ms < o->min_ts_ms ? ts_ms : o->min_ts_ms;
    o->max_ts_ms = o->n_rows == 0 || ts_ms > o->max_ts_ms ? ts_ms : o->max_ts_ms;
    o->n_rows += n_rows;
}
