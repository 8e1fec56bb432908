/* sluice-limit: series budgets, by exact counting. */
#include "run/log.h"
#include "run/program.h"
#include "stage/kafka_client.h"
#include "stage/stage_config.h"
#include "limit.h"

static const struct config_key keys[] = {STAGE_CONFIG(CONFIG_ROW) LIMIT_CONFIG(CONFIG_ROW)};

/*   metrics.valid ──► limit ──► metrics.admitted, sluice.limit, metrics.dlq   */
static const char *const outputs[] = {[OUTPUT_ADMITTED] = "admitted_topic",
                                      [OUTPUT_STATE] = "state_topic",
                                      [OUTPUT_LEASES] = "leases_topic",
                                      [OUTPUT_DLQ] = "dlq_topic",
                                      NULL};
static const char *const followed[] = {
    [FOLLOW_LEASES] = "leases_topic", [FOLLOW_CONTROL] = "control_topic", NULL};
static const struct admin_page pages[] = {{"/completeness", limit_print_completeness},
                                          {"/offenders", limit_print_offenders},
                                          {"/budgets", limit_print_budgets},
                                          {NULL, NULL}};
static const struct stage_spec spec = {
    .name = "limit",
    .kind = STAGE_TRANSFORM,
    .outputs = outputs,
    .n_copartitioned = OUTPUT_STATE + 1,
    .recover = limit_recover,
    .step = limit_step,
    .give_up = limit_give_up,
    .flush = limit_flush,
    .pulse = limit_pulse,
    .drop = limit_drop,
    .tick = limit_tick,
    .followed = followed,
    .follow = limit_follow,
    .pages = pages,
};

static int run(const struct config *config, struct metrics *metrics)
{
    const struct limit_options options = {
        .policy_path = config_str(config, "policy"),
        .state_topic = config_str(config, "state_topic"),
        .active_ms = config_int(config, "active_ms"),
        .heartbeat_ms = config_int(config, "heartbeat_ms"),
        .lease_wait_ms = config_int(config, "lease_wait_ms"),
        .rate_burst_ms = config_int(config, "rate_burst_ms"),
        .shed_after_ms = {[CLASS_STANDARD] = config_int(config, "shed_standard_after_ms"),
                          [CLASS_VERBOSE] = config_int(config, "shed_verbose_after_ms")},
        .dlq_samples_per_minute = (uint64_t)config_int(config, "dlq_samples_per_minute"),
        .memory_bytes = (size_t)config_int(config, "memory_limit_mb") << 20,
#if SLUICE_FAULTS
        .fault_no_restore = config_bool(config, "fault.no_restore"),
#endif
    };
    struct err e = ERR_INIT;
    struct limit *limit = NULL;
    int code;
    hash_seed_init();
    if (limit_new(&options, metrics, &limit, &e)) {
        code = stage_run(&spec, limit, config, metrics);
    } else {
        log_err(LOG_ERROR, "can't start", &e);
        code = err_exit_code(&e);
    }
    limit_free(limit);
    return code;
}

int main(int argc, char **argv)
{
    const struct config_program program = {
        .name = "sluice-limit",
        .summary = "keeps every source, metric and tenant inside its series budget",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
    };
    return program_main(&program, argc, argv, run);
}
