/* sluice-validate as a tool without Kafka: --explain FILE, --reasons. */
#pragma once

#include "run/config.h"

bool explain_tool_is_asked(int argc, char **argv);
/* The exit code: 0 all is accepted, 1 some is refused, 2 it can't be told. program is the worker's:
 * its configuration names the policy. */
int explain_tool_main(const struct config_program *program, int argc, char **argv);
