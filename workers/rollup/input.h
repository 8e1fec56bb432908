/* A record of metrics.admitted as rollup takes it. */
#pragma once

#include "batch/batch.h"
#include "stage/record.h"

/* Borrows from the record and from a. ERR_BAD_INPUT: no batch of limit's, or not of this
 * partition. */
bool input_read(const struct record *in, struct arena *a, struct batch *out,
                struct err *e) MUST_CHECK;
