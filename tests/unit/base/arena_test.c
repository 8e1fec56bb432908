#include "runner.h"

#include "base/arena.h"

START_TEST(pieces_are_aligned_apart_and_keep_their_bytes)
{
    enum { N = 2000 };
    static uint8_t *pieces[N];
    struct arena a;
    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < N; i++) {
        pieces[i] = arena_alloc(&a, i % 97);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 0xff), i % 97);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < i % 97; j++) {
            ck_assert_uint_eq(pieces[i][j], i & 0xff);
        }
    }
    ck_assert_uint_le(a.used_bytes, a.held_bytes);
    arena_fini(&a);
    ck_assert_uint_eq(a.held_bytes, 0);
}
END_TEST

/* Rows: ceiling, size of a piece; how many pieces must fit at least. */
static const struct {
    const char *name;
    size_t max_bytes;
    size_t piece_bytes;
    size_t n_least;
} ceilings[] = {
    {"small pieces", 1 << 20, 100, 6000},
    {"one piece as large as half", 1 << 20, 1 << 19, 1},
    {"a ceiling below the first chunk", 4096, 64, 30},
    {"a piece larger than a chunk", 16 << 20, 5 << 20, 3},
    {"a piece larger than the ceiling", 4096, 5000, 0},
    {"a piece as large as the ceiling", 4096, 4096, 0},
    {"no room at all", 0, 1, 0},
};

START_TEST(the_ceiling_holds_and_most_of_it_serves)
{
    struct arena a;
    arena_init(&a, ceilings[_i].max_bytes);
    for (int round = 0; round < 3; round++) {
        size_t n = 0;
        while (arena_alloc(&a, ceilings[_i].piece_bytes) != NULL) {
            n++;
            ck_assert_msg(a.held_bytes <= a.max_bytes, "%s: %zu held", ceilings[_i].name,
                          a.held_bytes);
        }
        ck_assert_msg(n >= ceilings[_i].n_least, "%s: only %zu pieces", ceilings[_i].name, n);
        ck_assert(n * ceilings[_i].piece_bytes <= ceilings[_i].max_bytes);
        arena_reset(&a);
        ck_assert_uint_eq(a.used_bytes, 0);
    }
    arena_fini(&a);
}
END_TEST

START_TEST(after_the_ceiling_smaller_pieces_still_fit)
{
    struct arena a;
    arena_init(&a, 128 * 1024);
    ck_assert_ptr_null(arena_alloc(&a, 200 * 1024));
    ck_assert_ptr_nonnull(arena_alloc(&a, 1024));
    ck_assert_ptr_null(arena_alloc(&a, 200 * 1024));
    ck_assert_ptr_nonnull(arena_alloc(&a, 1024));
    arena_fini(&a);
}
END_TEST

START_TEST(sizes_that_wrap_around_are_refused)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX - 8));
    ck_assert_ptr_null(arena_calloc(&a, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(arena_calloc(&a, (SIZE_MAX >> 4) + 1, 16));
    ck_assert_uint_eq(a.held_bytes, 0);
    arena_fini(&a);
}
END_TEST

START_TEST(calloc_clears_what_was_used_before)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    memset(arena_alloc(&a, 1000), 0xaa, 1000);
    arena_reset(&a);
    const uint64_t *words = ARENA_ARRAY(&a, uint64_t, 125);
    for (int i = 0; i < 125; i++) {
        ck_assert_uint_eq(words[i], 0);
    }
    ck_assert_ptr_nonnull(arena_calloc(&a, 0, 8));
    arena_fini(&a);
}
END_TEST

START_TEST(copies_are_their_own)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    char text[] = "text";
    struct slice copy = arena_copy(&a, slice_str(text));
    text[0] = 'n';
    ck_assert(slice_eq_str(copy, "text"));
    struct slice nothing = arena_copy(&a, SLICE_NONE);
    ck_assert_ptr_nonnull(nothing.ptr);
    ck_assert_uint_eq(nothing.len, 0);
    a.max_bytes = 0;
    arena_reset(&a);
    arena_fini(&a);
    ck_assert_ptr_null(arena_copy(&a, slice_str("x")).ptr);
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tc = tcase_create("arena");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, pieces_are_aligned_apart_and_keep_their_bytes);
    tcase_add_loop_test(tc, the_ceiling_holds_and_most_of_it_serves, 0,
                        sizeof ceilings / sizeof ceilings[0]);
    tcase_add_test(tc, after_the_ceiling_smaller_pieces_still_fit);
    tcase_add_test(tc, sizes_that_wrap_around_are_refused);
    tcase_add_test(tc, calloc_clears_what_was_used_before);
    tcase_add_test(tc, copies_are_their_own);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
