/* Runs of varints of all lengths, unpacked at once and one by one: the same values, and the same runs are refused. */
#include <stdlib.h>

#include "base/varint.h"
#include "unit/runner.h"
#include "wire/varints.h"

enum { MAX_VARINTS = 200, MAX_BYTES = MAX_VARINTS * VARINT_SPACE };

static uint64_t state;

static uint64_t draw(uint64_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % n;
}

/* One by one: how many before the end, or before what can't be read. */
static size_t unpack_plainly(struct cursor *c, uint64_t *out)
{
    size_t n = 0;
    while (cursor_more(c)) {
        uint64_t v = cursor_varint(c);
        if (cursor_ok(c)) {
            out[n++] = v;
        }
    }
    return n;
}

/* Of exactly this size each, so that what lies outside is noticed under AddressSanitizer. */
static void check(const uint8_t *bytes, size_t n_bytes)
{
    uint8_t *copy = malloc(n_bytes + 1);
    uint64_t *out = malloc(n_bytes * sizeof *out + 1);
    static uint64_t want[MAX_BYTES];
    ck_assert(copy != NULL && out != NULL);
    uint8_t *exact = copy + 1; /* nor is it aligned */
    memcpy(exact, bytes, n_bytes);
    struct cursor plain = cursor_of(slice_of(exact, n_bytes));
    struct cursor c = plain;
    size_t n_want = unpack_plainly(&plain, want);
    size_t n = varints_unpack(&c, out);
    ck_assert_int_eq(cursor_ok(&c), cursor_ok(&plain));
    if (cursor_ok(&c)) {
        ck_assert_uint_eq(n, n_want);
        ck_assert_int_eq(memcmp(out, want, n * sizeof *out), 0);
    }
    free(copy);
    free(out);
}

START_TEST(all_lengths_are_read_as_one_by_one)
{
    state = (uint64_t)_i;
    for (int round = 0; round < 3000; round++) {
        static uint8_t bytes[MAX_BYTES + VARINT_SPACE];
        size_t n_bytes = 0;
        uint64_t max_bits = 1 + draw(round % 2 == 0 ? 14 : 64);
        bool is_mixed = draw(3) == 0;
        for (uint64_t n = draw(MAX_VARINTS); n > 0; n--) {
            uint64_t bits = is_mixed && draw(20) == 0 ? 64 : 1 + draw(max_bits);
            uint64_t v = (draw(UINT32_MAX) << 32 | draw(UINT32_MAX)) >> (64 - bits);
            n_bytes += varint_write(bytes + n_bytes, v);
        }
        check(bytes, n_bytes);
        check(bytes, n_bytes > 0 ? draw(n_bytes) : 0); /* cut off somewhere */
        if (n_bytes > 0) {
            bytes[draw(n_bytes)] ^= 0x80; /* one more, or two made one */
            check(bytes, n_bytes);
        }
    }
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
    uint8_t bytes[64];
    memset(bytes, 0x80, sizeof bytes);
    for (size_t n = 1; n <= sizeof bytes; n++) {
        check(bytes, n);
        bytes[n - 1] = 0;
        check(bytes, n);
        bytes[n - 1] = 0x80;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("varints");
    TCase *t = tcase_create("varints");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, all_lengths_are_read_as_one_by_one, 0, 4);
    tcase_add_test(t, what_is_too_long_is_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
