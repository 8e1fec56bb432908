/* sluice-validate --explain: one message judged as validate would judge it, with the rule that
 * decided about each series. No Kafka. */
#pragma once

#include "edge/rejects.h"
#include "policy/judge.h"
#include "policy/policy.h"

enum explain_format {
    EXPLAIN_AUTO,
    EXPLAIN_OTLP,
    EXPLAIN_OTLP_JSON,
    EXPLAIN_REMOTE_WRITE,
    EXPLAIN_AVRO
};

/* One series' verdict. Of a refused one no label's value is kept. */
struct explained {
    struct slice sent;   /* the metric as the tenant named it */
    struct slice stored; /* "name{label="value",…}"; empty when refused */
    struct slice kind;
    struct slice unit;
    struct slice source;
    struct slice class;
    struct slice label;               /* the one to blame, or nothing */
    uint32_t n_more;                  /* others that are refused, too */
    const struct refused_label *more; /* without their values */
    struct slice rule; /* its place in the policy; empty: it is no rule of the policy */
    struct slice what; /* refused: what is wrong, and what to change */
    struct slice help; /* the dictionary's */
    enum reason reason;
    bool is_stripped; /* labels were left out */
    struct explained *next;
};

struct explanation {
    struct slice tenant;
    const char *policy_version;
    const char *format;
    const struct explained *first;
    uint32_t n_accepted; /* series */
    uint32_t n_refused;
    uint64_t n_samples;
    uint64_t n_samples_refused;
    const struct reject *rejects; /* all that was refused, by (reason, metric, label) */
    enum reason record_reason;    /* the message as a whole is refused */
    struct slice record_text;
};

struct explain;

/* The policy stays the caller's, and outlives the result. */
bool explain_new(struct policy *p, struct explain **out, struct err *e) MUST_CHECK;
void explain_free(struct explain *x);
/* What *out points to lives until explain_free. ERR_CONFIG: no such tenant. */
bool explain_message(struct explain *x, struct slice tenant, enum explain_format format,
                     struct slice message, int64_t now_ms, struct explanation *out,
                     struct err *e) MUST_CHECK;
