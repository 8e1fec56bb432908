#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram.h"

/* Offsets begin where they have their length for long. */
enum { FIRST_OFFSET = 1 << 21, BUF_BYTES = 1 << 20, MAP_LABEL = 1, SHARD_LABEL = 5 };

static const char *const label_names[FLEET_LABELS] = {"game_mode", "map",    "platform",
                                                      "region",    "result", "shard_id"};
static const char *const label_values[FLEET_LABELS][4] = {
    {"battle_royale", "team_deathmatch", "capture_the_flag", "duel"},
    {"frozen_harbour", "old_town", "desert_station", "orbital"},
    {"playstation", "windows", "xbox", "mobile"},
    {"eu-central-1", "us-east-1", "ap-northeast-1", "sa-east-1"},
    {"success", "timeout", "rejected", "error"},
    {"", "", "", ""}, /* the server's name */
};
static const struct slice tenant = SLICE_LITERAL("demo");

static uint64_t random_state = 42;

static uint64_t random_next(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void bench_check(bool ok, const struct err *e)
{
    if (!ok) {
        (void)fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

void *bench_must(void *p)
{
    if (p == NULL) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

static int order_cmp(const void *a, const void *b)
{
    return series_cmp(*(const struct series *const *)a, *(const struct series *const *)b);
}

void fleet_init(struct fleet *f)
{
    *f = (struct fleet){0};
    arena_init(&f->arena, 64 << 20);
    buf_init(&f->shape, BUF_BYTES);
    buf_init(&f->exp, BUF_BYTES);
    buf_init(&f->out, BUF_BYTES);
    for (size_t s = 0; s < FLEET_SETS; s++) {
        for (size_t l = 0; l < FLEET_LABELS; l++) {
            const char *value = label_values[l][(s >> (l % 3)) & 3];
            f->labels[s][l] = (struct label){slice_str(label_names[l]), slice_str(value)};
        }
    }
    for (size_t m = 0; m < FLEET_METRICS; m++) {
        bool is_exp = m % FLEET_EXP_EVERY == 0;
        (void)snprintf(f->names[m], sizeof f->names[m], "game_server_matchmaking_step_%02zu", m);
        for (size_t s = 0; s < FLEET_SETS; s++) {
            f->series[m * FLEET_SETS + s] =
                (struct series){.metric = slice_str(f->names[m]),
                                .unit = is_exp ? SLICE_LITERAL("ms") : SLICE_LITERAL(""),
                                .kind = is_exp ? SERIES_EXP_HISTOGRAM : SERIES_COUNTER,
                                .n_labels = FLEET_LABELS,
                                .labels = f->labels[s]};
        }
    }
}

void fleet_fini(struct fleet *f)
{
    arena_fini(&f->arena);
    buf_fini(&f->shape);
    buf_fini(&f->exp);
    buf_fini(&f->out);
}

static void server_name(struct fleet *f, unsigned server)
{
    (void)snprintf(f->server, sizeof f->server, "game-server-%05u", server);
    for (size_t s = 0; s < FLEET_SETS; s++) {
        (void)snprintf(f->map[s], sizeof f->map[s], "%s_%u", label_values[MAP_LABEL][s & 3],
                       server % 50);
        f->labels[s][MAP_LABEL].value = slice_str(f->map[s]);
        f->labels[s][SHARD_LABEL].value = slice_str(f->server);
    }
    for (size_t i = 0; i < FLEET_SERIES; i++) {
        f->order[i] = &f->series[i];
    }
    qsort(f->order, FLEET_SERIES, sizeof f->order[0], order_cmp);
}

static void histogram_draw(struct buf *out)
{
    uint64_t counts[2][FLEET_MAX_SIDE];
    struct histogram_span spans[2];
    struct exp_buckets sides[2];
    struct exp_histogram h = {
        .schema = 3, .sum = 1234.5, .zero_threshold = 1e-128, .zero_count = 3, .count = 3};
    for (size_t i = 0; i < 2; i++) {
        uint32_t n = 20 + (uint32_t)(random_next() % 41);
        spans[i] = (struct histogram_span){-12, n};
        for (uint32_t k = 0; k < n; k++) {
            counts[i][k] = random_next() % (random_next() % 2 == 0 ? 100 : 5000);
            h.count += counts[i][k];
        }
        sides[i] = (struct exp_buckets){1, n, &spans[i], counts[i]};
    }
    h.positive = sides[0];
    h.negative = sides[1];
    exp_histogram_encode(&h, out);
}

static void values_draw(struct fleet *f)
{
    buf_reset(&f->exp);
    for (size_t i = 0; i < FLEET_SERIES; i++) {
        f->values[i] = (double)(random_next() % 1000000);
        if (f->order[i]->kind == SERIES_EXP_HISTOGRAM) {
            histogram_draw(&f->exp);
        }
    }
}

void fleet_encode_shape(struct fleet *f)
{
    struct err e = ERR_INIT;
    arena_reset(&f->arena);
    buf_reset(&f->shape);
    bench_check(
        shape_encode(slice_str(f->server), f->order, FLEET_SERIES, &f->arena, &f->shape, &e), &e);
}

struct slice fleet_encode_batch(struct fleet *f, int64_t received_ms, int64_t offset)
{
    const size_t n_scalars = (FLEET_METRICS - FLEET_METRICS / FLEET_EXP_EVERY) * FLEET_SETS;
    const struct batch b = {.tenant = tenant,
                            .class = CLASS_STANDARD,
                            .source = source_id(tenant, slice_str(f->server)),
                            .received_ms = received_ms,
                            .origin = {.topic = SLICE_LITERAL("metrics.ingest"), .offset = offset},
                            .shape = buf_slice(&f->shape),
                            .times = {.base_ms = received_ms - 5},
                            .starts = {.base_ms = fleet_base_ms - 3600000},
                            .values = slice_of(f->values, n_scalars * sizeof(double)),
                            .exp = buf_slice(&f->exp)};
    buf_reset(&f->out);
    batch_encode(&b, &f->out);
    return buf_slice(&f->out);
}

struct slice fleet_batch(struct fleet *f, unsigned server, int64_t received_ms, int64_t offset)
{
    server_name(f, server);
    values_draw(f);
    fleet_encode_shape(f);
    return fleet_encode_batch(f, received_ms, offset);
}

struct slice *fleet_batches(struct fleet *f, unsigned n_servers, size_t *n_bytes)
{
    struct slice *batches = bench_must(calloc(n_servers, sizeof *batches));
    for (unsigned s = 0; s < n_servers; s++) {
        struct slice b = fleet_batch(f, s, fleet_base_ms, FIRST_OFFSET + (int64_t)s);
        uint8_t *bytes = bench_must(malloc(b.len));
        memcpy(bytes, b.ptr, b.len);
        batches[s] = slice_of(bytes, b.len);
        *n_bytes += b.len;
    }
    return batches;
}

void fleet_batches_free(struct slice *batches, unsigned n)
{
    for (unsigned s = 0; s < n; s++) {
        free((void *)(uintptr_t)batches[s].ptr);
    }
    free(batches);
}
