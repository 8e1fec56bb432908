/* A test as a table: what goes in, what must come out, batch by batch, with a commit after each. */
#pragma once

#include "rig.h"

#define POLICY(limits) "{\"limits\": {" limits "}, \"tenants\": {\"t\": {}, \"u\": {}}}"
#define MAX_STEPS 12

struct step {
    struct rig_batch in;
    const char *out;    /* NULL: anything */
    const char *state;  /* NULL: anything */
    const char *policy; /* in force before this step */
    bool restart;       /* before this step */
    bool settle;        /* first the batch is sent until leases are where they are wanted */
};

struct scenario {
    const char *name;
    struct rig_options options;
    struct step steps[MAX_STEPS];
};

static inline void scenario_run(const struct scenario *s)
{
    struct rig r;
    rig_open(&r, &s->options);
    for (int i = 0; i < MAX_STEPS && s->steps[i].in.series != NULL; i++) {
        const struct step *step = &s->steps[i];
        if (step->policy != NULL) {
            rig_policy(&r, step->policy);
        }
        if (step->restart) {
            rig_restart(&r);
        }
        for (int k = 0; k < 3 && step->settle; k++) {
            rig_send(&r, &step->in);
            rig_settle(&r);
        }
        rig_send(&r, &step->in);
        const char *out = rig_text(&r);
        ck_assert_msg(step->out == NULL || strcmp(out, step->out) == 0,
                      "%s, step %d: came out:\n%swanted:\n%s", s->name, i, out, step->out);
        rig_commit(&r);
        const char *state = rig_state(&r);
        ck_assert_msg(step->state == NULL || strcmp(state, step->state) == 0,
                      "%s, step %d: state:\n%swanted:\n%s", s->name, i, state, step->state);
    }
    rig_check_accounts(&r, "t");
    rig_check_accounts(&r, "u");
    rig_close(&r);
}
