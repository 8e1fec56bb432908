/* What the load is: every label, time, value and misdeed as a pure function of the parameters,
 * so that the sender needs no record of what it sent and the verifier none of what it reads.
 *
 * The g-th scrape is of server g mod n_servers at step g / n_servers. Scrapes come in that order,
 * but for late ones, which follow the same server's scrape 1 to MAX_LATE_STEPS steps on. */
#pragma once

#include "base/err.h"
#include "catalogue.h"

enum {
    MAX_BURSTS = 16,
    MAX_SERVERS = 1000000,
    MAX_SERIES = 10000,
    MAX_LATE_STEPS = 3,
    MAX_BUCKETS = 24,
    LABEL_BYTES = 16
};

/* From from_ms for as long as to_ms after the start, every server scrapes factor times as often. */
struct burst {
    int64_t factor;
    int64_t from_ms;
    int64_t to_ms;
};

struct model_params {
    uint64_t seed;
    uint32_t n_servers;
    uint32_t first_server; /* number of the first one: generators beside each other take others */
    uint32_t n_series;     /* per server; every tenth a histogram */
    int64_t interval_ms;
    int64_t start_ms;
    uint32_t n_bursts;
    struct burst bursts[MAX_BURSTS]; /* in order, apart from each other */
    /* Probabilities per scrape. */
    double resets;     /* counters begin anew, the start time stays */
    double restarts;   /* counters begin anew with a new start time */
    double late;       /* held back by some steps */
    double duplicates; /* sent twice */
    double forbidden;  /* some points carry a player_id */
    double garbage;    /* a message of random bytes goes before it */
};

struct model_series {
    const struct catalogue_metric *metric;
    bool is_histogram;
    uint32_t k; /* which value of the dimension */
    char dimension_value[DIMENSION_BYTES];
};

/* Since when a server's counters count. */
struct epoch {
    int64_t reset_step;   /* 0 = they ran before the load began */
    int64_t restart_step; /* 0 = the process did */
};

struct epoch_mark; /* the last epoch asked for, per server */

struct model {
    struct model_params p;
    struct model_series *series; /* counters in front, a metric's series side by side */
    uint32_t n_counters;
    struct epoch_mark *marks;
};

struct model_server {
    char source[LABEL_BYTES]; /* service.instance.id */
    char az[LABEL_BYTES];
    char build_id[LABEL_BYTES];
    char cluster[LABEL_BYTES];
    char instance_type[LABEL_BYTES];
    char region[LABEL_BYTES];
    char shard_id[LABEL_BYTES];
};

struct model_histogram {
    int32_t scale;
    int32_t offset; /* OTLP: bucket i counts (base^(offset+i), base^(offset+i+1)] */
    uint32_t n_buckets;
    uint64_t counts[MAX_BUCKETS];
    uint64_t zero_count;
    uint64_t count;
    double sum;
};

/* ERR_CONFIG when the parameters make no sense. */
bool model_init(struct model *m, const struct model_params *p, struct err *e) MUST_CHECK;
void model_fini(struct model *m);

/* Server numbers below count from 0. */
void model_server(const struct model *m, uint32_t server, struct model_server *out);
/* ms since the start of the load; steps differ by at least 1 ms. */
int64_t model_elapsed_ms(const struct model *m, uint32_t server, int64_t step);
int64_t model_time_ms(const struct model *m, uint32_t server, int64_t step);
/* What OTLP carries: the ms, and some ns that are cut off on the way to Prometheus. */
uint64_t model_time_ns(const struct model *m, uint32_t server, int64_t step);
/* The step of a sample time, or -1 when the server has none at that time. */
int64_t model_step_at(const struct model *m, uint32_t server, int64_t time_ms);

struct epoch model_epoch(const struct model *m, uint32_t server, int64_t step);
uint64_t model_start_ns(const struct model *m, uint32_t server, struct epoch epoch);

/* A counter's raw number; model_value is what is stored. */
int64_t model_counter(const struct model *m, uint32_t server, uint32_t series, int64_t step,
                      struct epoch epoch);
double model_value(const struct model *m, uint32_t series, int64_t counter);
void model_histogram(const struct model *m, uint32_t server, uint32_t series, int64_t step,
                     struct epoch epoch, struct model_histogram *out);

/* Misdeeds. */
int64_t model_late_steps(const struct model *m, uint32_t server, int64_t step); /* 0 = in time */
uint32_t model_copies(const struct model *m, uint32_t server, int64_t step);    /* 1 or 2 */
bool model_forbidden(const struct model *m, uint32_t server, int64_t step);
/* Whether this series is one with a player_id in the messages that have some. */
bool model_series_forbidden(const struct model *m, uint32_t series);
bool model_garbage(const struct model *m, uint32_t server, int64_t step);
/* Not a message of any kind; up to max_bytes. */
size_t model_garbage_bytes(const struct model *m, uint32_t server, int64_t step, uint8_t *out,
                           size_t max_bytes);
/* Rises along the order in which a server's messages are sent. */
int64_t model_order(const struct model *m, uint32_t server, int64_t step);
