/* What edge_judge costs for messages of 2,000 game servers with 300 points each, known from the last scrape: walked, and read
 * by their skeletons, in turns; sums alone and with one in ten an exponential histogram. Each server's messages of two
 * scrapes come in turns, so that no value is that of last time. Last, messages cut at a random place, new each time. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/edge.h"
#include "otlp_fleet.h"

enum { N_WAYS = 2, N_SCRAPES = 2 };

static const char *const ways[N_WAYS] = {"walk", "skeletons"};

struct bench {
    struct edge *edges[N_WAYS];
    unsigned n_servers;
    unsigned n_rounds;
    bool json;
};

static void open_edges(struct bench *b)
{
    char path[] = "/tmp/edge-bench-XXXXXX";
    static const char policy[] = "{\"tenants\": {\"bench\": {}}}";
    struct err e = ERR_INIT;
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, policy, sizeof policy - 1) < 0 || close(fd) != 0) {
        exit(1);
    }
    for (int way = 0; way < N_WAYS; way++) {
        const struct edge_options o = {
            .policy_path = path, .cache_bytes = (size_t)1 << 30, .no_skeletons = way == 0};
        if (!edge_new(&o, &b->edges[way], &e)) {
            (void)fprintf(stderr, "%s\n", e.text);
            exit(1);
        }
    }
    (void)unlink(path);
}

/* CPU-ns; everything must be accepted, or the figures mean nothing. */
static int64_t judge_all(struct edge *edge, const struct otlp_message *messages, size_t n,
                         uint64_t *n_samples)
{
    int64_t begin = clock_cpu_ns();
    for (size_t i = 0; i < n; i++) {
        struct edge_answer answer;
        struct err e = ERR_INIT;
        if (!edge_judge(edge, SLICE_LITERAL("bench"), EDGE_OTLP, messages[i].bytes, FLEET_NOW_MS,
                        &answer, &e) ||
            answer.n_accepted != messages[i].n_points) {
            (void)fprintf(stderr, "not all accepted: %s\n", e.text);
            exit(1);
        }
        *n_samples += answer.n_accepted;
    }
    return clock_cpu_ns() - begin;
}

static void report(const struct bench *b, const char *load, int way, int64_t cpu_ns,
                   uint64_t n_samples)
{
    double per_s = (double)n_samples * 1e9 / (double)cpu_ns;
    const struct edge_stats s = edge_stats(b->edges[way]);
    double hits = (double)s.n_skeleton_hits / (double)(s.n_skeleton_hits + s.n_skeleton_misses + 1);
    if (b->json) {
        printf("{\"bench\": \"edge_judge\", \"load\": \"%s\", \"way\": \"%s\", \"samples_per_cpu_s\": "
               "%.0f, \"skeleton_hit_ratio\": %.3f}\n",
               load, ways[way], per_s, hits);
    } else {
        printf("edge_judge %-16s %-9s %6.2f M samples/s of one core, skeletons hit %.1f %%\n", load,
               ways[way], per_s / 1e6, hits * 100);
    }
}

static void run_known(const struct bench *b, const char *load, struct otlp_fleet *fleet)
{
    struct otlp_message *scrapes[N_SCRAPES];
    int64_t cpu_ns[N_WAYS] = {0};
    uint64_t n_samples[N_WAYS] = {0};
    for (int i = 0; i < N_SCRAPES; i++) {
        scrapes[i] = otlp_fleet_messages(fleet, b->n_servers, 1);
    }
    for (unsigned round = 0; round < b->n_rounds + 2; round++) {
        for (int way = 0; way < N_WAYS; way++) {
            uint64_t n = 0;
            int64_t ns = judge_all(b->edges[way], scrapes[round % N_SCRAPES], b->n_servers, &n);
            if (round >= 2) { /* learned */
                cpu_ns[way] += ns;
                n_samples[way] += n;
            }
        }
    }
    for (int way = 0; way < N_WAYS; way++) {
        report(b, load, way, cpu_ns[way], n_samples[way]);
    }
    for (int i = 0; i < N_SCRAPES; i++) {
        otlp_fleet_free_messages(scrapes[i], b->n_servers);
    }
}

static void run_cut(const struct bench *b, struct otlp_fleet *fleet)
{
    int64_t cpu_ns[N_WAYS] = {0};
    uint64_t n_samples[N_WAYS] = {0};
    for (int round = 0; round < 3; round++) {
        struct otlp_message *messages = otlp_fleet_messages(fleet, b->n_servers, 2);
        for (int way = 0; way < N_WAYS; way++) {
            cpu_ns[way] += judge_all(b->edges[way], messages, (size_t)b->n_servers * 2, &n_samples[way]);
        }
        otlp_fleet_free_messages(messages, (size_t)b->n_servers * 2);
    }
    for (int way = 0; way < N_WAYS; way++) {
        report(b, "cut anew", way, cpu_ns[way], n_samples[way]);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.n_servers = 2000, .n_rounds = 6};
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"servers", required_argument, NULL, 's'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "js:r:", options, NULL)) != -1;) {
        if (c == 'j') {
            b.json = true;
        } else if (c == 's' || c == 'r') {
            *(c == 's' ? &b.n_servers : &b.n_rounds) = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    struct otlp_fleet *sums = otlp_fleet_new_sums();
    struct otlp_fleet *mixed = otlp_fleet_new();
    open_edges(&b);
    run_known(&b, "sums", sums);
    run_known(&b, "10 % histograms", mixed);
    run_cut(&b, mixed);
    for (int way = 0; way < N_WAYS; way++) {
        edge_free(b.edges[way]);
    }
    otlp_fleet_free(sums);
    otlp_fleet_free(mixed);
    return 0;
}
