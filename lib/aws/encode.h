/* The text forms that AWS's protocols share: percent-encoding (RFC 3986), hex, UTC times. */
#pragma once

#include "base/buf.h"

/* All but A-Z a-z 0-9 - . _ ~ becomes %XX; also '/' unless it is kept. */
void encode_percent(struct buf *b, struct slice s, bool keep_slash);
/* The same after percent-decoding: one form for "%7e", "~" and what was left raw. */
void encode_percent_again(struct buf *b, struct slice s);
/* Lower case. */
void encode_hex(char *out, const uint8_t *bytes, size_t n_bytes);

enum { ENCODE_TIME_CHARS = 16 };
/* "20150830T123600Z" and a NUL; false past the year 9999 or before 1970. */
bool encode_basic_time(int64_t ms, char out[ENCODE_TIME_CHARS + 1]);
/* "2015-08-30T12:36:00Z", with fractions (dropped) and offsets too (RFC 3339); false otherwise. */
bool decode_time(struct slice s, int64_t *ms);
