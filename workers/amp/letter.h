/* Dead letters (schemas/dlq.avsc): references to what the store, or the decoder, would not take. */
#pragma once

#include "sender.h"

/* Why amp itself refuses a whole record. */
#define REASON_UNREADABLE "undecodable"
#define REASON_DELTA "delta_temporality"

void letter_encode(const struct letter *l, struct buf *out);
/* A record that could not be read, by its own place. */
void letter_encode_record(const struct record *r, const char *text, struct buf *out);
