#include "aws/crc32c.h"

#include <pthread.h>

/* Eight bytes a step: table[k][b] is what byte b does from k bytes further on. */
static uint32_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++) {
            v = (v >> 1) ^ (v & 1 ? 0x82f63b78U : 0);
        }
        table[0][i] = v;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int k = 1; k < 8; k++) {
            table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 255];
        }
    }
}

static uint32_t eight(uint32_t crc, const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    v ^= crc;
    uint32_t out = 0;
    for (int k = 0; k < 8; k++) {
        out ^= table[7 - k][(v >> (8 * k)) & 255];
    }
    return out;
}

uint32_t crc32c(uint32_t crc, struct slice s)
{
    (void)pthread_once(&once, fill);
    size_t i = 0;
    crc = ~crc;
    for (; s.len - i >= 8; i += 8) {
        crc = eight(crc, s.ptr + i);
    }
    for (; i < s.len; i++) {
        crc = (crc >> 8) ^ table[0][(crc ^ s.ptr[i]) & 255];
    }
    return ~crc;
}
