/* sluice-gateway: HTTP in, Kafka out.
 *
 *   POST /v1/metrics (OTLP), POST /api/v1/write (remote write) ──► gateway ──► metrics.ingest */
#include "gateway.h"
#include "gateway_config.h"
#include "run/program.h"
#include "stage/kafka_client.h"
#include "token_tool.h"

#include <string.h>

static const struct config_key keys[] = {GATEWAY_CONFIG(CONFIG_ROW)};

int main(int argc, char **argv)
{
    const struct config_program program = {
        .name = "sluice-gateway",
        .summary = "takes OTLP and remote write over HTTP; sluice-gateway token --help: bearer tokens",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
        .check = gateway_check,
    };
    if (argc > 1 && strcmp(argv[1], "token") == 0) {
        return token_tool(&program, argc, argv);
    }
    return program_main(&program, argc, argv, gateway_run);
}
