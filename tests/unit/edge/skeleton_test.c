/* Skeletons never change a result: messages that differ a little from what was sent before, in every way that there is,
 * are judged with and without them. */
#include <stdio.h>

#include "message.h"
#include "runner.h"
#include "twins.h"

#define NOW_MS INT64_C(1780000000000)
#define RES "service.instance.id=gs-%u,shard_id=s1"
#define POLICY                                                                                     \
    "{\"classes\": {\"rules\": [{\"metrics\": [\"m_1*\"], \"class\": \"critical\"}]}, \"tenants\": {\"t\": {\"kinds\": "    \
    "{\"allow\": [\"counter\", \"gauge\", \"exponential_histogram\", \"classic_histogram\"]}}}}"

enum { MAX_BYTES = 1 << 20, N_POINTS = 24, N_LABELS = 5 };

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

static const char *const labels[N_LABELS] = {"region=eu", "region=us,queue=q1", "", "queue=q2", "player_id=7"};

/* A server's scrape as it always is. */
static void scrape_usual(struct message_point *points, char names[N_POINTS][16])
{
    for (unsigned i = 0; i < N_POINTS; i++) {
        (void)snprintf(names[i], sizeof names[i], "m.%u", i / 2);
        points[i] = (struct message_point){.metric = names[i],
                                           .kind = i % 11 == 10 ? MSG_EXP : i % 3 == 2 ? MSG_GAUGE : MSG_SUM,
                                           .temporality = MSG_CUMULATIVE,
                                           .labels = labels[i % 4],
                                           .count = 3,
                                           .time_ms = NOW_MS,
                                           .start_ms = i % 5 == 0 ? 0 : NOW_MS - 1000,
                                           .value = (double)draw(1000)};
    }
}

/* This scrape's values, and what is odd about it. */
static void scrape_vary(struct message_point *points, uint64_t rarely)
{
    int64_t time_ms = NOW_MS - (int64_t)draw(100000);
    for (unsigned i = 0; i < N_POINTS; i++) {
        struct message_point *p = &points[i];
        p->time_ms = one_in(rarely) ? NOW_MS - (int64_t)draw(1000) : time_ms;
        p->start_ms = p->start_ms == 0 ? 0 : time_ms - (int64_t)draw(3);
        p->value = one_in(4) ? p->value : (double)draw(1000000) / 7;
        if (one_in(rarely)) {
            p->labels = labels[draw(N_LABELS)];
        }
        if (one_in(rarely)) {
            p->start_ms = one_in(2) ? 0 : p->time_ms + 5; /* no start; behind the time */
        }
        p->stale = one_in(rarely);
        p->no_value_field = one_in(rarely * 2);
        if (one_in(rarely * 2)) {
            p->time_ms = one_in(2) ? 0 : NOW_MS - INT64_C(1000000000);
        }
        p->kind = one_in(rarely * 2) ? (enum message_kind)draw(5) : p->kind;
        p->count = 1 + draw(5);
    }
}

static void message_spoil(struct buf *b)
{
    for (uint64_t n = 1 + draw(3); n > 0; n--) {
        b->ptr[draw(b->len)] ^= (uint8_t)(1 << draw(8));
    }
    if (one_in(3)) {
        b->len -= draw(b->len);
    }
}

struct run {
    struct twins twins;
    uint64_t n_accepted;
};

static void judge(struct run *r, struct slice body)
{
    uint64_t n = 0;
    const char *what = twins_differ(&r->twins, EDGE_OTLP, body, NOW_MS, &n);
    ck_assert_msg(what == NULL, "%s differ", what);
    r->n_accepted += n;
}

/* One of several servers sends, in one message or two, sometimes two servers at once, sometimes spoilt. */
static void send(struct run *r, uint64_t rarely)
{
    struct message_point points[N_POINTS];
    char names[N_POINTS][16];
    char resource[64];
    struct buf b;
    buf_init(&b, MAX_BYTES);
    (void)snprintf(resource, sizeof resource, RES, (unsigned)draw(4));
    scrape_usual(points, names);
    scrape_vary(points, rarely);
    size_t cut = one_in(rarely) ? draw(N_POINTS) : 0;
    message_resource(&b, resource, points + cut, N_POINTS - cut);
    if (one_in(5)) {
        (void)snprintf(resource, sizeof resource, RES, (unsigned)draw(4));
        message_resource(&b, resource, points, N_POINTS);
    }
    if (one_in(rarely)) {
        message_spoil(&b);
    }
    judge(r, buf_slice(&b));
    buf_fini(&b);
}

START_TEST(what_was_learned_never_changes_a_result)
{
    struct run r = {.n_accepted = 0};
    state = (uint64_t)_i;
    twins_open(&r.twins, POLICY, _i % 4 == 3 ? 20000 : (size_t)16 << 20);
    for (int i = 0; i < 1500; i++) {
        send(&r, 3 + (uint64_t)(i % 60));
    }
    const struct edge_stats s = edge_stats(r.twins.edges[0]);
    ck_assert_uint_eq(edge_stats(r.twins.edges[1]).n_skeleton_hits, 0);
    ck_assert_uint_gt(r.n_accepted, 10000);
    ck_assert_uint_gt(s.n_skeleton_hits, r.n_accepted / (_i % 4 == 3 ? 50 : 4));
    twins_close(&r.twins);
}
END_TEST

/* Bytes by hand: what a later field would change must not be read out of the hole. */
struct odd_row {
    const char *what;
    const char *points[2]; /* the same but for the first value; one behind the other */
    size_t n_bytes;
};

#define TIME "\x19\x00\x00\x32\xb4\x91\xd4\xb3\x18"
#define ONE_D "\x21\x00\x00\x00\x00\x00\x00\xf0\x3f"
#define TWO_D "\x21\x00\x00\x00\x00\x00\x00\x00\x40"
#define ONE_I "\x31\x01\x00\x00\x00\x00\x00\x00\x00"
#define TWO_I "\x31\x02\x00\x00\x00\x00\x00\x00\x00"
#define LABEL "\x3a\x0e\x0a\x06region\x12\x04\x0a\x02" "eu"

static const struct odd_row odd[] = {
    {"as usual", {TIME ONE_D LABEL, TIME TWO_D LABEL}, sizeof(TIME ONE_D LABEL) - 1},
    {"integers", {TIME ONE_I LABEL, TIME TWO_I LABEL}, sizeof(TIME ONE_I LABEL) - 1},
    {"a second value counts", {TIME ONE_D LABEL ONE_D, TIME TWO_D LABEL ONE_D}, sizeof(TIME ONE_D LABEL ONE_D) - 1},
    {"of another type", {TIME ONE_D ONE_I, TIME TWO_D ONE_I}, sizeof(TIME ONE_D ONE_I) - 1},
    {"a second time", {TIME ONE_D TIME, TIME TWO_D TIME}, sizeof(TIME ONE_D TIME) - 1},
    {"labels in front", {LABEL TIME ONE_D, LABEL TIME TWO_D}, sizeof(LABEL TIME ONE_D) - 1},
    {"the value in front", {ONE_D TIME LABEL, TWO_D TIME LABEL}, sizeof(ONE_D TIME LABEL) - 1},
    {"the start behind", {TIME ONE_D "\x11\x00\x00\x00\x00\x00\x00\x00\x01", TIME TWO_D "\x11\x00\x00\x00\x00\x00\x00\x00\x01"}, sizeof(TIME ONE_D) + 8},
};

static void put_field(struct buf *b, uint8_t tag, struct buf *inner)
{
    buf_u8(b, tag);
    buf_varint_bytes(b, buf_slice(inner));
    buf_reset(inner);
}

/* resource_metrics { scope_metrics { metric { name "a" gauge { point } [gauge { point }] } } } */
static void odd_message(struct slice point, bool in_pieces, struct buf *out)
{
    struct buf b[2];
    buf_init(&b[0], MAX_BYTES);
    buf_init(&b[1], MAX_BYTES);
    buf_put_slice(&b[0], point);
    put_field(&b[1], 0x0a, &b[0]);
    struct buf gauge;
    buf_init(&gauge, MAX_BYTES);
    put_field(&gauge, 0x2a, &b[1]);
    buf_put_slice(&b[0], SLICE_LITERAL("\x0a\x01" "a"));
    for (int i = 0; i <= in_pieces; i++) {
        buf_put_slice(&b[0], buf_slice(&gauge));
    }
    put_field(&b[1], 0x12, &b[0]); /* metric */
    put_field(&b[0], 0x12, &b[1]); /* scope_metrics */
    put_field(out, 0x0a, &b[0]);
    buf_fini(&gauge);
    buf_fini(&b[0]);
    buf_fini(&b[1]);
}

START_TEST(only_plain_points_are_read_out_of_holes)
{
    const struct odd_row *row = &odd[_i];
    struct run r = {.n_accepted = 0};
    twins_open(&r.twins, "{\"tenants\": {\"t\": {\"mode\": \"open\"}}}", 1 << 20);
    for (int i = 0; i < 12; i++) {
        struct buf b;
        buf_init(&b, MAX_BYTES);
        odd_message(slice_of((const uint8_t *)row->points[i % 2], row->n_bytes), i / 2 % 2 == 1, &b);
        judge(&r, buf_slice(&b));
        buf_fini(&b);
    }
    ck_assert_uint_gt(r.n_accepted, 0);
    ck_assert_int_eq(edge_stats(r.twins.edges[0]).n_skeleton_hits > 0, _i < 2);
    twins_close(&r.twins);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("skeleton");
    TCase *t = tcase_create("skeleton");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, what_was_learned_never_changes_a_result, 0, 8);
    tcase_add_loop_test(t, only_plain_points_are_read_out_of_holes, 0, sizeof odd / sizeof odd[0]);
    suite_add_tcase(s, t);
    return run_suite(s);
}
