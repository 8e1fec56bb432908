/* What a Parquet file says about itself, for people: `sluice-parquet inspect`. */
#pragma once

#include <stdio.h>

#include "parquet/file.h"

void inspect_print(const struct parquet_file *f, const char *name, FILE *out);
