/* What every command of sluice-offsets has. */
#pragma once

#include "command.h"
#include "stage/kafka_client.h"

#include <stdio.h>

#define OFFSETS_CONFIG(KEY)                                                                        \
    KEY("topics_file", STRING, "deploy/topics.json", 0, 0, "topics: the definition")               \
    KEY("profile", STRING, "", 0, 0,                                                               \
        "topics: a profile of the definition (say, local); empty = production")                    \
    KEY("tenants", LIST, "", 0, 0,                                                                 \
        "topics apply|check: tenants with an ingest topic of their own")                           \
    KEY("policy", STRING, "", 0, 0,                                                                \
        "topics tenant create: the policy file that gets the tenant's entry; dlq redrive: "        \
        "validate's")                                                                              \
    KEY("validate_principal", STRING, "", 0, 0,                                                    \
        "topics: who may read the tenants' topics (User:validate), which User:TENANT may write; "  \
        "empty = access is not managed here")                                                                          \
    KEY("group", STRING, "", 0, 0,                                                                 \
        "audit: the group that stores the topic; empty = sluice-parquet")                          \
    KEY("gaps_topic", STRING, "sluice.gaps", 0, 0, "audit: what sinks told that they skipped")     \
    KEY("dlq_topic", STRING, "metrics.dlq", 0, 0, "dlq: the dead letters")                         \
    KEY("shared_topic", STRING, "metrics.ingest", 0, 0,                                            \
        "dlq show, redrive: the topic that the gateway writes")                                    \
    KEY("valid_topic", STRING, "metrics.valid", 0, 0, "dlq redrive: where points go in again")     \
    KEY("control_topic", STRING, "sluice.control", 0, 0,                                           \
        "pause, resume, reset --drain, status: the operators' rules that workers obey")            \
    KEY("drain_timeout_ms", INT, "60000", 1000, 600000,                                            \
        "reset --drain: the group's members have left it within this, ms")                         \
    KEY("replay_topic", STRING, "sluice.replay", 0, 0,                                             \
        "dlq redrive: marks of the letters that were redriven")                                    \
    KEY("tenant_schemas", LIST, "", 0, 0, "dlq redrive: as sluice-validate has it")                \
    KEY("mask_key", SECRET, "", 0, 0,                                                              \
        "dlq show: validate's key: values of labels show as the HMACs that letters have; without " \
        "it as ***")                                                                               \
    KEY("groups", LIST, "", 0, 0,                                                                  \
        "status: these groups; empty = those that begin with group_prefix")                        \
    KEY("group_prefix", STRING, "sluice-", 0, 0, "status: the groups of this sluice")              \
    KEY("stuck_after_ms", INT, "60000", 100, 86400000,                                             \
        "status: a record that waits longer is behind; stuck, when nothing moves either, ms")      \
    KEY("stuck_parquet_ms", INT, "4500000", 100, 86400000,                                         \
        "status: the same of groups named …parquet…, which gather before they commit, ms")         \
    KEY("open_transaction_ms", INT, "20000", 100, 86400000,                                        \
        "status: a transaction that is open longer hangs, ms")                                     \
    KEY("watch_ms", INT, "2000", 10, 60000,                                                        \
        "status: time between two looks at what is behind, ms")                                    \
    KEY("connect_timeout_ms", INT, "8000", 100, 60000,                                             \
        "no broker answers within this: an error, ms")                                             \
    KEY("audit_topic", STRING, "sluice.audit", 0, 0,                                               \
        "who did what, when and why, told before it is done; empty = not told")                    \
    KEY("snapshot_dir", STRING, ".", 0, 0,                                                         \
        "reset, restore: where the group's snapshot goes first")                                   \
    KEY("idle_timeout_ms", INT, "30000", 100, 600000,                                              \
        "longest time without a word of a partition that is read, ms")

#if SLUICE_FAULTS
#define OFFSETS_FAULT_CONFIG(KEY)                                                                  \
    KEY("fault.forget_marks", BOOL, "false", 0, 0, "TEST: dlq redrive does not know what was redriven")
#else
#define OFFSETS_FAULT_CONFIG(KEY)
#endif

enum { TOOL_FINE = 0, TOOL_DIFFERS = 1, TOOL_AWAY = 3 }; /* exit codes besides those of errors */

struct tool {
    const struct command *command;
    const struct config *config;
    struct kafka_settings kafka;
    int64_t now_ms;
};

/* A reader or a producer, once a broker has answered: ERR_RETRY within connect_timeout_ms
 * otherwise, and nothing was changed. */
bool tool_connect(const struct tool *t, enum kafka_role role, rd_kafka_t **out,
                  struct err *e) MUST_CHECK;
/* Where words for people go: with --json stdout is for the answer alone. */
FILE *tool_talk(const struct tool *t);
/* Did somebody say yes, or --yes? ERR_CONFIG otherwise. */
bool tool_confirm(const struct tool *t, const char *question, struct err *e) MUST_CHECK;
/* Of any role; NULL is fine. */
void tool_disconnect(rd_kafka_t *rk);
