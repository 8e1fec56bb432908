#include "parquet/encoding.h"

#include "base/varint.h"

enum { GROUP = 8, BLOCK = 128, MINIBLOCK = 32, N_MINIBLOCKS = BLOCK / MINIBLOCK };

/* n values of bit_width bits, lowest bit first, into (n * bit_width + 7) / 8 bytes. */
static uint8_t *pack_u32(const uint32_t *values, size_t n, unsigned bit_width, uint8_t *to)
{
    uint64_t held = 0;
    unsigned n_held = 0;
    for (size_t i = 0; i < n; i++) {
        held |= (uint64_t)values[i] << n_held;
        n_held += bit_width;
        while (n_held >= 32) {
            uint32_t low = (uint32_t)held;
            memcpy(to, &low, sizeof low);
            to += sizeof low;
            held >>= 32;
            n_held -= 32;
        }
    }
    for (; n_held > 0; n_held -= n_held < 8 ? n_held : 8) {
        *to++ = (uint8_t)held;
        held >>= 8;
    }
    return to;
}

static void literals_put(const uint32_t *values, size_t n, unsigned bit_width, struct buf *out)
{
    if (n == 0) {
        return;
    }
    size_t n_groups = (n + GROUP - 1) / GROUP;
    size_t whole = n / GROUP * GROUP;
    buf_varint(out, (uint64_t)n_groups << 1 | 1);
    uint8_t *to = buf_extend(out, n_groups * bit_width);
    if (to == NULL) {
        return;
    }
    to = pack_u32(values, whole, bit_width, to);
    if (whole < n) {
        uint32_t last[GROUP] = {0};
        memcpy(last, values + whole, (n - whole) * sizeof *values);
        (void)pack_u32(last, GROUP, bit_width, to);
    }
}

static void run_put(uint32_t value, size_t n, unsigned bit_width, struct buf *out)
{
    buf_varint(out, (uint64_t)n << 1);
    buf_put(out, &value, (bit_width + 7) / 8);
}

static size_t run_length(const uint32_t *values, size_t n)
{
    size_t k = 1;
    while (k < n && values[k] == values[0]) {
        k++;
    }
    return k;
}

void rle_encode(const uint32_t *values, size_t n, unsigned bit_width, struct buf *out)
{
    if (n == 0) {
        return; /* values may be NULL */
    }
    size_t literal = 0; /* where the literals begin that are not written yet */
    for (size_t i = 0; i < n;) {
        size_t run = run_length(values + i, n - i);
        /* Literals come in whole groups: the run's first values fill the last one. */
        size_t fill = (GROUP - (i - literal) % GROUP) % GROUP;
        if (run >= fill + GROUP) {
            literals_put(values + literal, i + fill - literal, bit_width, out);
            run_put(values[i], run - fill, bit_width, out);
            literal = i + run;
        }
        i += run;
    }
    literals_put(values + literal, n - literal, bit_width, out);
}

static int64_t value_at(struct slice plain, unsigned width, size_t i)
{
    if (width == sizeof(int32_t)) {
        int32_t v;
        memcpy(&v, plain.ptr + i * sizeof v, sizeof v);
        return v;
    }
    int64_t v;
    memcpy(&v, plain.ptr + i * sizeof v, sizeof v);
    return v;
}

/* In the width of the type, so that 32-bit differences need no 33 bits. */
static int64_t difference(int64_t later, int64_t before, unsigned width)
{
    uint64_t d = (uint64_t)later - (uint64_t)before;
    return width == sizeof(int32_t) ? (int32_t)(uint32_t)d : (int64_t)d;
}

static uint8_t *pack_u64(const uint64_t *values, unsigned bit_width, uint8_t *to)
{
    unsigned __int128 held = 0;
    unsigned n_held = 0;
    for (unsigned i = 0; i < MINIBLOCK; i++) {
        held |= (unsigned __int128)values[i] << n_held;
        for (n_held += bit_width; n_held >= 8; n_held -= 8) {
            *to++ = (uint8_t)held;
            held >>= 8;
        }
    }
    return to;
}

static void block_put(const int64_t *deltas, unsigned n, struct buf *out)
{
    uint64_t above[BLOCK] = {0};
    uint8_t widths[N_MINIBLOCKS] = {0};
    int64_t min = deltas[0];
    for (unsigned i = 1; i < n; i++) {
        min = deltas[i] < min ? deltas[i] : min;
    }
    size_t n_bytes = 0;
    for (unsigned m = 0; m < N_MINIBLOCKS; m++) {
        uint64_t all = 0;
        for (unsigned i = m * MINIBLOCK; i < n && i < (m + 1) * MINIBLOCK; i++) {
            above[i] = (uint64_t)deltas[i] - (uint64_t)min;
            all |= above[i];
        }
        widths[m] = (uint8_t)(all == 0 ? 0 : 64 - __builtin_clzll(all));
        n_bytes += (size_t)widths[m] * MINIBLOCK / 8;
    }
    buf_zigzag(out, min);
    buf_put(out, widths, sizeof widths);
    uint8_t *to = buf_extend(out, n_bytes);
    for (unsigned m = 0; m < N_MINIBLOCKS && to != NULL; m++) {
        to = pack_u64(above + (size_t)m * MINIBLOCK, widths[m], to);
    }
}

void delta_encode(struct slice plain, unsigned width, struct buf *out)
{
    size_t n = plain.len / width;
    int64_t before = n == 0 ? 0 : value_at(plain, width, 0);
    buf_varint(out, BLOCK);
    buf_varint(out, N_MINIBLOCKS);
    buf_varint(out, n);
    buf_zigzag(out, before);
    for (size_t i = 1; i < n;) {
        int64_t deltas[BLOCK] = {0};
        unsigned k = 0;
        for (; k < BLOCK && i < n; k++, i++) {
            int64_t v = value_at(plain, width, i);
            deltas[k] = difference(v, before, width);
            before = v;
        }
        block_put(deltas, k, out);
    }
}

void split_encode(struct slice plain, unsigned width, struct buf *out)
{
    size_t n = plain.len / width;
    uint8_t *to = n == 0 ? NULL : buf_extend(out, n * width);
    if (to == NULL) {
        return;
    }
    for (unsigned k = 0; k < width; k++) {
        for (size_t i = 0; i < n; i++) {
            *to++ = plain.ptr[i * width + k];
        }
    }
}

void bits_encode(struct slice bytes, struct buf *out)
{
    uint8_t *to = bytes.len == 0 ? NULL : buf_extend(out, (bytes.len + 7) / 8);
    if (to == NULL) {
        return;
    }
    memset(to, 0, (bytes.len + 7) / 8);
    for (size_t i = 0; i < bytes.len; i++) {
        to[i / 8] = (uint8_t)(to[i / 8] | (bytes.ptr[i] != 0) << (i % 8));
    }
}
