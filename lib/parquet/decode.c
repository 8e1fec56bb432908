#include "parquet/decode.h"

static uint64_t low_bits(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* The i-th value of bit_width bits (at most 64), lowest bit first. */
static uint64_t unpack(struct slice packed, unsigned bit_width, size_t i)
{
    size_t bit = i * bit_width;
    uint64_t v = 0;
    for (unsigned got = 0; got < bit_width;) {
        unsigned from = (unsigned)((bit + got) % 8);
        v |= (uint64_t)(packed.ptr[(bit + got) / 8] >> from) << got;
        got += 8 - from;
    }
    return v & low_bits(bit_width);
}

static bool literals_decode(struct cursor *in, unsigned bit_width, uint64_t n_groups, size_t n,
                            uint32_t *out, size_t *at)
{
    if (n_groups > SIZE_MAX / 64) {
        return false;
    }
    struct slice packed = cursor_take(in, n_groups * bit_width);
    size_t k = (size_t)n_groups * 8;
    for (size_t i = 0; cursor_ok(in) && i < k && *at < n; i++) {
        out[(*at)++] = (uint32_t)unpack(packed, bit_width, i);
    }
    return cursor_ok(in);
}

static bool run_decode(struct cursor *in, unsigned bit_width, uint64_t k, size_t n, uint32_t *out,
                       size_t *at)
{
    uint32_t v = 0;
    struct slice bytes = cursor_take(in, (bit_width + 7) / 8);
    for (size_t i = 0; i < bytes.len; i++) {
        v |= (uint32_t)bytes.ptr[i] << 8 * i;
    }
    if (!cursor_ok(in) || k > n - *at || v > low_bits(bit_width)) {
        return false;
    }
    for (; k > 0; k--) {
        out[(*at)++] = v;
    }
    return true;
}

bool rle_decode(struct cursor *in, unsigned bit_width, size_t n, uint32_t *out)
{
    for (size_t at = 0; at < n;) {
        uint64_t head = cursor_varint(in);
        if (!cursor_ok(in) || head < 2 ||
            bit_width > 32) { /* a token without values would go on for ever */
            return false;
        }
        bool ok = (head & 1) != 0 ? literals_decode(in, bit_width, head >> 1, n, out, &at)
                                  : run_decode(in, bit_width, head >> 1, n, out, &at);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void value_put(uint8_t *out, unsigned width, size_t i, uint64_t v)
{
    memcpy(out + i * width, &v, width);
}

struct delta {
    size_t per_miniblock;
    size_t n_miniblocks;
    unsigned width;
    uint64_t before;
    uint8_t *out;
    size_t n; /* values in all */
    size_t at;
};

/* One block: a minimum, the widths of all miniblocks, then the miniblocks that have values. */
static bool block_decode(struct cursor *in, struct delta *d)
{
    uint64_t min = (uint64_t)cursor_zigzag(in);
    struct slice widths = cursor_take(in, d->n_miniblocks);
    for (size_t m = 0; m < widths.len && d->at < d->n; m++) {
        unsigned bit_width = widths.ptr[m];
        if (bit_width > 64) {
            return false;
        }
        struct slice packed = cursor_take(in, d->per_miniblock * bit_width / 8);
        for (size_t i = 0; cursor_ok(in) && i < d->per_miniblock && d->at < d->n; i++) {
            d->before += min + unpack(packed, bit_width, i);
            value_put(d->out, d->width, d->at++, d->before);
        }
    }
    return cursor_ok(in);
}

bool delta_decode(struct cursor *in, unsigned width, size_t n, uint8_t *out)
{
    enum { MAX_BLOCK = 1 << 20 };
    uint64_t per_block = cursor_varint(in);
    uint64_t n_miniblocks = cursor_varint(in);
    uint64_t n_values = cursor_varint(in);
    uint64_t before = (uint64_t)cursor_zigzag(in);
    if (!cursor_ok(in) || per_block == 0 || per_block > MAX_BLOCK || per_block % 128 != 0 ||
        n_miniblocks == 0 || per_block % n_miniblocks != 0 || per_block / n_miniblocks % 32 != 0 ||
        n_values != n) {
        return false;
    }
    struct delta d = {.per_miniblock = (size_t)(per_block / n_miniblocks),
                      .n_miniblocks = (size_t)n_miniblocks,
                      .width = width,
                      .before = before,
                      .out = out,
                      .n = n};
    if (n > 0) {
        value_put(out, width, d.at++, before);
    }
    while (d.at < n) {
        if (!block_decode(in, &d)) {
            return false;
        }
    }
    return true;
}

bool split_decode(struct cursor *in, unsigned width, size_t n, uint8_t *out)
{
    struct slice bytes = cursor_take(in, (uint64_t)n * width);
    for (size_t i = 0; i < bytes.len; i++) {
        out[i % n * width + i / n] = bytes.ptr[i];
    }
    return cursor_ok(in);
}

bool bits_decode(struct cursor *in, size_t n, uint8_t *out)
{
    struct slice bytes = cursor_take(in, n / 8 + (n % 8 != 0));
    for (size_t i = 0; cursor_ok(in) && i < n; i++) {
        out[i] = bytes.ptr[i / 8] >> i % 8 & 1;
    }
    return cursor_ok(in);
}

bool texts_decode(struct cursor *in, size_t n, struct slice *out)
{
    for (size_t i = 0; i < n && cursor_ok(in); i++) {
        out[i] = cursor_take(in, cursor_le32(in));
    }
    return cursor_ok(in);
}
