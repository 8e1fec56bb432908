#include "policy/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/policy_json.h"

enum { MAX_POLICY_BYTES = 8 << 20, MAX_TENANT_BYTES = 128, ARENA_BYTES = 256 << 20 };

#define TEXTS(...)                                                                                 \
    {                                                                                              \
        sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice), (const struct slice[]) \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define TEXT(s)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }

/* schemas/policy.schema.json says the same. */
static const struct rules default_rules = {
    .labels = {.allow = TEXTS(TEXT("region"), TEXT("az"), TEXT("cluster"), TEXT("shard_id"),
                              TEXT("instance_type"), TEXT("build_id"), TEXT("queue"),
                              TEXT("asn_bucket"), TEXT("le")),
               .forbid = TEXTS(TEXT("player_id"), TEXT("user_id"), TEXT("session_id"),
                               TEXT("email"), TEXT("raw_ip"), TEXT("client_ip"), TEXT("request_id"),
                               TEXT("trace_id"), TEXT("span_id")),
               .max_name_bytes = 128,
               .max_value_bytes = 1024,
               .identity = TEXT("shard_id"),
               .detectors = {.on = {[PERSONAL_EMAIL] = true,
                                    [PERSONAL_UUID] = true,
                                    [PERSONAL_IPV6] = true,
                                    [PERSONAL_IPV4] = true,
                                    [PERSONAL_DIGITS] = true},
                             .digit_run = 10,
                             .exempt = TEXTS(TEXT("build_id"), TEXT("*version*"))}},
    .names = TEXTS(TEXT("*")),
    .max_name_bytes = 255,
    .kinds = {.allowed = {[SERIES_COUNTER] = true, [SERIES_EXP_HISTOGRAM] = true}},
    .source = {.attributes = TEXTS(TEXT("service.instance.id"))},
    .classes = {.fallback = CLASS_STANDARD},
    .max_age_ms = 3600000,
    .max_future_ms = 600000,
    .max_series = 20000,
    .max_labels = 64,
    .budgets = {.source = {.max = 300}},
    .quota = {.burst_seconds = 10},
};

static bool tenant_name_valid(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", name[i]) ==
            NULL) {
            return false;
        }
    }
    return n > 0 && n <= MAX_TENANT_BYTES;
}

static bool principals_add(struct policy *p, const struct policy_reader *r, struct policy_tenant *t)
{
    for (uint32_t i = 0; i < t->principals.n; i++) {
        struct slice name = t->principals.items[i];
        const struct policy_tenant *other = policy_principal(p, name);
        if (other != NULL) {
            return err_set(r->e, ERR_CONFIG, "tenants.%.*s.principals[%u]: is tenant %.*s's already",
                           SLICE_ARG(t->name), i, SLICE_ARG(other->name));
        }
        if (!table_put(&p->by_principal, hash128(name), t, 0)) {
            return err_set(r->e, ERR_CONFIG, "principals: the policy takes too much memory");
        }
    }
    return true;
}

static bool tenant_add(struct policy *p, const struct policy_reader *r, const char *name,
                       json_t *value, struct policy_tenant *t)
{
    char path[160];
    (void)snprintf(path, sizeof path, "tenants.%.140s", name);
    if (!tenant_name_valid(name)) {
        return err_set(r->e, ERR_CONFIG, "%s: a tenant's name has 1 to %d letters, digits, _ or -",
                       path, MAX_TENANT_BYTES);
    }
    t->name = arena_copy(r->arena, slice_str(name));
    t->rules = p->rules;
    static const char *const also[] = {"principals", NULL};
    return policy_read_rules(r, value, path, also, &t->rules) &&
           policy_read_principals(r, value, path, &t->principals) && principals_add(p, r, t) &&
           ((t->name.ptr != NULL && table_put(&p->by_name, hash128(t->name), t, 0)) ||
            err_set(r->e, ERR_CONFIG, "%s: the policy takes too much memory", path));
}

static bool tenants_read(struct policy *p, const struct policy_reader *r, json_t *object)
{
    if (!json_is_object(object)) {
        return err_set(r->e, ERR_CONFIG, "tenants: must be an object of {name: its own rules}");
    }
    struct policy_tenant *tenants =
        ARENA_ARRAY(r->arena, struct policy_tenant, json_object_size(object));
    if (tenants == NULL) {
        return err_set(r->e, ERR_CONFIG, "tenants: the policy takes too much memory");
    }
    p->tenants = tenants;
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (!tenant_add(p, r, name, value, &tenants[p->n_tenants])) {
            return false;
        }
        p->n_tenants++;
    }
    return true;
}

static bool version_read(struct policy *p, struct slice json, json_t *version, struct err *e)
{
    const char *text = version == NULL ? "" : json_string_value(version);
    if (text == NULL || strlen(text) > 64) {
        return err_set(e, ERR_CONFIG, "version: must be a string of at most 64 bytes");
    }
    (void)snprintf(p->version, sizeof p->version, "%s%s%016" PRIx64, text,
                   text[0] == '\0' ? "" : "-", hash64(json));
    return true;
}

static bool policy_read(struct policy *p, struct slice json, json_t *root, struct err *e)
{
    static const char *const also[] = {"$schema", "version", "tenants", NULL};
    const struct policy_reader r = {&p->arena, LEVEL_TOP, e};
    const struct policy_reader of_tenants = {&p->arena, LEVEL_TENANT, e};
    p->rules = default_rules;
    if (!policy_read_rules(&r, root, "", also, &p->rules) ||
        !version_read(p, json, json_object_get(root, "version"), e)) {
        return false;
    }
    json_t *tenants = json_object_get(root, "tenants");
    return tenants == NULL || tenants_read(p, &of_tenants, tenants);
}

bool policy_parse(struct slice json, struct policy **out, struct err *e)
{
    json_error_t why;
    json_t *root = json_loadb((const char *)json.ptr, json.len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        return err_set(e, ERR_CONFIG, "line %d, column %d: %s", why.line, why.column, why.text);
    }
    struct policy *p = calloc(1, sizeof *p);
    bool ok = p != NULL || err_set(e, ERR_CONFIG, "out of memory");
    if (ok) {
        arena_init(&p->arena, ARENA_BYTES);
        table_init(&p->by_name, 0, NULL);
        table_init(&p->by_principal, 0, NULL);
        ok = policy_read(p, json, root, e);
    }
    json_decref(root);
    if (!ok) {
        policy_free(p);
        return false;
    }
    *out = p;
    return true;
}

bool policy_load(const char *path, struct policy **out, struct err *e)
{
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        return err_set_code(e, ERR_CONFIG, errno, "policy %s: %s", path, strerror(errno));
    }
    char *text = malloc(MAX_POLICY_BYTES + 1);
    size_t n = text == NULL ? 0 : fread(text, 1, MAX_POLICY_BYTES + 1, f);
    bool ok = text != NULL && ferror(f) == 0;
    (void)fclose(f);
    if (!ok || n > MAX_POLICY_BYTES) {
        ok = err_set(e, ERR_CONFIG, ok ? "larger than %d bytes" : "can't be read (limit %d bytes)",
                     MAX_POLICY_BYTES);
    } else {
        ok = policy_parse(slice_of(text, n), out, e);
    }
    free(text);
    return ok || err_wrap(e, "policy %s", path);
}

void policy_free(struct policy *p)
{
    if (p == NULL) {
        return;
    }
    table_fini(&p->by_name);
    table_fini(&p->by_principal);
    arena_fini(&p->arena);
    free(p);
}

const struct policy_tenant *policy_tenant(struct policy *p, struct slice name)
{
    return table_find(&p->by_name, hash128(name));
}

const struct policy_tenant *policy_principal(struct policy *p, struct slice principal)
{
    return table_find(&p->by_principal, hash128(principal));
}
