#include "topics.h"

#include "admin_call.h"
#include "stage/kafka_client.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VISIBLE_TRIES = 60, VISIBLE_EVERY_MS = 100 };

const char *topic_state_name(enum topic_state state)
{
    static const char *const names[] = {"ok", "created", "changed", "missing", "differs"};
    return names[state];
}

/* --- what there is --- */

struct existing {
    bool exists;
    int n_partitions;
    int replication;
};

static bool describe(rd_kafka_t *rk, const char *name, struct existing *out, struct err *e)
{
    const char *names[1] = {name};
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, 1);
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_DescribeTopics(rk, topics, c.options, c.queue);
    bool ok = admin_call_wait(&c, "describe", e);
    if (ok) {
        size_t n;
        const rd_kafka_TopicDescription_t **d =
            rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(c.event), &n);
        const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(d[0]);
        out->exists = error == NULL;
        if (error != NULL && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            ok = err_set(e, ERR_RETRY, "describe: %s", rd_kafka_error_string(error));
        } else if (error == NULL) {
            size_t n_replicas = 0;
            const rd_kafka_TopicPartitionInfo_t **p = rd_kafka_TopicDescription_partitions(d[0], &n);
            out->n_partitions = (int)n;
            (void)rd_kafka_TopicPartitionInfo_replicas(p[0], &n_replicas);
            out->replication = (int)n_replicas;
        }
    }
    admin_call_end(&c);
    rd_kafka_TopicCollection_destroy(topics);
    return ok;
}

static const char *wanted(const struct topic_definition *want, const char *name)
{
    for (size_t i = 0; i < want->n_settings; i++) {
        if (strcmp(want->settings[i].name, name) == 0) {
            return want->settings[i].value;
        }
    }
    return NULL;
}

/* Puts the settings that differ into detail and, where to_change is given, there. */
static bool compare_settings(rd_kafka_t *rk, const struct topic_definition *want, rd_kafka_ConfigResource_t *to_change,
                             struct topic_report *report, struct err *e)
{
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, want->name);
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(rk, &resource, 1, c.options, c.queue);
    bool ok = admin_call_wait(&c, "describe configs", e);
    size_t n = 0;
    const rd_kafka_ConfigResource_t **results =
        ok ? rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(c.event), &n) : NULL;
    if (ok && n == 1) {
        size_t n_entries;
        const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(results[0], &n_entries);
        for (size_t i = 0; i < n_entries; i++) {
            const char *name = rd_kafka_ConfigEntry_name(entries[i]);
            const char *is = rd_kafka_ConfigEntry_value(entries[i]);
            const char *value = wanted(want, name);
            if (value == NULL || (is != NULL && strcmp(value, is) == 0)) {
                continue;
            }
            size_t len = strlen(report->detail);
            (void)snprintf(report->detail + len, sizeof report->detail - len, "%s%s is %s, wanted %s",
                           len > 0 ? "; " : "", name, is == NULL ? "unset" : is, value);
            rd_kafka_error_t *error = rd_kafka_ConfigResource_add_incremental_config(
                to_change, name, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, value);
            ok = kafka_err_take(error, name, e) && ok;
            report->state = TOPIC_DIFFERS;
        }
    }
    admin_call_end(&c);
    rd_kafka_ConfigResource_destroy(resource);
    return ok;
}

/* --- what is done about it --- */

static bool create(rd_kafka_t *rk, const struct topic_definition *want, struct err *e)
{
    char text[200] = "";
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(want->name, want->n_partitions, want->replication, text, sizeof text);
    if (topic == NULL) {
        return err_set(e, ERR_CONFIG, "%s", text);
    }
    for (size_t i = 0; i < want->n_settings; i++) {
        (void)rd_kafka_NewTopic_set_config(topic, want->settings[i].name, want->settings[i].value);
    }
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(rk, &topic, 1, c.options, c.queue);
    bool ok = admin_call_wait(&c, "create", e);
    if (ok) {
        size_t n;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(c.event), &n);
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            ok = err_set(e, ERR_FATAL, "create: %s", rd_kafka_topic_result_error_string(results[0]));
        }
    }
    admin_call_end(&c);
    rd_kafka_NewTopic_destroy(topic);
    return ok;
}

static bool alter(rd_kafka_t *rk, rd_kafka_ConfigResource_t *change, struct err *e)
{
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS);
    rd_kafka_IncrementalAlterConfigs(rk, &change, 1, c.options, c.queue);
    bool ok = admin_call_wait(&c, "alter configs", e);
    if (ok) {
        size_t n;
        const rd_kafka_ConfigResource_t **results = rd_kafka_IncrementalAlterConfigs_result_resources(
            rd_kafka_event_IncrementalAlterConfigs_result(c.event), &n);
        if (n == 1 && rd_kafka_ConfigResource_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            ok = err_set(e, ERR_FATAL, "alter configs: %s", rd_kafka_ConfigResource_error_string(results[0]));
        }
    }
    admin_call_end(&c);
    return ok;
}

/* A topic made a moment ago is not known to every broker yet: whoever comes next should find it. */
static bool await_topic(rd_kafka_t *rk, const char *name, struct err *e)
{
    for (int i = 0; i < VISIBLE_TRIES; i++) {
        struct existing is = {0};
        if (!describe(rk, name, &is, e)) {
            return false;
        }
        if (is.exists) {
            return true;
        }
        (void)usleep(VISIBLE_EVERY_MS * 1000);
    }
    return err_set(e, ERR_RETRY, "was created, but no broker shows it");
}

/* Topics whose partitions belong together, and hold state by partition. */
static bool is_series(const char *name)
{
    return strncmp(name, "metrics.ingest", 14) != 0 && strcmp(name, "metrics.dlq") != 0;
}

/* Numbers that only a stop and a tool can change. */
static bool compare_numbers(const struct topic_definition *want, const struct existing *is, struct topic_report *report)
{
    if (is->n_partitions == want->n_partitions && is->replication == want->replication) {
        return true;
    }
    (void)snprintf(report->detail, sizeof report->detail,
                   "%d partitions (wanted %d), replication %d (wanted %d): not changed: %s", is->n_partitions,
                   want->n_partitions, is->replication, want->replication,
                   is->n_partitions == want->n_partitions ? "reassign its partitions by Kafka's own tool"
                   : is_series(want->name) ? "a source's partition is its hash modulo the number: its budgets, leases and "
                                             "rollup state would stay behind in the old one"
                                           : "a source's records would go on in another partition and lose their order");
    report->state = TOPIC_DIFFERS;
    return false;
}

bool topic_settle(rd_kafka_t *rk, const struct topic_definition *want, bool apply, struct topic_report *report,
                  struct err *e)
{
    struct existing is = {0};
    *report = (struct topic_report){.state = TOPIC_OK};
    if (!describe(rk, want->name, &is, e)) {
        return err_wrap(e, "%s", want->name);
    }
    if (!is.exists) {
        report->state = apply ? TOPIC_CREATED : TOPIC_MISSING;
        (void)snprintf(report->detail, sizeof report->detail, "%d partitions, replication %d", want->n_partitions,
                       want->replication);
        return !apply || (create(rk, want, e) && await_topic(rk, want->name, e)) || err_wrap(e, "%s", want->name);
    }
    bool numbers_fit = compare_numbers(want, &is, report);
    enum topic_state before = report->state;
    rd_kafka_ConfigResource_t *change = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, want->name);
    report->state = TOPIC_OK;
    bool ok = compare_settings(rk, want, change, report, e);
    bool settings_differ = report->state == TOPIC_DIFFERS;
    if (ok && settings_differ && apply) {
        ok = alter(rk, change, e);
        report->state = TOPIC_CHANGED;
    }
    if (!numbers_fit) {
        report->state = before;
    }
    rd_kafka_ConfigResource_destroy(change);
    return ok || err_wrap(e, "%s", want->name);
}
