/* sluice-amp: series topics in Kafka → remote write to a Prometheus-compatible store.
 *
 *   metrics.admitted, metrics.rollup.* ──► shards by source ──► POST, snappy, Remote Write 1.0
 *                                             └──► metrics.dlq: what the store will never take */
#include "base/hash.h"
#include "replay.h"
#include "run/log.h"
#include "run/program.h"
#include "stage/kafka_client.h"
#include "wire_shape.h"
#include "worker.h"

static const struct config_key keys[] = {
    AMP_CONFIG(CONFIG_ROW) STAGE_CONFIG(CONFIG_ROW) REPLAY_CONFIG(CONFIG_ROW)};

static bool check_tenant_label(const char *name, struct err *e)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    bool reserved = strncmp(name, "__", 2) == 0 || strcmp(name, "le") == 0;
    bool ok = name[n] == '\0' && n <= WIRE_MAX_TENANT_LABEL && !reserved &&
              (name[0] < '0' || name[0] > '9');
    return ok || err_set(e, ERR_CONFIG, "tenant_label: \"%.60s\" is no name for a label of its own", name);
}

static bool check(const struct config *c, struct err *e)
{
    if (config_int(c, "min_backoff_ms") > config_int(c, "max_backoff_ms")) {
        return err_set(e, ERR_CONFIG, "min_backoff_ms must not be above max_backoff_ms");
    }
    if (worker_protocol(c) < 0) {
        return err_set(e, ERR_CONFIG, "protocol: \"%s\" is none of 1.0, 2.0, auto",
                       config_str(c, "protocol"));
    }
    const char *const *tenants;
    bool routed = config_list(c, "tenants", &tenants) + config_list(c, "not_tenants", &tenants) > 0;
    if (routed && config_str(c, "group")[0] == '\0') {
        return err_set(
            e, ERR_CONFIG,
            "group must be set with tenants or not_tenants: destinations of one group would "
            "share the partitions, and each lack what the other got");
    }
    struct auth_options auth;
    struct rows_options rows;
    return check_tenant_label(config_str(c, "tenant_label"), e) && worker_rows_of(c, &rows, e) && auth_options_of(c, &auth, e);
}

static int run(const struct config *config, struct metrics *metrics)
{
    struct err e = ERR_INIT;
    struct worker *worker;
    hash_seed_init();
    if (!worker_new(config, metrics, &worker, &e)) {
        log_err(LOG_ERROR, "start", &e);
        return err_exit_code(&e);
    }
    int code = stage_run(&amp_spec, worker, config, metrics);
    worker_free(worker);
    return code;
}

int main(int argc, char **argv)
{
    const struct config_program program = {
        .name = "sluice-amp",
        .summary = "delivers series topics to a store by remote write",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
        .check = check,
    };
    const struct replay_command replay = {
        .program = &program, .stage = "amp", .plan = amp_replay_plan, .apply = amp_replay_apply};
    return replay_is_asked(argc, argv) ? replay_main(&replay, argc, argv)
                                       : program_main(&program, argc, argv, run);
}
