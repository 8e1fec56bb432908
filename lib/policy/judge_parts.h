/* Private to lib/policy: what the parts of a judgement share. */
#pragma once

#include "policy/judge.h"

struct judgement {
    const struct rules *rules;
    const struct raw_series *raw;
    struct arena *a;
    struct verdict *out;
    struct metric_match listed; /* in the dictionary */
    struct label *labels;
    uint32_t n_labels;
    uint32_t n_own; /* labels[0 … n_own) are the point's own */
    bool no_memory;
};

/* Sets the reason and gives false, so that a check reads `return refuse(…)`. The rule that decided
 * may follow by decided(). culprit: NULL = no label is to blame. */
bool judge_refuse(struct judgement *j, enum reason reason, const struct raw_label *culprit);
/* Notes the rule; index -1 = the whole key. Gives false. */
bool judge_decided(struct judgement *j, enum rule_key key, int32_t index, struct slice member);
bool judge_no_memory(struct judgement *j);

/* UTF-8 without a NUL. */
bool judge_is_clean(struct slice s);

/* Fills labels, sorted. */
bool judge_labels(struct judgement *j);
