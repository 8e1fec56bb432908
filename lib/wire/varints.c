#include "wire/varints.h"

enum { WORD = 8, PER_WORD = 4 };

static const uint64_t high_bits = UINT64_C(0x8080808080808080);

/* Eight bytes of 7 bits each → 56 bits. */
static uint64_t squeeze7(uint64_t v)
{
    v = (v & UINT64_C(0x007f007f007f007f)) | (v & UINT64_C(0x7f007f007f007f00)) >> 1;
    v = (v & UINT64_C(0x00003fff00003fff)) | (v & UINT64_C(0x3fff00003fff0000)) >> 2;
    return (v & UINT64_C(0x000000000fffffff)) | (v & UINT64_C(0x0fffffff00000000)) >> 4;
}

/* Of a word without a varint of three bytes the first four, which are there; how many bytes they have. Bucket counts are a
 * mix that no predictor guesses: so there is no branch on which is how long. */
static inline size_t four_short(uint64_t word, uint64_t *out)
{
    size_t n_bytes = PER_WORD;
    for (int i = 0; i < PER_WORD; i++) {
        uint64_t more = word >> 7 & 1;
        out[i] = (word & 0x7f) | (word >> 1 & 0x3f80 & (0 - more));
        word = more != 0 ? word >> 2 * WORD : word >> WORD;
        n_bytes += more;
    }
    return n_bytes;
}

/* All varints that end in a word, the first one's end among them; how many. */
static size_t any_length(uint64_t word, uint64_t ends, uint64_t *out, size_t *n_bytes)
{
    unsigned from = 0;
    size_t n = 0;
    do {
        unsigned to = (unsigned)__builtin_ctzll(ends) + 1;
        out[n++] = squeeze7((word >> from) & (UINT64_MAX >> (64 - (to - from))));
        from = to;
        ends &= ends - 1;
    } while (ends != 0);
    *n_bytes = from / WORD;
    return n;
}

/* As long as whole words are left, and no varint of more than eight bytes comes. */
static size_t words_unpack(struct cursor *c, uint64_t *out)
{
    size_t n = 0;
    while (cursor_left(c) >= WORD) {
        uint64_t word;
        memcpy(&word, c->next, sizeof word);
        uint64_t more = word & high_bits;
        if ((more & more << WORD) == 0) {
            c->next += four_short(word, out + n);
            n += PER_WORD;
        } else if (more != high_bits) {
            size_t n_bytes;
            n += any_length(word, more ^ high_bits, out + n, &n_bytes);
            c->next += n_bytes;
        } else {
            break;
        }
    }
    return n;
}

/* The last varints, of less than a word, if none has three bytes: read as the end of a word. */
static size_t tail_unpack(struct cursor *c, uint64_t *out)
{
    size_t left = cursor_left(c);
    if (left == 0 || left >= WORD || (size_t)(c->end - c->start) < WORD) {
        return 0;
    }
    uint64_t word;
    memcpy(&word, c->end - WORD, sizeof word);
    word >>= 64 - left * 8;
    uint64_t more = word & high_bits;
    if ((more & more << WORD) != 0 || more >> (left * 8 - 1) != 0) { /* a long one, or cut off */
        return 0;
    }
    size_t n = 0;
    while (left > 0) {
        uint64_t two = word >> 7 & 1;
        out[n++] = (word & 0x7f) | (word >> 1 & 0x3f80 & (0 - two));
        word = two != 0 ? word >> 2 * WORD : word >> WORD;
        left -= 1 + two;
    }
    c->next = c->end;
    return n;
}

size_t varints_unpack(struct cursor *c, uint64_t *out)
{
    size_t n = 0;
    while (cursor_more(c)) {
        n += words_unpack(c, out + n);
        n += tail_unpack(c, out + n);
        if (!cursor_more(c)) {
            break;
        }
        uint64_t v = cursor_varint(c); /* a long one, or one of the last */
        if (cursor_ok(c)) {
            out[n++] = v;
        }
    }
    return n;
}
