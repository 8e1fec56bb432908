/* State read back: what is damaged is fatal, and says so; what passes, the limiter can work with.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "runner.h"
#include "scenario.h"

/* Its state has several sources, metrics, weights, steps, tombstones, a lease and a grant. */
static void state_make(struct rig *r)
{
    rig_open(r, &(struct rig_options){
                    .policy = POLICY("\"series_per_source\": 9, \"series_per_tenant\": 100, "
                                     "\"over_source\": \"shadow\"")});
    rig_send(r, &(struct rig_batch){"old", .source = "gs-9"});
    rig_settle(r);
    for (int i = 0; i < 3; i++) {
        rig_send(r, &(struct rig_batch){"old", .source = "gs-9"});
        rig_send(r, &(struct rig_batch){"a b:c3 d:e*5"});
        rig_send(r, &(struct rig_batch){"a b", .source = "gs-2", .tenant = "u", .ingest = 2});
        rig_settle(r);
    }
    rig_send(r, &(struct rig_batch){"d:e*5", .at_ms = 9 * STEP_MS});
    rig_settle(r);
}

static bool restarts(struct rig *r, struct err *e)
{
    limit_drop(r->limit, &r->partition);
    outbox_reset(&r->out);
    *e = (struct err)ERR_INIT;
    if (rig_recover(r, e)) {
        return true;
    }
    ck_assert_ptr_null(r->partition.state);
    ck_assert_int_eq(e->kind, ERR_FATAL);
    ck_assert_msg(strncmp(e->text, "offset ", 7) == 0 && strlen(e->text) > 12, "%s", e->text);
    return false;
}

/* The runtime drops what was recovered before it recovers again. */
static void recover_good(struct rig *r)
{
    struct err e = ERR_INIT;
    if (r->partition.state == NULL) {
        ck_assert_msg(rig_recover(r, &e), "%s", e.text);
    }
}

START_TEST(every_cut_of_a_state_record_is_fatal)
{
    struct rig r;
    struct err e;
    state_make(&r);
    size_t n_cuts = 0;
    for (size_t i = 0; i < r.n_state; i++) {
        struct slice whole = r.state[i].value;
        for (size_t n = 0; n < whole.len; n++) {
            r.state[i].value.len = n;
            ck_assert_msg(!restarts(&r, &e), "record %zu cut at %zu of %zu was taken", i, n,
                          whole.len);
            n_cuts++;
            r.state[i].value.len = whole.len;
        }
    }
    ck_assert_uint_gt(n_cuts, 1000);
    rig_close(&r);
}
END_TEST

START_TEST(a_state_record_with_a_byte_changed)
{
    struct rig r;
    struct err e;
    uint64_t state = (uint64_t)_i;
    int n_refused = 0;
    state_make(&r);
    for (int round = 0; round < 1000; round++) {
        struct rig_record *one = &r.state[next_random(&state) % r.n_state];
        if (one->value.len == 0) {
            continue;
        }
        uint8_t *at = (uint8_t *)(uintptr_t)one->value.ptr + next_random(&state) % one->value.len;
        uint8_t was = *at;
        *at ^= (uint8_t)(1 + next_random(&state) % 255);
        if (restarts(&r, &e)) { /* whatever it is now, it can be worked with */
            ck_assert_msg(
                rig_step(
                    &r, rig_encode(&r, &(struct rig_batch){"a b:c3 d:e*5 z", .at_ms = 9 * STEP_MS}),
                    &e),
                "%s", e.text);
            ck_assert(limit_flush(r.limit, &r.partition, &r.out, &e));
        } else {
            n_refused++;
        }
        *at = was;
    }
    ck_assert(n_refused > 100 && n_refused < 950);
    rig_close(&r);
}
END_TEST

static void vector_check(const char *name)
{
    static uint8_t bytes[1 << 16];
    char path[512];
    struct rig r;
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, VECTORS "/limit_state/%s", name);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    ck_assert_int_eq(fclose(f), 0);
    rig_open(&r, &(struct rig_options){0});
    rig_state_add(&r, SLICE_LITERAL("key"), slice_of(bytes, n));
    bool ok = restarts(&r, &e);
    ck_assert_msg(ok == (strncmp(name, "bad_", 4) != 0), "%s: %s", name, ok ? "taken" : e.text);
    r.state[0].value.len = 0; /* for good */
    r.n_state = 0;
    free((void *)(uintptr_t)r.state[0].key.ptr);
    free((void *)(uintptr_t)r.state[0].value.ptr);
    recover_good(&r);
    rig_close(&r);
}

START_TEST(vectors_are_taken_but_for_the_bad_ones)
{
    DIR *dir = opendir(VECTORS "/limit_state");
    int n = 0;
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            vector_check(entry->d_name);
            n++;
        }
    }
    closedir(dir);
    ck_assert_int_gt(n, 30);
}
END_TEST

/* More than go with one transaction: the rest follows, and none comes back. */
START_TEST(many_dead_sources_are_buried_bit_by_bit)
{
    enum { N = 2500 };
    struct rig r;
    char source[16];
    rig_open(&r, &(struct rig_options){0});
    for (int i = 0; i < N; i++) {
        (void)snprintf(source, sizeof source, "s-%d", i);
        rig_send(&r, &(struct rig_batch){"a", .source = source});
    }
    rig_commit(&r);
    rig_send(&r, &(struct rig_batch){"b", .at_ms = 9 * STEP_MS});
    size_t n_gone = 0;
    for (int i = 0; i < 4; i++) {
        rig_commit(&r);
        for (size_t k = r.n_state_before; k < r.n_state; k++) {
            n_gone += r.state[k].value.ptr == NULL;
        }
        ck_assert_uint_eq(n_gone, i < 2 ? (size_t)(i + 1) * 1000 : N);
        if (i == 0) {
            r.is_compacted = true;
            rig_restart(&r); /* what is left is dead after it as well */
        }
    }
    rig_restart(&r);
    limit_export(r.limit, NOW_MS);
    ck_assert(rig_count(&r, M_SERIES_ACTIVE, "t", "") == 1);
    rig_close(&r);
}
END_TEST

/* --- completeness --- */

static const char *completeness(struct rig *r, int64_t now_ms)
{
    static struct buf page = {.max_bytes = 1 << 20};
    buf_reset(&page);
    limit_export(r->limit, now_ms);
    limit_print_completeness(r->limit, &page);
    return buf_c_str(&page);
}

#define TENANT(name, active, seen, ratio, silent)                                                  \
    "{\"minutes\":5,\"tenants\":[{\"tenant\":\"" name "\",\"active_series\":" active               \
    ",\"seen\":" seen ",\"completeness\":" ratio ",\"silent_sources\":" silent                     \
    "}],\"silent_sources\":["
#define SILENT(source, active, last)                                                               \
    "{\"tenant\":\"t\",\"source\":\"" source "\",\"active_series\":" active                        \
    ",\"last_seen_ms\":" last "}"

START_TEST(silent_sources_are_named)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){0});
    rig_send(&r, &(struct rig_batch){"a*4 h:c2"});
    rig_send(&r, &(struct rig_batch){"a", .source = "q\"uote"});
    rig_commit(&r);
    ck_assert_str_eq(completeness(&r, NOW_MS), TENANT("t", "10", "10", "1.000000", "0") "]}\n");
    rig_send(&r, &(struct rig_batch){"a*4", .at_ms = 5 * 60000 + 59999});
    rig_commit(&r);
    ck_assert_str_eq(completeness(&r, NOW_MS + 10000),
                     TENANT("t", "10", "10", "1.000000", "0") "]}\n");
    rig_send(&r, &(struct rig_batch){"a*4", .at_ms = 6 * 60000});
    rig_commit(&r);
    ck_assert_str_eq(completeness(&r, NOW_MS + 20000),
                     TENANT("t", "10", "4", "0.400000", "1")
                         SILENT("q\\\"uote", "1", "1780000200000") "]}\n");
    ck_assert(rig_count(&r, M_COMPLETENESS, "t", "") == 0.4);
    ck_assert(rig_count(&r, M_SOURCES_SILENT, "t", "") == 1);
    ck_assert(rig_count(&r, M_SERIES_ACTIVE, "t", "") == 10);
    rig_close(&r);
}
END_TEST

/* A restart alone makes nobody silent; who was silent for a whole step and more still is. */
START_TEST(a_restart_makes_nobody_silent)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){0});
    rig_send(&r, &(struct rig_batch){"a", .source = "quiet"});
    rig_send(&r, &(struct rig_batch){"a*4"});
    rig_send(&r, &(struct rig_batch){"a*4", .at_ms = 2 * STEP_MS});
    rig_commit(&r);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(strstr(completeness(&r, NOW_MS), TENANT("t", "5", "4", "0.800000", "1")) !=
                          NULL,
                      "%s", completeness(&r, NOW_MS));
        rig_restart(&r);
        r.is_compacted = true;
    }
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("state");
    TCase *t = tcase_create("state");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_cut_of_a_state_record_is_fatal);
    tcase_add_loop_test(t, a_state_record_with_a_byte_changed, 0, 3);
    tcase_add_test(t, vectors_are_taken_but_for_the_bad_ones);
    tcase_add_test(t, many_dead_sources_are_buried_bit_by_bit);
    tcase_add_test(t, silent_sources_are_named);
    tcase_add_test(t, a_restart_makes_nobody_silent);
    suite_add_tcase(s, t);
    return run_suite(s);
}
