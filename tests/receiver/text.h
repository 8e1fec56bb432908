/* Series and numbers as text: JSON for what tests read, {a="b"} for refusals and for matching. */
#pragma once

#include "base/buf.h"

/* With quotes; bytes that are not UTF-8 become U+FFFD. */
void text_json_string(struct buf *out, struct slice s);
/* key: as in struct series. {"__name__":"x","a":"b"} */
void text_json_labels(struct buf *out, struct slice key);
/* {__name__="x", a="b"} */
void text_series(struct buf *out, struct slice key);
/* 2026-01-02T03:04:05.678Z */
void text_time(struct buf *out, int64_t t_ms);
