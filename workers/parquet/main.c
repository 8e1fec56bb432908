/* sluice-parquet: series and rollup topics in Kafka → Parquet files on S3, each row in one object
 * exactly.
 *
 *   metrics.admitted, metrics.rollup.* ──► ranges, sorted ──► intent ──► objects ──► offset
 *
 * And a tool for such files: sluice-parquet inspect|verify FILE|s3://… */
#include "base/hash.h"
#include "replay.h"
#include "run/log.h"
#include "run/program.h"
#include "stage/kafka_client.h"
#include "tool.h"
#include "worker.h"

static const struct config_key keys[] = {
    PARQUET_CONFIG(CONFIG_ROW) STAGE_CONFIG(CONFIG_ROW) REPLAY_CONFIG(CONFIG_ROW)};

static int run(const struct config *config, struct metrics *metrics)
{
    struct err e = ERR_INIT;
    struct worker *worker;
    hash_seed_init();
    if (!worker_new(config, metrics, &worker, &e)) {
        log_err(LOG_ERROR, "start", &e);
        return err_exit_code(&e);
    }
    int code = stage_run(&parquet_spec, worker, config, metrics);
    worker_free(worker);
    return code;
}

int main(int argc, char **argv)
{
    const struct config_program program = {
        .name = "sluice-parquet",
        .summary =
            "writes series topics to Parquet files on S3; inspect|verify FILE… look at such files",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
        .check = worker_check,
    };
    const struct replay_command replay = {.program = &program,
                                          .stage = "parquet",
                                          .plan = parquet_replay_plan,
                                          .apply = parquet_replay_apply};
    if (tool_is_asked(argc, argv)) {
        return tool_main(argc, argv);
    }
    return replay_is_asked(argc, argv) ? replay_main(&replay, argc, argv)
                                       : program_main(&program, argc, argv, run);
}
