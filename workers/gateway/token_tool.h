/* sluice-gateway token create | revoke | list: the operators' side of the token file. */
#pragma once

#include "run/config.h"

/* argv[1] is "token". Returns the exit code. */
int token_tool(const struct config_program *gateway, int argc, char **argv);
