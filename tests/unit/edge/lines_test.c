/* Lines never change a result: remote write messages of both versions that differ a little from what was sent before are judged
 * with and without them. */
#include <stdio.h>

#include "edge/fullness.h"
#include "runner.h"
#include "twins.h"
#include "unit/wire/remote_write_message.h"

#define NOW_MS INT64_C(1780000000000)
#define OPEN "{\"tenants\": {\"t\": {\"mode\": \"open\", \"labels\": {\"forbid\": [\"player_id\"]}}}}"

enum { MAX_BYTES = 1 << 20, N_SERIES = 20, TEXT_BYTES = 64 };

static uint64_t state;

static uint64_t draw(uint64_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % n;
}

static bool one_in(uint64_t n)
{
    return draw(n) == 0;
}

static const int64_t too_old_ms = NOW_MS - INT64_C(100000000000); /* in as many bytes */

/* A sender's series, which differ rarely. */
static void series_fill(struct remote_write_test_series *series, char labels[N_SERIES][TEXT_BYTES], uint64_t rarely)
{
    int64_t time_ms = NOW_MS - (int64_t)draw(10000);
    static const char *const servers[] = {"s0", "s1", "server-two"}; /* of one length and of another */
    unsigned server = (unsigned)draw(3);
    for (unsigned i = 0; i < N_SERIES; i++) {
        const char *more = one_in(rarely) ? one_in(2) ? ",player_id=7" : ",zone=b" : "";
        (void)snprintf(labels[i], TEXT_BYTES, "__name__=m%u%s,shard_id=%s%s", i, i % 2 == 0 ? "_total" : "", servers[server], more);
        struct remote_write_test_series *s = &series[i];
        *s = (struct remote_write_test_series){.labels = labels[i], .n_points = one_in(rarely) ? draw(4) : 1};
        s->type = one_in(rarely) ? REMOTE_WRITE_GAUGE : REMOTE_WRITE_UNKNOWN;
        s->start_ms = one_in(rarely) ? time_ms - (int64_t)draw(9) + 3 : server == 1 ? NOW_MS - 100000 : 0;
        if (i == 3) { /* two samples, the first always the same */
            *s = (struct remote_write_test_series){.labels = labels[i], .n_points = 2, .points = {{.time_ms = NOW_MS - 20000, .value = 1}}};
            s->points[1] = (struct remote_write_test_point){.time_ms = time_ms, .value = 1 + (double)draw(1000)};
            continue;
        }
        for (unsigned p = 0; p < 4; p++) {
            s->points[p] = (struct remote_write_test_point){.time_ms = one_in(rarely) ? (int64_t)draw(100) - 50 : one_in(rarely) ? too_old_ms : time_ms + p,
                                                            .value = one_in(4) ? 0 : (double)draw(100000) / 3,
                                                            .is_histogram = i % 7 == 6 || one_in(rarely * 3),
                                                            .count = 2 + draw(4)};
        }
    }
}

static void message_spoil(struct buf *b)
{
    for (uint64_t n = 1 + draw(3); n > 0; n--) {
        b->ptr[draw(b->len)] ^= (uint8_t)(1 << draw(8));
    }
}

/* Metadata of the message (1.0): gauge by name, for the series m<i>_total. */
static void metadata_put(struct buf *b, unsigned i)
{
    char name[16];
    int n = snprintf(name, sizeof name, "m%u_total", i);
    buf_u8(b, 0x1a);
    buf_u8(b, (uint8_t)(4 + n));
    buf_put(b, "\x08\x02\x12", 3);
    buf_u8(b, (uint8_t)n);
    buf_put(b, name, (size_t)n);
}

START_TEST(what_was_learned_never_changes_a_result)
{
    struct twins twins;
    uint64_t n_accepted = 0;
    bool is_tight = _i % 4 == 3;
    state = (uint64_t)_i;
    twins_open(&twins, OPEN, is_tight ? 100000 : (size_t)16 << 20);
    for (int i = 0; i < 1500; i++) {
        struct remote_write_test_series series[N_SERIES];
        char labels[N_SERIES][TEXT_BYTES];
        struct buf b;
        uint64_t rarely = 3 + (uint64_t)(i % 60) * 3;
        uint64_t n = 0;
        bool is_2 = one_in(16) ? _i % 2 == 0 : _i % 2 == 1;
        buf_init(&b, MAX_BYTES);
        series_fill(series, labels, rarely);
        size_t cut = one_in(rarely) ? draw(N_SERIES) : 0;
        remote_write_message(is_2 ? REMOTE_WRITE_2 : REMOTE_WRITE_1, series + cut, N_SERIES - cut, &b);
        if (!is_2 && one_in(rarely / 3 + 2)) {
            metadata_put(&b, 2 * (unsigned)draw(N_SERIES / 2));
        }
        if (one_in(rarely)) {
            message_spoil(&b);
        }
        const char *what = twins_differ(&twins, is_2 ? EDGE_REMOTE_WRITE_2 : EDGE_REMOTE_WRITE_1, buf_slice(&b), NOW_MS, &n);
        ck_assert_msg(what == NULL, "%s differ at %d", what, i);
        n_accepted += n;
        buf_fini(&b);
    }
    ck_assert_uint_eq(edge_stats(twins.edges[1]).n_skeleton_hits, 0);
    ck_assert_uint_gt(n_accepted, 10000);
    ck_assert_uint_gt(edge_stats(twins.edges[0]).n_skeleton_hits, n_accepted / (is_tight ? 100 : 8));
    twins_close(&twins);
}
END_TEST

/* What the message says of a family changes what its series are, though their bytes are the same. */
START_TEST(metadata_elsewhere_in_the_message_counts)
{
    struct twins twins;
    twins_open(&twins, OPEN, 1 << 20);
    for (int i = 0; i < 8; i++) {
        struct remote_write_test_series series[4];
        char labels[4][TEXT_BYTES];
        struct buf b;
        uint64_t n = 0;
        buf_init(&b, MAX_BYTES);
        for (unsigned k = 0; k < 4; k++) {
            (void)snprintf(labels[k], TEXT_BYTES, "__name__=m%u_total,shard_id=s1", k);
            series[k] = (struct remote_write_test_series){
                .labels = labels[k], .points = {{.time_ms = NOW_MS + i, .value = i + 1}}, .n_points = 1};
        }
        remote_write_message(REMOTE_WRITE_1, series, 4, &b);
        if (i % 2 == _i) {
            metadata_put(&b, 2);
        }
        const char *what = twins_differ(&twins, EDGE_REMOTE_WRITE_1, buf_slice(&b), NOW_MS, &n);
        ck_assert_msg(what == NULL, "%s differ at %d", what, i);
        ck_assert_uint_eq(n, 4);
        buf_fini(&b);
    }
    ck_assert_uint_eq(edge_stats(twins.edges[0]).n_skeleton_hits, 3 * 3); /* all but the first series, from the second time on */
    twins_close(&twins);
}
END_TEST

/* However long what is known has hit: when it no longer does, it goes soon. While most of it does, it stays. */
START_TEST(a_full_cache_is_emptied_by_what_misses_now)
{
    struct fullness f = {.n_learned = 100};
    uint64_t hits = 0;
    uint64_t misses = 0;
    ck_assert(!fullness_look(&f, true, hits, misses));
    for (int i = 0; i < 100000; i++) {
        hits += 90;
        misses += 10;
        ck_assert(!fullness_look(&f, true, hits, misses));
    }
    int n = 0;
    while (!fullness_look(&f, true, hits, misses)) {
        misses += 100;
        n++;
    }
    ck_assert_int_le(n, FULLNESS_PATIENCE + FULLNESS_WINDOW + 2);
    ck_assert_int_ge(n, FULLNESS_PATIENCE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lines");
    TCase *t = tcase_create("lines");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, what_was_learned_never_changes_a_result, 0, 8);
    tcase_add_loop_test(t, metadata_elsewhere_in_the_message_counts, 0, 2);
    tcase_add_test(t, a_full_cache_is_emptied_by_what_misses_now);
    suite_add_tcase(s, t);
    return run_suite(s);
}
