/* Which point a store's refusal names. Cortex and Amazon Managed Prometheus say
 * `…: err: too old sample. timestamp=2027-01-15T07:58:49.877Z, series={__name__="up", a="b"}`,
 * Mimir `… The affected sample has timestamp 2027-01-15T07:58:49.877Z and is from series
 * {__name__="up", …` and, of labels, `… series: 'up{a="b"}'`. Labels that are quoted otherwise are
 * not found. */
#pragma once

#include "work.h"

/* False: the text has no time that can be read (RFC 3339 in UTC, or ms). */
bool named_time(struct slice text, int64_t *time_ms);
/* The piece of singles whose labels are all in the text, and, if the text has a time, that has it;
 * of several the one with most labels, then the first. n_pieces: none. */
uint32_t named_piece(const struct work *w, struct slice text);
/* The same, if no point of its series is before it, so that it may go first; n_pieces: none. */
uint32_t named_first(const struct work *w, struct slice text);
