/* Hashes: XXH3 (xxHash) for identities and table keys, CRC-64-AVRO for schema fingerprints. */
#pragma once

#include "base/slice.h"

/* 128 bits serve as an identity; 64 bits only as a table hash. */
struct hash128 {
    uint64_t lo;
    uint64_t hi;
};

/* Identities: the same on every machine, for ever. */
uint64_t hash64(struct slice s);
struct hash128 hash128(struct slice s);

/* Keys of caches in this process: seeded by hash_seed_init, so that nobody outside can aim at a
 * collision. */
uint64_t hash64_seeded(struct slice s, uint64_t extra);
struct hash128 hash128_seeded(struct slice s, uint64_t extra);
/* Draws the seed from the system; without the call it is 0 (tests, benches). */
void hash_seed_init(void);

static inline bool hash128_eq(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

/* CRC-64-AVRO (Rabin), as in the Avro specification's "Schema Fingerprints". */
uint64_t crc64_avro(struct slice s);
