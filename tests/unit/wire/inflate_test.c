#include "unit/runner.h"

#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "wire/inflate.h"

enum { MAX_BYTES = 1 << 20, TEXT_BYTES = 200000 };

static uint8_t text[TEXT_BYTES];

static void text_fill(void)
{
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)((i * i) >> 7);
    }
}

static size_t gzip_pack(const uint8_t *from, size_t len, uint8_t *to)
{
    z_stream z = {0};
    ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)from;
    z.avail_in = (uInt)len;
    z.next_out = to;
    z.avail_out = MAX_BYTES;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    ck_assert_int_eq(deflateEnd(&z), Z_OK);
    return n;
}

static size_t pack(enum inflate_format format, const uint8_t *from, size_t len, uint8_t *to)
{
    size_t n = MAX_BYTES;
    if (format == INFLATE_SNAPPY) {
        ck_assert_int_eq(snappy_compress((const char *)from, len, (char *)to, &n), SNAPPY_OK);
        return n;
    }
    return format == INFLATE_GZIP ? gzip_pack(from, len, to) : ZSTD_compress(to, n, from, len, 3);
}

/* 0: unpacked; else the fault. */
static int try(enum inflate_format format, struct slice in, size_t max_bytes, struct buf *out)
{
    struct err e = ERR_INIT;
    buf_reset(out);
    if (inflate_bytes(format, in, max_bytes, out, &e)) {
        ck_assert_uint_le(out->len, max_bytes);
        return 0;
    }
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    ck_assert(e.text[0] != 0);
    return e.code;
}

static const enum inflate_format formats[] = {INFLATE_SNAPPY, INFLATE_GZIP, INFLATE_ZSTD};
static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 131072, TEXT_BYTES};

START_TEST(unpacks_what_was_packed)
{
    uint8_t *packed = malloc(MAX_BYTES);
    struct buf out;
    ck_assert_ptr_nonnull(packed);
    buf_init(&out, MAX_BYTES);
    text_fill();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t len = pack(formats[_i], text, sizes[i], packed);
        ck_assert_int_eq(try(formats[_i], slice_of(packed, len), sizes[i], &out), 0);
        ck_assert(slice_eq(buf_slice(&out), slice_of(text, sizes[i])));
        if (sizes[i] > 0) {
            ck_assert_int_eq(try(formats[_i], slice_of(packed, len), sizes[i] - 1, &out),
                             INFLATE_TOO_LARGE);
        }
    }
    buf_fini(&out);
    free(packed);
}
END_TEST

START_TEST(refuses_what_is_cut_or_longer)
{
    uint8_t *packed = malloc(MAX_BYTES);
    struct buf out;
    ck_assert_ptr_nonnull(packed);
    buf_init(&out, MAX_BYTES);
    text_fill();
    size_t len = pack(formats[_i], text, 1000, packed);
    for (size_t cut = 0; cut < len; cut++) {
        ck_assert_msg(try(formats[_i], slice_of(packed, cut), 2000, &out) == INFLATE_MALFORMED,
                      "cut at %zu", cut);
    }
    packed[len] = 'x';
    ck_assert_int_eq(try(formats[_i], slice_of(packed, len + 1), 2000, &out), INFLATE_MALFORMED);
    buf_fini(&out);
    free(packed);
}
END_TEST

START_TEST(a_bomb_costs_its_cap)
{
    uint8_t *zeros = calloc(1, 64 << 20);
    uint8_t *packed = malloc(8 << 20);
    struct buf out;
    ck_assert(zeros != NULL && packed != NULL);
    buf_init(&out, 256 << 20);
    size_t len = formats[_i] == INFLATE_SNAPPY ? 0 : 1;
    if (formats[_i] == INFLATE_SNAPPY) {
        memcpy(packed,
               "\xff\xff\xff\xff\x0f"
               "12345",
               len = 10); /* says 4 GiB */
    } else if (formats[_i] == INFLATE_GZIP) {
        len = gzip_pack(zeros, 64 << 20, packed);
    } else {
        len = ZSTD_compress(packed, 8 << 20, zeros, 64 << 20, 3);
    }
    ck_assert_int_eq(try(formats[_i], slice_of(packed, len), 1 << 20, &out), INFLATE_TOO_LARGE);
    ck_assert_uint_le(out.cap, 4 << 20);
    buf_fini(&out);
    free(zeros);
    free(packed);
}
END_TEST

START_TEST(members_in_a_row_are_one_text)
{
    uint8_t *packed = malloc(MAX_BYTES);
    struct buf out;
    ck_assert_ptr_nonnull(packed);
    buf_init(&out, MAX_BYTES);
    text_fill();
    size_t len = pack(formats[_i], text, 1000, packed);
    len += pack(formats[_i], text + 1000, 500, packed + len);
    ck_assert_int_eq(try(formats[_i], slice_of(packed, len), 2000, &out), 0);
    ck_assert(slice_eq(buf_slice(&out), slice_of(text, 1500)));
    buf_fini(&out);
    free(packed);
}
END_TEST

START_TEST(other_malformed_bytes)
{
    static const struct {
        const char *name;
        enum inflate_format format;
        struct slice bytes;
    } rows[] = {
        {"19 framed snappy", INFLATE_SNAPPY, {(const uint8_t *)"\xff\x06\x00\x00sNaPpY\x00", 11}},
        {"20 snappy copy of offset 0",
         INFLATE_SNAPPY,
         {(const uint8_t *)"\x08\x00"
                           "a\x01\x00",
          5}},
        {"20 snappy copy before the start",
         INFLATE_SNAPPY,
         {(const uint8_t *)"\x08\x00"
                           "a\x01\x09",
          5}},
        {"23 zstd window of 2 GiB",
         INFLATE_ZSTD,
         {(const uint8_t *)"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9}},
        {"gzip that is not", INFLATE_GZIP, {(const uint8_t *)"hello, world", 12}},
    };
    struct buf out;
    buf_init(&out, MAX_BYTES);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_msg(try(rows[i].format, rows[i].bytes, 1000, &out) == INFLATE_MALFORMED, "%s",
                      rows[i].name);
    }
    buf_fini(&out);
}
END_TEST

START_TEST(a_wrong_checksum_is_refused)
{
    uint8_t *packed = malloc(MAX_BYTES);
    struct buf out;
    ck_assert_ptr_nonnull(packed);
    buf_init(&out, MAX_BYTES);
    text_fill();
    size_t len = gzip_pack(text, 1000, packed);
    packed[len - 8] ^= 1;
    ck_assert_int_eq(try(INFLATE_GZIP, slice_of(packed, len), 2000, &out), INFLATE_MALFORMED);
    buf_fini(&out);
    free(packed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inflate");
    TCase *tcase = tcase_create("inflate");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, unpacks_what_was_packed, 0, 3);
    tcase_add_loop_test(tcase, refuses_what_is_cut_or_longer, 0, 3);
    tcase_add_loop_test(tcase, a_bomb_costs_its_cap, 0, 3);
    tcase_add_loop_test(tcase, members_in_a_row_are_one_text, 1, 3);
    tcase_add_test(tcase, other_malformed_bytes);
    tcase_add_test(tcase, a_wrong_checksum_is_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
