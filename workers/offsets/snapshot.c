#include "snapshot.h"

#include "stage/topics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CALL_MS = 10000 };

static bool cluster_id_of(rd_kafka_t *rk, json_t **out, struct err *e)
{
    char *id = rd_kafka_clusterid(rk, CALL_MS);
    *out = id == NULL ? NULL : json_string(id);
    if (id != NULL) {
        rd_kafka_mem_free(rk, id);
    }
    return *out != NULL || err_set(e, ERR_RETRY, "the brokers did not tell the cluster's id");
}

/* Adds the topic's id, so that a topic that was made anew is told from this one. */
static bool add_topic(rd_kafka_t *rk, json_t *topics, const char *topic, struct err *e)
{
    uint32_t n;
    uint8_t id[16];
    char text[TOPIC_ID_CHARS + 1];
    if (json_object_get(topics, topic) != NULL) {
        return true;
    }
    if (!topic_describe(rk, topic, &n, id, e)) {
        return false;
    }
    topic_id_text(id, text);
    return json_object_set_new(topics, topic, json_string(text)) == 0 ||
           err_set(e, ERR_FATAL, "out of memory");
}

static bool snapshot_take(const struct tool *t, rd_kafka_t *rk, const char *group, json_t **out,
                          struct err *e)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    json_t *cluster = NULL;
    json_t *topics = json_object();
    json_t *partitions = json_array();
    bool ok = cluster_id_of(rk, &cluster, e) && group_committed(rk, group, &list, e);
    for (int i = 0; ok && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        const char *text = at->metadata == NULL ? "" : at->metadata;
        ok = add_topic(rk, topics, at->topic, e);
        (void)json_array_append_new(
            partitions, json_pack("{s:s, s:i, s:I, s:o}", "topic", at->topic, "partition",
                                  (int)at->partition, "offset", (json_int_t)at->offset, "metadata",
                                  json_stringn(text, strnlen(text, at->metadata_size))));
    }
    if (ok && list->cnt == 0) {
        ok = err_set(e, ERR_CONFIG,
                     "group %.100s has committed nothing: is that its name? sluice-offsets status "
                     "lists them",
                     group);
    }
    *out = ok ? json_pack("{s:s, s:O, s:I, s:O, s:O}", "group", group, "cluster_id", cluster,
                          "taken_ms", (json_int_t)t->now_ms, "topics", topics, "partitions",
                          partitions)
              : NULL;
    if (list != NULL) {
        rd_kafka_topic_partition_list_destroy(list);
    }
    json_decref(cluster);
    json_decref(topics);
    json_decref(partitions);
    return ok && (*out != NULL || err_set(e, ERR_FATAL, "out of memory"));
}

static bool file_write(const json_t *snapshot, const char *path, struct err *e)
{
    FILE *file = fopen(path, "wxe");
    if (file == NULL) {
        return err_set_code(e, ERR_CONFIG, errno, "snapshot %.150s: %s", path, strerror(errno));
    }
    bool ok = json_dumpf(snapshot, file, JSON_INDENT(1) | JSON_ENSURE_ASCII) == 0 &&
              fputc('\n', file) != EOF && fflush(file) == 0 && fsync(fileno(file)) == 0;
    ok = fclose(file) == 0 && ok;
    return ok || err_set_code(e, ERR_CONFIG, errno, "snapshot %.150s: %s", path, strerror(errno));
}

bool snapshot_write(const struct tool *t, rd_kafka_t *rk, const char *group, const char *out,
                    char path[SNAPSHOT_MAX_PATH], struct err *e)
{
    json_t *snapshot = NULL;
    char time[32];
    time_t seconds = (time_t)(t->now_ms / 1000);
    struct tm tm;
    (void)strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", gmtime_r(&seconds, &tm));
    if (out != NULL) {
        (void)snprintf(path, SNAPSHOT_MAX_PATH, "%s", out);
    } else {
        (void)snprintf(path, SNAPSHOT_MAX_PATH, "%s/%s-%s-%d.json",
                       config_str(t->config, "snapshot_dir"), group, time, (int)(t->now_ms % 1000));
    }
    bool ok = snapshot_take(t, rk, group, &snapshot, e) && file_write(snapshot, path, e);
    json_decref(snapshot);
    return ok;
}

bool snapshot_verb(const struct tool *t, struct err *e)
{
    char path[SNAPSHOT_MAX_PATH];
    rd_kafka_t *rk = NULL;
    bool ok = tool_connect(t, KAFKA_PLAIN_PRODUCER, &rk, e) &&
              snapshot_write(t, rk, t->command->words[0], t->command->values[OPTION_OUT], path, e);
    if (ok && t->command->values[OPTION_JSON] == NULL) {
        (void)puts(path);
    } else if (ok) {
        json_t *out = json_pack("{s:s, s:s}", "group", t->command->words[0], "snapshot", path);
        ok = (out != NULL && json_dumpf(out, stdout, JSON_ENSURE_ASCII) == 0 && puts("") != EOF) ||
             err_set(e, ERR_FATAL, "it could not be written");
        json_decref(out);
    }
    tool_disconnect(rk);
    return ok;
}
