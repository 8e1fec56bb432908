#include "replay_words.h"

#include "replay/command.h"
#include "replay_useless.h"
#include "worker_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char replay_usage[] =
    "usage: sluice-offsets plan replay --stage amp|parquet|validate|limit|rollup --topic TOPIC --from PLACE [--to PLACE]\n"
    "                      [--partitions 0,3-5] [--tenant T] [--metric GLOB] [--rate SAMPLES/S] [--out FILE] [--json]\n"
    "                      [--config FILE] [--set key=value]…\n"
    "       sluice-offsets apply FILE [--max-refused N] [--abandon] [--instead-of ID] [--json] [--config FILE] [--set key=value]…\n"
    "  plan    reads the log and the sink, says what a replay would do, and writes it down; changes nothing\n"
    "  apply   does just that: refuses what has changed since; killed, the same call goes on where it was\n"
    "          --abandon gives the plan up; --instead-of gives up another one that was not applied to its end and is in the way\n"
    "  PLACE   an offset, earliest, end, 2026-11-27T10:00:00Z, -30m: help places\n"
    "  Configuration is the stage's own: give the worker's --config file, for the plan and for apply.\n"
    "exit codes: 0 done; 1 failed or stopped, apply again; 2 refused, usage or configuration; 3 another apply took over\n";

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
    if (replay_is_useless(stage)) {
        argv[1] = (char *)(uintptr_t)"replay";
        argv[2] = (char *)(uintptr_t)"plan";
        return replay_useless_main(stage, argc, argv);
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
    ok = ok && (is_sink(plan.stage) || err_set(&e, ERR_CONFIG, "%.80s: nothing is ever applied into %.40s; plan replay --stage says "
                                                          "why, and what to do instead", a.plan, plan.stage));
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
