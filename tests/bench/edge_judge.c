/* What edge_judge costs for messages of 2,000 game servers with 300 points each, known from the last scrape: walked, and read
 * by their skeletons, in turns; sums alone, with one in ten an exponential histogram, and remote write of both versions.
 * Each server's messages of two scrapes come in turns, so that no value is that of last time. Last, OTLP messages cut at a
 * random place, new each time. Each body is in the processor's caches when it is judged, as it is when it has just been unpacked
 * or received (--cold: it comes from memory). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/edge.h"
#include "otlp_fleet.h"
#include "remote_write_fleet.h"

enum { N_WAYS = 2, N_SCRAPES = 2, N_FRESH = 8, BODY_BYTES = 1 << 17 };

static const char *const ways[N_WAYS] = {"walk", "skeletons"};

/* One scrape of all servers. */
struct scrape {
    enum edge_format format;
    size_t n;
    struct slice *bodies;
    unsigned *n_points;
};

struct bench {
    struct edge *edges[N_WAYS];
    unsigned n_servers;
    unsigned n_rounds;
    bool json;
    bool cold;
    const char *only; /* loads whose name has this text */
    int first_way;    /* from this one on */
};

/* What a way's measured rounds took and did. */
struct result {
    int64_t cpu_ns;
    uint64_t n_samples;
    uint64_t n_hits;
    uint64_t n_misses;
    double best_per_s; /* of the rounds: what the neighbours on the machine left alone */
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

/* Everything must be accepted, or the figures mean nothing. */
static void judge(struct edge *edge, enum edge_format format, struct slice body, unsigned n_points)
{
    struct edge_answer answer;
    struct err e = ERR_INIT;
    if (!edge_judge(edge, SLICE_LITERAL("bench"), format, body, FLEET_NOW_MS, &answer, &e) ||
        answer.n_accepted != n_points) {
        (void)fprintf(stderr, "not all accepted: %s\n", e.text);
        exit(1);
    }
}

/* The bodies from first on, as if they had just come. */
static void bodies_fresh(const struct scrape *s, size_t first, size_t n, struct slice *out)
{
    static uint8_t space[N_FRESH][BODY_BYTES];
    for (size_t i = 0; i < n; i++) {
        struct slice body = s->bodies[first + i];
        out[i] = body;
        if (body.len <= BODY_BYTES) {
            memcpy(space[i], body.ptr, body.len);
            out[i].ptr = space[i];
        }
    }
}

static void judge_all(const struct bench *b, struct edge *edge, const struct scrape *s, struct result *r)
{
    const struct edge_stats before = edge_stats(edge);
    uint64_t n_samples = 0;
    int64_t cpu_ns = 0;
    for (size_t first = 0; first < s->n; first += N_FRESH) {
        size_t n = s->n - first < N_FRESH ? s->n - first : N_FRESH;
        struct slice fresh[N_FRESH];
        if (!b->cold) {
            bodies_fresh(s, first, n, fresh);
        }
        int64_t begin = clock_cpu_ns();
        for (size_t i = 0; i < n; i++) {
            judge(edge, s->format, b->cold ? s->bodies[first + i] : fresh[i], s->n_points[first + i]);
            n_samples += s->n_points[first + i];
        }
        cpu_ns += clock_cpu_ns() - begin;
    }
    const struct edge_stats after = edge_stats(edge);
    double per_s = (double)n_samples * 1e9 / (double)cpu_ns;
    r->n_samples += n_samples;
    r->cpu_ns += cpu_ns;
    r->best_per_s = per_s > r->best_per_s ? per_s : r->best_per_s;
    r->n_hits += after.n_skeleton_hits - before.n_skeleton_hits;
    r->n_misses += after.n_skeleton_misses - before.n_skeleton_misses;
}

static void report(const struct bench *b, const char *load, int way, const struct result *r)
{
    double per_s = (double)r->n_samples * 1e9 / (double)r->cpu_ns;
    double hits = (double)r->n_hits / (double)(r->n_hits + r->n_misses + (r->n_hits + r->n_misses == 0));
    if (b->json) {
        printf("{\"bench\": \"edge_judge\", \"load\": \"%s\", \"way\": \"%s\", \"samples_per_cpu_s\": "
               "%.0f, \"best_round\": %.0f, \"skeleton_hit_ratio\": %.3f}\n",
               load, ways[way], per_s, r->best_per_s, hits);
    } else {
        printf("edge_judge %-16s %-9s %6.2f M samples/s of one core, the best round %6.2f M, skeletons hit %.1f %%\n",
               load, ways[way], per_s / 1e6, r->best_per_s / 1e6, hits * 100);
    }
}

static struct scrape scrape_otlp(struct otlp_fleet *fleet, unsigned n_servers, unsigned parts)
{
    struct otlp_message *messages = otlp_fleet_messages(fleet, n_servers, parts);
    struct scrape s = {.format = EDGE_OTLP, .n = (size_t)n_servers * parts};
    s.bodies = calloc(s.n, sizeof *s.bodies);
    s.n_points = calloc(s.n, sizeof *s.n_points);
    if (s.bodies == NULL || s.n_points == NULL) {
        exit(1);
    }
    for (size_t i = 0; i < s.n; i++) {
        s.bodies[i] = messages[i].bytes;
        s.n_points[i] = messages[i].n_points;
    }
    free(messages);
    return s;
}

static struct scrape scrape_remote_write(enum remote_write_version version, unsigned n_servers,
                                         unsigned salt)
{
    struct scrape s = {.format = version == REMOTE_WRITE_1 ? EDGE_REMOTE_WRITE_1 : EDGE_REMOTE_WRITE_2,
                       .n = n_servers};
    s.bodies = remote_write_fleet_messages(version, n_servers, salt, FLEET_NOW_MS);
    s.n_points = calloc(s.n, sizeof *s.n_points);
    if (s.n_points == NULL) {
        exit(1);
    }
    for (size_t i = 0; i < s.n; i++) {
        s.n_points[i] = REMOTE_WRITE_FLEET_SERIES;
    }
    return s;
}

static void scrape_free(struct scrape *s)
{
    remote_write_fleet_free(s->bodies, (unsigned)s->n);
    free(s->n_points);
}

/* Both scrapes are learned first. */
static void run_known(const struct bench *b, const char *load, struct scrape *scrapes)
{
    struct result results[N_WAYS] = {0};
    struct result learned = {0};
    for (unsigned round = 0; round < b->n_rounds + N_SCRAPES; round++) {
        for (int way = b->first_way; way < N_WAYS; way++) {
            judge_all(b, b->edges[way], &scrapes[round % N_SCRAPES], round < N_SCRAPES ? &learned : &results[way]);
        }
    }
    for (int way = b->first_way; way < N_WAYS; way++) {
        report(b, load, way, &results[way]);
    }
    for (int i = 0; i < N_SCRAPES; i++) {
        scrape_free(&scrapes[i]);
    }
}

static bool is_wanted(const struct bench *b, const char *load)
{
    return strstr(load, b->only) != NULL;
}

static void run_otlp(const struct bench *b, const char *load, struct otlp_fleet *fleet)
{
    if (!is_wanted(b, load)) {
        return;
    }
    struct scrape scrapes[N_SCRAPES];
    for (int i = 0; i < N_SCRAPES; i++) {
        scrapes[i] = scrape_otlp(fleet, b->n_servers, 1);
    }
    run_known(b, load, scrapes);
}

static void run_remote_write(const struct bench *b, const char *load,
                             enum remote_write_version version)
{
    if (!is_wanted(b, load)) {
        return;
    }
    struct scrape scrapes[N_SCRAPES];
    for (unsigned i = 0; i < N_SCRAPES; i++) {
        scrapes[i] = scrape_remote_write(version, b->n_servers, i);
    }
    run_known(b, load, scrapes);
}

static void run_cut(const struct bench *b, const char *load, struct otlp_fleet *fleet)
{
    if (!is_wanted(b, load)) {
        return;
    }
    struct result results[N_WAYS] = {0};
    for (int round = 0; round < 3; round++) {
        struct scrape scrape = scrape_otlp(fleet, b->n_servers, 2);
        for (int way = b->first_way; way < N_WAYS; way++) {
            judge_all(b, b->edges[way], &scrape, &results[way]);
        }
        scrape_free(&scrape);
    }
    for (int way = b->first_way; way < N_WAYS; way++) {
        report(b, load, way, &results[way]);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.n_servers = 2000, .n_rounds = 6, .only = ""};
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"servers", required_argument, NULL, 's'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"skeletons", no_argument, NULL, 'k'},
                                            {"cold", no_argument, NULL, 'c'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "jkcs:r:o:", options, NULL)) != -1;) {
        if (c == 'j') {
            b.json = true;
        } else if (c == 'c') {
            b.cold = true;
        } else if (c == 'k') {
            b.first_way = 1;
        } else if (c == 'o') {
            b.only = optarg;
        } else if (c == 's' || c == 'r') {
            *(c == 's' ? &b.n_servers : &b.n_rounds) = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            return 2;
        }
    }
    struct otlp_fleet *sums = otlp_fleet_new_sums();
    struct otlp_fleet *mixed = otlp_fleet_new();
    open_edges(&b);
    run_otlp(&b, "sums", sums);
    run_otlp(&b, "10 % histograms", mixed);
    run_remote_write(&b, "remote write 1", REMOTE_WRITE_1);
    run_remote_write(&b, "remote write 2", REMOTE_WRITE_2);
    run_cut(&b, "cut anew", mixed);
    for (int way = 0; way < N_WAYS; way++) {
        edge_free(b.edges[way]);
    }
    otlp_fleet_free(sums);
    otlp_fleet_free(mixed);
    return 0;
}
