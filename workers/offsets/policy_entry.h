/* A tenant's entry in the policy file, with its quota. */
#pragma once

#include "topics.h"

#include <jansson.h>

/* limits: what the entry says, an object, borrowed. TOPIC_OK: the tenant is there (with other limits the detail says so:
 * nothing is changed). Otherwise the file is written anew beside the old one, read as the workers do, and takes its
 * place; without apply only the reading is done. ERR_CONFIG: the policy would be refused, or can't be written. */
bool policy_entry_settle(const char *path, const char *tenant, const json_t *limits, bool apply,
                         struct topic_report *report, struct err *e) MUST_CHECK;
