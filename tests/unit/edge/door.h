/* A judge with a policy's file, for tests; and validate behind it (rig.h), for comparison. */
#pragma once

#include "edge/edge.h"
#include "rig.h"

struct door {
    struct edge *edge;
    char policy_path[64];
    struct edge_answer answer; /* the last one */
    struct err why;            /* of the last judgement that failed */
};

/* policy NULL: {"tenants": {"t": {}}}; cache_bytes 0: 64 MiB. */
void door_open(struct door *d, const char *policy, size_t cache_bytes);
void door_close(struct door *d);
void door_policy(struct door *d, const char *json); /* writes the file */
/* Tenant t, at NOW_MS. Accounts are checked, and that each batch stands up to validate's forwarding. */
bool door_judge(struct door *d, enum edge_format format, struct slice body);
/* A message of one resource that must be readable. */
void door_judge_points(struct door *d, const char *attributes, const struct message_point *points,
                       size_t n);
/* What the last answer's batches become in validate, as rig_text has it. */
const char *door_text(struct door *d);
