/* What keeps a parquet group where it is: an open intent, and objects that hold rows from the new offset on. */
#pragma once

#include "moves.h"

/* ERR_CONFIG names the intent or the object, and says what else to do. Needs the bucket. */
bool parquet_check(const struct tool *t, rd_kafka_t *rk, const struct moves *m, struct err *e) MUST_CHECK;
