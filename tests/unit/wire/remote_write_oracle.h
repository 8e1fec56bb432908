/* One remote write message read by remote_write_walk and, 1.0, by protobuf-c, each written out as text: the oracle of the
 * unit test and of the fuzz target. */
#pragma once

#include "base/buf.h"
#include "wire/remote_write.h"

bool remote_write_dump_walk(enum remote_write_version version, struct slice message, const struct remote_write_caps *caps,
                            struct buf *out, struct err *e) MUST_CHECK;
/* False when protobuf-c refuses it. */
bool remote_write_dump_protobuf_c(struct slice message, struct buf *out) MUST_CHECK;
