#include "peers.h"

#include "base/clock.h"
#include "runner.h"

#include <netinet/in.h>
#include <unistd.h>

enum { HEAD_MS = 1000, BODY_MS = 2000, MAX_PEERS = 2 };

static struct metrics *metrics;

static struct peers *open_peers(void)
{
    struct peers *p = NULL;
    struct err e = ERR_INIT;
    metrics = metrics_new();
    const struct peers_options o = {
        .max = MAX_PEERS, .max_ms = {[PEER_HEAD] = HEAD_MS, [PEER_BODY] = BODY_MS}, .metrics = metrics};
    ck_assert_msg(peers_new(&o, &p, &e), "%s", e.text);
    return p;
}

static void close_peers(struct peers *p)
{
    peers_free(p);
    metrics_free(metrics);
}

/* Of this process; ends[1] is the client's. */
static void connect_pair(int ends[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
}

static bool add(struct peers *p, int fd)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_storage address = {0};
    memcpy(&address, &v4, sizeof v4);
    return peers_add(p, fd, (const struct sockaddr *)&address, false);
}

static double count_of(enum metric_id id, const char *label)
{
    const struct slice value = slice_str(label);
    return cell_get(metrics_cell(metrics, id, &value));
}

static bool is_open(const int ends[2])
{
    char byte;
    return recv(ends[1], &byte, 1, 0) < 0; /* would wait; 0 = shut down */
}

static void close_pair(const int ends[2])
{
    ck_assert_int_eq(close(ends[0]) | close(ends[1]), 0);
}

START_TEST(one_that_is_not_taken_gives_its_place_back)
{
    struct peers *p = open_peers();
    int ends[2];
    connect_pair(ends);
    ck_assert(add(p, ends[0]));
    peers_refuse(p, ends[0]);
    ck_assert_uint_eq(peers_count(p), 0);
    ck_assert_double_eq(count_of(M_GATEWAY_CONNECTIONS_REFUSED, "all"), 1);
    ck_assert(add(p, ends[0]));
    ck_assert_ptr_nonnull(peers_begin(p, ends[0]));
    peers_refuse(p, ends[0]); /* it has begun: another tells of its end */
    ck_assert_uint_eq(peers_count(p), 1);
    close_pair(ends);
    close_peers(p);
}
END_TEST

START_TEST(a_descriptor_that_never_began_is_not_touched)
{
    struct peers *p = open_peers();
    int begun[2];
    int other[2];
    connect_pair(begun);
    connect_pair(other);
    ck_assert(add(p, begun[0]) && add(p, other[0]));
    ck_assert_ptr_nonnull(peers_begin(p, begun[0]));
    peers_sweep(p, clock_mono_ms() + HEAD_MS / 2);
    ck_assert_uint_eq(peers_count(p), 2);
    peers_sweep(p, clock_mono_ms() + HEAD_MS + 1);
    ck_assert(!is_open(begun));
    ck_assert(is_open(other)); /* it may be anybody's by now */
    ck_assert_uint_eq(peers_count(p), 1);
    ck_assert_ptr_null(peers_begin(p, other[0]));
    ck_assert_double_eq(count_of(M_GATEWAY_CONNECTIONS_CUT, "head"), 2);
    close_pair(begun);
    close_pair(other);
    close_peers(p);
}
END_TEST

/* What a connection has done when it ends. */
struct end_row {
    const char *what;
    int n_phases;
    enum peer_phase phases[4];
    bool is_cut;
    double n_bad_heads;
};

static const struct end_row end_rows[] = {
    {"nothing", 0, {PEER_HEAD}, false, 0},
    {"nothing for too long", 0, {PEER_HEAD}, true, 0},
    {"a request's line", 1, {PEER_HEAD}, false, 1},
    {"a request's line, too slowly", 1, {PEER_HEAD}, true, 0},
    {"a head and a part of a body", 2, {PEER_HEAD, PEER_BODY}, false, 0},
    {"a request", 4, {PEER_HEAD, PEER_BODY, PEER_ANSWERING, PEER_IDLE}, false, 0},
};

START_TEST(a_head_that_is_left_open_is_counted)
{
    const struct end_row *row = &end_rows[_i];
    struct peers *p = open_peers();
    int ends[2];
    connect_pair(ends);
    ck_assert(add(p, ends[0]));
    struct peer *peer = peers_begin(p, ends[0]);
    for (int i = 0; i < row->n_phases; i++) {
        ck_assert(peers_enter(p, peer, row->phases[i], clock_mono_ms()));
    }
    peers_sweep(p, clock_mono_ms() + (row->is_cut ? HEAD_MS + 1 : 0));
    peers_remove(p, peer);
    ck_assert_msg(count_of(M_GATEWAY_CONNECTIONS_REFUSED, "head") == row->n_bad_heads, "%s", row->what);
    close_pair(ends);
    close_peers(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peers");
    TCase *t = tcase_create("peers");
    tcase_add_test(t, one_that_is_not_taken_gives_its_place_back);
    tcase_add_test(t, a_descriptor_that_never_began_is_not_touched);
    tcase_add_loop_test(t, a_head_that_is_left_open_is_counted, 0, sizeof end_rows / sizeof end_rows[0]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
