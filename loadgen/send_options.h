/* The options of `send`. */
#pragma once

#include "door.h"
#include "manifest.h"
#include "options.h"

struct send_options {
    struct options given;
    struct manifest manifest; /* parameters, brokers and topic are filled in */
    const char *manifest_path;
    struct door_options door; /* url NULL: to Kafka; what is given is filled in */
    const char *codec;
    int64_t linger_ms;
    int64_t max_queue_kbytes;
    int64_t run_ms;      /* 0 = no end by time */
    int64_t max_scrapes; /* 0 = no end by number */
    bool paced;
    bool starts_now; /* the first scrape waits for start_ms */
    bool json;
};

/* ERR_CONFIG. manifest_fini is the caller's, whatever comes back. */
bool send_options_read(struct send_options *o, int argc, char **argv, struct err *e) MUST_CHECK;
void send_options_help(void);
