/* What one tenant may send: the rules that a policy's file comes to for it. */
#pragma once

#include "batch/series.h"
#include "policy/dictionary.h"
#include "policy/glob.h"
#include "policy/personal_data.h"
#include "policy/rule_place.h"
#include "policy/value_pattern.h"

struct class_rule {
    struct text_list metrics; /* patterns on the translated name */
    enum batch_class class;
};

struct label_rename {
    struct slice from; /* as the tenant names it */
    struct slice to;
};

struct value_rule {
    struct slice label;
    int64_t max_bytes; /* 0 = as for all */
    uint32_t n_patterns;
    const struct value_pattern *patterns; /* one of them must match; none = any value */
};

struct label_rules {
    struct text_list allow;
    struct text_list forbid;
    int64_t max_name_bytes;
    int64_t max_value_bytes;
    bool strip_unknown;    /* or reject the series */
    struct slice identity; /* the label that keeps two sources' series apart; empty = none */
    uint32_t n_renames;
    uint32_t n_values;
    const struct label_rename *renames;
    const struct value_rule *values;
    struct detectors detectors;
};

struct kind_rules {
    bool allowed[4];                /* by enum series_kind */
    struct text_list gauge_metrics; /* patterns that may be gauges even so */
    struct text_list classic_histogram_metrics;
    bool delta; /* temporality delta is taken: for rollups and files, stores skip it */
};

struct source_rules {
    struct text_list attributes; /* the first resource attribute that is there names the source */
    struct text_list labels;     /* else the first label; empty = the identity label */
};

struct class_rules {
    enum batch_class fallback;
    uint32_t n;
    const struct class_rule *items; /* the first that matches */
};

struct budget {
    int64_t max; /* 0 = no budget */
    bool shadow; /* over it: count what would be refused, refuse nothing */
};

struct budgets {
    struct budget source; /* series of each source that may be active at a time */
    struct budget metric; /* the same for each of the tenant's metrics */
    struct budget tenant; /* and for the whole tenant */
    struct budget rate;   /* the tenant's samples per second */
};

/* What the gateway takes of a tenant, over all its replicas; 0 = no quota. */
struct quota {
    int64_t samples_per_second;
    int64_t bytes_per_second; /* of bodies, unpacked */
    int64_t requests_per_second;
    int64_t burst_seconds; /* what was not used for so long may be made up for at once */
};

struct rules {
    bool open;              /* everything well-formed passes, but for forbidden labels */
    struct text_list scope; /* prefixes of translated names, in any mode; none = any name */
    struct label_rules labels;
    struct text_list names; /* patterns on the translated name */
    int64_t max_name_bytes;
    struct kind_rules kinds;
    bool listed_only;                          /* a metric that no dictionary lists is refused */
    struct metric_list metrics[N_RULE_LEVELS]; /* the dictionaries, by the level they stand at */
    struct source_rules source;
    struct class_rules classes;
    int64_t max_age_ms;
    int64_t max_future_ms;
    int64_t max_series; /* of one source in one message */
    int64_t max_labels; /* of one series */
    struct budgets budgets;
    struct quota quota;
    uint8_t set_at[N_RULE_KEYS]; /* enum rule_level, by enum rule_key */
};
