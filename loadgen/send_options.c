#include "send_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
    DEFAULT_SERVERS = 100,
    DEFAULT_SERIES = 300,
    DEFAULT_INTERVAL_S = 10,
    DEFAULT_LINGER_MS = 10,
    DEFAULT_QUEUE_KBYTES = 65536,
    DEFAULT_CONNECTIONS = 16,
    MAX_CONNECTIONS = 10000,
    MAX_SECONDS = 100000000,
    MS = 1000
};

static const struct option_row rows[] = {
    {"brokers", "HOST:PORT,...", "Kafka (required without --gateway)"},
    {"topic", "NAME", "(required without --gateway)"},
    {"gateway", "URL", "to a gateway's HTTP door instead"},
    {"format", "NAME", "with --gateway: otlp, remote-write (default otlp)"},
    {"gzip", NULL, "with --gateway: OTLP goes compressed"},
    {"token-file", "FILE", "with --gateway: the bearer token"},
    {"cert", "FILE", "with --gateway: the client's certificate, PEM; with --key"},
    {"key", "FILE", "with --gateway: its private key, PEM"},
    {"ca", "FILE", "with --gateway: who signed the server's, PEM (default: the system's)"},
    {"connections", "N", "with --gateway: requests at a time (default 16)"},
    {"manifest", "FILE", "what verify needs (default sluice-loadgen.json)"},
    {"seed", "N", "the same seed, the same load (default 1)"},
    {"servers", "N", "game servers (default 100)"},
    {"rate", "SAMPLES_PER_S", "instead of --servers: as many as give this rate"},
    {"first-server", "N", "number of the first one, to run several generators (default 0)"},
    {"series", "N", "per server; every tenth a histogram (default 300)"},
    {"interval-s", "S", "between a server's scrapes (default 10; fractions are fine)"},
    {"seconds", "S", "how long; 0 = until stopped (default 0)"},
    {"messages", "N", "how many scrapes, instead of --seconds"},
    {"start-ms", "MS", "time of the first scrape, ms since the epoch (default: now)"},
    {"ago-s", "S", "the same as so many seconds before now"},
    {"fast", NULL, "not paced; without --start-ms and --ago-s the last scrape is of now"},
    {"burst", "F@FROM+FOR", "F times as often from second FROM on for FOR seconds; repeatable"},
    {"unkeyed", NULL, "messages without a key (default: key = source)"},
    {"resets", "P", "probability per scrape: counters begin anew"},
    {"restarts", "P", "... counters begin anew with a new start time"},
    {"late", "P", "... held back by 1 to 3 steps"},
    {"duplicates", "P", "... sent twice"},
    {"forbidden", "P", "... some points with a player_id label"},
    {"garbage", "P", "... a message of random bytes before it"},
    {"codec", "NAME", "none, lz4, zstd, snappy, gzip (default lz4)"},
    {"linger-ms", "MS", "(default 10)"},
    {"queue-kbytes", "N", "bound of the producer's queue (default 65536)"},
    {"kafka", "NAME=VALUE", "a librdkafka property; repeatable"},
    {"json", NULL, "the closing report as one line of JSON on stdout"},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

void send_options_help(void)
{
    options_help(rows, N_ROWS);
}

static bool burst_read(const char *text, struct burst *out, struct err *e)
{
    char *at;
    char *plus;
    char *end;
    double factor = strtod(text, &at);
    double from_s = *at == '@' ? strtod(at + 1, &plus) : -1;
    double for_s = from_s >= 0 && *plus == '+' ? strtod(plus + 1, &end) : -1;
    if (!(factor >= 1 && factor <= 1000) || !(from_s >= 0 && from_s <= MAX_SECONDS) ||
        !(for_s > 0 && for_s <= MAX_SECONDS) || *end != '\0') {
        return err_set(e, ERR_CONFIG, "--burst: \"%s\" is not FACTOR@FROM+FOR", text);
    }
    *out = (struct burst){(int64_t)factor, (int64_t)(from_s * MS), (int64_t)((from_s + for_s) * MS)};
    return true;
}

static bool bursts_read(const struct options *o, struct model_params *p, struct err *e)
{
    size_t at = 0;
    for (const char *text; (text = options_next(o, "burst", &at)) != NULL; p->n_bursts++) {
        if (p->n_bursts == MAX_BURSTS) {
            return err_set(e, ERR_CONFIG, "--burst: at most %d", MAX_BURSTS);
        }
        if (!burst_read(text, &p->bursts[p->n_bursts], e)) {
            return false;
        }
    }
    return true;
}

static bool servers_read(const struct options *o, struct model_params *p, struct err *e)
{
    int64_t n_servers = DEFAULT_SERVERS;
    int64_t first = 0;
    int64_t n_series = DEFAULT_SERIES;
    int64_t seed = 1;
    double interval_s = DEFAULT_INTERVAL_S;
    double rate = 0;
    if (!options_int(o, "servers", 1, MAX_SERVERS, &n_servers, e) ||
        !options_int(o, "first-server", 0, MAX_SERVERS, &first, e) ||
        !options_int(o, "series", 1, MAX_SERIES, &n_series, e) ||
        !options_int(o, "seed", 0, INT64_MAX, &seed, e) ||
        !options_number(o, "interval-s", 0.001, 86400, &interval_s, e) ||
        !options_number(o, "rate", 1, 1e9, &rate, e)) {
        return false;
    }
    if (rate > 0 && options_get(o, "servers") == NULL) {
        double wanted = rate * interval_s / (double)n_series;
        n_servers = wanted > MAX_SERVERS ? MAX_SERVERS + 1 : (int64_t)wanted;
        n_servers += (double)n_servers < wanted;
    }
    p->n_servers = (uint32_t)n_servers;
    p->first_server = (uint32_t)first;
    p->n_series = (uint32_t)n_series;
    p->seed = (uint64_t)seed;
    p->interval_ms = (int64_t)(interval_s * MS + 0.5);
    return true;
}

static bool misdeeds_read(const struct options *o, struct model_params *p, struct err *e)
{
    return options_number(o, "resets", 0, 1, &p->resets, e) &&
           options_number(o, "restarts", 0, 1, &p->restarts, e) &&
           options_number(o, "late", 0, 1, &p->late, e) &&
           options_number(o, "duplicates", 0, 1, &p->duplicates, e) &&
           options_number(o, "forbidden", 0, 1, &p->forbidden, e) &&
           options_number(o, "garbage", 0, 1, &p->garbage, e);
}

/* How long the load would take if it were paced. */
static int64_t span_ms(const struct send_options *o)
{
    const struct model_params *p = &o->manifest.params;
    if (o->max_scrapes > 0) {
        return (o->max_scrapes / p->n_servers + 1) * p->interval_ms;
    }
    return o->run_ms;
}

static bool start_read(struct send_options *o, struct err *e)
{
    int64_t now_ms = clock_now_ms();
    double ago_s = 0;
    int64_t start_ms = 0;
    if (!options_int(&o->given, "start-ms", 1, INT64_MAX, &start_ms, e) ||
        !options_number(&o->given, "ago-s", 0, MAX_SECONDS, &ago_s, e)) {
        return false;
    }
    if (options_get(&o->given, "ago-s") != NULL) {
        start_ms = now_ms - (int64_t)(ago_s * MS);
    } else if (start_ms == 0 && !o->paced) {
        start_ms = (now_ms - span_ms(o)) / MS * MS;
    } else if (start_ms == 0) {
        o->starts_now = true;
        start_ms = (now_ms / MS + 1) * MS;
    }
    o->manifest.params.start_ms = start_ms;
    return true;
}

static bool format_read(const struct options *o, enum door_format *out, struct err *e)
{
    const char *name = options_get(o, "format");
    bool write = name != NULL && strcmp(name, "remote-write") == 0;
    *out = write ? DOOR_REMOTE_WRITE : DOOR_OTLP;
    return name == NULL || write || strcmp(name, "otlp") == 0 ||
           err_set(e, ERR_CONFIG, "--format: \"%s\" is neither otlp nor remote-write", name);
}

static bool door_read(struct send_options *o, struct err *e)
{
    struct door_options *d = &o->door;
    int64_t n_connections = DEFAULT_CONNECTIONS;
    d->url = options_get(&o->given, "gateway");
    d->gzip = options_get(&o->given, "gzip") != NULL;
    d->token_file = options_get(&o->given, "token-file");
    d->cert_file = options_get(&o->given, "cert");
    d->key_file = options_get(&o->given, "key");
    d->ca_file = options_get(&o->given, "ca");
    if (!options_int(&o->given, "connections", 1, MAX_CONNECTIONS, &n_connections, e) ||
        !format_read(&o->given, &d->format, e)) {
        return false;
    }
    d->n_connections = (uint32_t)n_connections;
    if ((d->cert_file == NULL) != (d->key_file == NULL)) {
        return err_set(e, ERR_CONFIG, "--cert and --key want each other");
    }
    return d->url == NULL || options_get(&o->given, "unkeyed") == NULL ||
           err_set(e, ERR_CONFIG, "--unkeyed: a gateway keys by source itself");
}

static bool target_read(struct send_options *o, struct err *e)
{
    const char *brokers = options_get(&o->given, "brokers");
    const char *topic = options_get(&o->given, "topic");
    if (o->door.url != NULL) {
        brokers = brokers == NULL ? "" : brokers; /* for verify only */
        topic = topic == NULL ? o->door.url : topic;
        o->manifest.remote_write = o->door.format == DOOR_REMOTE_WRITE;
    }
    if (brokers == NULL || topic == NULL) {
        return err_set(e, ERR_CONFIG, "--%s is required", brokers == NULL ? "brokers" : "topic");
    }
    if (strlen(brokers) >= sizeof o->manifest.brokers || strlen(topic) >= sizeof o->manifest.topic) {
        return err_set(e, ERR_CONFIG, "--brokers or --topic is too long");
    }
    (void)snprintf(o->manifest.brokers, sizeof o->manifest.brokers, "%s", brokers);
    (void)snprintf(o->manifest.topic, sizeof o->manifest.topic, "%s", topic);
    o->manifest.keyed = options_get(&o->given, "unkeyed") == NULL;
    return true;
}

bool send_options_read(struct send_options *o, int argc, char **argv, struct err *e)
{
    memset(o, 0, sizeof *o);
    manifest_init(&o->manifest);
    struct model_params *p = &o->manifest.params;
    double seconds = 0;
    o->linger_ms = DEFAULT_LINGER_MS;
    o->max_queue_kbytes = DEFAULT_QUEUE_KBYTES;
    if (!options_parse(&o->given, rows, N_ROWS, argc, argv, e) || !door_read(o, e) ||
        !target_read(o, e) ||
        !servers_read(&o->given, p, e) || !misdeeds_read(&o->given, p, e) ||
        !bursts_read(&o->given, p, e) ||
        !options_number(&o->given, "seconds", 0, MAX_SECONDS, &seconds, e) ||
        !options_int(&o->given, "messages", 1, INT64_MAX / MAX_SERIES, &o->max_scrapes, e) ||
        !options_int(&o->given, "linger-ms", 0, 10000, &o->linger_ms, e) ||
        !options_int(&o->given, "queue-kbytes", 16384, 4194304, &o->max_queue_kbytes, e)) {
        return false;
    }
    o->run_ms = (int64_t)(seconds * MS);
    o->paced = options_get(&o->given, "fast") == NULL;
    o->json = options_get(&o->given, "json") != NULL;
    const char *codec = options_get(&o->given, "codec");
    o->codec = codec == NULL ? "lz4" : codec;
    const char *path = options_get(&o->given, "manifest");
    o->manifest_path = path == NULL ? "sluice-loadgen.json" : path;
    if (!o->paced && o->run_ms == 0 && o->max_scrapes == 0) {
        return err_set(e, ERR_CONFIG, "--fast wants --seconds or --messages");
    }
    return start_read(o, e);
}
