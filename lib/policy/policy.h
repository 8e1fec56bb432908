/* The policy: what tenants may send (schemas/policy.schema.json). One file, read into an immutable
 * struct; the defaults, changed by the file's top level, changed by a tenant's own entry, give that
 * tenant's rules. A tenant that is not listed is unknown. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/table.h"
#include "batch/series.h"
#include "policy/glob.h"

struct class_rule {
    struct text_list metrics; /* patterns on the translated name */
    enum batch_class class;
};

struct label_rules {
    struct text_list allow;
    struct text_list forbid;
    int64_t max_name_bytes;
    int64_t max_value_bytes;
    bool strip_unknown;    /* or reject the series */
    struct slice identity; /* the label that keeps two sources' series apart; empty = none */
};

struct kind_rules {
    bool allowed[4];                /* by enum series_kind */
    struct text_list gauge_metrics; /* patterns that may be gauges even so */
    struct text_list classic_histogram_metrics;
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
    bool open; /* everything well-formed passes, but for forbidden labels */
    struct label_rules labels;
    struct text_list names; /* patterns on the translated name */
    int64_t max_name_bytes;
    struct kind_rules kinds;
    struct source_rules source;
    struct class_rules classes;
    int64_t max_age_ms;
    int64_t max_future_ms;
    int64_t max_series; /* of one source in one message */
    int64_t max_labels; /* of one series */
    struct budgets budgets;
    struct quota quota;
};

struct policy_tenant {
    struct slice name;
    struct text_list principals; /* who it is by certificate: a SAN URI, or "CN=<common name>" */
    struct rules rules;
};

struct policy {
    char version[96]; /* "<the file's own version>-<hash>", or the hash */
    uint32_t n_tenants;
    const struct policy_tenant *tenants; /* in the file's order */
    struct rules rules;                  /* of a tenant without an entry of its own values */
    /* private */
    struct arena arena;
    struct table by_name;
    struct table by_principal;
};

/* ERR_CONFIG names the place: "labels.unknown: …". On success *out is the caller's (policy_free).
 */
bool policy_parse(struct slice json, struct policy **out, struct err *e) MUST_CHECK;
bool policy_load(const char *path, struct policy **out, struct err *e) MUST_CHECK;
void policy_free(struct policy *p);
/* NULL = unknown. */
const struct policy_tenant *policy_tenant(struct policy *p, struct slice name);
/* Whose certificate it is; NULL = nobody's. No principal is two tenants'. */
const struct policy_tenant *policy_principal(struct policy *p, struct slice principal);
