/* The floor that workers are measured against: librdkafka alone, consume → produce of the same
 * bytes, one transaction per commit interval, up to the end of all partitions. passthrough BROKERS
 * FROM TO [COMMIT_MS [CODEC]] records_per_s is of what came after the first commit: without the
 * start of the group. */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_PARTITIONS = 256 };

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[200];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        (void)fprintf(stderr, "%s\n", text);
        exit(2);
    }
}

static void check(rd_kafka_error_t *error, const char *what)
{
    if (error != NULL) {
        (void)fprintf(stderr, "%s: %s\n", what, rd_kafka_error_string(error));
        exit(1);
    }
}

static rd_kafka_t *open_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[200];
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    if (rk == NULL) {
        (void)fprintf(stderr, "%s\n", text);
        exit(2);
    }
    return rk;
}

static void commit(rd_kafka_t *consumer, rd_kafka_t *producer)
{
    rd_kafka_topic_partition_list_t *offsets;
    (void)rd_kafka_assignment(consumer, &offsets);
    (void)rd_kafka_position(consumer, offsets);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);
    check(rd_kafka_send_offsets_to_transaction(producer, offsets, group, 10000), "send offsets");
    check(rd_kafka_commit_transaction(producer, 30000), "commit");
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
}

/* Has each partition of the assignment been read to its end? */
static bool at_end(rd_kafka_t *consumer, const bool *ended)
{
    rd_kafka_topic_partition_list_t *assigned;
    if (rd_kafka_assignment(consumer, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
    }
    bool all = assigned->cnt > 0;
    for (int i = 0; i < assigned->cnt; i++) {
        all = all && ended[assigned->elems[i].partition % MAX_PARTITIONS];
    }
    rd_kafka_topic_partition_list_destroy(assigned);
    return all;
}

static void forward(rd_kafka_t *producer, const rd_kafka_message_t *m, const char *to)
{
    while (rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(to), RD_KAFKA_V_PARTITION(m->partition),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(m->key, m->key_len),
                             RD_KAFKA_V_VALUE(m->payload, m->len),
                             RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        (void)rd_kafka_poll(producer, 10);
    }
}

struct progress {
    long n;
    long n_open;      /* in the transaction */
    long n_first;     /* of the first commit */
    int64_t first_ms; /* when it was done */
    int64_t committed_ms;
    bool ended[MAX_PARTITIONS];
};

static void take(struct progress *p, rd_kafka_t *producer, const rd_kafka_message_t *m,
                 const char *to)
{
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        p->ended[m->partition % MAX_PARTITIONS] = true;
    } else if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)fprintf(stderr, "passthrough: %s\n", rd_kafka_message_errstr(m));
    } else {
        if (p->n_open == 0) {
            check(rd_kafka_begin_transaction(producer), "begin");
        }
        forward(producer, m, to);
        p->n++;
        p->n_open++;
    }
}

static void settle(struct progress *p, rd_kafka_t *consumer, rd_kafka_t *producer)
{
    commit(consumer, producer);
    p->n_open = 0;
    p->committed_ms = now_ms();
    if (p->n_first == 0) {
        p->n_first = p->n;
        p->first_ms = p->committed_ms;
    }
}

static void report(const struct progress *p)
{
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    double seconds = (double)(p->committed_ms - p->first_ms) / 1e3;
    (void)printf("{\"records\": %ld, \"cpu_s\": %.3f, \"records_per_s\": %.1f}\n", p->n,
                 (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9,
                 seconds > 0 ? (double)(p->n - p->n_first) / seconds : 0);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fputs("passthrough BROKERS FROM TO [COMMIT_MS [CODEC]]\n", stderr);
        return 2;
    }
    long commit_ms = argc > 4 ? strtol(argv[4], NULL, 10) : 200;

    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", argv[1]);
    set(conf, "group.id", argv[3]); /* each run reads from the start */
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "enable.partition.eof", "true");
    set(conf, "check.crcs", "true");
    set(conf, "fetch.queue.backoff.ms", "20");
    rd_kafka_t *consumer = open_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(consumer);

    conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", argv[1]);
    set(conf, "transactional.id", "bench-passthrough");
    set(conf, "compression.codec", argc > 5 ? argv[5] : "zstd");
    set(conf, "linger.ms", "5");
    set(conf, "message.max.bytes", "8454144");
    rd_kafka_t *producer = open_client(RD_KAFKA_PRODUCER, conf);
    check(rd_kafka_init_transactions(producer, 30000), "init");

    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, argv[2], RD_KAFKA_PARTITION_UA);
    (void)rd_kafka_subscribe(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);

    struct progress p = {.committed_ms = now_ms()};
    while (p.n == 0 || p.n_open > 0 || !at_end(consumer, p.ended)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, 100);
        if (m != NULL) {
            take(&p, producer, m, argv[3]);
            rd_kafka_message_destroy(m);
        }
        (void)rd_kafka_poll(producer, 0);
        if (p.n_open > 0 && now_ms() - p.committed_ms >= commit_ms) {
            settle(&p, consumer, producer);
        }
    }
    report(&p);
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    return 0;
}
