#include "replay_words.h"

#include "replay/command.h"
#include "stage/stage_config.h"
#include "worker_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char replay_usage[] =
    "usage: sluice-offsets plan replay --stage amp|parquet|validate|limit|rollup --topic TOPIC --from PLACE [--to PLACE]\n"
    "                      [--partitions 0,3-5] [--tenant T] [--metric GLOB] [--rate SAMPLES/S] [--out FILE] [--json]\n"
    "                      [--config FILE] [--set key=value]…\n"
    "       sluice-offsets apply FILE [--max-refused N] [--abandon] [--json] [--config FILE] [--set key=value]…\n"
    "  plan    reads the log and the sink, says what a replay would do, and writes it down; changes nothing\n"
    "  apply   does just that: refuses what has changed since; killed, the same call goes on where it was\n"
    "  PLACE   an offset, earliest, end, 2026-11-27T10:00:00Z, -30m: help places\n"
    "  Configuration is the stage's own: give the worker's --config file, for the plan and for apply.\n"
    "exit codes: 0 done; 1 failed or stopped, apply again; 2 refused, usage or configuration; 3 another apply took over\n";

/* What the stage makes of records that it has had: why there is nothing to apply. */
struct verdict {
    const char *stage;
    const char *topics; /* that it reads; ^… */
    const char *why;
    const char *instead;
};

static const struct verdict verdicts[] = {
    {"validate", "^metrics\\.ingest",
     "harmless and useless: every series that passes again is dropped by limit, which keeps the highest origin that it "
     "has seen of each ingest partition; only references to rejects would be repeated on metrics.dlq",
     "rejected points that a new policy takes: sluice-offsets dlq redrive"},
    {"limit", "^metrics\\.valid",
     "harmless and useless: what limit has seen before (by origin) it drops, whatever the budgets are by now",
     "points that a budget has refused: raise it (sluice-control limit set), then sluice-offsets dlq redrive --stage limit"},
    {"rollup", "^metrics\\.admitted",
     "useless: the same log gives the same rows, byte for byte, and rows that are out are not repeated; nothing that was "
     "right changes",
     "to go over old input after a fault was mended: stop its workers, sluice-offsets reset --group sluice-rollup --to …"},
};

/* --- the stages that nothing can be replayed into --- */

static bool useless_span(void *ctx, struct replay_planning *p, const struct replay_span *span, struct err *e)
{
    struct record r;
    struct survey_record seen;
    bool any = true;
    (void)ctx;
    if (!log_reader_from(p->reader, span->partition, span->from, e)) {
        return false;
    }
    while (any) {
        if (!log_reader_next(p->reader, span->to, &r, &any, e) || (any && !survey_add(&p->survey, &r, &seen, e))) {
            return false;
        }
    }
    return true;
}

static bool useless_finish(void *ctx, struct replay_planning *p, struct err *e)
{
    const struct verdict *v = ctx;
    (void)e;
    replay_effect(p, "samples_that_would_change", 0);
    replay_risk(p, "%s: %s", v->stage, v->why);
    replay_risk(p, "instead: %s", v->instead);
    return true;
}

static const struct verdict *verdict_find(const char *stage)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (strcmp(verdicts[i].stage, stage) == 0) {
            return &verdicts[i];
        }
    }
    return NULL;
}

static int useless_plan(const struct replay_call *call)
{
    const struct replay_planner planner = {.ctx = (void *)(uintptr_t)verdict_find(call->arguments->stage),
                                           .sink = "",
                                           .span = useless_span,
                                           .finish = useless_finish,
                                           .is_useless = true};
    return replay_planning_run(call->settings, call->arguments, &planner);
}

static int useless_main(const struct verdict *v, int argc, char **argv)
{
    const struct config_key keys[] = {STAGE_CONFIG(CONFIG_ROW){"topics", CONFIG_LIST, v->topics, 0, 0,
                                                               "what the stage reads"}};
    const struct config_program program = {.name = "sluice-offsets",
                                           .summary = replay_usage,
                                           .version = kafka_version_line(),
                                           .keys = keys,
                                           .n_keys = sizeof keys / sizeof keys[0]};
    const struct replay_command command = {.program = &program, .stage = v->stage, .plan = useless_plan};
    return replay_main(&command, argc, argv);
}

/* --- the sinks --- */

static int hand_over(const char *stage, const char *verb, int argc, char **argv)
{
    char **words = calloc((size_t)argc + 4, sizeof *words);
    if (words == NULL) {
        (void)fputs("sluice-offsets: out of memory\n", stderr);
        return 1;
    }
    words[1] = (char *)(uintptr_t)"replay";
    words[2] = (char *)(uintptr_t)verb;
    memcpy(words + 3, argv, (size_t)argc * sizeof *words);
    int code = worker_become(stage, words);
    free(words);
    return code;
}

static bool is_sink(const char *stage)
{
    return strcmp(stage, "amp") == 0 || strcmp(stage, "parquet") == 0;
}

static int plan_main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct replay_arguments a;
    if (!replay_arguments_read(REPLAY_PLAN, argc - 2, argv + 2, &a, &e)) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", e.text);
        return err_exit_code(&e);
    }
    const char *stage = a.stage;
    bool help = a.help || stage[0] == '\0';
    replay_arguments_fini(&a);
    if (help) {
        (void)fputs(replay_usage, a.help ? stdout : stderr);
        return a.help ? 0 : 2;
    }
    const struct verdict *v = verdict_find(stage);
    if (v != NULL) {
        argv[1] = (char *)(uintptr_t)"replay";
        argv[2] = (char *)(uintptr_t)"plan";
        return useless_main(v, argc, argv);
    }
    if (!is_sink(stage)) {
        (void)fprintf(stderr, "sluice-offsets: --stage %.40s: none of amp, parquet, validate, limit, rollup\n", stage);
        return 2;
    }
    return hand_over(stage, "plan", argc - 3, argv + 3);
}

static int apply_main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct replay_arguments a;
    struct replay_plan plan;
    if (!replay_arguments_read(REPLAY_APPLY, argc - 1, argv + 1, &a, &e)) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", e.text);
        return err_exit_code(&e);
    }
    if (a.help || a.plan[0] == '\0') {
        (void)fputs(replay_usage, a.help ? stdout : stderr);
        replay_arguments_fini(&a);
        return a.help ? 0 : 2;
    }
    replay_plan_init(&plan);
    bool ok = replay_plan_read(&plan, a.plan, &e);
    ok = ok && (is_sink(plan.stage) || err_set(&e, ERR_CONFIG, "%.80s: there is no applying into %.40s", a.plan, plan.stage));
    int code = ok ? hand_over(plan.stage, "apply", argc - 2, argv + 2) : err_exit_code(&e);
    if (!ok) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", e.text);
    }
    replay_plan_fini(&plan);
    replay_arguments_fini(&a);
    return code;
}

bool replay_words_asked(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "apply") == 0 || (argc > 2 && strcmp(argv[1], "plan") == 0 && strcmp(argv[2], "replay") == 0));
}

int replay_words_main(int argc, char **argv)
{
    return strcmp(argv[1], "apply") == 0 ? apply_main(argc, argv) : plan_main(argc, argv);
}
