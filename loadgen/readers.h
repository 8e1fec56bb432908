/* Where the verifier finds samples: each reader brings all it sees into the ledger. */
#pragma once

#include "ledger.h"

struct reader {
    struct ledger *ledger;
    struct matcher *matcher;
    const char *tenant; /* topics: others' batches are passed over; NULL = all */
    int64_t wait_ms;    /* topics: how long to wait for open transactions */
    uint64_t n_read;    /* samples seen, of whomever */
    uint64_t n_records; /* topics */
};

/* A series topic, read_committed, from the start to what is its end now. */
bool read_topic(struct reader *r, const char *brokers, const char *topic, struct err *e) MUST_CHECK;
/* Counts records, read_committed. */
bool read_count(struct reader *r, const char *brokers, const char *topic, uint64_t *n_records,
                struct err *e) MUST_CHECK;
/* tests/receiver's /dump. url: its address, "http://127.0.0.1:9999". */
bool read_receiver(struct reader *r, const char *url, struct err *e) MUST_CHECK;
/* Prometheus's remote read: raw samples, native histograms with their buckets. */
bool read_prometheus(struct reader *r, const char *url, struct err *e) MUST_CHECK;
