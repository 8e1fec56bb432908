/* Who may publish what, now: the policy's tenants with their quotas and cells, the tokens, the
 * principals of certificates, the operators' rules. Changed while requests are served; every call
 * is safe from any thread. Tenants live until the directory is freed. */
#pragma once

#include "answer.h"
#include "certificate.h"
#include "outcome.h"
#include "policy/controls.h"
#include "policy/policy_file.h"
#include "quota.h"
#include "tokens.h"

#include <stdatomic.h>

struct tenant {
    struct slice name; /* owned; "unknown" for nobody, whose metrics need a name too */
    bool is_known;     /* the policy has it, now */
    struct quota_meter quota;
    const struct control_rule *rate_rule; /* the directory's: what sets the samples' rate for now; NULL = the policy */
    _Atomic(size_t) n_bytes_in_flight;
    _Atomic(int) n_requests_in_flight;
};

struct directory;

struct directory_options {
    const char *policy_path; /* borrowed */
    const char *tokens_path; /* borrowed; "" = no tokens */
    int64_t n_replicas;
    struct metrics *metrics;
};

/* What a request says of itself. */
struct credentials {
    struct slice authorization; /* the header's value */
    struct slice named[2];      /* tenants that headers name; empty = not */
    const struct certificate *certificate; /* NULL = not TLS */
};

/* Classes that the operators' rules shed. */
struct shed_orders {
    bool sheds[N_CLASSES];
    char rule_ids[N_CLASSES][CONTROL_MAX_ID_BYTES + 1]; /* of a rule that sheds the class; empty = none does */
};

/* The rule to name when so many samples were shed: that of the most important class among them. */
const char *shed_orders_rule(const struct shed_orders *o, const uint64_t n_shed[N_CLASSES]);

bool directory_open(const struct directory_options *o, struct directory **out, struct err *e) MUST_CHECK;
void directory_close(struct directory *d);
/* Reads the policy and the tokens again if they have changed. POLICY_REFUSED: e says why, the old
 * ones stay. */
enum policy_change directory_reload_policy(struct directory *d, struct err *e);
enum policy_change directory_reload_tokens(struct directory *d, struct err *e);
const char *directory_policy_version(struct directory *d);
/* A record of sluice.control. */
bool directory_control(struct directory *d, struct slice id, struct slice value, int64_t now_ms,
                       struct err *e) MUST_CHECK;
void directory_expire(struct directory *d, int64_t now_ms);

/* Nobody: for the metrics of requests that could not be told. */
struct tenant *directory_nobody(struct directory *d);
/* False: the refusal is 401 or 403. */
bool directory_identify(struct directory *d, const struct credentials *c, int64_t now_ms, struct tenant **out,
                        struct answer *refusal);
/* Takes a request of the tenant. False: a kill switch covers all of it (403), or a quota is used up
 * (429). */
bool directory_admit(struct directory *d, struct tenant *t, int64_t mono_ms, struct answer *refusal);
/* What the request turned out to hold. */
void directory_charge(struct directory *d, struct tenant *t, enum quota_kind which, uint64_t n);
void directory_sheds(struct directory *d, const struct tenant *t, struct shed_orders *out);
/* Seconds for Retry-After: not before wait_ms, and not all at once. */
int64_t directory_retry_after(struct directory *d, int64_t wait_ms);
void directory_count(struct directory *d, const struct outcome *o);
void directory_count_kill(struct directory *d, const struct tenant *t, struct slice rule, uint64_t n_samples);
