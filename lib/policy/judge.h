/* The policy's verdict on one series as a tenant sent it: refused with a reason, or the canonical
 * series it becomes (translated name, sorted labels), its source and its class. A function of the
 * series and the rules alone, so that verdicts are cached. */
#pragma once

#include "base/arena.h"
#include "batch/series.h"
#include "policy/policy.h"
#include "policy/reason.h"

struct raw_label {
    struct slice name;
    struct slice value;
    bool is_text; /* false: a list, map or bytes, which no label can hold */
};

struct raw_labels {
    uint32_t n;
    const struct raw_label *items;
};

/* What a resource's attributes come to, whatever the series: see policy_judge_attributes. */
struct judged_attribute;
struct judged_attributes {
    uint32_t n;
    const struct judged_attribute *items;
};

/* What a metric comes to, whatever the labels: see policy_judge_metric. */
struct judged_metric {
    enum reason reason;
    struct slice name;
    struct slice unit;
    enum series_kind kind;
    enum batch_class class;
    struct metric_match listed;
    struct rule_place rule;
    const char *detail;
};

struct raw_series {
    struct slice metric;
    struct slice suffix; /* put behind the translated name: "_sum" of a summary, or nothing */
    struct slice unit;
    enum series_kind kind;
    bool delta;
    bool kind_is_guess; /* the format tells no kinds (remote write): the dictionary's word counts */
    bool is_up_down;    /* a sum that goes up and down: a gauge that is never a _ratio */
    bool is_final;      /* names are as they will be stored: nothing is translated */
    struct slice source; /* from a format that says it; empty = by the policy */
    struct raw_labels
        attributes; /* the resource's: those allowed become labels, the rest is ignored */
    const struct judged_attributes *judged;    /* the same, judged before; NULL = not yet */
    const struct judged_metric *metric_judged; /* likewise: the metric with suffix, unit and kind */
    struct raw_labels labels; /* the point's: each must be allowed; they win over the resource's */
    struct raw_label extra;   /* one that sluice adds ("quantile"), or nothing */
    const double *bounds;     /* classic histograms */
    uint32_t n_bounds;
};

enum { VERDICT_MAX_MORE = 7 };

struct refused_label {
    struct slice label; /* as the tenant named it */
    struct slice value; /* never to be shown in clear; empty = it is no text */
    enum reason reason;
};

struct verdict {
    enum reason reason;   /* REASON_NONE: accepted, and then: */
    struct series series; /* with its id */
    struct slice source_name;
    enum batch_class class;
    uint64_t stripped;      /* hash of the labels that were stripped, 0 = none */
    struct slice label;     /* refused: the label it is about, as the tenant named it, or nothing */
    struct slice value;     /* its value: never to be shown in clear */
    struct rule_place rule; /* refused: what decided, if it is the policy; accepted: the class's */
    const char *detail;     /* refused: a static text that says more than the reason, or NULL */
    /* Refused for a label: others of its labels that are refused, too, in their order, so that a
     * tenant need not find them one by one. VERDICT_MAX_MORE at most. */
    uint32_t n_more;
    const struct refused_label *more;
};

/* A resource's attributes once for all its series: which become labels, sorted, and what is wrong
 * with them. Of raw_series only is_final and attributes count. Lives in a. False: no memory in a.
 */
bool policy_judge_attributes(const struct rules *rules, const struct raw_series *raw,
                             struct arena *a, struct judged_attributes *out,
                             struct err *e) MUST_CHECK;
/* A metric once for all its series: of raw_series all counts but labels, attributes and source. */
bool policy_judge_metric(const struct rules *rules, const struct raw_series *raw, struct arena *a,
                         struct judged_metric *out, struct err *e) MUST_CHECK;
/* What the verdict points to lives in a, in raw, or in the rules. False: no memory in a. */
bool policy_judge(const struct rules *rules, struct slice tenant, const struct raw_series *raw,
                  struct arena *a, struct verdict *out, struct err *e) MUST_CHECK;
