/* The connections: how many there may be, in all and from one address, and how long each may take
 * for what it is at. libmicrohttpd's own time-out starts anew with every byte; these don't.
 *
 *   accepted ──► HEAD ──► BODY ──► ANSWERING ──► IDLE ──► HEAD …
 *                  └────────┴── too long ──► cut: 408 where it can be said, and closed
 *                 LINGERS: answered already, what it still sends is thrown away for a moment */
#pragma once

#include "certificate.h"
#include "run/metrics.h"

#include <pthread.h>
#include <sys/socket.h>

enum peer_phase { PEER_HEAD, PEER_BODY, PEER_ANSWERING, PEER_IDLE, PEER_LINGERS, N_PEER_PHASES };

struct peer {
    struct peer *next;
    struct peer *previous;
    int fd;
    bool is_tls;
    bool begun; /* by libmicrohttpd: it tells when the descriptor is about to be closed */
    bool cut; /* by us: its time was over */
    bool head_open; /* a request's line has been read, its headers not to their end */
    uint8_t address[16];
    enum peer_phase phase;
    int64_t since_mono_ms; /* of the phase */
    /* The connection's thread's alone. */
    bool identified; /* certificate is filled in */
    struct certificate certificate;
};

struct peers_options {
    size_t max;             /* connections */
    size_t max_per_address; /* an IPv6 network of 64 bits is one; 0 = no bound */
    int64_t max_ms[N_PEER_PHASES];
    struct metrics *metrics;
};

struct peers;

bool peers_new(const struct peers_options *o, struct peers **out, struct err *e) MUST_CHECK;
void peers_free(struct peers *p);
/* A connection that was accepted; false: there are too many, close it. */
bool peers_add(struct peers *p, int fd, const struct sockaddr *address, bool is_tls);
/* One that was added and not taken: it is counted as refused. Its descriptor is closed already, and
 * may be something else's by now. */
void peers_refuse(struct peers *p, int fd);
/* Begins the one of the descriptor; NULL when there is none. */
struct peer *peers_begin(struct peers *p, int fd);
/* Its descriptor is about to be closed. */
void peers_remove(struct peers *p, struct peer *peer);
/* False: it has been cut, nothing more may be said on it. */
bool peers_enter(struct peers *p, struct peer *peer, enum peer_phase phase, int64_t mono_ms);
/* Cuts those that take too long, and forgets those that never began. */
void peers_sweep(struct peers *p, int64_t mono_ms);
size_t peers_count(struct peers *p);
