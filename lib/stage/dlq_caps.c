#include "stage/dlq_caps.h"

#include <stdlib.h>

enum { MINUTE_MS = 60000 };

struct cap_row {
    int64_t minute;
    uint64_t n;
    uint64_t n_suppressed; /* since the last letter */
    int64_t minute_before; /* as it was before the record at hand */
    uint64_t n_before;
    uint64_t n_suppressed_before;
    bool is_touched;
    struct cap_row *next_touched;
};

void caps_init(struct caps *c, uint64_t per_minute)
{
    *c = (struct caps){.per_minute = per_minute};
    table_init(&c->rows, 0, free);
}

void caps_fini(struct caps *c)
{
    table_fini(&c->rows);
    c->touched = NULL;
}

void caps_begin(struct caps *c)
{
    for (struct cap_row *row = c->touched; row != NULL; row = row->next_touched) {
        row->minute = row->minute_before;
        row->n = row->n_before;
        row->n_suppressed = row->n_suppressed_before;
        row->is_touched = false;
    }
    c->touched = NULL;
}

void caps_keep(struct caps *c)
{
    for (struct cap_row *row = c->touched; row != NULL; row = row->next_touched) {
        row->is_touched = false;
    }
    c->touched = NULL;
}

static struct cap_row *row_of(struct caps *c, struct slice tenant, enum reason reason)
{
    struct hash128 key = hash128_seeded(tenant, (uint64_t)reason);
    struct cap_row *row = table_find(&c->rows, key);
    if (row == NULL) {
        row = calloc(1, sizeof *row);
        if (row != NULL && !table_put(&c->rows, key, row, sizeof *row)) {
            free(row);
            row = NULL;
        }
    }
    return row;
}

bool caps_take(struct caps *c, struct slice tenant, enum reason reason, int64_t received_ms,
               uint64_t n, struct cap_grant *out, struct err *e)
{
    struct cap_row *row = row_of(c, tenant, reason);
    if (row == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!row->is_touched) {
        row->minute_before = row->minute;
        row->n_before = row->n;
        row->n_suppressed_before = row->n_suppressed;
        row->is_touched = true;
        row->next_touched = c->touched;
        c->touched = row;
    }
    int64_t minute = received_ms / MINUTE_MS;
    if (row->minute != minute) {
        row->minute = minute;
        row->n = 0;
    }
    uint64_t left = c->per_minute > row->n ? c->per_minute - row->n : 0;
    *out = (struct cap_grant){.n = n < left ? n : left};
    row->n += out->n;
    if (out->n == 0) {
        row->n_suppressed += n;
    } else {
        out->n_suppressed = row->n_suppressed;
        row->n_suppressed = 0;
    }
    return true;
}

uint64_t caps_left(const struct caps *c, struct slice tenant, enum reason reason,
                   int64_t received_ms)
{
    struct table *rows =
        &((struct caps *)(uintptr_t)c)->rows; /* looking up only marks the row as used */
    const struct cap_row *row = table_find(rows, hash128_seeded(tenant, (uint64_t)reason));
    uint64_t n = row == NULL || row->minute != received_ms / MINUTE_MS ? 0 : row->n;
    return c->per_minute > n ? c->per_minute - n : 0;
}
