/* Any of our Avro records as JSON, by its schema: bounded by the bytes that are there. Bytes become
 * hexadecimal digits, ids of series (16 bytes each) a list of them, ids of topics what Kafka's tools
 * show. */
#pragma once

#include "base/cursor.h"
#include "base/err.h"

#include <jansson.h>

/* A new reference in *out. ERR_BAD_INPUT: damaged. */
bool avro_json(const json_t *schema, struct slice body, json_t **out, struct err *e) MUST_CHECK;

/* Text as JSON: what is not UTF-8 as "hex:…". */
json_t *json_of_text(struct slice text);
json_t *json_of_hex(struct slice bytes);
/* NaN and infinities as text; "stale" for the stale marker. */
json_t *json_of_double(double v);
