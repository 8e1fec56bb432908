#include <getopt.h>
#include <malloc.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

enum { DEFAULT_REFUSALS = 1000000, KEEP_BYTES = 256 << 20 };

static const char HELP[] =
    "sluice-test-receiver: a remote write 1.0 receiver with the rules of Amazon Managed\n"
    "Prometheus, for tests. It records what it takes and refuses, and misbehaves as planned.\n\n"
    "  --address A          default 127.0.0.1\n"
    "  --port N             0 (default) = any free one; the first line on stdout is\n"
    "                       \"listening on A:N\"\n"
    "  --port-file FILE     the port goes there, too\n"
    "  --profile P          amp (default) or prometheus (2.42)\n"
    "  --set KEY=N          one rule, may come again (below)\n"
    "  --plan FILE          misbehaviour, JSON (plan.h)\n"
    "  --keep-histograms    keep the content of native histograms, not just its digest\n"
    "  --max-refused N      refusals kept one by one (default 1000000)\n"
    "  --count-only         decompress and count, store nothing; no rules, no plan\n"
    "  --threads N          count mode: threads (default 1)\n\n"
    "On SIGTERM or SIGINT it prints its statistics as one line of JSON and ends.\n\n"
    "HTTP\n"
    "  POST /api/v1/write   and any path ending in /api/v1/write or /api/v1/remote_write\n"
    "  GET  /stats          counts                        POST /reset   forget all but the rules\n"
    "  GET  /dump           [match=RE] [arrival=1] [histograms=full]  text, see export.h\n"
    "  GET  /samples        [match=RE]  JSON lines        GET /refused  [match=RE]  JSON lines\n"
    "  GET  /series         [match=RE]  JSON lines        GET /requests log of the newest "
    "requests\n"
    "  GET  /violations     what senders must not do      GET /healthz\n"
    "  GET  /rules, POST /rules {KEY: N}                  GET /plan, POST /plan [STEP, ...]\n\n"
    "Rules\n";

struct options {
    struct server_options server;
    const char *profile;
    const char *plan_file;
    const char *port_file;
    const char **sets; /* into argv; owned list */
    size_t n_sets;
    size_t max_refused;
    bool keep_histograms;
    bool count_only;
};

static bool number_option(const char *name, const char *text, unsigned long max,
                          unsigned long *value, struct err *e)
{
    char *end = NULL;
    *value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || *value > max || text[0] == '-') {
        return err_set(e, ERR_CONFIG, "--%s: \"%s\" is not a number up to %lu", name, text, max);
    }
    return true;
}

static bool option_take(struct options *o, const char *name, const char *value, struct err *e)
{
    unsigned long n = 0;
    if (strcmp(name, "address") == 0) {
        o->server.address = value;
    } else if (strcmp(name, "profile") == 0) {
        o->profile = value;
    } else if (strcmp(name, "plan") == 0) {
        o->plan_file = value;
    } else if (strcmp(name, "port-file") == 0) {
        o->port_file = value;
    } else if (strcmp(name, "set") == 0) {
        o->sets[o->n_sets++] = value;
    } else if (strcmp(name, "keep-histograms") == 0) {
        o->keep_histograms = true;
    } else if (strcmp(name, "count-only") == 0) {
        o->count_only = true;
    } else if (strcmp(name, "port") == 0) {
        bool ok = number_option(name, value, UINT16_MAX, &n, e);
        o->server.port = (uint16_t)n;
        return ok;
    } else if (strcmp(name, "threads") == 0) {
        bool ok = number_option(name, value, 64, &n, e);
        o->server.n_threads = (unsigned)n;
        return ok;
    } else if (strcmp(name, "max-refused") == 0) {
        bool ok = number_option(name, value, UINT32_MAX, &n, e);
        o->max_refused = n;
        return ok;
    }
    return true;
}

static bool options_read(struct options *o, int argc, char **argv, bool *help, struct err *e)
{
    static const struct option LONG[] = {{"address", required_argument, NULL, 'o'},
                                         {"port", required_argument, NULL, 'o'},
                                         {"port-file", required_argument, NULL, 'o'},
                                         {"profile", required_argument, NULL, 'o'},
                                         {"set", required_argument, NULL, 'o'},
                                         {"plan", required_argument, NULL, 'o'},
                                         {"keep-histograms", no_argument, NULL, 'o'},
                                         {"max-refused", required_argument, NULL, 'o'},
                                         {"count-only", no_argument, NULL, 'o'},
                                         {"threads", required_argument, NULL, 'o'},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    int at = 0;
    opterr = 0;
    for (int c = getopt_long(argc, argv, "", LONG, &at); c != -1;
         c = getopt_long(argc, argv, "", LONG, &at)) {
        if (c == 'h') {
            *help = true;
        } else if (c != 'o') {
            return err_set(e, ERR_CONFIG, "bad option \"%s\"; see --help", argv[optind - 1]);
        } else if (!option_take(o, LONG[at].name, optarg, e)) {
            return false;
        }
    }
    return optind == argc || err_set(e, ERR_CONFIG, "what is \"%s\"?", argv[optind]);
}

static bool plan_read(struct receiver *rx, const char *file, struct err *e)
{
    json_error_t why;
    json_t *value = json_load_file(file, 0, &why);
    if (value == NULL) {
        return err_set(e, ERR_CONFIG, "%s: %s", file, why.text);
    }
    bool ok = plan_load(&rx->plan, value, e);
    json_decref(value);
    return ok || err_wrap(e, "%s", file);
}

static bool receiver_open(struct receiver *rx, const struct options *o, struct err *e)
{
    rx->count_only = o->count_only;
    pthread_mutex_init(&rx->lock, NULL);
    store_init(&rx->store, o->keep_histograms, o->max_refused);
    tally_init(&rx->tally);
    if (!rules_init(&rx->rules, o->profile, e)) {
        return false;
    }
    for (size_t i = 0; i < o->n_sets; i++) {
        if (!rules_set(&rx->rules, o->sets[i], e)) {
            return false;
        }
    }
    if (o->count_only && o->plan_file != NULL) {
        return err_set(e, ERR_CONFIG, "--plan does not go with --count-only");
    }
    return o->plan_file == NULL || plan_read(rx, o->plan_file, e);
}

static void receiver_close(struct receiver *rx)
{
    plan_fini(&rx->plan);
    store_fini(&rx->store);
    tally_fini(&rx->tally);
    pthread_mutex_destroy(&rx->lock);
}

static bool port_tell(const struct options *o, uint16_t port, struct err *e)
{
    if (o->port_file != NULL) {
        FILE *f = fopen(o->port_file, "w");
        if (f == NULL) {
            return err_set(e, ERR_CONFIG, "cannot write %s", o->port_file);
        }
        fprintf(f, "%u\n", (unsigned)port);
        fclose(f);
    }
    printf("listening on %s:%u\n", o->server.address, (unsigned)port);
    fflush(stdout);
    return true;
}

static bool run(struct receiver *rx, const struct options *o, const sigset_t *signals,
                struct err *e)
{
    uint16_t port = 0;
    struct MHD_Daemon *daemon = server_open(rx, &o->server, &port, e);
    if (daemon == NULL) {
        return false;
    }
    bool ok = port_tell(o, port, e);
    int signal_number = 0;
    if (ok) {
        (void)sigwait(signals, &signal_number);
    }
    server_close(rx, daemon);
    json_t *stats = receiver_stats(rx);
    char *text = json_dumps(stats, JSON_COMPACT);
    printf("%s\n", text == NULL ? "{}" : text);
    free(text);
    json_decref(stats);
    return ok;
}

int main(int argc, char **argv)
{
    struct options o = {.server = {.address = "127.0.0.1", .n_threads = 1},
                        .profile = "amp",
                        .max_refused = DEFAULT_REFUSALS};
    struct receiver rx = {0};
    struct err e = ERR_INIT;
    bool help = false;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* Bodies are as large as this again and again: keep their pages. */
    mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
    o.sets = calloc((size_t)argc, sizeof *o.sets);
    bool ok = o.sets != NULL && options_read(&o, argc, argv, &help, &e);
    if (ok && help) {
        fputs(HELP, stdout);
        rules_help(stdout);
    } else if (ok) {
        ok = receiver_open(&rx, &o, &e) && run(&rx, &o, &signals, &e);
        receiver_close(&rx);
    }
    free(o.sets);
    if (!ok) {
        fprintf(stderr, "sluice-test-receiver: %s\n", e.text);
        return err_exit_code(&e);
    }
    return 0;
}
