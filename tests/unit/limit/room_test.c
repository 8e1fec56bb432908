/* A transaction without room for what a call has to say: the call comes again, and nothing of it is
 * lost, counted twice or done twice. */
#include <stdio.h>

#include "runner.h"
#include "scenario.h"

#define LEASED                                                                                     \
    POLICY("\"series_per_tenant\": 12, \"series_per_metric\": 8, \"samples_per_second\": 1000")

enum { ROOMY = 256 << 20, MOST_BYTES = 4096, STEP_BYTES = 7 };

static void room_set(struct rig *r, size_t n_bytes)
{
    r->out.arena.max_bytes = n_bytes;
}

/* As the runtime does: what a pulse that fails has put out is taken back. */
static bool pulse_tries(struct rig *r, size_t n_bytes)
{
    struct err e = ERR_INIT;
    struct outbox_mark mark = outbox_mark(&r->out);
    room_set(r, r->out.n_bytes + r->out.n_reserved_bytes + n_bytes);
    bool ok = limit_pulse(r->limit, &r->partition, true, NOW_MS + 20000, &r->out, &e);
    room_set(r, ROOMY);
    ck_assert_msg(ok || e.kind == ERR_RETRY, "%s", e.text);
    if (!ok) {
        outbox_rewind(&r->out, mark);
    }
    return ok;
}

/* The n-th pulse after the first refusal has room for so many bytes. What it did not say the next
 * ones do: leases come as they do without it. */
static bool leases_come(int nth, size_t n_bytes)
{
    struct rig r;
    bool has_failed = false;
    rig_open(&r, &(struct rig_options){.policy = LEASED});
    rig_send(&r, &(struct rig_batch){"a*4 b*4 c*4"});
    rig_commit(&r);
    for (int i = 0; i < nth; i++) {
        rig_pulse(&r, NOW_MS);
        rig_commit(&r);
    }
    has_failed = !pulse_tries(&r, n_bytes);
    rig_commit(&r);
    rig_settle(&r);
    rig_send(&r, &(struct rig_batch){"a*4 b*4 c*4", .at_ms = 60000});
    ck_assert_msg(strcmp(rig_text(&r), "> gs-1 critical a*4 b*4 c*4\n") == 0,
                  "pulse %d with %zu bytes: %s", nth, n_bytes, rig_text(&r));
    rig_restart(&r);
    rig_close(&r);
    return has_failed;
}

START_TEST(pulses_without_room)
{
    int n_failed = 0;
    for (size_t n_bytes = 0; n_bytes < MOST_BYTES; n_bytes += 16) {
        n_failed += leases_come(_i, n_bytes);
    }
    ck_assert_int_gt(n_failed, 0);
}
END_TEST

static double counted(struct rig *r)
{
    return rig_count(r, M_SERIES_NEW, "t", "") * 1e4 +
           rig_count(r, M_SERIES_REFUSED, "t", "over_source_budget") * 1e2 +
           rig_count(r, M_SAMPLES_REJECTED, "t", "over_source_budget");
}

/* A step with so much room, then, if it was too little, another transaction's. Rates: the bucket
 * holds 30 samples, so a batch whose samples were taken twice would be shed. */
static bool step_comes_again(size_t n_bytes)
{
    struct rig r;
    struct err e = ERR_INIT;
    bool ok;
    rig_open(&r, &(struct rig_options){
                     .policy = POLICY("\"series_per_source\": 20, \"samples_per_second\": 2")});
    struct slice value = rig_encode(&r, &(struct rig_batch){"a*15 b*10"});
    room_set(&r, n_bytes);
    ok = rig_step(&r, value, &e);
    room_set(&r, ROOMY);
    ck_assert_msg(ok || e.kind == ERR_RETRY, "%s", e.text);
    rig_commit(&r);
    if (!ok) {
        rig_send_value(&r, value);
        ck_assert_str_eq(rig_text(&r), "> gs-1 critical a*15 b*5\n! over_source_budget t b 5/5\n");
        rig_commit(&r);
    }
    ck_assert_msg(counted(&r) == 20 * 1e4 + 5 * 1e2 + 5, "%zu bytes: %g", n_bytes, counted(&r));
    rig_check_accounts(&r, "t");
    rig_close(&r);
    return !ok;
}

START_TEST(steps_without_room)
{
    int n_failed = 0;
    for (size_t n_bytes = 0; n_bytes < MOST_BYTES; n_bytes += STEP_BYTES) {
        n_failed += step_comes_again(n_bytes);
    }
    ck_assert_int_gt(n_failed, 0);
    ck_assert_int_lt(n_failed, MOST_BYTES / STEP_BYTES);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("room");
    TCase *t = tcase_create("room");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, pulses_without_room, 0, 4);
    tcase_add_test(t, steps_without_room);
    suite_add_tcase(s, t);
    return run_suite(s);
}
