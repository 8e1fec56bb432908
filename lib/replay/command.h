/* A worker's own words for replays: `sluice-<stage> replay plan …` and `… replay apply PLAN`, which
 * sluice-offsets hands over to (`plan replay`, `apply`), because the worker knows its sink and has
 * its configuration. */
#pragma once

#include "replay/apply.h"
#include "replay/planning.h"
#include "run/config.h"
#include "run/metrics.h"

#if SLUICE_FAULTS
#define REPLAY_CONFIG(KEY)                                                                         \
    KEY("fault.replay_note_first", BOOL, "false", 0, 0,                                            \
        "TEST: a replay's piece is noted as done before it is")                                    \
    KEY("fault.replay_no_digest", BOOL, "false", 0, 0,                                             \
        "TEST: a replay takes whatever the log has by now")
#else
#define REPLAY_CONFIG(KEY)
#endif

struct replay_call {
    const struct config *config;
    struct metrics *metrics;
    const struct kafka_settings *settings;
    const struct replay_arguments *arguments;
};

struct replay_command {
    const struct config_program *program;
    const char *stage; /* "parquet" */
    int (*plan)(const struct replay_call *call);
    int (*apply)(const struct replay_call *call);
};

bool replay_is_asked(int argc, char **argv);
/* Returns the exit code. */
int replay_main(const struct replay_command *c, int argc, char **argv);
