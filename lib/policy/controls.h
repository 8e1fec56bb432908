/* The rules of sluice.control that are live. No Kafka: whoever reads the topic hands on its
 * records.
 *
 *   record ──► controls_take ──► live rules ──► controls_kills, controls_limit, controls_shed, controls_pauses
 *              controls_expire ──┘
 */
#pragma once

#include "base/table.h"
#include "policy/control.h"

enum { CONTROL_MAX_RULES = 10000 };

/* Not for use by two threads at a time. */
struct controls {
    uint64_t version; /* moves whenever the live rules change; drawn, so it never repeats */
    uint32_t n_rules;
    uint32_t n_by_kind[N_CONTROL_KINDS]; /* of them */
    struct control_rule **rules;         /* owned, in no order */
    uint64_t n_unknown_kinds;
    uint64_t n_unknown_fields;
    uint64_t n_bad;
    /* private */
    uint64_t *draw;
    uint32_t cap_rules;
    int64_t next_expiry_ms;
    struct table by_id;
    struct table by_tenant;
};

/* draw: the process's source of numbers that are never used twice; outlives c. */
void controls_init(struct controls *c, uint64_t *draw);
void controls_fini(struct controls *c);
/* A record; value.ptr NULL: revoked. It replaces what its id said, even when it is bad or of an
 * unknown kind (the log keeps only this one). A rule that is over at now_ms is left out.
 * ERR_BAD_INPUT also when there are too many rules. */
bool controls_take(struct controls *c, struct slice id, struct slice value, int64_t now_ms,
                   struct err *e) MUST_CHECK;
/* Rules that are over leave; true: the set changed. Cheap when nothing is due. */
bool controls_expire(struct controls *c, int64_t now_ms);

/* What follows lives until the next take or expire. Loop: for (r = …; r != NULL; r = r->next). */
const struct control_rule *controls_kills(const struct controls *c, struct slice tenant);
/* The newest limit for the budget, NULL when there is none; metric: of CONTROL_METRIC only. */
const struct control_rule *controls_limit(const struct controls *c, struct slice tenant,
                                          enum control_budget budget, struct slice metric);
/* Why the tenant's batches of the class are to be shed, NULL: they are not. Standard shed implies
 * verbose. */
const struct control_rule *controls_shed(const struct controls *c, enum batch_class class,
                                         struct slice tenant);
/* All pauses, of whichever group. */
const struct control_rule *controls_pauses(const struct controls *c);
/* The newest rule that pauses the partition for the group; NULL: none. */
const struct control_rule *controls_pause_of(const struct controls *c, struct slice group, struct slice topic,
                                             int32_t partition);
