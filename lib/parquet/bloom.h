/* The split block Bloom filter of Parquet (apache/parquet-format BloomFilter.md): XXH64, seed 0,
 * over the value's bytes without a length.
 *
 *   header (thrift) | blocks of 32 bytes, 8 bits set in one of them per value */
#pragma once

#include "base/buf.h"

enum { BLOOM_BLOCK_BYTES = 32 };

uint64_t bloom_hash(struct slice value);
/* Header and filter of n values at about 1 % false positives, or of max_bytes if that is less.
 * Repeated hashes count as values of their own. */
void bloom_put(const uint64_t *hashes, size_t n, size_t max_bytes, struct buf *out);
/* blocks: the filter without its header, whole blocks and at least one. */
bool bloom_may_hold(struct slice blocks, uint64_t hash);
