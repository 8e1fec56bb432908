#include "policy/controls.h"

#include <stdlib.h>

/* A tenant's rules, newest first; the tenant "" has those for all. */
struct tenant_rules {
    struct control_rule *first[N_CONTROL_KINDS];
};

void controls_init(struct controls *c, uint64_t *draw)
{
    *c = (struct controls){.draw = draw, .version = ++*draw, .next_expiry_ms = INT64_MAX};
    table_init(&c->by_id, 0, NULL);
    table_init(&c->by_tenant, 0, free);
}

void controls_fini(struct controls *c)
{
    for (uint32_t i = 0; i < c->n_rules; i++) {
        control_free(c->rules[i]);
    }
    free(c->rules);
    table_fini(&c->by_id);
    table_fini(&c->by_tenant);
}

static bool is_newer(const struct control_rule *a, const struct control_rule *b)
{
    return a->created_ms > b->created_ms ||
           (a->created_ms == b->created_ms && slice_cmp(a->id, b->id) > 0);
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "control rules: out of memory");
}

/* Into its tenant's list. */
static bool link_rule(struct controls *c, struct control_rule *r, struct err *e)
{
    struct hash128 tenant = hash128(r->tenant);
    struct tenant_rules *rules = table_find(&c->by_tenant, tenant);
    if (rules == NULL) {
        rules = calloc(1, sizeof *rules);
        if (rules == NULL || !table_put(&c->by_tenant, tenant, rules, sizeof *rules)) {
            free(rules);
            return no_memory(e);
        }
    }
    struct control_rule **at = &rules->first[r->kind];
    while (*at != NULL && is_newer(*at, r)) {
        at = &(*at)->next;
    }
    r->next = *at;
    *at = r;
    return true;
}

static void unlink_rule(struct controls *c, const struct control_rule *r)
{
    struct hash128 tenant = hash128(r->tenant);
    struct tenant_rules *rules = table_find(&c->by_tenant, tenant);
    struct control_rule **at = &rules->first[r->kind];
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    for (int i = 0; i < N_CONTROL_KINDS; i++) {
        if (rules->first[i] != NULL) {
            return;
        }
    }
    (void)table_remove(&c->by_tenant, tenant);
}

static void remove_rule(struct controls *c, struct control_rule *r)
{
    unlink_rule(c, r);
    (void)table_remove(&c->by_id, hash128(r->id));
    c->n_by_kind[r->kind]--;
    struct control_rule *last = c->rules[--c->n_rules];
    last->index = r->index;
    c->rules[r->index] = last;
    control_free(r);
    c->version = ++*c->draw;
}

static bool grow(struct controls *c)
{
    if (c->n_rules < c->cap_rules) {
        return true;
    }
    uint32_t cap = c->cap_rules == 0 ? 16 : c->cap_rules * 2;
    struct control_rule **rules = realloc(c->rules, cap * sizeof(struct control_rule *));
    if (rules == NULL) {
        return false;
    }
    c->rules = rules;
    c->cap_rules = cap;
    return true;
}

/* Takes r over, also when it fails. */
static bool add_rule(struct controls *c, struct control_rule *r, struct err *e)
{
    if (c->n_rules >= CONTROL_MAX_RULES) {
        c->n_bad++;
        (void)err_set(e, ERR_BAD_INPUT, "rule %.*s is left out: there are %d already",
                      SLICE_ARG(r->id), CONTROL_MAX_RULES);
        control_free(r);
        return false;
    }
    if (!grow(c) || !table_put(&c->by_id, hash128(r->id), r, sizeof *r)) {
        control_free(r);
        return no_memory(e);
    }
    if (!link_rule(c, r, e)) {
        (void)table_remove(&c->by_id, hash128(r->id));
        control_free(r);
        return false;
    }
    r->index = c->n_rules;
    c->rules[c->n_rules++] = r;
    c->n_by_kind[r->kind]++;
    c->version = ++*c->draw;
    if (r->expires_ms < c->next_expiry_ms) {
        c->next_expiry_ms = r->expires_ms;
    }
    return true;
}

bool controls_take(struct controls *c, struct slice id, struct slice value, int64_t now_ms,
                   struct err *e)
{
    struct control_rule *old = table_find(&c->by_id, hash128(id));
    if (old != NULL && value.ptr != NULL && hash128_eq(old->content, hash128(value))) {
        return true; /* read again */
    }
    if (old != NULL) {
        remove_rule(c, old);
    }
    if (value.ptr == NULL) {
        return true;
    }
    struct control_rule *r = NULL;
    uint32_t n_unknown_fields = 0;
    if (!control_parse(id, value, &r, &n_unknown_fields, e)) {
        c->n_bad += e->kind == ERR_BAD_INPUT;
        return false;
    }
    c->n_unknown_fields += n_unknown_fields;
    if (r == NULL) {
        c->n_unknown_kinds++;
        return true;
    }
    if (r->expires_ms <= now_ms) {
        control_free(r);
        return true;
    }
    return add_rule(c, r, e);
}

bool controls_expire(struct controls *c, int64_t now_ms)
{
    if (now_ms < c->next_expiry_ms) {
        return false;
    }
    uint64_t before = c->version;
    c->next_expiry_ms = INT64_MAX;
    for (uint32_t i = c->n_rules;
         i-- > 0;) { /* from the end: the last one takes a gone one's place */
        struct control_rule *r = c->rules[i];
        if (r->expires_ms <= now_ms) {
            remove_rule(c, r);
        } else if (r->expires_ms < c->next_expiry_ms) {
            c->next_expiry_ms = r->expires_ms;
        }
    }
    return c->version != before;
}

static const struct control_rule *rules_of(const struct controls *c, struct slice tenant,
                                           enum control_kind kind)
{
    /* A look-up marks the entry as used, which means something in a cache only. */
    const struct tenant_rules *rules =
        table_find((struct table *)(uintptr_t)&c->by_tenant, hash128(tenant));
    return rules == NULL ? NULL : rules->first[kind];
}

const struct control_rule *controls_kills(const struct controls *c, struct slice tenant)
{
    return rules_of(c, tenant, CONTROL_KILL);
}

const struct control_rule *controls_limit(const struct controls *c, struct slice tenant,
                                          enum control_budget budget, struct slice metric)
{
    const struct control_rule *r = rules_of(c, tenant, CONTROL_LIMIT);
    while (r != NULL &&
           (r->budget != budget || (budget == CONTROL_METRIC && !slice_eq(r->metric, metric)))) {
        r = r->next;
    }
    return r;
}

const struct control_rule *controls_shed(const struct controls *c, enum batch_class class,
                                         struct slice tenant)
{
    const struct slice scopes[2] = {tenant, SLICE_NONE};
    for (size_t i = 0; i < 2; i++) {
        const struct control_rule *r = rules_of(c, scopes[i], CONTROL_SHED);
        for (; r != NULL; r = r->next) {
            if (class >= r->class) { /* verbose goes before standard */
                return r;
            }
        }
    }
    return NULL;
}

const struct control_rule *controls_pauses(const struct controls *c)
{
    return rules_of(c, SLICE_NONE, CONTROL_PAUSE);
}

const struct control_rule *controls_pause_of(const struct controls *c, struct slice group, struct slice topic,
                                             int32_t partition)
{
    const struct control_rule *r = controls_pauses(c);
    while (r != NULL && !control_pauses(r, group, topic, partition)) {
        r = r->next;
    }
    return r;
}
