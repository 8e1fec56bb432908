/* What validate's dead letters say, keep secret, and how many there are. */
#include <stdio.h>
#include <unistd.h>

#include "base/cursor.h"
#include "rig.h"
#include "runner.h"

START_TEST(letters_mask_values_and_tell_what_to_change)
{
    struct rig r;
    const struct message_point p = {
        .metric = "a", .labels = "player_id=4711-secret", .value = 1, CUMULATIVE};
    for (int keyed = 0; keyed < 2; keyed++) {
        rig_open(&r, &(struct rig_options){.mask_key = keyed == 1 ? "k" : NULL});
        rig_send_points(&r, RES, &p, 1);
        const char *got = rig_text(&r, true);
        ck_assert_msg((strstr(got, " masked ") != NULL) == (keyed == 1), "%s", got);
        ck_assert_msg(strstr(got, "[player_id]") != NULL &&
                          strstr(got, "resource 0: metric 0: point 0: ") != NULL &&
                          strstr(got, "Drop the attribute") != NULL,
                      "%s", got);
        ck_assert_uint_eq(r.out.n, 1);
        struct slice letter = r.out.records[0].value;
        ck_assert(memmem(letter.ptr, letter.len, "4711", 4) == NULL);
        rig_close(&r);
    }
}
END_TEST

START_TEST(letters_name_all_labels_that_are_refused)
{
    struct rig r;
    const struct message_point points[] = {
        {.metric = "a", .labels = "player_id=4711-a,raw_ip=4711-b", .value = 1, CUMULATIVE},
        {.metric = "a", .labels = "player_id=4711-c", .value = 1, CUMULATIVE},
        {.metric = "a", .labels = "player_id=4711-d,colour=4711-e,raw_ip=4711-f", .value = 1, CUMULATIVE},
        {.metric = "a", .labels = "region=eu", .value = 1, CUMULATIVE}};
    rig_open(&r, &(struct rig_options){.mask_key = "k"});
    for (int again = 0; again < 2; again++) { /* learned, and known */
        rig_commit(&r);
        rig_send_points(&r, RES, points, 4);
        const char *got = rig_text(&r, false);
        ck_assert_msg(strstr(got, "! label_forbidden a [player_id] 3/3 masked and raw_ip label_forbidden masked "
                                  "and colour label_not_allowed masked\n") != NULL, "%s", got);
        for (size_t i = 0; i < r.out.n; i++) {
            struct slice record = r.out.records[i].value;
            ck_assert(memmem(record.ptr, record.len, "4711", 4) == NULL);
        }
    }
    rig_close(&r);
}
END_TEST

static void put_key(const char *path, const char *key)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(key, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

/* The mask and its key's id: text in the letter's last fields. */
static void mask_of(struct rig *r, uint8_t mask[16], char id[9])
{
    const struct message_point p = {
        .metric = "a", .labels = "player_id=4711-secret", .value = 1, CUMULATIVE};
    rig_commit(r);
    rig_send_points(r, RES, &p, 1);
    struct slice letter = r->out.records[0].value;
    const uint8_t *label = memmem(letter.ptr, letter.len, "player_id\x20", 10);
    ck_assert_ptr_nonnull(label); /* and the mask's length, 16, behind it */
    memcpy(mask, label + 10, 16);
    struct cursor c = cursor_of(slice_of(label + 26, letter.len - (size_t)(label + 26 - letter.ptr)));
    (void)cursor_zigzag_bytes(&c); /* the text */
    struct slice key = cursor_zigzag_bytes(&c);
    ck_assert_uint_eq(key.len, 8);
    memcpy(id, key.ptr, 8);
    id[8] = '\0';
}

START_TEST(the_mask_key_rotates_and_its_id_goes_with_the_mask)
{
    char path[] = "/tmp/validate-mask-XXXXXX";
    struct rig r;
    struct err e = ERR_INIT;
    uint8_t masks[4][16];
    char ids[4][9];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    put_key(path, "the first key, long enough\n");
    rig_open(&r, &(struct rig_options){.mask_key_file = path});
    mask_of(&r, masks[0], ids[0]);
    ck_assert_int_eq(validate_reload_mask(r.validate, &e), MASK_SAME);
    put_key(path, "the second key, as long as that\n");
    ck_assert_int_eq(validate_reload_mask(r.validate, &e), MASK_NEW);
    mask_of(&r, masks[1], ids[1]);
    put_key(path, "too short\n");
    ck_assert_int_eq(validate_reload_mask(r.validate, &e), MASK_REFUSED);
    ck_assert_int_eq(validate_reload_mask(r.validate, &e), MASK_SAME);
    ck_assert_msg(strstr(e.text, "mask_key_file") != NULL && strstr(e.text, "16 bytes") != NULL,
                  "%s", e.text);
    ck_assert(rig_count(&r, M_MASK_ERRORS, "", "") == 1);
    mask_of(&r, masks[2], ids[2]);
    put_key(path, "the first key, long enough");
    ck_assert_int_eq(validate_reload_mask(r.validate, &e), MASK_NEW);
    mask_of(&r, masks[3], ids[3]);
    ck_assert(memcmp(masks[0], masks[1], 16) != 0 && strcmp(ids[0], ids[1]) != 0);
    ck_assert(memcmp(masks[1], masks[2], 16) == 0 && strcmp(ids[1], ids[2]) == 0);
    ck_assert(memcmp(masks[0], masks[3], 16) == 0 && strcmp(ids[0], ids[3]) == 0);
    rig_close(&r);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_mask_key_file_that_cannot_be_used_is_an_error_at_the_start)
{
    static const struct {
        const char *path;
        const char *key;
        const char *want;
    } bad[] = {{"/nonexistent/key", "", "mask_key_file: /nonexistent/key"},
               {"/dev/null", "", "less than 16 bytes"},
               {"/dev/null", "k", "only one of them"}};
    struct err e = ERR_INIT;
    struct mask_source m;
    ck_assert(!mask_source_open(&m, bad[_i].path, slice_str(bad[_i].key), &e));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, bad[_i].want) != NULL, "%s", e.text);
    mask_source_fini(&m);
}
END_TEST

START_TEST(a_cap_per_minute_counts_the_rest)
{
    struct rig r;
    struct message_point points[5];
    for (int i = 0; i < 5; i++) {
        points[i] = (struct message_point){.metric = "g", .kind = MSG_GAUGE, CUMULATIVE};
    }
    rig_open(&r, &(struct rig_options){.dlq_cap = 7});
    rig_send_points(&r, RES, points, 5);
    rig_send_points(&r, RES, points, 5);
    rig_send_points(&r, RES, points, 5);
    r.received_ms += 60000; /* the next minute */
    rig_send_points(&r, RES, points, 5);
    ck_assert_str_eq(
        rig_text(&r, false),
        "! kind_not_allowed g [] 5/5\n! kind_not_allowed g [] 5/2\n! kind_not_allowed g [] 5/5 and 5 "
        "before\n");
    rig_commit(&r);
    ck_assert(rig_count(&r, M_SAMPLES_REJECTED, "t", "kind_not_allowed") == 20);
    ck_assert(rig_count(&r, M_DLQ_SUPPRESSED, "t", "kind_not_allowed") == 8);
    ck_assert(rig_count(&r, M_DLQ_RECORDS, "t", "kind_not_allowed") == 3);
    rig_check_accounts(&r);
    rig_close(&r);
}
END_TEST

/* A step that finds the outbox full is called again: it must not count twice. */
START_TEST(a_step_that_is_repeated_takes_nothing_from_the_cap)
{
    struct rig r;
    struct err e = ERR_INIT;
    struct buf b;
    const struct message_point p = {.metric = "g", .kind = MSG_GAUGE, CUMULATIVE};
    rig_open(&r, &(struct rig_options){.dlq_cap = 1});
    buf_init(&b, 1 << 20);
    message_resource(&b, RES, &p, 1);
    struct outbox tiny;
    outbox_init(&tiny, 16);
    tiny.n_output_partitions[OUTPUT_VALID] = 12;
    const struct record in = {
        .partition = &r.partition, .timestamp_ms = NOW_MS, .value = buf_slice(&b)};
    ck_assert(!validate_step(r.validate, NULL, &in, NOW_MS, &tiny, &e));
    ck_assert_int_eq(e.kind, ERR_RETRY);
    rig_send(&r, buf_slice(&b));
    ck_assert_str_eq(rig_text(&r, false), "! kind_not_allowed g [] 1/1\n");
    outbox_fini(&tiny);
    buf_fini(&b);
    rig_close(&r);
}
END_TEST

START_TEST(give_up_refers_to_the_record)
{
    struct rig r;
    struct err e = ERR_INIT;
    rig_open(&r, &(struct rig_options){0});
    const struct record in = {.partition = &r.partition,
                              .offset = 77,
                              .timestamp_ms = NOW_MS,
                              .value = SLICE_LITERAL("x")};
    ck_assert(validate_give_up(r.validate, NULL, &in, "message too large", &r.out, &e));
    const char *got = rig_text(&r, true);
    ck_assert_msg(strncmp(got, "! output_refused  [] 0/0 message too large | ", 45) == 0, "%s",
                  got);
    rig_commit(&r);
    ck_assert(rig_count(&r, M_RECORDS_REJECTED, "t", "output_refused") == 1);
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("letters");
    TCase *t = tcase_create("letters");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, letters_mask_values_and_tell_what_to_change);
    tcase_add_test(t, letters_name_all_labels_that_are_refused);
    tcase_add_test(t, the_mask_key_rotates_and_its_id_goes_with_the_mask);
    tcase_add_loop_test(t, a_mask_key_file_that_cannot_be_used_is_an_error_at_the_start, 0, 3);
    tcase_add_test(t, a_cap_per_minute_counts_the_rest);
    tcase_add_test(t, a_step_that_is_repeated_takes_nothing_from_the_cap);
    tcase_add_test(t, give_up_refers_to_the_record);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
