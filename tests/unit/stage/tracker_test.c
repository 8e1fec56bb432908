#include "runner.h"

#include "stage/tracker.h"

/* Rows: what is opened, what is released in which order, the positions after each release. */
START_TEST(position_follows_the_oldest_open_record)
{
    struct tracker t;
    tracker_init(&t);
    ck_assert_int_eq(tracker_position(&t), -1);
    const int64_t offsets[] = {10, 11, 15, 40}; /* sparse */
    for (int i = 0; i < 4; i++) {
        ck_assert(tracker_open(&t, offsets[i]));
    }
    ck_assert_int_eq(tracker_position(&t), 10);
    tracker_release(&t, 11);
    ck_assert_int_eq(tracker_position(&t), 10);
    tracker_release(&t, 10);
    ck_assert_int_eq(tracker_position(&t), 15);
    tracker_release(&t, 40);
    ck_assert_int_eq(tracker_position(&t), 15);
    tracker_release(&t, 15);
    ck_assert_int_eq(tracker_position(&t), 41);
    tracker_skip(&t, 44); /* markers up to the end */
    ck_assert_int_eq(tracker_position(&t), 44);
    tracker_skip(&t, 43);
    ck_assert_int_eq(tracker_position(&t), 44);
    ck_assert(tracker_open(&t, 99));
    ck_assert_int_eq(tracker_position(&t), 99);
    tracker_skip(&t, 200); /* not while a record is open */
    ck_assert_int_eq(tracker_position(&t), 99);
    ck_assert_uint_eq(t.n_holds, 1);
    tracker_release(&t, 99);
    ck_assert_int_eq(tracker_position(&t), 200); /* but when it is done */
    tracker_fini(&t);
}
END_TEST

START_TEST(a_record_is_done_when_all_holds_are_gone)
{
    struct tracker t;
    tracker_init(&t);
    ck_assert(tracker_open(&t, 5));
    tracker_hold(&t, 5);
    tracker_hold(&t, 5);
    tracker_release(&t, 5);
    tracker_release(&t, 5);
    ck_assert_int_eq(tracker_position(&t), 5);
    tracker_release(&t, 5);
    ck_assert_int_eq(tracker_position(&t), 6);
    tracker_fini(&t);
}
END_TEST

/* Against a naive model: random opens, holds and releases over sparse offsets. */
START_TEST(random_orders_agree_with_a_model)
{
    enum { N = 3000 };
    static int64_t offset[N];
    static int holds[N];
    srand((unsigned)_i + 1);
    struct tracker t;
    tracker_init(&t);
    int n = 0;
    int64_t next = 0;
    for (int step = 0; step < 20000; step++) {
        int what = rand() % 3;
        if (what == 0 && n < N) {
            next += 1 + rand() % 3;
            offset[n] = next;
            holds[n++] = 1;
            ck_assert(tracker_open(&t, next));
        } else if (n > 0) {
            int i = n - 1 - rand() % (n < 50 ? n : 50);
            if (holds[i] > 0 && what == 1) {
                holds[i]++;
                tracker_hold(&t, offset[i]);
            } else if (holds[i] > 0) {
                holds[i]--;
                tracker_release(&t, offset[i]);
            }
        }
        int64_t want = n == 0 ? -1 : offset[n - 1] + 1;
        for (int i = 0; i < n; i++) {
            if (holds[i] > 0) {
                want = offset[i];
                break;
            }
        }
        ck_assert_int_eq(tracker_position(&t), want);
    }
    tracker_fini(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tracker");
    TCase *tests = tcase_create("tracker");
    tcase_add_test(tests, position_follows_the_oldest_open_record);
    tcase_add_test(tests, a_record_is_done_when_all_holds_are_gone);
    tcase_add_loop_test(tests, random_orders_agree_with_a_model, 0, 5);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
