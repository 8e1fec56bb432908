#include "parquet/bloom.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "parquet/thrift.h"

enum { WORDS = 8, BITS_PER_VALUE = 11 };

static const uint32_t salt[WORDS] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                     0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};

uint64_t bloom_hash(struct slice value)
{
    return XXH64(value.ptr, value.len, 0);
}

static size_t block_of(uint64_t hash, size_t n_blocks)
{
    return (size_t)((hash >> 32) * n_blocks >> 32);
}

static void block_set(uint8_t *block, uint32_t low)
{
    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t word;
        memcpy(&word, block + i * sizeof word, sizeof word);
        word |= UINT32_C(1) << (low * salt[i] >> 27);
        memcpy(block + i * sizeof word, &word, sizeof word);
    }
}

bool bloom_may_hold(struct slice blocks, uint64_t hash)
{
    const uint8_t *block =
        blocks.ptr + block_of(hash, blocks.len / BLOOM_BLOCK_BYTES) * BLOOM_BLOCK_BYTES;
    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t word;
        memcpy(&word, block + i * sizeof word, sizeof word);
        if ((word & UINT32_C(1) << ((uint32_t)hash * salt[i] >> 27)) == 0) {
            return false;
        }
    }
    return true;
}

static void header_put(size_t n_bytes, struct buf *out)
{
    struct thrift_struct header = thrift_begin(out);
    thrift_i32(&header, 1, (int32_t)n_bytes);
    for (int16_t id = 2; id <= 4; id++) { /* block, xxhash, uncompressed: the first of each union */
        struct thrift_struct kind = thrift_field_struct(&header, id);
        thrift_empty(&kind, 1);
        thrift_end(&kind);
    }
    thrift_end(&header);
}

void bloom_put(const uint64_t *hashes, size_t n, size_t max_bytes, struct buf *out)
{
    size_t n_bytes = BLOOM_BLOCK_BYTES;
    while (n_bytes < n * BITS_PER_VALUE / 8 && n_bytes * 2 <= max_bytes) {
        n_bytes *= 2;
    }
    header_put(n_bytes, out);
    uint8_t *blocks = buf_extend(out, n_bytes);
    if (blocks == NULL) {
        return;
    }
    memset(blocks, 0, n_bytes);
    for (size_t i = 0; i < n; i++) {
        size_t block = block_of(hashes[i], n_bytes / BLOOM_BLOCK_BYTES);
        block_set(blocks + block * BLOOM_BLOCK_BYTES, (uint32_t)hashes[i]);
    }
}
