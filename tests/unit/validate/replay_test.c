/* The log is the state: the same log gives the same output, whatever the caches hold; and points
 * that come in another order give the same shapes. */
#include <stdio.h>

#include "base/hash.h"
#include "batch/batch.h"
#include "rig.h"
#include "runner.h"

enum { N_RECORDS = 300, MAX_POINTS = 40, N_LABELS = 8, N_METRICS_USED = 12 };

#define POLICY                                                                                     \
    "{\"kinds\": {\"gauge_metrics\": [\"m3*\", \"m4*\"], \"classic_histogram_metrics\": "          \
    "[\"m5*\"]}, \"classes\": "                                                                    \
    "{\"rules\": [{\"metrics\": [\"m1*\"], \"class\": \"critical\"}]}, \"limits\": "               \
    "{\"series_per_message\": 25},"                                                                \
    "\"labels\": {\"unknown\": \"strip\"}, \"tenants\": {\"t\": {}}}"

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static const char *const labels_used[N_LABELS] = {"",
                                                  "region=eu",
                                                  "region=us,queue=a",
                                                  "queue=b",
                                                  "colour=red",
                                                  "colour=blue,region=eu",
                                                  "player_id=3",
                                                  "az=\xff"};
static const char *const metrics_used[N_METRICS_USED] = {"m0", "m1", "m2",   "m3",   "m4", "m5",
                                                         "m6", "m7", "m8.x", "m8_x", "",   "m9"};

static struct message_point random_point(uint64_t *state)
{
    uint64_t x = next_random(state);
    struct message_point p = {
        .metric = metrics_used[x % N_METRICS_USED],
        .unit = (x >> 8) % 7 == 0 ? "s" : "",
        .kind = (enum message_kind)((x >> 12) % 11 < 6 ? 0 : (x >> 16) % 6),
        .temporality =
            (x >> 20) % 9 == 0 ? (enum message_temporality)((x >> 24) % 3) : MSG_CUMULATIVE,
        .labels = labels_used[(x >> 28) % N_LABELS],
        .time_ms = NOW_MS - (int64_t)((x >> 32) % 3),
        .start_ms = (x >> 36) % 20 == 0 ? NOW_MS + 5 : NOW_MS - 1000,
        .value = (double)((x >> 40) % 5),
        .no_value_field = (x >> 44) % 40 == 0,
        .stale = (x >> 48) % 40 == 0,
        .scale = (x >> 52) % 30 == 0 ? -9 : 3,
        .count = (x >> 56) % 9,
        .bound = 2,
        .bad_counts = (x >> 60) % 8 == 0,
    };
    if ((x >> 50) % 30 == 0) {
        p.time_ms -= 4000000;
    }
    return p;
}

/* The log: record i of a seed. A fifth is garbage or cut off. */
static void record_make(uint64_t seed, int i, struct buf *b)
{
    uint64_t state = seed * 1000003 + (uint64_t)i;
    uint64_t form = next_random(&state) % 10;
    struct message_point points[MAX_POINTS];
    int n_resources = 1 + (int)(next_random(&state) % 3);
    buf_reset(b);
    for (int k = 0; k < n_resources; k++) {
        char attributes[128];
        size_t n = next_random(&state) % MAX_POINTS;
        /* The same few sources and point sequences again and again, so that caches are hit. */
        uint64_t server = next_random(&state) % 4;
        uint64_t points_state = next_random(&state) % 5 + seed;
        (void)snprintf(attributes, sizeof attributes,
                       "service.instance.id=gs-%d,shard_id=s%d,host=h", (int)server, (int)server);
        for (size_t p = 0; p < n; p++) {
            points[p] = random_point(&points_state);
        }
        if (form == 9 && k == 0) {
            message_avro(b, "gs-avro", "shard_id=s", points, n);
            return;
        }
        message_resource(b, attributes, points, n);
    }
    if (form == 8 && b->len > 3) {
        b->len -= next_random(&state) % (b->len - 1);
    }
}

static uint64_t outputs_hash(const struct outbox *o, uint64_t h)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct outgoing *r = &o->records[i];
        h = (h * 31 + (uint64_t)r->output) * 31 + hash64(r->value);
        h = (h * 31 + (uint64_t)r->partition) * 31 + hash64(r->key);
    }
    return h;
}

/* from: where this process takes over; what was before is another's. */
static void run_log(uint64_t seed, size_t cache_bytes, int from, uint64_t *hashes)
{
    struct rig r;
    struct buf b;
    rig_open(
        &r, &(struct rig_options){
                .policy = POLICY, .cache_bytes = cache_bytes, .dlq_cap = 1000000, .mask_key = "k"});
    buf_init(&b, 1 << 24);
    r.offset = from;
    for (int i = from; i < N_RECORDS; i++) {
        record_make(seed, i, &b);
        rig_send(&r, buf_slice(&b));
        hashes[i] = outputs_hash(&r.out, 1);
        if (i % 50 == 0) {
            (void)rig_text(&r, true); /* decodes all of it */
        }
        rig_commit(&r);
    }
    rig_check_accounts(&r);
    ck_assert(rig_count(&r, M_SAMPLES_OUT, "t", "") > 100);
    buf_fini(&b);
    rig_close(&r);
}

START_TEST(the_same_log_gives_the_same_output)
{
    const uint64_t seed = (uint64_t)_i + 1;
    static uint64_t first[N_RECORDS];
    static uint64_t again[N_RECORDS];
    static const struct {
        size_t cache_bytes;
        int from;
    } others[] = {{(size_t)64 << 20, 0}, {1, 0}, {1 << 18, 0}, {(size_t)64 << 20, N_RECORDS / 2}};
    run_log(seed, (size_t)64 << 20, 0, first);
    hash_seed_init(); /* other keys in every cache */
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
        run_log(seed, others[k].cache_bytes, others[k].from, again);
        for (int i = others[k].from; i < N_RECORDS; i++) {
            ck_assert_msg(first[i] == again[i], "seed %d, variant %zu: record %d differs",
                          (int)seed, k, i);
        }
    }
}
END_TEST

START_TEST(order_does_not_matter_to_the_shape)
{
    enum { N = 60 };
    uint64_t state = 77;
    struct message_point points[N];
    char labels[N][64];
    struct rig r;
    struct arena a;
    struct err e = ERR_INIT;
    struct slice shape = SLICE_NONE;
    struct slice values = SLICE_NONE;
    arena_init(&a, 1 << 24);
    rig_open(&r, &(struct rig_options){.policy = POLICY});
    for (int i = 0; i < 20; i++) {
        (void)snprintf(labels[i], sizeof labels[i], "queue=q%d", i);
        points[i] = (struct message_point){.metric = i % 3 == 0 ? "m0" : "m2",
                                           .kind = i % 5 == 0 ? MSG_EXP : MSG_SUM,
                                           .temporality = MSG_CUMULATIVE,
                                           .labels = labels[i],
                                           .time_ms = NOW_MS + i,
                                           .value = i,
                                           .count = (uint64_t)i};
    }
    for (int round = 0; round < 50; round++) {
        rig_send_points(&r, "service.instance.id=x,shard_id=1", points, 20);
        struct batch b;
        ck_assert_uint_eq(r.out.n, 1);
        ck_assert(batch_decode(r.out.records[0].value, &batch_default_caps, &a, &b, &e));
        if (round == 0) {
            shape = arena_copy(&a, b.shape);
            values = arena_copy(&a, b.values);
        }
        ck_assert(slice_eq(shape, b.shape) && slice_eq(values, b.values));
        rig_commit(&r);
        for (uint64_t i = 19; i > 0; i--) {
            uint64_t k = next_random(&state) % (i + 1);
            struct message_point p = points[i];
            points[i] = points[k];
            points[k] = p;
        }
    }
    arena_fini(&a);
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replay");
    TCase *t = tcase_create("replay");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, the_same_log_gives_the_same_output, 0, 6);
    tcase_add_test(t, order_does_not_matter_to_the_shape);
    suite_add_tcase(s, t);
    return run_suite(s);
}
