/* CRC-32C (Castagnoli, RFC 3720), which S3 checks a body by. */
#pragma once

#include "base/slice.h"

/* Continues from crc; begin with 0. */
uint32_t crc32c(uint32_t crc, struct slice s);
