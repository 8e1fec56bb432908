#include "directory.h"

#include "base/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_WAIT_S = 300, MS = 1000 };

struct directory {
    struct directory_options o;
    pthread_mutex_t lock;
    struct policy_file policy_file;
    struct policy *policy;
    struct file_stamp tokens_seen;
    struct tokens tokens;
    struct controls controls;
    uint64_t applied_controls; /* the controls' version that the quotas show */
    uint64_t draw;
    uint64_t random;
    struct table tenants; /* by name; owned */
    struct tenant nobody;
};

static void tenant_free(void *tenant)
{
    struct tenant *t = tenant;
    free((void *)(uintptr_t)t->name.ptr);
    free(t);
}

static struct tenant *tenant_find(struct directory *d, struct slice name)
{
    return table_find(&d->tenants, hash128(name));
}

/* NULL when out of memory. */
static struct tenant *tenant_get(struct directory *d, struct slice name)
{
    struct tenant *t = tenant_find(d, name);
    if (t != NULL) {
        return t;
    }
    uint8_t *copy = malloc(name.len + 1);
    t = calloc(1, sizeof *t);
    if (t == NULL || copy == NULL) {
        free(t);
        free(copy);
        return NULL;
    }
    memcpy(copy, name.ptr, name.len);
    t->name = slice_of(copy, name.len);
    if (!table_put(&d->tenants, hash128(name), t, 0)) {
        tenant_free(t);
        return NULL;
    }
    return t;
}

/* A live record replaces the policy's rate, to less or to more, as it does in limit. */
static void quota_apply(struct directory *d, struct tenant *t, const struct quota *policy)
{
    struct quota q = *policy;
    t->rate_rule = controls_limit(&d->controls, t->name, CONTROL_SAMPLES_PER_SECOND, SLICE_NONE);
    if (t->rate_rule != NULL) {
        q.samples_per_second = t->rate_rule->value;
    }
    quota_set(&t->quota, &q, d->o.n_replicas, clock_mono_ms());
}

static void quotas_apply(struct directory *d, struct policy *policy)
{
    size_t at = 0;
    for (struct tenant *t; (t = table_next(&d->tenants, &at)) != NULL;) {
        const struct policy_tenant *in = policy_tenant(policy, t->name);
        t->is_known = in != NULL;
        t->rate_rule = NULL;
        if (in != NULL) {
            quota_apply(d, t, &in->rules.quota);
        }
    }
    d->applied_controls = d->controls.version;
}

/* The policy becomes the directory's. */
static bool policy_apply(struct directory *d, struct policy *policy, struct err *e)
{
    for (uint32_t i = 0; i < policy->n_tenants; i++) {
        if (tenant_get(d, policy->tenants[i].name) == NULL) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    quotas_apply(d, policy);
    policy_free(d->policy);
    d->policy = policy;
    return true;
}

static bool open_files(struct directory *d, struct err *e)
{
    struct policy *policy = NULL;
    if (!policy_file_open(&d->policy_file, d->o.policy_path, &policy, e)) {
        return false;
    }
    if (!policy_apply(d, policy, e)) {
        policy_free(policy);
        return false;
    }
    if (d->o.tokens_path[0] == '\0') {
        return true;
    }
    (void)file_moved(&d->tokens_seen, d->o.tokens_path);
    return tokens_load(d->o.tokens_path, &d->tokens, e);
}

bool directory_open(const struct directory_options *o, struct directory **out, struct err *e)
{
    struct directory *d = calloc(1, sizeof *d);
    if (d == NULL || pthread_mutex_init(&d->lock, NULL) != 0) {
        free(d);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    d->o = *o;
    d->random = (uint64_t)clock_mono_ns() | 1;
    table_init(&d->tenants, 0, tenant_free);
    controls_init(&d->controls, &d->draw);
    d->nobody.name = SLICE_LITERAL("unknown");
    if (!open_files(d, e)) {
        directory_close(d);
        return false;
    }
    *out = d;
    return true;
}

void directory_close(struct directory *d)
{
    if (d == NULL) {
        return;
    }
    tokens_fini(&d->tokens);
    controls_fini(&d->controls);
    policy_free(d->policy);
    table_fini(&d->tenants);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

/* --- changes --- */

enum policy_change directory_reload_policy(struct directory *d, struct err *e)
{
    struct policy *fresh = NULL;
    enum policy_change change = policy_file_poll(&d->policy_file, &fresh, e);
    if (change != POLICY_NEW) {
        return change;
    }
    (void)pthread_mutex_lock(&d->lock);
    bool ok = policy_apply(d, fresh, e);
    (void)pthread_mutex_unlock(&d->lock);
    if (!ok) {
        policy_free(fresh);
    }
    return ok ? POLICY_NEW : POLICY_REFUSED;
}

enum policy_change directory_reload_tokens(struct directory *d, struct err *e)
{
    struct tokens fresh;
    if (d->o.tokens_path[0] == '\0' || !file_moved(&d->tokens_seen, d->o.tokens_path)) {
        return POLICY_SAME;
    }
    if (!tokens_load(d->o.tokens_path, &fresh, e)) {
        return POLICY_REFUSED;
    }
    (void)pthread_mutex_lock(&d->lock);
    struct tokens old = d->tokens;
    d->tokens = fresh;
    (void)pthread_mutex_unlock(&d->lock);
    tokens_fini(&old);
    return POLICY_NEW;
}

const char *directory_policy_version(struct directory *d)
{
    return d->policy->version; /* by the thread that reloads */
}

/* The rules may have changed: the tenants point to none that is gone. */
static void controls_apply(struct directory *d)
{
    if (d->applied_controls == d->controls.version) {
        return;
    }
    quotas_apply(d, d->policy);
    for (int i = 0; i < N_CONTROL_KINDS; i++) {
        const struct slice kind = slice_str(control_kind_name((enum control_kind)i));
        cell_set(metrics_cell(d->o.metrics, M_CONTROL_RULES, &kind), d->controls.n_by_kind[i]);
    }
}

bool directory_control(struct directory *d, struct slice id, struct slice value, int64_t now_ms, struct err *e)
{
    (void)pthread_mutex_lock(&d->lock);
    bool ok = controls_take(&d->controls, id, value, now_ms, e);
    controls_apply(d);
    (void)pthread_mutex_unlock(&d->lock);
    return ok;
}

void directory_expire(struct directory *d, int64_t now_ms)
{
    (void)pthread_mutex_lock(&d->lock);
    (void)controls_expire(&d->controls, now_ms);
    controls_apply(d);
    (void)pthread_mutex_unlock(&d->lock);
}

/* --- who --- */

struct tenant *directory_nobody(struct directory *d)
{
    return &d->nobody;
}

static bool by_certificate(struct directory *d, const struct certificate *c, int64_t now_s, struct slice *name,
                           struct answer *refusal)
{
    if (!c->is_good || now_s >= c->expires_s) {
        answer_refuse(refusal, 401, REASON_UNAUTHENTICATED, "the client certificate is refused: %s",
                      c->is_good ? "it has expired" : c->why_not);
        return false;
    }
    for (uint32_t i = 0; i < c->n_names; i++) {
        const struct policy_tenant *t = policy_principal(d->policy, c->names[i]);
        if (t != NULL) {
            *name = t->name;
            return true;
        }
    }
    answer_refuse(refusal, 403, REASON_UNKNOWN_TENANT,
                  "the client certificate is good, but the policy maps none of its names to a tenant "
                  "(principals)%s%.*s",
                  c->n_names == 0 ? "" : ": ", c->n_names == 0 ? 0 : (int)c->names[0].len,
                  c->n_names == 0 ? "" : (const char *)c->names[0].ptr);
    return false;
}

/* Blanks before a token belong to the scheme, those behind it to nobody (RFC 9110). */
static struct slice token_of(struct slice value)
{
    while (value.len > 0 && value.ptr[0] == ' ') {
        value = slice_of(value.ptr + 1, value.len - 1);
    }
    while (value.len > 0 && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t')) {
        value.len--;
    }
    return value;
}

static bool by_token(struct directory *d, struct slice authorization, int64_t now_s, struct slice *name,
                     struct answer *refusal)
{
    static const char scheme[] = "Bearer ";
    struct err why = ERR_INIT;
    size_t n = sizeof scheme - 1;
    struct slice bearer = authorization;
    if (authorization.len <= n || strncasecmp((const char *)authorization.ptr, scheme, n) != 0) {
        answer_refuse(refusal, 401, REASON_UNAUTHENTICATED,
                      "the Authorization header must be: Bearer slt_…");
        return false;
    }
    bearer = token_of(slice_of(authorization.ptr + n, authorization.len - n));
    const struct token *t = tokens_find(&d->tokens, bearer, now_s, &why);
    if (t == NULL) {
        answer_refuse(refusal, 401, REASON_UNAUTHENTICATED, "%s", why.text);
        return false;
    }
    *name = slice_str(t->tenant);
    return true;
}

static bool identify(struct directory *d, const struct credentials *c, int64_t now_s, struct tenant **out,
                     struct answer *refusal)
{
    struct slice by_cert = SLICE_NONE;
    struct slice name = SLICE_NONE;
    bool has_cert = c->certificate != NULL && c->certificate->is_there;
    if (!has_cert && c->authorization.len == 0) {
        answer_refuse(refusal, 401, REASON_UNAUTHENTICATED, "%s", reason_info(REASON_UNAUTHENTICATED)->help);
        return false;
    }
    if (has_cert && !by_certificate(d, c->certificate, now_s, &by_cert, refusal)) {
        return false;
    }
    name = by_cert;
    if (c->authorization.len > 0 && !by_token(d, c->authorization, now_s, &name, refusal)) {
        return false;
    }
    if (has_cert && !slice_eq(name, by_cert)) {
        answer_refuse(refusal, 403, REASON_OTHER_TENANT, "the token and the client certificate are of two tenants");
        return false;
    }
    struct tenant *t = tenant_find(d, name);
    if (t == NULL || !t->is_known) {
        answer_refuse(refusal, 403, REASON_UNKNOWN_TENANT, "%s", reason_info(REASON_UNKNOWN_TENANT)->help);
        return false;
    }
    *out = t;
    for (size_t i = 0; i < sizeof c->named / sizeof c->named[0]; i++) {
        if (c->named[i].len > 0 && !slice_eq(c->named[i], name)) {
            answer_refuse(refusal, 403, REASON_OTHER_TENANT,
                          "the request names another tenant than its %s, which is %.*s's",
                          has_cert ? "certificate" : "token", SLICE_ARG(name));
            return false;
        }
    }
    return true;
}

bool directory_identify(struct directory *d, const struct credentials *c, int64_t now_ms, struct tenant **out,
                        struct answer *refusal)
{
    *out = &d->nobody;
    (void)pthread_mutex_lock(&d->lock);
    bool ok = identify(d, c, now_ms / MS, out, refusal);
    (void)pthread_mutex_unlock(&d->lock);
    return ok;
}

/* --- how much --- */

/* A number below n; good enough to spread clients. */
static uint64_t draw_below(struct directory *d, uint64_t n)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return d->random % n;
}

static int64_t retry_after(struct directory *d, int64_t wait_ms)
{
    int64_t wait_s = wait_ms / MS + 1;
    wait_s = wait_s > MAX_WAIT_S ? MAX_WAIT_S : wait_s;
    return wait_s + (int64_t)draw_below(d, (uint64_t)wait_s / 4 + 2);
}

int64_t directory_retry_after(struct directory *d, int64_t wait_ms)
{
    (void)pthread_mutex_lock(&d->lock);
    int64_t s = retry_after(d, wait_ms);
    (void)pthread_mutex_unlock(&d->lock);
    return s;
}

static bool is_killed(const struct directory *d, const struct tenant *t, struct answer *refusal)
{
    for (const struct control_rule *r = controls_kills(&d->controls, t->name); r != NULL; r = r->next) {
        if (control_kill_is_total(r) && r->sample_n == 0) {
            answer_refuse(refusal, 403, REASON_KILLED, "the operators' kill switch %.*s refuses all of this tenant: %.*s",
                          SLICE_ARG(r->id), SLICE_ARG(r->reason));
            return true;
        }
    }
    return false;
}

static void refuse_over_quota(const struct tenant *t, enum quota_kind which, struct answer *refusal)
{
    const struct control_rule *r = which == QUOTA_SAMPLES ? t->rate_rule : NULL;
    if (r == NULL) {
        answer_refuse(refusal, 429, REASON_OVER_QUOTA,
                      "tenant %.*s has used up its quota %s; send less, or ask the operators for more",
                      SLICE_ARG(t->name), quota_name(which));
        return;
    }
    answer_refuse(refusal, 429, REASON_OVER_QUOTA,
                  "tenant %.*s has used up its quota %s, which the operators' limit %.*s has set to %" PRId64
                  " for a while: %.*s; send less, or ask the operators for more",
                  SLICE_ARG(t->name), quota_name(which), SLICE_ARG(r->id), r->value, SLICE_ARG(r->reason));
}

bool directory_admit(struct directory *d, struct tenant *t, int64_t mono_ms, struct answer *refusal)
{
    enum quota_kind which;
    int64_t wait_ms;
    (void)pthread_mutex_lock(&d->lock);
    bool ok = !is_killed(d, t, refusal);
    if (ok && !quota_admit(&t->quota, mono_ms, &which, &wait_ms)) {
        ok = false;
        refuse_over_quota(t, which, refusal);
        refusal->retry_after_s = retry_after(d, wait_ms);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return ok;
}

void directory_charge(struct directory *d, struct tenant *t, enum quota_kind which, uint64_t n)
{
    (void)pthread_mutex_lock(&d->lock);
    quota_charge(&t->quota, which, n);
    (void)pthread_mutex_unlock(&d->lock);
}

void directory_sheds(struct directory *d, const struct tenant *t, struct shed_orders *out)
{
    *out = (struct shed_orders){0};
    (void)pthread_mutex_lock(&d->lock);
    for (int i = 0; i < N_CLASSES; i++) {
        const struct control_rule *r = controls_shed(&d->controls, (enum batch_class)i, t->name);
        if (r != NULL) {
            out->sheds[i] = true;
            (void)snprintf(out->rule_ids[i], sizeof out->rule_ids[i], "%.*s", SLICE_ARG(r->id));
        }
    }
    (void)pthread_mutex_unlock(&d->lock);
}

const char *shed_orders_rule(const struct shed_orders *o, const uint64_t n_shed[N_CLASSES])
{
    int i = 0;
    while (i < N_CLASSES - 1 && n_shed[i] == 0) {
        i++;
    }
    return o->rule_ids[i];
}

/* --- what became of it --- */

void directory_count(struct directory *d, const struct outcome *o)
{
    (void)pthread_mutex_lock(&d->lock);
    outcome_count(o, d->o.metrics);
    (void)pthread_mutex_unlock(&d->lock);
}

void directory_count_kill(struct directory *d, const struct tenant *t, struct slice rule, uint64_t n_samples)
{
    const struct slice values[] = {t->name, rule};
    (void)pthread_mutex_lock(&d->lock);
    cell_add(metrics_cell(d->o.metrics, M_KILLED, values), (double)n_samples);
    (void)pthread_mutex_unlock(&d->lock);
}
