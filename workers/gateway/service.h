/* What it takes to answer a request. One for the process; made by gateway.c, used by every lane. */
#pragma once

#include "flights.h"
#include "judge.h"
#include "load.h"
#include "peers.h"
#include "stage/publisher.h"

struct service {
    struct directory *directory;
    struct judge *judges; /* one for each lane's number */
    struct publisher *publisher;
    struct peers *peers;
    struct flights flights;
    struct load load;
    bool passes; /* edge: pass */
    size_t max_body_bytes;
    int64_t ack_timeout_ms;
    _Atomic(bool) draining; /* answers close their connections */
    _Atomic(bool) closed;   /* nothing new goes to sleep */
    bool fault_ack_early;
};
