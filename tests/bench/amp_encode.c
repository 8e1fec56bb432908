/* How fast samples become requests: scrapes of 2,000 game servers, 300 series each (6 labels and
 * the name; one in ten a native histogram in the second row), encoded in requests of 2,000 points
 * and compressed by snappy. 600,000 series: the label bytes lie far beyond the processor's caches.
 *
 *   bench-amp-encode [--json] [--rounds N] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "batch/histogram.h"
#include "pack.h"
#include "template.h"

enum {
    N_SERVERS = 2000,
    N_SERIES = 300,
    N_LABELS = 6,
    REQUEST_SCRAPES = 7,
    EXP_EVERY = 10,
    N_BUCKETS = 40
};

static const char *const names[N_LABELS] = {"az",    "build_id", "instance_type",
                                            "queue", "region",   "shard_id"};

struct server {
    struct wire_shape *shape;
    struct scrape *scrape;
};

static void *must(void *p)
{
    if (p == NULL) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

static struct slice text(struct arena *a, const char *prefix, unsigned n)
{
    char out[64];
    int len = snprintf(out, sizeof out, "%s%u", prefix, n);
    struct slice copy = arena_copy(a, slice_of(out, (size_t)len));
    (void)must((void *)(uintptr_t)copy.ptr);
    return copy;
}

static int cmp(const void *a, const void *b)
{
    return series_cmp(*(const struct series *const *)a, *(const struct series *const *)b);
}

static void series_fill(struct series *s, unsigned i, unsigned server, bool histograms,
                        struct arena *a)
{
    struct label *labels = must(ARENA_ARRAY(a, struct label, N_LABELS));
    const struct slice values[N_LABELS] = {
        text(a, "eu-central-1", server % 3), text(a, "build-2026-11-", server % 5),
        SLICE_LITERAL("c7g.2xlarge"),        text(a, "ranked-solo-", i % 10),
        SLICE_LITERAL("eu-central-1"),       text(a, "gs-eu-central-", server)};
    for (unsigned k = 0; k < N_LABELS; k++) {
        labels[k] = (struct label){slice_str(names[k]), values[k]};
    }
    *s = (struct series){.metric = text(a, "game_matchmaking_players_total_", i / 10),
                         .kind = histograms && i % EXP_EVERY == 0 ? SERIES_EXP_HISTOGRAM
                                                                  : SERIES_COUNTER,
                         .n_labels = N_LABELS,
                         .labels = labels};
}

static void histogram_fill(struct buf *out, unsigned i)
{
    uint64_t counts[N_BUCKETS];
    for (unsigned k = 0; k < N_BUCKETS; k++) {
        counts[k] = 1000 + (i * 31 + k * 17) % 4000;
    }
    const struct histogram_span span = {-20, N_BUCKETS};
    const struct exp_histogram h = {
        .schema = 3, .count = 100000, .sum = 12.5 * i, .positive = {1, N_BUCKETS, &span, counts}};
    exp_histogram_encode(&h, out);
}

static void fail(const struct err *e)
{
    (void)fprintf(stderr, "%s\n", e->text);
    exit(1);
}

static void server_make(struct server *to, unsigned server, bool histograms)
{
    struct arena a;
    struct buf bytes, values, exp;
    struct err e = ERR_INIT;
    struct shape shape;
    arena_init(&a, 64 << 20);
    buf_init(&bytes, 16 << 20);
    buf_init(&values, 16 << 20);
    buf_init(&exp, 16 << 20);
    struct series *series = must(ARENA_ARRAY(&a, struct series, N_SERIES));
    const struct series **order = must(ARENA_ARRAY(&a, const struct series *, N_SERIES));
    for (unsigned i = 0; i < N_SERIES; i++) {
        series_fill(&series[i], i, server, histograms, &a);
        order[i] = &series[i];
    }
    qsort(order, N_SERIES, sizeof(*order), cmp);
    for (unsigned i = 0; i < N_SERIES; i++) {
        if (order[i]->kind == SERIES_EXP_HISTOGRAM) {
            histogram_fill(&exp, i + server);
        } else {
            buf_double(&values, (double)(i * 7919 + server) * 1.25);
        }
    }
    struct slice tenant = SLICE_LITERAL("demo");
    if (!shape_encode(text(&a, "gs-", server), order, N_SERIES, &a, &bytes, &e) ||
        !shape_decode(buf_slice(&bytes), tenant, &shape_default_caps, &a, &shape, &e) ||
        !wire_shape_new(&shape, tenant, &(struct wire_names){.tenant_label = ""}, 64 << 20, &to->shape, &e)) {
        fail(&e);
    }
    const struct batch b = {.tenant = tenant,
                            .times = {.base_ms = INT64_C(1800000000000) + server},
                            .values = buf_slice(&values),
                            .exp = buf_slice(&exp)};
    if (!scrape_new(&b, to->shape, &to->scrape, &e)) {
        fail(&e);
    }
    buf_fini(&bytes);
    buf_fini(&values);
    buf_fini(&exp);
    arena_fini(&a);
}

struct result {
    double per_s;
    double encode_per_s;
    double plain_bytes;
    double wire_bytes; /* per sample */
};

struct sums {
    size_t n_plain;
    size_t n_wire;
};

/* CPU seconds of one way over all servers. */
static double pass(const struct server *servers, bool encode_only, struct packer *p,
                   struct buf *body, struct sums *sums)
{
    int64_t began = clock_cpu_ns();
    struct err e = ERR_INIT;
    *sums = (struct sums){0, 0};
    for (unsigned i = 0; i < N_SERVERS;) {
        packer_begin(p, body);
        for (unsigned k = 0; k < REQUEST_SCRAPES && i < N_SERVERS; k++, i++) {
            if (encode_only) {
                scrape_encode(servers[i].scrape, 0, N_SERIES, &p->plain);
            } else {
                packer_add(p, servers[i].scrape, 0, N_SERIES, body);
            }
        }
        struct slice wire = SLICE_NONE;
        if (!encode_only && !packer_end(p, body, &wire, &e)) {
            fail(&e);
        }
        sums->n_plain += p->n_plain;
        sums->n_wire += wire.len;
    }
    return (double)(clock_cpu_ns() - began) / 1e9;
}

static void templates_make(struct server *servers)
{
    for (unsigned i = 0; i < N_SERVERS; i++) {
        servers[i].shape->templates[TEMPLATE_ONE_TIME] =
            must(template_new(servers[i].shape, TEMPLATE_ONE_TIME));
    }
}

static struct result measure(bool histograms, bool templates, int rounds)
{
    struct server *servers = must(calloc(N_SERVERS, sizeof *servers));
    struct packer p;
    struct buf body;
    packer_init(&p, 64 << 20);
    buf_init(&body, 64 << 20);
    for (unsigned i = 0; i < N_SERVERS; i++) {
        server_make(&servers[i], i, histograms);
    }
    int64_t began = clock_cpu_ns();
    if (templates) {
        templates_make(servers);
    }
    double made_s = (double)(clock_cpu_ns() - began) / 1e9;
    double encode_s = 1e9, whole_s = 1e9;
    struct sums sums = {0, 0};
    for (int r = 0; r < rounds; r++) {
        double s = templates ? made_s : pass(servers, true, &p, &body, &sums);
        encode_s = s < encode_s ? s : encode_s;
        s = pass(servers, false, &p, &body, &sums);
        whole_s = s < whole_s ? s : whole_s;
    }
    const double n = (double)N_SERVERS * N_SERIES;
    for (unsigned i = 0; i < N_SERVERS; i++) {
        scrape_free(servers[i].scrape);
        wire_shape_unref(servers[i].shape);
    }
    packer_fini(&p);
    buf_fini(&body);
    free(servers);
    return (struct result){n / whole_s, n / encode_s, (double)sums.n_plain / n,
                           (double)sums.n_wire / n};
}

static void report(const char *name, bool templates, const struct result *r, bool json)
{
    if (json) {
        (void)printf("{\"bench\": \"amp_encode\", \"case\": \"%s\", \"templates\": %s, "
                     "\"samples_per_s\": %.0f, \"%s_per_s\": %.0f, "
                     "\"plain_bytes_per_sample\": %.1f, \"wire_bytes_per_sample\": %.1f}\n",
                     name, templates ? "true" : "false", r->per_s,
                     templates ? "new_series" : "encode_samples", r->encode_per_s, r->plain_bytes,
                     r->wire_bytes);
        return;
    }
    (void)printf(
        "amp encode, %-9s %-21s %6.1f M samples/s/core; %s %5.1f M/s; %.0f -> %.1f bytes a "
        "sample\n",
        templates ? "templates" : "plain", name, r->per_s / 1e6,
        templates ? "templates of new series" : "without snappy", r->encode_per_s / 1e6,
        r->plain_bytes, r->wire_bytes);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    bool json = false;
    int rounds = 5;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j') {
            json = true;
        } else if (option == 'r') {
            rounds = (int)strtol(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    rounds = rounds < 1 ? 1 : rounds;
    for (int i = 0; i < 4; i++) {
        struct result r = measure(i >= 2, i % 2 == 1, rounds);
        report(i >= 2 ? "10 % native histograms" : "counters", i % 2 == 1, &r, json);
    }
    return 0;
}
