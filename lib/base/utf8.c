#include "base/utf8.h"

/* Length of the valid sequence at p, or 0. */
static size_t sequence_len(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || len > left) {
        return 0;
    }
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t utf8_check(struct slice s)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    size_t i = 0;
    while (i < s.len) {
        uint64_t word;
        if (s.len - i >= sizeof word) {
            memcpy(&word, s.ptr + i, sizeof word);
            if ((word & high_bits) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t len = sequence_len(s.ptr + i, s.len - i);
        if (len == 0) {
            return i;
        }
        i += len;
    }
    return s.len;
}

size_t utf8_fit(struct slice s, size_t max_bytes)
{
    if (s.len <= max_bytes) {
        return s.len;
    }
    size_t n = max_bytes;
    while (n > 0 && (s.ptr[n] & 0xc0) == 0x80) {
        n--;
    }
    return n;
}
