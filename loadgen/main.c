#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "send.h"
#include "verify.h"

enum { USAGE = 2 };

static const char HELP[] =
    "sluice-loadgen: game servers' metrics into Kafka or a gateway, and the proof that they arrived.\n\n"
    "  sluice-loadgen send --brokers HOST:PORT --topic NAME | --gateway URL [...]\n"
    "  sluice-loadgen verify --manifest FILE --topic NAME | --receiver URL | --prometheus URL [...]\n"
    "  sluice-loadgen send --help | verify --help | --version\n\n"
    "Every label, time, value and misdeed is a function of the seed: verify computes what must be\n"
    "there and compares. Exit code 0: all is well; 1: it is not; 2: usage.\n";

int main(int argc, char **argv)
{
    const char *command = argc < 2 ? "" : argv[1];
    if (strcmp(command, "send") == 0) {
        return send_main(argc - 2, argv + 2);
    }
    if (strcmp(command, "verify") == 0) {
        return verify_main(argc - 2, argv + 2);
    }
    if (strcmp(command, "--help") == 0) {
        (void)fputs(HELP, stdout);
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        (void)printf("sluice %s, librdkafka %s\n", SLUICE_VERSION, rd_kafka_version_str());
        return 0;
    }
    (void)fputs(HELP, stderr);
    return USAGE;
}
