/* sluice-offsets: the operator's tool. */
#include "audit.h"
#include "cat.h"
#include "dlq.h"
#include "help.h"
#include "parquet_repair.h"
#include "pause.h"
#include "redrive.h"
#include "replay_words.h"
#include "reset.h"
#include "snapshot.h"
#include "status.h"
#include "store.h"
#include "tenant.h"
#include "topics_verb.h"

#include "base/clock.h"
#include "base/hash.h"
#include "run/log.h"

#include <stdio.h>

static const struct config_key keys[] = {OFFSETS_CONFIG(CONFIG_ROW) OFFSETS_FAULT_CONFIG(CONFIG_ROW)
                                        STORE_CONFIG(CONFIG_ROW)};

static bool act(const struct tool *t, int *code, struct err *e)
{
    switch (t->command->verb) {
    case VERB_TOPICS_APPLY:
    case VERB_TOPICS_CHECK:
        return topics_verb(t, t->command->verb == VERB_TOPICS_APPLY, code, e);
    case VERB_TENANT_CREATE:
        return tenant_create(t, e);
    case VERB_CAT:
        return cat(t, e);
    case VERB_STATUS:
        return status_verb(t, code, e);
    case VERB_DLQ_LIST:
        return dlq_list(t, e);
    case VERB_DLQ_SHOW:
        return dlq_show(t, code, e);
    case VERB_DLQ_EXPORT:
        return dlq_export(t, e);
    case VERB_DLQ_REDRIVE:
        return dlq_redrive(t, code, e);
    case VERB_RESET:
        return reset_verb(t, e);
    case VERB_PARQUET_SKIP:
        return parquet_skip(t, e);
    case VERB_PARQUET_RESTORE:
        return parquet_restore(t, e);
    case VERB_AUDIT:
        return audit_verb(t, code, e);
    case VERB_PAUSE:
        return pause_verb(t, e);
    case VERB_RESUME:
        return resume_verb(t, e);
    case VERB_SNAPSHOT:
        return snapshot_verb(t, e);
    case VERB_RESTORE:
        return restore_verb(t, e);
    default:
        return help_print(t->command->words[0], e);
    }
}

/* Those that look at a bucket take the file of the worker that writes there. */
static bool shares_file(enum verb verb)
{
    return verb == VERB_AUDIT || verb == VERB_PARQUET_SKIP || verb == VERB_PARQUET_RESTORE;
}

static bool run(const struct command *command, int *code, struct err *e)
{
    const struct config_program program = {
        .name = "sluice-offsets",
        .summary = usage,
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
        .shares_file = shares_file(command->verb),
    };
    struct config *config = NULL;
    enum config_mode mode = CONFIG_RUN;
    if (command->verb == VERB_HELP && !command->is_alone) {
        return help_print(command->words[0], e);
    }
    bool ok = config_load(&program, command->n_rest, command->rest, &config, &mode, e);
    if (ok && mode == CONFIG_RUN) {
        const struct tool tool = {.command = command,
                                  .config = config,
                                  .kafka = {.config = config,
                                            .group = "sluice-offsets",
                                            .instance = "sluice-offsets",
                                            .session_timeout_ms = 15000,
                                            .max_poll_interval_ms = 300000,
                                            .memory_limit_bytes = INT64_C(256) << 20},
                                  .now_ms = clock_now_ms()};
        ok = act(&tool, code, e);
    }
    config_free(config);
    return ok;
}

int main(int argc, char **argv)
{
    struct command command;
    struct err e = ERR_INIT;
    int code = TOOL_FINE;
    if (replay_words_asked(argc, argv)) { /* another binary's, with its configuration */
        return replay_words_main(argc, argv);
    }
    if (argc < 2) {
        (void)fprintf(stderr, "sluice-offsets: %s", usage);
        return 2;
    }
    log_open("offsets", LOG_ERROR);
    hash_seed_init();
    bool ok = command_parse(argc, argv, &command, &e) && run(&command, &code, &e);
    command_fini(&command);
    if (!ok) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", e.text);
        return code != TOOL_FINE ? code : err_exit_code(&e);
    }
    return code;
}
