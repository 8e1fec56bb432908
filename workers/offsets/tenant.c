#include "tenant.h"

#include "acl.h"
#include "definition.h"
#include "policy_entry.h"

#include <string.h>

enum { MAX_NAME = 128, ARENA_BYTES = 16 << 20 };

/* What there is to do, found out before anything is done. */
struct creating {
    const struct tool *tool;
    const char *name;
    char principal[300];
    struct arena arena;
    struct topic_definition topic;
    json_t *limits; /* owned */
    json_t *rows;   /* owned: what was done */
    rd_kafka_t *rk;
    bool apply;
    bool quiet; /* rows are not kept: the first look */
};

static bool name_check(const char *name, struct err *e)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return (n > 0 && name[n] == '\0' && n <= MAX_NAME) ||
           err_set(e, ERR_CONFIG, "\"%.60s\": a tenant's name has 1 to %d letters, digits, _ or -", name, MAX_NAME);
}

/* The definition's topic that only this tenant has. */
static bool topic_find(struct creating *c, struct err *e)
{
    struct topic_definitions all;
    size_t len = strlen(c->name);
    if (!definitions_read(config_str(c->tool->config, "topics_file"), config_str(c->tool->config, "profile"), &c->name, 1,
                          &c->arena, &all, e)) {
        return false;
    }
    for (size_t i = 0; i < all.n; i++) {
        size_t n = strlen(all.topics[i].name);
        if (n > len + 1 && all.topics[i].name[n - len - 1] == '.' && strcmp(all.topics[i].name + n - len, c->name) == 0) {
            c->topic = all.topics[i];
            return true;
        }
    }
    return err_set(e, ERR_CONFIG, "%s has no topic with {tenant} in its name",
                   config_str(c->tool->config, "topics_file"));
}

static bool limits_read(struct creating *c, struct err *e)
{
    static const struct {
        enum option option;
        const char *name;
    } quotas[] = {{OPTION_SERIES, "series_per_tenant"}, {OPTION_SAMPLES_PER_SECOND, "samples_per_second"}};
    for (size_t i = 0; i < 2; i++) {
        long long n;
        if (!command_number(c->tool->command, quotas[i].option, 1, 0, &n, e)) {
            return false;
        }
        if (n > 0) {
            (void)json_object_set_new(c->limits, quotas[i].name, json_integer(n));
        }
    }
    return true;
}

static void keep_row(struct creating *c, const char *what, const char *name, const struct topic_report *report)
{
    if (!c->quiet) {
        (void)json_array_append_new(c->rows, json_pack("{s:s, s:s, s:s, s:s}", "what", what, "name", name, "state",
                                                       topic_state_name(report->state), "detail", report->detail));
    }
}

static bool settle_acl(struct creating *c, const char *principal, rd_kafka_AclOperation_t operation, struct err *e)
{
    struct topic_report report;
    const struct acl want = {c->topic.name, principal, operation};
    bool ok = acl_settle(c->rk, &want, c->apply, &report, e);
    if (ok) {
        keep_row(c, "acl", c->topic.name, &report);
    }
    return ok;
}

static bool settle_acls(struct creating *c, struct err *e)
{
    const char *reader = config_str(c->tool->config, "validate_principal");
    return c->tool->command->values[OPTION_NO_ACLS] != NULL ||
           (settle_acl(c, c->principal, RD_KAFKA_ACL_OPERATION_WRITE, e) &&
            (reader[0] == '\0' || settle_acl(c, reader, RD_KAFKA_ACL_OPERATION_READ, e)));
}

/* What may be refused comes first: brokers tell only when ACLs are made that they have no authorizer. The policy is last:
 * only who is in it is let through. */
static bool settle_all(struct creating *c, struct err *e)
{
    struct topic_report report;
    const char *policy = config_str(c->tool->config, "policy");
    if (!settle_acls(c, e) || !topic_settle(c->rk, &c->topic, c->apply, &report, e)) {
        return false;
    }
    if (report.state == TOPIC_DIFFERS && c->apply) {
        return err_set(e, ERR_CONFIG, "%s is there and differs: %.150s", c->topic.name, report.detail);
    }
    keep_row(c, "topic", c->topic.name, &report);
    if (policy[0] == '\0') {
        return true;
    }
    if (!policy_entry_settle(policy, c->name, c->limits, c->apply, &report, e)) {
        return false;
    }
    keep_row(c, "policy", policy, &report);
    return true;
}

static bool print(const struct creating *c, struct err *e)
{
    if (c->tool->command->values[OPTION_JSON] != NULL) {
        return (json_dumpf(c->rows, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && puts("") != EOF) ||
               err_set(e, ERR_FATAL, "it could not be written");
    }
    size_t i;
    json_t *row;
    json_array_foreach(c->rows, i, row)
    {
        (void)printf("%-7s %-8s %s: %s\n", json_string_value(json_object_get(row, "what")),
                     json_string_value(json_object_get(row, "state")), json_string_value(json_object_get(row, "name")),
                     json_string_value(json_object_get(row, "detail")));
    }
    if (config_str(c->tool->config, "policy")[0] == '\0') {
        (void)puts("no policy is named (--set policy=FILE): the tenant's entry is still to be made, or validate refuses it");
    }
    if (c->tool->command->values[OPTION_DRY_RUN] != NULL) {
        (void)puts("dry run: nothing was changed");
    }
    return true;
}

static bool create(struct creating *c, struct err *e)
{
    c->quiet = true; /* all that can be refused is refused before anything is done */
    if (!settle_all(c, e)) {
        return false;
    }
    c->quiet = false;
    c->apply = c->tool->command->values[OPTION_DRY_RUN] == NULL;
    return settle_all(c, e) && print(c, e);
}

bool tenant_create(const struct tool *t, struct err *e)
{
    const char *principal = t->command->values[OPTION_PRINCIPAL];
    struct creating c = {.tool = t, .name = t->command->words[0], .limits = json_object(), .rows = json_array()};
    (void)snprintf(c.principal, sizeof c.principal, "%s%.250s", principal == NULL ? "User:" : "",
                   principal == NULL ? c.name : principal);
    arena_init(&c.arena, ARENA_BYTES);
    bool ok = name_check(c.name, e) && limits_read(&c, e) && topic_find(&c, e) &&
              tool_connect(t, KAFKA_PLAIN_PRODUCER, &c.rk, e) && create(&c, e);
    tool_disconnect(c.rk);
    arena_fini(&c.arena);
    json_decref(c.limits);
    json_decref(c.rows);
    return ok;
}
