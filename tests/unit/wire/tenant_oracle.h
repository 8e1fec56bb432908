/* One tenant record read by tenant_avro_walk and by avro-c, each written out as text: the oracle of
 * the unit test and of the fuzz target. */
#pragma once

#include "base/buf.h"
#include "wire/tenant_avro.h"

bool tenant_dump_walk(struct slice message, const struct tenant_avro_caps *caps, struct buf *out,
                      struct err *e) MUST_CHECK;
/* False when avro-c refuses it. avro-c's memory does not follow the message's size: give it only
 * what the walk took. */
bool tenant_dump_avro_c(struct slice message, struct buf *out) MUST_CHECK;
