/* An operators' rule that takes effect within a second: a kill switch, a temporary budget,
 * shedding, a stage's pause. One record of the topic sluice.control (schemas/control.schema.json): JSON, key = id.
 * Every rule ends by itself.
 *
 * Newer tools may write kinds and fields that are not known here: they are counted and left out. So
 * a field that would make a rule narrower needs a new kind. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "batch/series.h"

enum {
    CONTROL_MAX_BYTES = 4096,
    CONTROL_MAX_ID_BYTES = 64,
    CONTROL_MAX_LABELS = 64,
    CONTROL_MAX_SAMPLE_N = 1000000,
    CONTROL_MAX_PARTITIONS = 512
};
#define CONTROL_MAX_TTL_MS (INT64_C(30) * 24 * 3600 * 1000)

enum control_kind { CONTROL_KILL, CONTROL_LIMIT, CONTROL_SHED, CONTROL_PAUSE, N_CONTROL_KINDS };
enum control_budget {
    CONTROL_SOURCE,
    CONTROL_METRIC,
    CONTROL_TENANT,
    CONTROL_SAMPLES_PER_SECOND,
    N_CONTROL_BUDGETS
};

struct control_label {
    struct slice name;
    struct slice value; /* glob; a series without the label does not match */
};

/* One block of memory, all its strings included. */
struct control_rule {
    enum control_kind kind;
    struct slice id;
    struct slice tenant; /* empty: all (CONTROL_SHED), none (CONTROL_PAUSE) */
    struct slice who;
    struct slice reason;
    int64_t created_ms;
    int64_t expires_ms; /* live before it */

    struct slice metric; /* kill: glob, empty = all; limit by metric: exact, else empty */
    uint32_t n_labels;   /* kill: all must match */
    const struct control_label *labels;
    uint32_t sample_n; /* kill: 0 = drop all, else one batch in so many passes */

    enum control_budget budget; /* limit */
    int64_t value;

    enum batch_class class; /* shed: standard or verbose */

    struct slice group;    /* pause: the consumer group */
    struct slice topic;    /* empty = all that it reads */
    uint32_t n_partitions; /* 0 = all */
    const int32_t *partitions;
    bool leaves; /* its workers leave the group as well; of all topics and partitions only */

    struct control_rule *next; /* of the same kind and tenant, newest first */
    /* private */
    struct hash128 content;
    uint32_t index;
};

/* *out is the caller's (control_free); NULL = of a kind that is not known here. ERR_BAD_INPUT names
 * the field. */
bool control_parse(struct slice id, struct slice json, struct control_rule **out,
                   uint32_t *n_unknown_fields, struct err *e) MUST_CHECK;
void control_free(struct control_rule *rule);
/* Appends the record's JSON, one line; check buf_ok. What it writes need not be what control_parse
 * takes. */
bool control_write(const struct control_rule *r, struct buf *out, struct err *e) MUST_CHECK;
/* The same, and sees that readers will take it: ERR_BAD_INPUT names the field otherwise. */
bool control_write_checked(const struct control_rule *r, struct buf *out, struct err *e) MUST_CHECK;
const char *control_kind_name(enum control_kind kind);
const char *control_budget_name(enum control_budget budget);

/* Does the rule match the series? Sampling is apart, since it is a batch's matter. */
bool control_kill_matches(const struct control_rule *r, struct slice tenant,
                          const struct series *s);
/* Does it match everything that the tenant has? */
bool control_kill_is_total(const struct control_rule *r);
bool control_partition_listed(const int32_t *list, uint32_t n, int32_t partition);
/* Does it pause the partition for the group? */
bool control_pauses(const struct control_rule *r, struct slice group, struct slice topic,
                    int32_t partition);
/* A sampling rule is a drop rule that is switched off for one batch in N: for this one? The same on
 * every machine; false for a rule that drops all. */
bool control_sample_passes(const struct control_rule *r, uint64_t source, int64_t base_ms);
