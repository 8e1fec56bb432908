#include "edge/pass.h"

#include "edge/mask.h"

enum reason pass_check_times(const struct pass *p, int64_t time_ms, int64_t start_ms)
{
    if (time_ms == 0) {
        return REASON_TIME_MISSING;
    }
    if (time_ms < p->min_ms) {
        return REASON_TOO_OLD;
    }
    if (time_ms > p->max_ms) {
        return REASON_TOO_FAR_AHEAD;
    }
    return start_ms > time_ms ? REASON_START_AFTER_TIME : REASON_NONE;
}

bool pass_no_room(struct err *e)
{
    return err_set_code(e, ERR_BAD_INPUT, REASON_TOO_LARGE, "takes more memory than a message may");
}

bool pass_reject(struct pass *p, const struct pass_point *point, const struct entry *entry,
                 enum reason reason, const char *detail, struct err *e)
{
    const struct rejected_point rejected = {
        .reason = reason,
        .metric = point->metric,
        .culprit = entry == NULL ? NULL : entry->culprit,
        .id = entry == NULL || entry->known == NULL ? NULL : &entry->known->id,
        .time_ms = point->time_ms,
        .place = &point->place,
        .detail = detail,
    };
    return reject_add(p->rejects, &rejected, e);
}

/* Refused, and other labels of it would be, too: learned with them. Not inline, for the series that
 * are well. */
static __attribute__((noinline)) bool learn_with_more(struct pass *p, struct hash128 key,
                                                      const struct verdict *v,
                                                      struct culprit *culprit, struct entry **out,
                                                      struct err *e)
{
    struct culprit_label more[VERDICT_MAX_MORE];
    for (uint32_t i = 0; i < v->n_more; i++) {
        const struct refused_label *other = &v->more[i];
        more[i] = (struct culprit_label){.label = other->label, .reason = other->reason};
        more[i].is_masked =
            other->value.len > 0 && mask_value(p->mask_key, other->value, more[i].mask);
    }
    culprit->n_more = v->n_more;
    culprit->more = more;
    return series_cache_learn(p->series, key, p->tenant->name, v, culprit, out, e);
}

bool pass_learn(struct pass *p, struct hash128 key, const struct raw_series *raw,
                enum reason reason, struct entry **out, struct err *e)
{
    struct verdict verdict = {.reason = reason};
    struct culprit culprit = {0};
    if (reason == REASON_NONE &&
        !policy_judge(p->tenant->rules, p->tenant->name, raw, p->judge_arena, &verdict, e)) {
        return pass_no_room(e);
    }
    if (p->watch != NULL) {
        p->watch->series(p->watch->ctx, raw, &verdict);
    }
    culprit.label = verdict.label;
    culprit.detail = verdict.detail;
    culprit.is_masked =
        verdict.value.len > 0 && mask_value(p->mask_key, verdict.value, culprit.mask);
    if (verdict.n_more > 0) {
        return learn_with_more(p, key, &verdict, &culprit, out, e);
    }
    return series_cache_learn(p->series, key, p->tenant->name, &verdict, &culprit, out, e);
}
