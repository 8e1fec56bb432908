/* What every command of sluice-control has. */
#pragma once

#include "command.h"
#include "stage/kafka_client.h"

#define CONTROL_CONFIG(KEY)                                                                        \
    KEY("control_topic", STRING, "sluice.control", 0, 0, "the rules")                              \
    KEY("audit_topic", STRING, "sluice.audit", 0, 0, "who did what, when and why")                 \
    KEY("valid_topic", STRING, "metrics.valid", 0, 0, "kill --dry-run: what the limiter reads")    \
    KEY("timeout_ms", INT, "15000", 100, 600000, "longest wait for the brokers, each time, ms")    \
    KEY("dry_run_timeout_ms", INT, "120000", 100, 3600000,                                         \
        "kill --dry-run: longest time to read, ms")                                                \
    KEY("dry_run_max_series", INT, "1000000", 1, 100000000,                                        \
        "kill --dry-run: series and sources are counted up to so many (about 64 bytes each)")

struct tool {
    const struct command *command;
    const struct config *config;
    struct kafka_settings kafka;
    int64_t now_ms;
};
