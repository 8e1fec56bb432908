/* Several limiters in one process, with the partitions of a topic among them, in Kafka's place: the
 * state as it was committed, sluice.leases that each reads late, transactions that are under way
 * while the next box is filled, aborts, rebalances and kills. After each commit an auditor reads
 * the state back and looks whether the budgets hold (tests/model/limit_model.py has the same
 * invariants). A seed is one run. */
#pragma once

#include "rig.h"

enum { WORLD_PARTITIONS = 4, WORLD_PROCESSES = 3, WORLD_METRICS = 3, WORLD_SOURCES = 2 };

/* Scopes: the metrics, and these. */
enum { WORLD_TENANT = WORLD_METRICS, WORLD_RATE };

/* A rule that is left out, so that the auditor has something to find. */
enum world_break {
    BREAK_NOTHING,
    BREAK_KEEPS_MEMORY,     /* after an abort partitions go on from memory */
    BREAK_EARLY_COPIES,     /* sluice.leases is written outside the transaction */
    BREAK_FORGETS_COUNTERS, /* a lease with nothing active and nothing left is not in the state */
    BREAK_RETURNED_LOST,    /* a takeover does not read the leases back */
    BREAK_GRANTS_LOST,      /* a new allocator does not read back what was granted */
    N_BREAKS
};

struct world_box {
    struct outbox out;
    size_t n_inputs;
    bool moved[WORLD_PARTITIONS];
    size_t position[WORLD_PARTITIONS]; /* when it was closed */
};

struct world_process {
    struct limit *limit;
    char policy_path[64];
    struct partition partitions[WORLD_PARTITIONS];
    bool is_ready[WORLD_PARTITIONS];
    size_t position[WORLD_PARTITIONS];
    struct world_box boxes[2];
    int filling;
    bool is_running; /* the other box is being committed */
    size_t n_leases_read;
    int n_limits_read[WORLD_RATE + 1]; /* of n_limits */
};

struct world_lease_copy {
    struct slice key; /* owned, as value */
    struct slice value;
    int64_t at_ms;
};

struct world_input {
    struct slice value; /* owned */
    int64_t at_ms;
};

/* What a source sends: of each metric the series [from, from + n). */
struct world_source {
    char name[16];
    int from[WORLD_METRICS];
    int n[WORLD_METRICS];
};

struct world {
    uint64_t random;        /* for what happens */
    uint64_t demand_random; /* for what sources send */
    int64_t now_ms;         /* from NOW_MS on */
    bool is_calm;
    enum world_break broken;
    bool is_unleased;    /* what came before there was a budget exceeds the leases */
    bool has_histograms; /* metric 2 is one, of weight 4 */
    const char *policy;  /* NULL: with budgets for all; before world_open */
    struct metrics *metrics;
    struct rig kafka[WORLD_PARTITIONS]; /* their state alone */
    struct world_input *inputs[WORLD_PARTITIONS];
    size_t n_inputs[WORLD_PARTITIONS];
    size_t committed[WORLD_PARTITIONS];
    uint64_t admitted[WORLD_PARTITIONS]; /* a digest, heartbeats left out */
    int owner[WORLD_PARTITIONS];
    struct world_process processes[WORLD_PROCESSES];
    struct world_lease_copy *leases;
    size_t n_leases;
    struct world_source sources[WORLD_PARTITIONS][WORLD_SOURCES];
    int64_t limits[WORLD_RATE + 1]; /* by control; 0: none */
    int n_limits[WORLD_RATE + 1];
    struct limit *auditor;
    struct partition truth[WORLD_PARTITIONS];
    int64_t leased[WORLD_RATE + 1]; /* as of the last commit, as budget */
    int64_t budget[WORLD_RATE + 1];
    uint64_t n_samples; /* sent */
    uint64_t n_commits;
    uint64_t n_aborts;
    uint64_t n_waits;
    uint64_t n_retries;
    uint64_t n_rebalances;
    uint64_t n_said; /* records of leases and grants, ticks left out */
    char error[256]; /* the first */
};

void world_open(struct world *w, uint64_t seed);
void world_close(struct world *w);
/* So many turns of 3 s; ends early with an error. */
void world_run(struct world *w, int n_turns);
/* A record of sluice.leases that a commit holds. */
void world_audit_copy(struct world *w, struct slice value);
/* After a commit that moved these partitions. */
void world_audit(struct world *w, const bool moved[WORLD_PARTITIONS]);
/* New series, about n over all sources of the first n_partitions; the others fall silent. */
void world_demand(struct world *w, int n, int n_partitions);
/* As by sluice-control; 0: revoked. */
void world_limit(struct world *w, int which, int64_t value);
/* One process alone has read of it. */
void world_limit_at(struct world *w, int process, int which, int64_t value);
/* Over all partitions: of the tenant, or of a metric. */
int64_t world_active(struct world *w, int which);
int64_t world_in_force(struct world *w, int which);
/* What sources send now. */
int64_t world_wanted(const struct world *w, int which);
