#include "base/hash.h"

#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t process_seed;

void hash_seed_init(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed) {
        process_seed = seed;
    }
}

uint64_t hash64(struct slice s)
{
    return XXH3_64bits(s.ptr, s.len);
}

struct hash128 hash128(struct slice s)
{
    XXH128_hash_t h = XXH3_128bits(s.ptr, s.len);
    return (struct hash128){h.low64, h.high64};
}

uint64_t hash64_seeded(struct slice s, uint64_t extra)
{
    return XXH3_64bits_withSeed(s.ptr, s.len, process_seed ^ extra);
}

struct hash128 hash128_seeded(struct slice s, uint64_t extra)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(s.ptr, s.len, process_seed ^ extra);
    return (struct hash128){h.low64, h.high64};
}

uint64_t crc64_avro(struct slice s)
{
    const uint64_t empty = UINT64_C(0xc15d213aa4d7a795);
    uint64_t fp = empty;
    for (size_t i = 0; i < s.len; i++) {
        fp ^= s.ptr[i];
        for (int bit = 0; bit < 8; bit++) {
            fp = (fp >> 1) ^ (empty & (~(fp & 1) + 1));
        }
    }
    return fp;
}
