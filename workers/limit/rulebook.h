/* The rules in force: the policy's file, and on top of it the live records of sluice.control. */
#pragma once

#include "policy/policy_file.h"
#include "stage/record.h"
#include "tenants.h"

struct rulebook {
    struct metrics *metrics;
    struct policy_file file;
    struct policy *policy;
    struct controls controls;
    struct tenants tenants;
    uint64_t version; /* moves whenever rules change */
    uint64_t *draw;
    uint64_t applied_controls; /* the controls' version that tenants show */
};

/* ERR_CONFIG when the policy is refused. draw: the process's source of numbers never used twice. */
bool rulebook_open(struct rulebook *r, const char *policy_path, uint64_t *draw, struct metrics *m,
                   struct err *e) MUST_CHECK;
void rulebook_close(struct rulebook *r);
/* One record of sluice.control; one that can't be read is counted, and named by e (false). */
bool rulebook_take(struct rulebook *r, const struct record *record, int64_t now_ms, struct err *e);
/* Reads the policy again if its file has changed. POLICY_REFUSED: e says why. */
enum policy_change rulebook_reload(struct rulebook *r, struct err *e);
/* Rules that are over leave; what is new is put in force. False: out of memory, or ERR_RETRY. */
bool rulebook_apply(struct rulebook *r, int64_t now_ms, struct err *e) MUST_CHECK;
