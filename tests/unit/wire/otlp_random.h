/* Random OTLP messages, written by hand so that what no library writes occurs too: fields in any
 * order, attributes scattered, packed and single numbers, unknown fields, scalars that repeat. */
#pragma once

#include "base/buf.h"

uint64_t random_next(uint64_t *state);
void otlp_random_message(uint64_t *state, struct buf *out);

/* For messages made by hand. */
void pb_put_varint(struct buf *out, uint32_t number, uint64_t v);
void pb_put_fixed64(struct buf *out, uint32_t number, uint64_t bits);
void pb_put_double(struct buf *out, uint32_t number, double v);
void pb_put_bytes(struct buf *out, uint32_t number, struct slice bytes);
void pb_put_str(struct buf *out, uint32_t number, const char *s);
