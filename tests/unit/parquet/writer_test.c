#include "failing_sink.h"
#include "runner.h"

#include <stdio.h>

#include "parquet/file_pages.h"
#include "parquet/verify.h"
#include "parquet/writer.h"

enum { N_ROWS = 500, MAX_BYTES = 16 << 20 };

static int64_t numbers[N_ROWS];
static struct slice texts[N_ROWS];
static uint32_t n_entries[N_ROWS];
static char pool[N_ROWS][16];

static const struct parquet_field fields[] = {
    {.name = "n", .type = PARQUET_INT64, .encoding = PARQUET_DELTA, .bloom = true},
    {.name = "labels", .type = PARQUET_STRING, .form = PARQUET_MAP},
    {.name = "s", .type = PARQUET_STRING}};
static const struct parquet_sorting sorting[] = {{0}, {2}};
static const struct parquet_column columns[] = {
    {.values.int64s = numbers},
    {.values.texts = texts, .keys = texts, .n_entries = n_entries},
    {.values.texts = texts}};

static void rows_fill(void)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        int len = snprintf(pool[i], sizeof pool[i], "v%03zu", i);
        texts[i] = slice_of(pool[i], (size_t)len);
        numbers[i] = (int64_t)i / 3;
        n_entries[i] = i % 2 == 0 ? 0 : 1 + (i % 4 == 1);
    }
}

static struct parquet_options options(void)
{
    return (struct parquet_options){.fields = fields,
                                    .n_fields = 3,
                                    .sorting = sorting,
                                    .n_sorting = 2,
                                    .codec = PARQUET_ZSTD,
                                    .page_rows = 70,
                                    .group_max_rows = 200,
                                    .max_bytes = MAX_BYTES};
}

static bool write_rows(struct sink *sink, struct err *e, struct parquet_writer **w)
{
    const struct parquet_options o = options();
    rows_fill();
    ck_assert(parquet_new(&o, sink_write, sink, w, e));
    return parquet_append(*w, columns, N_ROWS, e) && parquet_close(*w, e);
}

static bool verify(struct slice bytes, struct verify_totals *totals, struct err *e)
{
    struct arena a;
    struct parquet_file f;
    arena_init(&a, MAX_BYTES);
    bool ok = file_open(bytes, &a, &f, e) && verify_file(&f, MAX_BYTES, totals, e);
    arena_fini(&a);
    return ok;
}

START_TEST(what_is_written_verifies)
{
    struct err e = ERR_INIT;
    struct parquet_writer *w;
    struct sink sink = sink_of(-1);
    struct verify_totals totals;
    ck_assert_msg(write_rows(&sink, &e, &w), "%s", e.text);
    ck_assert_int_eq(parquet_rows(w), N_ROWS);
    ck_assert_int_eq(parquet_bytes(w), (int64_t)sink.bytes.len);
    ck_assert_msg(verify(buf_slice(&sink.bytes), &totals, &e), "%s", e.text);
    ck_assert_int_eq(totals.n_sorted_rows, N_ROWS);
    ck_assert_int_eq(totals.n_bloom_filters, 3);
    ck_assert_int_eq(totals.n_column_indexes, 4 * 3);
    ck_assert_int_eq(totals.n_pages, 4 * (3 + 3 + 2));
    ck_assert(!parquet_append(w, columns, 1, &e) && e.kind == ERR_FATAL);
    parquet_free(w);
    buf_fini(&sink.bytes);
}
END_TEST

START_TEST(a_sink_that_fails_is_the_end_of_the_writer)
{
    struct sink whole = sink_of(-1);
    struct err e = ERR_INIT;
    struct parquet_writer *w;
    ck_assert(write_rows(&whole, &e, &w));
    parquet_free(w);
    for (int at = 0; at < whole.n_writes; at++) {
        struct sink sink = sink_of(at);
        struct verify_totals totals;
        struct err first = ERR_INIT;
        struct err again = ERR_INIT;
        ck_assert(!write_rows(&sink, &first, &w));
        ck_assert(first.kind == ERR_RETRY && first.code == 28);
        ck_assert_ptr_nonnull(strstr(first.text, "no space left"));
        ck_assert_int_eq(sink.n_writes, at + 1);
        ck_assert(!parquet_append(w, columns, N_ROWS, &again) &&
                  strcmp(first.text, again.text) == 0);
        ck_assert(!parquet_end_group(w, &again) && !parquet_close(w, &again) &&
                  again.kind == ERR_RETRY);
        ck_assert_int_eq(sink.n_writes, at + 1); /* nothing more was offered to it */
        ck_assert(!verify(buf_slice(&sink.bytes), &totals, &e));
        parquet_free(w);
        buf_fini(&sink.bytes);
    }
    buf_fini(&whole.bytes);
}
END_TEST

START_TEST(no_prefix_of_a_file_is_a_file)
{
    struct sink sink = sink_of(-1);
    struct err e = ERR_INIT;
    struct parquet_writer *w;
    struct verify_totals totals;
    ck_assert(write_rows(&sink, &e, &w));
    parquet_free(w);
    for (size_t len = 0; len < sink.bytes.len; len++) {
        uint8_t *copy = malloc(len + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, sink.bytes.ptr, len);
        ck_assert(!verify(slice_of(copy, len), &totals, &e) && e.kind == ERR_BAD_INPUT);
        free(copy);
    }
    buf_fini(&sink.bytes);
}
END_TEST

/* Pages have checksums; what else is flipped in footer and index is found or harmless, and never
 * crashes. */
START_TEST(a_flipped_byte_of_a_page_is_found)
{
    struct sink sink = sink_of(-1);
    struct err e = ERR_INIT;
    struct parquet_writer *w;
    struct verify_totals totals;
    struct arena a;
    struct parquet_file f;
    ck_assert(write_rows(&sink, &e, &w));
    parquet_free(w);
    arena_init(&a, MAX_BYTES);
    ck_assert(file_open(buf_slice(&sink.bytes), &a, &f, &e));
    const struct file_chunk *chunk = &f.groups[1].chunks[3];
    struct file_page page;
    ck_assert(file_page(&f, chunk->data_page, chunk->data_page + chunk->file_bytes, &page, &e));
    size_t from = (size_t)(page.body.ptr - sink.bytes.ptr);
    for (size_t i = from % 3; i < sink.bytes.len; i += 3) {
        sink.bytes.ptr[i] ^= 0x41;
        bool ok = verify(buf_slice(&sink.bytes), &totals, &e);
        ck_assert(!ok || i < from || i >= from + page.body.len);
        if (i == from) {
            ck_assert_msg(strstr(e.text, "row group 1: column s: page at byte") != NULL, "%s",
                          e.text);
            ck_assert_ptr_nonnull(strstr(e.text, "checksum"));
        }
        sink.bytes.ptr[i] ^= 0x41;
    }
    arena_fini(&a);
    buf_fini(&sink.bytes);
}
END_TEST

START_TEST(rows_out_of_the_order_that_the_footer_tells_are_found)
{
    const struct parquet_options o = options();
    struct sink sink = sink_of(-1);
    struct err e = ERR_INIT;
    struct verify_totals totals;
    struct parquet_writer *w;
    rows_fill();
    texts[8] =
        SLICE_LITERAL("v0000"); /* behind v007, in the same n: only the second column tells */
    ck_assert(parquet_new(&o, sink_write, &sink, &w, &e));
    ck_assert(parquet_append(w, columns, N_ROWS, &e) && parquet_close(w, &e));
    parquet_free(w);
    ck_assert(!verify(buf_slice(&sink.bytes), &totals, &e));
    ck_assert_msg(
        strstr(e.text, "row group 0: column s: page 0: row 8 of the row group is out of order") !=
            NULL,
        "%s", e.text);
    buf_fini(&sink.bytes);
}
END_TEST

/* Batches that come in any size make the same file. */
START_TEST(batches_do_not_show_in_the_file)
{
    const struct parquet_options o = options();
    struct sink whole = sink_of(-1);
    struct err e = ERR_INIT;
    struct parquet_writer *w;
    ck_assert(write_rows(&whole, &e, &w));
    parquet_free(w);
    for (size_t step = 1; step <= N_ROWS; step = step * 3 + 1) {
        struct sink sink = sink_of(-1);
        size_t entry = 0;
        ck_assert(parquet_new(&o, sink_write, &sink, &w, &e));
        for (size_t at = 0; at < N_ROWS; at += step) {
            size_t n = N_ROWS - at < step ? N_ROWS - at : step;
            const struct parquet_column part[] = {
                {.values.int64s = numbers + at},
                {.values.texts = texts + entry, .keys = texts + entry, .n_entries = n_entries + at},
                {.values.texts = texts + at}};
            ck_assert(parquet_append(w, part, n, &e));
            for (size_t i = at; i < at + n; i++) {
                entry += n_entries[i];
            }
        }
        ck_assert(parquet_close(w, &e));
        parquet_free(w);
        ck_assert(slice_eq(buf_slice(&whole.bytes), buf_slice(&sink.bytes)));
        buf_fini(&sink.bytes);
    }
    buf_fini(&whole.bytes);
}
END_TEST

/* Many columns of values that never repeat, some large: dictionaries, pages and filters at their
 * limits. */
START_TEST(memory_stays_below_the_ceiling)
{
    enum { N_FIELDS = 24, N_BATCHES = 24 };
    struct parquet_field many[N_FIELDS];
    struct parquet_column all[N_FIELDS];
    static char names[N_FIELDS][8];
    static char room[N_ROWS][300];
    struct sink sink = sink_of(-1);
    struct err e = ERR_INIT;
    struct verify_totals totals;
    struct parquet_writer *w;
    for (size_t i = 0; i < N_FIELDS; i++) {
        (void)snprintf(names[i], sizeof names[i], "c%zu", i);
        many[i] =
            (struct parquet_field){.name = names[i],
                                   .type = PARQUET_STRING,
                                   .encoding = i % 2 == 0 ? PARQUET_DICTIONARY : PARQUET_PLAIN,
                                   .bloom = true};
        all[i] = (struct parquet_column){.values.texts = texts};
    }
    const struct parquet_options o = {.fields = many, .n_fields = N_FIELDS, .max_bytes = MAX_BYTES};
    ck_assert(parquet_new(&o, sink_write, &sink, &w, &e));
    for (size_t batch = 0; batch < N_BATCHES; batch++) {
        for (size_t i = 0; i < N_ROWS; i++) {
            size_t pad = i % 50 == 0 ? 250 : 1;
            int len = snprintf(room[i], sizeof room[i], "%zu-%0*zu", batch, (int)pad, i);
            texts[i] = slice_of(room[i], (size_t)len);
        }
        ck_assert_msg(parquet_append(w, all, N_ROWS, &e), "%s", e.text);
        ck_assert_uint_le(parquet_held_bytes(w), MAX_BYTES);
    }
    ck_assert_msg(parquet_close(w, &e), "%s", e.text);
    ck_assert_uint_le(parquet_peak_bytes(w), MAX_BYTES);
    parquet_free(w);
    ck_assert_msg(verify(buf_slice(&sink.bytes), &totals, &e), "%s", e.text);
    ck_assert_int_eq(totals.n_values, (int64_t)N_FIELDS * N_BATCHES * N_ROWS);
    buf_fini(&sink.bytes);
}
END_TEST

START_TEST(texts_that_change_between_calls_are_not_taken_for_the_old_ones)
{
    static const struct parquet_field one = {.name = "s", .type = PARQUET_STRING};
    const struct parquet_options o = {.fields = &one, .n_fields = 1};
    struct sink sink = sink_of(-1);
    struct err e = ERR_INIT;
    struct verify_totals totals;
    struct parquet_writer *w;
    char text[] = "first";
    struct slice value = slice_str(text);
    const struct parquet_column column = {.values.texts = &value};
    ck_assert(parquet_new(&o, sink_write, &sink, &w, &e));
    ck_assert(parquet_append(w, &column, 1, &e));
    memcpy(text, "other", 5); /* the same address and length */
    ck_assert(parquet_append(w, &column, 1, &e) && parquet_close(w, &e));
    parquet_free(w);
    ck_assert(verify(buf_slice(&sink.bytes), &totals, &e));
    struct arena a;
    struct parquet_file f;
    arena_init(&a, MAX_BYTES);
    ck_assert(file_open(buf_slice(&sink.bytes), &a, &f, &e));
    ck_assert(slice_eq_str(f.groups[0].chunks[0].min, "first") &&
              slice_eq_str(f.groups[0].chunks[0].max, "other"));
    arena_fini(&a);
    buf_fini(&sink.bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parquet_writer");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, what_is_written_verifies);
    tcase_add_test(t, a_sink_that_fails_is_the_end_of_the_writer);
    tcase_add_test(t, no_prefix_of_a_file_is_a_file);
    tcase_add_test(t, a_flipped_byte_of_a_page_is_found);
    tcase_add_test(t, rows_out_of_the_order_that_the_footer_tells_are_found);
    tcase_add_test(t, batches_do_not_show_in_the_file);
    tcase_add_test(t, memory_stays_below_the_ceiling);
    tcase_add_test(t, texts_that_change_between_calls_are_not_taken_for_the_old_ones);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
