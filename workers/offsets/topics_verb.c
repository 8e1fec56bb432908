#include "topics_verb.h"

#include "topics.h"

#include <jansson.h>
#include <stdio.h>

static void report_text(const struct topic_definition *t, const struct topic_report *report)
{
    (void)printf("%-8s %-28s %s\n", topic_state_name(report->state), t->name, report->detail);
}

static void report_json(json_t *list, const struct topic_definition *t, const struct topic_report *report)
{
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "topic", t->name, "state",
                                                topic_state_name(report->state), "detail", report->detail));
}

static bool settle_all(rd_kafka_t *rk, const struct topic_definitions *d, bool apply, bool as_json, bool *all_fit,
                       struct err *e)
{
    json_t *list = json_array();
    bool ok = true;
    *all_fit = true;
    for (size_t i = 0; ok && i < d->n; i++) {
        struct topic_report report;
        ok = topic_settle(rk, &d->topics[i], apply, &report, e);
        if (!ok) {
            break;
        }
        *all_fit = *all_fit && report.state != TOPIC_MISSING && report.state != TOPIC_DIFFERS;
        if (as_json) {
            report_json(list, &d->topics[i], &report);
        } else {
            report_text(&d->topics[i], &report);
        }
    }
    if (as_json && ok) {
        (void)json_dumpf(list, stdout, JSON_INDENT(2));
        (void)puts("");
    }
    json_decref(list);
    return ok;
}

bool topics_verb(const struct tool *t, bool apply, int *code, struct err *e)
{
    struct arena a;
    struct topic_definitions definitions;
    const char *const *tenants;
    size_t n_tenants = config_list(t->config, "tenants", &tenants);
    rd_kafka_t *rk = NULL;
    bool all_fit = false;
    arena_init(&a, (size_t)16 << 20);
    bool ok = definitions_read(config_str(t->config, "topics_file"), config_str(t->config, "profile"), tenants,
                               n_tenants, &a, &definitions, e) &&
              tool_connect(t, KAFKA_PLAIN_PRODUCER, &rk, e) &&
              settle_all(rk, &definitions, apply, t->command->values[OPTION_JSON] != NULL, &all_fit, e);
    tool_disconnect(rk);
    arena_fini(&a);
    *code = !ok || all_fit ? TOOL_FINE : TOOL_DIFFERS;
    return ok;
}
