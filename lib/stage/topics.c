#include "stage/topics.h"

#include "stage/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 10000, END_TIMEOUT_MS = 5000, TRIES = 8, TRY_AGAIN_MS = 500 };

void topic_id_text(const uint8_t id[16], char out[TOPIC_ID_CHARS + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int n_bits = 0;
    int n = 0;
    for (int i = 0; i < 16; i++) {
        bits = bits << 8 | id[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6) {
            out[n++] = digits[bits >> (n_bits - 6) & 63];
        }
    }
    out[n++] = digits[bits << (6 - n_bits) & 63];
    out[n] = '\0';
}

static bool description_read(const rd_kafka_TopicDescription_t *d, const char *topic,
                             uint32_t *n_partitions, uint8_t id[16], struct err *e)
{
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(d);
    if (error != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            return err_set_code(e, ERR_CONFIG, code,
                                "topic %s does not exist; create it: sluice-offsets topics apply", topic);
        }
        return err_set_code(e, ERR_RETRY, code, "topic %s: %s", topic, rd_kafka_error_string(error));
    }
    size_t n;
    (void)rd_kafka_TopicDescription_partitions(d, &n);
    *n_partitions = (uint32_t)n;
    const rd_kafka_Uuid_t *uuid = rd_kafka_TopicDescription_topic_id(d);
    int64_t high = rd_kafka_Uuid_most_significant_bits(uuid);
    int64_t low = rd_kafka_Uuid_least_significant_bits(uuid);
    for (int i = 0; i < 8; i++) {
        id[i] = (uint8_t)((uint64_t)high >> (56 - 8 * i));
        id[8 + i] = (uint8_t)((uint64_t)low >> (56 - 8 * i));
    }
    return true;
}

bool topic_describe(rd_kafka_t *rk, const char *topic, uint32_t *n_partitions, uint8_t id[16],
                    struct err *e)
{
    const char *names[1] = {topic};
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, 1);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    char text[128];
    (void)rd_kafka_AdminOptions_set_request_timeout(options, TIMEOUT_MS, text, sizeof text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeTopics(rk, topics, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS + 1000);

    bool ok = false;
    const rd_kafka_DescribeTopics_result_t *result =
        event == NULL ? NULL : rd_kafka_event_DescribeTopics_result(event);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR || result == NULL) {
        (void)err_set(e, ERR_RETRY, "topic %s: the brokers did not answer: %s", topic,
                      event == NULL ? "timed out" : rd_kafka_event_error_string(event));
    } else {
        size_t n;
        const rd_kafka_TopicDescription_t **d = rd_kafka_DescribeTopics_result_topics(result, &n);
        ok = n == 1 ? description_read(d[0], topic, n_partitions, id, e)
                    : err_set(e, ERR_RETRY, "topic %s: no description", topic);
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(topics);
    return ok;
}

bool topic_describe_patiently(rd_kafka_t *rk, const char *topic, uint32_t *n_partitions, struct err *e)
{
    uint8_t id[16];
    for (int i = 0; i < TRIES; i++) {
        if (topic_describe(rk, topic, n_partitions, id, e)) {
            return true;
        }
        (void)usleep(TRY_AGAIN_MS * 1000);
    }
    return false;
}

bool topic_end_uncommitted(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t *end, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_SPEC_LATEST;
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    char text[128];
    (void)rd_kafka_AdminOptions_set_request_timeout(options, END_TIMEOUT_MS, text, sizeof text);
    rd_kafka_error_t *ignored =
        rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED);
    if (ignored != NULL) {
        rd_kafka_error_destroy(ignored);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ListOffsets(rk, list, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, END_TIMEOUT_MS + 1000);
    const rd_kafka_ListOffsets_result_t *result =
        event == NULL ? NULL : rd_kafka_event_ListOffsets_result(event);
    bool ok = false;
    if (result != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t n;
        const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(result, &n);
        const rd_kafka_topic_partition_t *at =
            n == 1 ? rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]) : NULL;
        ok = at != NULL && at->err == RD_KAFKA_RESP_ERR_NO_ERROR && at->offset >= 0;
        if (ok) {
            *end = at->offset;
        }
    }
    if (!ok) {
        (void)err_set(e, ERR_RETRY, "the end of %s[%d] is not to be had yet", topic, partition);
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

bool topics_check(struct stage *s, struct err *e)
{
    for (size_t i = 0; i < s->n_outputs; i++) {
        if (!topic_describe_patiently(s->consumer, s->outputs[i], &s->n_output_partitions[i], e)) {
            return false;
        }
    }
    const char *const *topics;
    size_t n = config_list(s->config, "topics", &topics);
    for (size_t i = 0; i < n; i++) {
        uint32_t n_partitions;
        if (topics[i][0] == '^') {
            continue;
        }
        if (!topic_describe_patiently(s->consumer, topics[i], &n_partitions, e)) {
            return false;
        }
        for (size_t k = 0; k < s->spec->n_copartitioned; k++) {
            if (n_partitions != s->n_output_partitions[k]) {
                return err_set(e, ERR_CONFIG,
                               "%s has %u partitions and %s has %u: all series topics need the same number",
                               topics[i], n_partitions, s->outputs[k], s->n_output_partitions[k]);
            }
        }
    }
    return true;
}
