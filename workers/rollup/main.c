/* sluice-rollup: sums per minute, five minutes and hour. */
#include "rollup.h"

#include "base/hash.h"
#include "explain.h"
#include "run/log.h"
#include "run/program.h"
#include "stage/kafka_client.h"
#include "stage/stage_config.h"

static const struct config_key keys[] = {STAGE_CONFIG(CONFIG_ROW) ROLLUP_CONFIG(CONFIG_ROW)};

static const char *const outputs[] = {[OUTPUT_ROWS] = "rollup_1m_topic",
                                      [OUTPUT_MERGED] = "rollup_5m_topic",
                                      [OUTPUT_DLQ] = "dlq_topic",
                                      NULL};
static const char *const hourly_outputs[] = {
    [OUTPUT_ROWS] = "rollup_1h_topic", [OUTPUT_HOURLY_DLQ] = "dlq_topic", NULL};

#define ROLLUP_SPEC(the_name, the_outputs, n_rows)                                                 \
    {                                                                                              \
        .name = (the_name), .kind = STAGE_TRANSFORM, .outputs = (the_outputs),                     \
        .n_copartitioned = (n_rows), .recover = rollup_recover, .step = rollup_step,               \
        .give_up = rollup_give_up, .flush = rollup_flush, .pulse = rollup_pulse,                   \
        .checkpoint = rollup_checkpoint, .drop = rollup_drop, .tick = rollup_tick,                 \
    }
static const struct stage_spec spec = ROLLUP_SPEC("rollup", outputs, OUTPUT_MERGED + 1);
static const struct stage_spec hourly_spec = ROLLUP_SPEC("rollup-1h", hourly_outputs, 1);

enum {
    IDLE_MS = 120000,
    HORIZON_MS = 7200000,
    HOURLY_IDLE_MS = 900000,
    HOURLY_HORIZON_MS = 21600000
};

static int64_t or_default(int64_t value, int64_t usual)
{
    return value > 0 ? value : usual;
}

/* window, and inputs that go with it. */
static bool window_read(const struct config *config, bool *is_hourly, struct err *e)
{
    const char *window = config_str(config, "window");
    const char *const *topics;
    size_t n = config_list(config, "topics", &topics);
    *is_hourly = strcmp(window, "1h") == 0;
    if (!*is_hourly && strcmp(window, "1m") != 0) {
        return err_set(e, ERR_CONFIG, "window: \"%.20s\" is neither 1m nor 1h", window);
    }
    if (*is_hourly && n == 1 && strcmp(topics[0], "metrics.admitted") == 0) {
        return err_set(e, ERR_CONFIG,
                       "topics: window=1h reads rows of 5 m, set topics=metrics.rollup.5m");
    }
    return true;
}

static struct rollup_options options_read(const struct config *config, bool is_hourly)
{
    return (struct rollup_options)
    {
        .is_hourly = is_hourly,
        .row_topic = config_str(config, is_hourly ? "rollup_1h_topic" : "rollup_1m_topic"),
        .lateness_ms = config_int(config, "lateness_ms"),
        .idle_ms =
            or_default(config_int(config, "source_idle_ms"), is_hourly ? HOURLY_IDLE_MS : IDLE_MS),
        .horizon_ms = or_default(config_int(config, "horizon_ms"),
                                 is_hourly ? HOURLY_HORIZON_MS : HORIZON_MS),
        .max_row_bytes = (size_t)config_int(config, "max_row_bytes"),
        .memory_bytes = (size_t)config_int(config, "memory_limit_mb") << 20,
#if SLUICE_FAULTS
        .fault_no_closed_at = config_bool(config, "fault.no_closed_at"),
        .fault_no_horizon = config_bool(config, "fault.no_horizon"),
        .fault_slow_us = config_int(config, "fault.slow_us"),
#endif
    };
}

static int run(const struct config *config, struct metrics *metrics)
{
    struct err e = ERR_INIT;
    struct rollup_worker *worker = NULL;
    bool is_hourly = false;
    int code;
    hash_seed_init();
    bool ok = window_read(config, &is_hourly, &e);
    if (ok) {
        const struct rollup_options options = options_read(config, is_hourly);
        ok = rollup_new(&options, metrics, &worker, &e);
    }
    if (ok) {
        code = stage_run(is_hourly ? &hourly_spec : &spec, worker, config, metrics);
    } else {
        log_err(LOG_ERROR, "can't start", &e);
        code = err_exit_code(&e);
    }
    rollup_free(worker);
    return code;
}

static struct explain_request request;

static int run_explain(const struct config *config, struct metrics *metrics)
{
    const struct explain_source source = {"sluice-rollup", config, options_read};
    (void)metrics;
    return explain_main(&source, &request);
}

int main(int argc, char **argv)
{
    bool explains = explain_is_asked(&argc, argv, &request);
    const struct config_program program = {
        .name = "sluice-rollup",
        .summary = "sums up samples per minute, five minutes and hour, exactly through crashes; "
                   "--explain TOPIC/PARTITION/OFFSET [--metric PATTERN] [--json] tells how a row "
                   "came about",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
    };
    return program_main(&program, argc, argv, explains ? run_explain : run);
}
