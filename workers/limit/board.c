#include "board.h"

#include <stdlib.h>

static void posted_free(void *value)
{
    struct posted *p = value;
    scope_free(&p->scope);
    free(p->granted);
    free(p->reports);
    free(p);
}

void board_init(struct board *b)
{
    *b = (struct board){0};
    table_init(&b->posts, 0, posted_free);
}

void board_fini(struct board *b)
{
    table_fini(&b->posts);
}

const struct posted *board_find(struct board *b, const struct scope *s)
{
    return table_find(&b->posts, scope_key(s));
}

static struct posted *posted_of(struct board *b, const struct scope *s)
{
    struct posted *p = table_find(&b->posts, scope_key(s));
    if (p != NULL) {
        return p;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL || !scope_copy(s, &p->scope)) {
        free(p);
        return NULL;
    }
    if (!table_put(&b->posts, scope_key(s), p, sizeof *p)) {
        posted_free(p);
        return NULL;
    }
    return p;
}

static bool posted_widen(struct posted *p, uint32_t n)
{
    if (n <= p->n) {
        return true;
    }
    int64_t *granted = reallocarray(p->granted, n, sizeof *granted);
    p->granted = granted != NULL ? granted : p->granted;
    struct reported *reports = reallocarray(p->reports, n, sizeof *reports);
    p->reports = reports != NULL ? reports : p->reports;
    if (granted == NULL || reports == NULL) {
        return false;
    }
    memset(granted + p->n, 0, (n - p->n) * sizeof *granted);
    memset(reports + p->n, 0, (n - p->n) * sizeof *reports);
    p->n = n;
    return true;
}

static struct posted *posted_wide(struct board *b, const struct scope *s, uint32_t n, struct err *e)
{
    struct posted *p = posted_of(b, s);
    if (p == NULL || !posted_widen(p, n)) {
        (void)err_set(e, ERR_FATAL, "out of memory");
        return NULL;
    }
    b->version++;
    return p;
}

static bool lease_take(struct board *b, struct slice value, struct err *e)
{
    struct lease_record r;
    if (!lease_record_read(value, &r, e)) {
        return false;
    }
    struct posted *p = posted_wide(b, &r.scope, (uint32_t)r.partition + 1, e);
    if (p == NULL) {
        return false;
    }
    struct reported *report = &p->reports[r.partition];
    report->returned = r.returned > report->returned ? r.returned : report->returned;
    report->use = r.use;
    report->demand = r.demand;
    report->need = r.need;
    return true;
}

static bool grants_take(struct board *b, struct slice value, struct err *e)
{
    struct grants_record r;
    if (!grants_record_read(value, b->scratch, &r, e)) {
        return false;
    }
    struct posted *p = posted_wide(b, &r.scope, r.n, e);
    if (p == NULL) {
        return false;
    }
    p->version = b->version;
    for (uint32_t i = 0; i < r.n; i++) {
        p->granted[i] = r.granted[i] > p->granted[i] ? r.granted[i] : p->granted[i];
    }
    if (r.number >= p->number) {
        p->number = r.number;
        p->value = r.value;
        p->base = r.base;
        p->room = r.room;
        p->is_over = r.is_over;
    }
    return true;
}

bool board_take(struct board *b, const struct record *r, struct err *e)
{
    switch (lease_record_kind(r->value)) {
    case RECORD_LEASE:
        return lease_take(b, r->value, e);
    case RECORD_GRANTS:
        return grants_take(b, r->value, e);
    case RECORD_TICK:
        b->tick_ms = r->timestamp_ms > b->tick_ms ? r->timestamp_ms : b->tick_ms;
        return true;
    case RECORD_NOT_OURS:
        break;
    }
    return true;
}

int64_t posted_use(const struct posted *p)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        n += p->reports[i].use;
    }
    return n;
}

int64_t posted_leased(const struct posted *p)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        n += p->granted[i] - p->reports[i].returned;
    }
    return n;
}
