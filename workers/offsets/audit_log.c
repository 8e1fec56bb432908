#include "audit_log.h"

#include "batch/batch.h"
#include "batch/rollup.h"

#include <inttypes.h>

enum { ARENA_BYTES = 256 << 20, SHAPES_BYTES = 64 << 20 };

struct counting {
    struct audit_log *audit;
    struct arena arena;
    struct shape_cache shapes;
    size_t at; /* the ledger's range at hand: none before it is touched any more */
    /* Rows in no range, one run. */
    int32_t gap_partition;
    int64_t gap_first; /* -1 = none is open */
    int64_t gap_last;
    uint64_t gap_rows;
};

static bool table_of(int64_t window_ms, enum table_id *out)
{
    *out = window_ms == 60000 ? TABLE_ROLLUP_1M : window_ms == 300000 ? TABLE_ROLLUP_5M : TABLE_ROLLUP_1H;
    return window_ms == 60000 || window_ms == 300000 || window_ms == 3600000;
}

static bool rollup_rows(struct counting *c, struct slice value, enum table_id *table, uint64_t *n, struct err *e)
{
    struct rollup r;
    struct rollup_amend_columns amend;
    if (!rollup_decode(value, &c->arena, &r, e)) {
        return false;
    }
    if (r.kind == ROLLUP_HEARTBEAT) {
        return true;
    }
    *n = r.kind == ROLLUP_ROW && r.shape.len > 0 ? r.n_series : 0;
    for (uint32_t i = 0; i < r.n_amends; i++) {
        if (!rollup_amend_decode(&r.amends[i], &c->arena, &amend, e)) {
            return false;
        }
        *n += amend.n_series;
    }
    return table_of(r.window_ms, table) || err_set(e, ERR_BAD_INPUT, "a window of no table");
}

/* As many rows as parquet makes of the record. */
static bool rows_of(struct counting *c, struct slice value, enum table_id *table, uint64_t *n, struct err *e)
{
    struct batch b;
    struct cached_shape *cached;
    *n = 0;
    *table = TABLE_SAMPLES;
    arena_reset(&c->arena);
    if (value.ptr == NULL) {
        return true;
    }
    if (rollup_is(value)) {
        return rollup_rows(c, value, table, n, e);
    }
    if (!batch_decode(value, &batch_default_caps, &c->arena, &b, e)) {
        return false;
    }
    if (b.shape.len == 0) {
        return true;
    }
    if (!shape_cache_get(&c->shapes, b.tenant, b.shape, &cached, e)) {
        return false;
    }
    *n = cached->shape.n_series;
    return batch_check_shape(&b, &cached->shape, e);
}

static void close_gap(struct counting *c)
{
    if (c->gap_first >= 0) {
        finding_add(c->audit->findings, "gap", c->gap_partition, c->gap_first, c->gap_last,
                    "%" PRIu64 " rows of the log are in no object", c->gap_rows);
    }
    c->gap_first = -1;
    c->gap_rows = 0;
}

static void count_uncovered(struct counting *c, const rd_kafka_message_t *m, uint64_t n)
{
    if (m->offset >= c->audit->done[m->partition]) {
        c->audit->n_pending += n;
        return;
    }
    if (c->gap_first < 0) {
        c->gap_first = m->offset;
        c->gap_partition = m->partition;
    }
    c->gap_last = m->offset;
    c->gap_rows += n;
}

static bool take(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct counting *c = ctx;
    struct ledger *l = c->audit->ledger;
    enum table_id table;
    uint64_t n;
    struct err why = ERR_INIT;
    (void)enough;
    (void)e;
    if (!rows_of(c, slice_of(m->payload, m->len), &table, &n, &why)) {
        c->audit->n_unreadable++; /* parquet counts it, too, and has no rows of it */
        return true;
    }
    while (c->at < l->n && (l->ranges[c->at].partition < m->partition ||
                            (l->ranges[c->at].partition == m->partition && l->ranges[c->at].last < m->offset))) {
        c->at++;
    }
    if (n == 0 || !l->has_table[table]) {
        return true;
    }
    if (c->gap_first >= 0 && c->gap_partition != m->partition) {
        close_gap(c);
    }
    c->audit->n_rows += n;
    struct ledger_range *r = c->at < l->n ? &l->ranges[c->at] : NULL;
    if (r != NULL && r->partition == m->partition && r->first <= m->offset) {
        r->rows_log[table] += n;
        close_gap(c);
    } else {
        count_uncovered(c, m, n);
    }
    return true;
}

bool audit_log_read(struct scan *s, struct audit_log *a, struct err *e)
{
    struct counting c = {.audit = a, .gap_first = -1};
    arena_init(&c.arena, ARENA_BYTES);
    shape_cache_init(&c.shapes, SHAPES_BYTES, &shape_default_caps, NULL);
    bool ok = scan_run(s, take, &c, e);
    close_gap(&c);
    shape_cache_fini(&c.shapes);
    arena_fini(&c.arena);
    return ok;
}
