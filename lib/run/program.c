#include "run/program.h"

#include "base/hash.h"
#include "run/log.h"

#include <stdio.h>
#include <string.h>

static const char *worker_of(const char *program_name)
{
    static const char prefix[] = "sluice-";
    size_t len = sizeof prefix - 1;
    return strncmp(program_name, prefix, len) == 0 ? program_name + len : program_name;
}

int program_main(const struct config_program *program, int argc, char **argv, program_fn run)
{
    struct config *config;
    struct err e = ERR_INIT;
    enum config_mode mode = CONFIG_RUN;
    hash_seed_init();
    if (!config_load(program, argc, argv, &config, &mode, &e)) {
        (void)fprintf(stderr, "%s: %s\n", program->name, e.text);
        return err_exit_code(&e);
    }
    int code = 0;
    struct metrics *metrics = NULL;
    if (mode == CONFIG_RUN) {
        log_open(worker_of(program->name), log_level_of(config_str(config, "log_level")));
        metrics = metrics_new();
        code = metrics != NULL ? run(config, metrics) : 1;
    }
    metrics_free(metrics);
    config_free(config);
    return code;
}
