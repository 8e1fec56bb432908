#include "topics_verb.h"

#include "acl.h"
#include "topics.h"

#include <jansson.h>
#include <stdio.h>

struct settling {
    rd_kafka_t *rk;
    const char *reader; /* validate's principal; "" = access is not managed here */
    bool apply;
    bool as_json;
    bool all_fit;
    json_t *rows; /* owned */
};

static void tell(struct settling *s, const char *what, const char *topic, const struct topic_report *report)
{
    s->all_fit = s->all_fit && report->state != TOPIC_MISSING && report->state != TOPIC_DIFFERS;
    const char *state = topic_state_name(report->state);
    if (s->as_json) {
        (void)json_array_append_new(s->rows, json_pack("{s:s, s:s, s:s, s:s}", "what", what, "topic", topic, "state",
                                                       state, "detail", report->detail));
    } else {
        (void)printf("%-8s %-28s %s\n", state, topic, report->detail);
    }
}

static bool settle_acl(struct settling *s, const struct acl *want, struct err *e)
{
    struct topic_report report;
    bool ok = acl_settle(s->rk, want, s->apply, &report, e);
    if (ok) {
        tell(s, "acl", want->topic, &report);
    }
    return ok;
}

/* Of a tenant's own topic: the tenant writes, validate reads. */
static bool settle_acls(struct settling *s, const struct topic_definition *t, struct err *e)
{
    char tenant[300];
    (void)snprintf(tenant, sizeof tenant, "User:%.250s", t->tenant);
    const struct acl writes = {t->name, tenant, RD_KAFKA_ACL_OPERATION_WRITE};
    const struct acl reads = {t->name, s->reader, RD_KAFKA_ACL_OPERATION_READ};
    return settle_acl(s, &writes, e) && settle_acl(s, &reads, e);
}

static bool settle_all(struct settling *s, const struct topic_definitions *d, struct err *e)
{
    for (size_t i = 0; i < d->n; i++) {
        struct topic_report report;
        const struct topic_definition *t = &d->topics[i];
        if (!topic_settle(s->rk, t, s->apply, &report, e)) {
            return false;
        }
        tell(s, "topic", t->name, &report);
        bool has_acls = t->tenant != NULL && s->reader[0] != '\0' && report.state != TOPIC_MISSING;
        if (has_acls && !settle_acls(s, t, e)) {
            return false;
        }
    }
    if (s->as_json) {
        (void)json_dumpf(s->rows, stdout, JSON_INDENT(2));
        (void)puts("");
    }
    return true;
}

bool topics_verb(const struct tool *t, bool apply, int *code, struct err *e)
{
    struct arena a;
    struct topic_definitions definitions;
    const char *const *tenants;
    size_t n_tenants = config_list(t->config, "tenants", &tenants);
    struct settling s = {.reader = config_str(t->config, "validate_principal"),
                         .apply = apply,
                         .as_json = t->command->values[OPTION_JSON] != NULL,
                         .all_fit = true,
                         .rows = json_array()};
    arena_init(&a, (size_t)16 << 20);
    bool ok =
        definitions_read(config_str(t->config, "topics_file"), config_str(t->config, "profile"),
                         tenants, n_tenants, &a, &definitions, e) &&
        tool_connect(t, KAFKA_PLAIN_PRODUCER, &s.rk, e) && settle_all(&s, &definitions, e);
    tool_disconnect(s.rk);
    json_decref(s.rows);
    arena_fini(&a);
    *code = !ok || s.all_fit ? TOOL_FINE : TOOL_DIFFERS;
    return ok;
}
