/* `restore FILE`: a group's commits as a snapshot has them. */
#include "snapshot.h"

#include "parquet_guard.h"
#include "places.h"
#include "stage/topics.h"
#include "stage_kind.h"

#include <inttypes.h>
#include <string.h>

static bool cluster_is_it(rd_kafka_t *rk, const json_t *snapshot, struct err *e)
{
    const char *wanted = json_string_value(json_object_get(snapshot, "cluster_id"));
    char *id = rd_kafka_clusterid(rk, 10000);
    bool ok = id != NULL && wanted != NULL && strcmp(id, wanted) == 0;
    if (!ok) {
        (void)err_set(e, ERR_CONFIG, "the snapshot is of cluster %.60s, and this is %.60s: name that one's brokers",
                      wanted == NULL ? "(none)" : wanted, id == NULL ? "?" : id);
    }
    if (id != NULL) {
        rd_kafka_mem_free(rk, id);
    }
    return ok;
}

static bool topics_are_they(rd_kafka_t *rk, const json_t *snapshot, struct err *e)
{
    const char *topic;
    json_t *wanted;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(snapshot, "topics"), topic, wanted)
    {
        uint32_t n;
        uint8_t id[16];
        char text[TOPIC_ID_CHARS + 1];
        if (!topic_describe(rk, topic, &n, id, e)) {
            return false;
        }
        topic_id_text(id, text);
        if (!json_is_string(wanted) || strcmp(json_string_value(wanted), text) != 0) {
            return err_set(e, ERR_CONFIG,
                           "topic %.80s was deleted and made anew since: its offsets mean nothing there; sluice-offsets reset",
                           topic);
        }
    }
    return true;
}

static bool add(struct moves *m, const json_t *row, const rd_kafka_topic_partition_list_t *now, struct err *e)
{
    const char *topic = json_string_value(json_object_get(row, "topic"));
    const char *metadata = json_string_value(json_object_get(row, "metadata"));
    json_t *partition = json_object_get(row, "partition");
    json_t *offset = json_object_get(row, "offset");
    if (topic == NULL || metadata == NULL || !json_is_integer(partition) || !json_is_integer(offset) ||
        json_integer_value(partition) < 0 || json_integer_value(partition) > INT32_MAX) {
        return err_set(e, ERR_CONFIG, "a partition of the snapshot lacks topic, partition, offset or metadata");
    }
    const rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_find(
        (rd_kafka_topic_partition_list_t *)(uintptr_t)now, topic, (int32_t)json_integer_value(partition));
    return moves_add(m, topic, (int32_t)json_integer_value(partition), e) &&
           moves_set_old(m, at == NULL ? -1 : at->offset, at == NULL ? SLICE_NONE : commit_metadata(at), e) &&
           moves_set_new(m, json_integer_value(offset), slice_str(metadata), e);
}

/* The log must still have what comes next. */
static bool check_range(rd_kafka_t *rk, const struct moves *m, struct err *e)
{
    rd_kafka_topic_partition_list_t *low = rd_kafka_topic_partition_list_new((int)m->n + 1);
    for (size_t i = 0; i < m->n; i++) {
        (void)rd_kafka_topic_partition_list_add(low, m->items[i].topic, m->items[i].partition);
    }
    rd_kafka_topic_partition_list_t *high = rd_kafka_topic_partition_list_copy(low);
    bool ok = places_find(rk, PLACE_LOW, low, e) && places_find(rk, PLACE_HIGH, high, e);
    for (size_t i = 0; ok && i < m->n; i++) {
        const struct move *one = &m->items[i];
        if (one->new_offset < low->elems[i].offset || one->new_offset > high->elems[i].offset) {
            ok = err_set(e, ERR_CONFIG,
                         "%s[%d]: offset %" PRId64 " is not in the log any more, which is %" PRId64 " to %" PRId64
                         "; sluice-offsets reset --to earliest takes what is left",
                         one->topic, one->partition, one->new_offset, low->elems[i].offset, high->elems[i].offset);
        }
    }
    rd_kafka_topic_partition_list_destroy(low);
    rd_kafka_topic_partition_list_destroy(high);
    return ok;
}

static bool run(const struct tool *t, rd_kafka_t *rk, const json_t *snapshot, const char *group, struct moves *m,
                struct err *e)
{
    rd_kafka_topic_partition_list_t *now = NULL;
    enum stage_kind_of kind = GROUP_AMP;
    json_t *partitions = json_object_get(snapshot, "partitions");
    bool ok = cluster_is_it(rk, snapshot, e) && topics_are_they(rk, snapshot, e) && group_is_stopped(rk, group, e) &&
              group_committed(rk, group, &now, e) && group_kind(t, group, now, &kind, e);
    for (size_t i = 0; ok && i < json_array_size(partitions); i++) {
        ok = add(m, json_array_get(partitions, i), now, e);
    }
    ok = ok && check_range(rk, m, e) && (kind != GROUP_PARQUET || parquet_check(t, rk, m, e)) &&
         moves_do(t, rk, group, m, e);
    if (now != NULL) {
        rd_kafka_topic_partition_list_destroy(now);
    }
    return ok;
}

bool restore_verb(const struct tool *t, struct err *e)
{
    json_error_t where;
    rd_kafka_t *rk = NULL;
    struct moves m = {0};
    const char *path = t->command->words[0];
    json_t *snapshot = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    const char *group = json_string_value(json_object_get(snapshot, "group"));
    bool ok = (snapshot != NULL || err_set(e, ERR_CONFIG, "%.120s line %d: %.80s", path, where.line, where.text)) &&
              (group != NULL || err_set(e, ERR_CONFIG, "%.120s is no snapshot: it names no group", path)) &&
              tool_connect(t, KAFKA_PLAIN_PRODUCER, &rk, e) && run(t, rk, snapshot, group, &m, e);
    moves_free(&m);
    tool_disconnect(rk);
    json_decref(snapshot);
    return ok;
}
