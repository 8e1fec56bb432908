#include "gap.h"

#include <stdlib.h>

enum { MAX_ROWS = 8192, GATHER_MS = 3000, IDLE_MS = 200 };

void gaps_init(struct gaps *g)
{
    *g = (struct gaps){.since_ms = 0};
    table_init(&g->rows, 0, free);
}

void gaps_fini(struct gaps *g)
{
    table_fini(&g->rows);
}

static struct hash128 key_of(const struct scrape *s, const char *reason)
{
    return (struct hash128){s->source,
                            (uint64_t)(uintptr_t)s->partition ^ hash64(slice_str(reason))};
}

static struct gap *row_new(const struct scrape *s, const char *reason)
{
    struct slice tenant = s->shape->tenant;
    struct gap *row = malloc(sizeof *row + tenant.len);
    if (row == NULL) {
        return NULL;
    }
    uint8_t *copy = (uint8_t *)(row + 1);
    memcpy(copy, tenant.ptr, tenant.len);
    *row = (struct gap){.partition = s->partition,
                        .tenant = slice_of(copy, tenant.len),
                        .source = s->source,
                        .reason = reason,
                        .from_ms = INT64_MAX,
                        .to_ms = INT64_MIN,
                        .first_offset = s->offset};
    return row;
}

bool gaps_add(struct gaps *g, const struct scrape *s, uint32_t from, uint32_t to,
              const char *reason, int64_t now_ms, bool *is_new)
{
    struct hash128 key = key_of(s, reason);
    struct gap *row = table_find(&g->rows, key);
    *is_new = row == NULL;
    if (*is_new) {
        g->since_ms = g->rows.n == 0 ? now_ms : g->since_ms;
        row = row_new(s, reason);
        if (row == NULL || !table_put(&g->rows, key, row, 0)) {
            free(row);
            return false;
        }
    }
    for (uint32_t i = from; i < to; i++) {
        int64_t t_ms = scrape_time_ms(s, i);
        row->from_ms = t_ms < row->from_ms ? t_ms : row->from_ms;
        row->to_ms = t_ms > row->to_ms ? t_ms : row->to_ms;
    }
    row->n_samples += to - from;
    row->last_offset = s->offset;
    return true;
}

bool gaps_due(const struct gaps *g, int64_t now_ms, bool idle)
{
    int64_t age_ms = now_ms - g->since_ms;
    return g->rows.n > 0 &&
           (g->rows.n >= MAX_ROWS || age_ms >= GATHER_MS || (idle && age_ms >= IDLE_MS));
}
