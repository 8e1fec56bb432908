#include "policy/control.h"

#include "policy/glob.h"

#include <stdlib.h>

const char *control_kind_name(enum control_kind kind)
{
    static const char *const names[N_CONTROL_KINDS] = {"kill", "limit", "shed", "pause"};
    return (unsigned)kind < N_CONTROL_KINDS ? names[kind] : "?";
}

const char *control_budget_name(enum control_budget budget)
{
    static const char *const names[N_CONTROL_BUDGETS] = {"source", "metric", "tenant",
                                                         "samples_per_second"};
    return (unsigned)budget < N_CONTROL_BUDGETS ? names[budget] : "?";
}

void control_free(struct control_rule *rule)
{
    free(rule);
}

static bool label_matches(const struct control_label *want, const struct series *s)
{
    for (uint32_t i = 0; i < s->n_labels; i++) {
        if (slice_eq(s->labels[i].name, want->name)) {
            return glob_match(want->value, s->labels[i].value);
        }
    }
    return false;
}

bool control_kill_matches(const struct control_rule *r, struct slice tenant, const struct series *s)
{
    if (r->kind != CONTROL_KILL || !slice_eq(r->tenant, tenant) ||
        (r->metric.len > 0 && !glob_match(r->metric, s->metric))) {
        return false;
    }
    for (uint32_t i = 0; i < r->n_labels; i++) {
        if (!label_matches(&r->labels[i], s)) {
            return false;
        }
    }
    return true;
}

bool control_kill_is_total(const struct control_rule *r)
{
    size_t n_stars = 0;
    while (n_stars < r->metric.len && r->metric.ptr[n_stars] == '*') {
        n_stars++;
    }
    return r->kind == CONTROL_KILL && r->n_labels == 0 && n_stars == r->metric.len;
}

bool control_partition_listed(const int32_t *list, uint32_t n, int32_t partition)
{
    for (uint32_t i = 0; i < n; i++) {
        if (list[i] == partition) {
            return true;
        }
    }
    return false;
}

bool control_pauses(const struct control_rule *r, struct slice group, struct slice topic,
                    int32_t partition)
{
    if (r->kind != CONTROL_PAUSE || !slice_eq(r->group, group) ||
        (r->topic.len > 0 && !slice_eq(r->topic, topic))) {
        return false;
    }
    return r->n_partitions == 0 || control_partition_listed(r->partitions, r->n_partitions, partition);
}

bool control_sample_passes(const struct control_rule *r, uint64_t source, int64_t base_ms)
{
    const uint64_t batch[2] = {source, (uint64_t)base_ms}; /* little-endian, as all machines here */
    return r->sample_n > 0 && hash64(slice_of(batch, sizeof batch)) % r->sample_n == 0;
}
