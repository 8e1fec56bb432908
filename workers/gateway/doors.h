/* The ports: what is accepted on them goes to the lanes. A thread accepts; TLS files that change
 * become a new set of lanes.
 *
 *   plain port ──► lanes
 *   TLS port ────► newest set of TLS lanes; older ones serve their connections to the end */
#pragma once

#include "lanes.h"

struct doors;

struct doors_options {
    struct lane_options lanes;
    const char *address;
    int port;     /* -1 = none */
    int tls_port; /* -1 = none */
    const char *certificate_path;
    const char *key_path;
    const char *ca_path; /* "" = none */
    struct metrics *metrics;
};

/* Listens, and serves at once. */
bool doors_open(const struct doors_options *o, struct doors **out, struct err *e) MUST_CHECK;
int doors_port(const struct doors *d);
int doors_tls_port(const struct doors *d);

enum doors_change { DOORS_SAME, DOORS_NEW, DOORS_REFUSED };
/* Reads the TLS files again if one has changed; old sets that are empty end. By one thread. */
enum doors_change doors_reload(struct doors *d, struct err *e);
/* Nobody new is let in. */
void doors_shut(struct doors *d);
/* Closes what is left. No connection may be asleep. */
void doors_close(struct doors *d);
