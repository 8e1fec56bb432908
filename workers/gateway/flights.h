/* Requests whose records are on their way: the connection sleeps until the last report of the
 * brokers has come, or the time is over. A flight is freed when its connection has left it and all
 * reports are in, whichever comes last.
 *
 *   flights_begin (sleeps) ──► flight_expect, publisher_put … ──► flight_land (ours)
 *                                       flight_land (each report) ──► 0 left: wakes up */
#pragma once

#include "base/err.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>

struct flights;

struct flight {
    struct flights *flights;
    struct flight *next;
    struct flight *previous;
    struct MHD_Connection *connection;
    int64_t deadline_mono_ms;
    int n_waiting; /* reports to come, and ours until flight_land */
    bool listed;
    bool awake;     /* was woken up */
    bool timed_out; /* while reports were missing */
    bool left;      /* by its connection */
    struct err failed; /* the first failure that was reported */
    size_t n_bytes;    /* of what was put; for landed */
};

struct flights {
    pthread_mutex_t lock;
    struct flight *first;
    /* All reports of a flight are in. Called once, from any thread. */
    void (*landed)(void *ctx, struct flight *f);
    /* The flight is nobody's any more. */
    void (*free_flight)(struct flight *f);
    void *ctx;
};

bool flights_init(struct flights *f, struct err *e) MUST_CHECK;
void flights_fini(struct flights *f);
/* On the connection's thread, in its handler: it sleeps until it is woken up. */
void flights_begin(struct flights *all, struct flight *f, struct MHD_Connection *c, int64_t deadline_mono_ms);
void flight_expect(struct flight *f, size_t n_bytes);
/* One report less to come. failed: NULL = well. */
void flight_land(struct flight *f, const struct err *failed);
/* Wakes it up although reports are missing. */
void flight_wake(struct flight *f);
/* The connection has no more use for it; after it f may be gone. */
void flight_leave(struct flight *f);
/* Wakes up those whose time is over; all of them when mono_ms is INT64_MAX. */
void flights_sweep(struct flights *f, int64_t mono_ms);
