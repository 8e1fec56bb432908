/* OTLP messages of a fleet of game servers, for benches: 300 points each, 6 attributes, one in ten an exponential histogram
 * of 20 to 60 buckets a side. Ends the program when memory is out. */
#pragma once

#include "base/slice.h"

enum { FLEET_METRICS = 30, FLEET_POINTS = 10 };
#define FLEET_NOW_MS INT64_C(1780000000000)

struct otlp_fleet;

struct otlp_message {
    struct slice bytes;
    unsigned n_points;
};

struct otlp_fleet *otlp_fleet_new(void);
/* Sums alone. */
struct otlp_fleet *otlp_fleet_new_sums(void);
void otlp_fleet_free(struct otlp_fleet *t);
/* parts: 1, or 2: each server's metrics cut at a random place into two messages. */
struct otlp_message *otlp_fleet_messages(struct otlp_fleet *t, unsigned n_servers, unsigned parts);
void otlp_fleet_free_messages(struct otlp_message *messages, size_t n);
