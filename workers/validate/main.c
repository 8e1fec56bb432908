/* sluice-validate: the first stage. And a tool without Kafka that tells what it would do with a
 * message, and why: --explain FILE; --reasons. */
#include "explain_tool.h"
#include "run/log.h"
#include "run/program.h"
#include "stage/kafka_client.h"
#include "stage/stage_config.h"
#include "validate.h"

enum { TICK_MS = 1000 };

static const struct config_key keys[] = {STAGE_CONFIG(CONFIG_ROW) VALIDATE_CONFIG(CONFIG_ROW)};

static void mask_look(struct validate *v)
{
    struct err why = ERR_INIT;
    enum mask_change change = validate_reload_mask(v, &why);
    if (change == MASK_NEW) {
        log_line(LOG_INFO, "label values are masked by another key",
                 LOG_FIELDS(LOG_STR("mask_key", validate_mask_key_id(v))));
    } else if (change == MASK_REFUSED) {
        log_err(LOG_ERROR, "the changed mask key is refused, the old one stays in use", &why);
    }
}

static bool tick(void *ctx, struct stage *s, int64_t now_ms, struct err *e)
{
    static int64_t last_ms;
    struct err why = ERR_INIT;
    (void)s;
    (void)e;
    if (now_ms >= last_ms && now_ms - last_ms < TICK_MS) {
        return true;
    }
    last_ms = now_ms;
    validate_export(ctx);
    switch (validate_reload(ctx, &why)) {
    case POLICY_NEW:
        log_line(LOG_INFO, "a new policy is in force",
                 LOG_FIELDS(LOG_STR("version", validate_policy_version(ctx))));
        break;
    case POLICY_REFUSED:
        log_err(LOG_ERROR, "the changed policy is refused, the old one stays in force", &why);
        break;
    case POLICY_SAME:
        break;
    }
    mask_look(ctx);
    return true;
}

/*   metrics.ingest, metrics.ingest.<tenant> ──► validate ──► metrics.valid, metrics.dlq   */
static const char *const outputs[] = {
    [OUTPUT_VALID] = "valid_topic", [OUTPUT_DLQ] = "dlq_topic", NULL};
static const struct stage_spec spec = {
    .name = "validate",
    .kind = STAGE_TRANSFORM,
    .outputs = outputs,
    .recover = validate_recover,
    .step = validate_step,
    .give_up = validate_give_up,
    .drop = validate_drop,
    .tick = tick,
};

static int run(const struct config *config, struct metrics *metrics)
{
    const struct validate_options options = {
        .shared_topic = slice_str(config_str(config, "shared_topic")),
        .policy_path = config_str(config, "policy"),
        .mask_key = slice_str(config_str(config, "mask_key")),
        .mask_key_file = config_str(config, "mask_key_file"),
        .dlq_samples_per_minute = (uint64_t)config_int(config, "dlq_samples_per_minute"),
        .cache_bytes = (size_t)config_int(config, "cache_mb") << 20,
    };
    struct err e = ERR_INIT;
    struct validate *validate = NULL;
    int code;
    hash_seed_init();
    if (validate_new(&options, metrics, &validate, &e)) {
        code = stage_run(&spec, validate, config, metrics);
    } else {
        log_err(LOG_ERROR, "can't start", &e);
        code = err_exit_code(&e);
    }
    validate_free(validate);
    return code;
}

int main(int argc, char **argv)
{
    const struct config_program program = {
        .name = "sluice-validate",
        .summary = "decodes what tenants send, applies the policy, puts batches out; --explain tells why",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
    };
    return explain_tool_is_asked(argc, argv) ? explain_tool_main(&program, argc, argv)
                                             : program_main(&program, argc, argv, run);
}
