/* One OTLP message read by otlp_walk and by protobuf-c, each written out as text, to be compared:
 * the oracle of the unit test and of the fuzz target. */
#pragma once

#include "base/buf.h"
#include "wire/otlp.h"

/* All that the walk gives, one line per metric and per point; doubles as their bits. */
bool otlp_dump_walk(struct slice message, const struct otlp_caps *caps, struct buf *out,
                    struct err *e) MUST_CHECK;
/* The same lines from protobuf-c's tree; false when it refuses the message. Its memory is capped.
 */
bool otlp_dump_protobuf_c(struct slice message, struct buf *out) MUST_CHECK;

/* Where the two are known to differ:
 * - protobuf-c recurses without limit: only messages that cannot nest deeply are given to it;
 * - it replaces a oneof's message that comes twice and merges others by value, where protobuf
 *   merges by concatenation. */
bool otlp_nests_shallowly(struct slice message);
bool otlp_repeats_a_message(struct slice message);
