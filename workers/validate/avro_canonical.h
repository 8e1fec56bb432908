/* An Avro schema's fingerprint: CRC-64-AVRO of its Parsing Canonical Form (Avro specification,
 * "Schema Fingerprints", "Transforming into Parsing Canonical Form"). */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* ERR_CONFIG: it is no schema, is nested deeper than 32, or a record holds itself. */
bool avro_canonical(json_t *schema, struct buf *out, struct err *e) MUST_CHECK;
bool avro_fingerprint(json_t *schema, uint64_t *out, struct err *e) MUST_CHECK;
