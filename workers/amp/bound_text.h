/* The value of a classic bucket's "le" label as Prometheus' OTLP translation writes it: the
 * shortest decimal that reads back as the same double, without an exponent ("0.005", "1000000",
 * "+Inf"). */
#pragma once

#include <stddef.h>

enum { BOUND_TEXT_BYTES = 400 };

/* Writes a C string; returns its length. */
size_t bound_text(double bound, char out[BOUND_TEXT_BYTES]);
