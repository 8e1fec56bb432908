/* avro-c as the oracle: what our decoders and avro-c read from the same bytes, as text to compare,
 * and what avro-c writes of what it has read. avro-c works in a pool of its own with a ceiling,
 * which is emptied at each call (it trusts lengths, and leaks when a read fails). */
#pragma once

#include "batch/batch.h"

/* As text by our decoder: its errors are passed on. */
bool batch_dump(struct slice bytes, const struct batch_caps *caps, struct buf *text,
                struct err *e) MUST_CHECK;
bool shape_dump(struct slice bytes, const struct shape_caps *caps, struct buf *text,
                struct err *e) MUST_CHECK;

/* By avro-c, with the schema that the bytes' head names. again: head and record as avro-c writes
 * them. False when it refuses them or hits the ceiling. */
bool batch_dump_avro_c(struct slice bytes, struct buf *text, struct buf *again) MUST_CHECK;
bool shape_dump_avro_c(struct slice bytes, struct buf *text, struct buf *again) MUST_CHECK;
