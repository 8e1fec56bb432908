#include "rulebook.h"

static void version_show(struct rulebook *r, double on)
{
    struct slice version = slice_str(r->policy->version);
    cell_set(metrics_cell(r->metrics, M_POLICY_VERSION, &version), on);
}

static void controls_show(struct rulebook *r)
{
    for (int i = 0; i < N_CONTROL_KINDS; i++) {
        struct slice kind = slice_str(control_kind_name((enum control_kind)i));
        cell_set(metrics_cell(r->metrics, M_CONTROL_RULES, &kind), r->controls.n_by_kind[i]);
    }
}

/* Tenants anew, by a policy that becomes ours, or the one there is. */
static bool renew(struct rulebook *r, struct policy *policy, struct err *e)
{
    struct tenants fresh = {0};
    if (!tenants_init(&fresh, policy, &r->controls, r->metrics, e)) {
        tenants_fini(&fresh);
        return false;
    }
    tenants_fini(&r->tenants);
    r->tenants = fresh;
    r->applied_controls = r->controls.version;
    r->version = ++*r->draw;
    controls_show(r);
    return true;
}

bool rulebook_open(struct rulebook *r, const char *policy_path, uint64_t *draw, struct metrics *m,
                   struct err *e)
{
    *r = (struct rulebook){.metrics = m, .draw = draw};
    controls_init(&r->controls, draw);
    if (!policy_file_open(&r->file, policy_path, &r->policy, e) || !renew(r, r->policy, e)) {
        return false;
    }
    version_show(r, 1);
    return true;
}

void rulebook_close(struct rulebook *r)
{
    tenants_fini(&r->tenants);
    controls_fini(&r->controls);
    policy_free(r->policy);
}

bool rulebook_take(struct rulebook *r, const struct record *record, int64_t now_ms, struct err *e)
{
    if (controls_take(&r->controls, record->key, record->value, now_ms, e)) {
        return true;
    }
    cell_add(metrics_cell(r->metrics, M_CONTROL_ERRORS, NULL), 1);
    return err_wrap(e, "sluice.control@%lld", (long long)record->offset);
}

enum policy_change rulebook_reload(struct rulebook *r, struct err *e)
{
    struct policy *fresh = NULL;
    enum policy_change change = policy_file_poll(&r->file, &fresh, e);
    if (change == POLICY_NEW) {
        version_show(r, 0);
        if (renew(r, fresh, e)) {
            policy_free(r->policy);
            r->policy = fresh;
        } else {
            policy_free(fresh);
            change = POLICY_REFUSED;
        }
        version_show(r, 1);
    }
    if (change == POLICY_REFUSED) {
        cell_add(metrics_cell(r->metrics, M_POLICY_ERRORS, NULL), 1);
    }
    return change;
}

bool rulebook_apply(struct rulebook *r, int64_t now_ms, struct err *e)
{
    (void)controls_expire(&r->controls, now_ms);
    return r->applied_controls == r->controls.version || renew(r, r->policy, e);
}
