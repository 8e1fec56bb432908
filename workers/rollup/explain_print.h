/* An explained row as a person reads it, or as JSON. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "explain.h"

void explain_print(json_t *told, const struct explain_request *r, FILE *out);
