#include "gateway.h"

#include "base/clock.h"
#include "doors.h"
#include "run/admin.h"
#include "run/log.h"
#include "run/memory.h"
#include "run/signals.h"
#include "stage/follow.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TURN_MS = 50,
    FILES_EVERY_MS = 500,
    ALIVE_MS = 30000,
    MIB = 1 << 20,
    NET_MS = 2000,
    FOLLOWER_BYTES = 64 * MIB,
    WAKE_TURNS = 4
};

struct gateway {
    const struct config *config;
    struct metrics *metrics;
    struct kafka_settings kafka;
    char instance[256];
    char version[96]; /* the policy's */
    struct service service;
    int n_judges;
    struct doors *doors;
    struct follower *follower;
    struct admin *admin;
    _Atomic(bool) serving;
    _Atomic(bool) stopping;
    _Atomic(int64_t) turn_mono_ms;
    int64_t files_mono_ms;
    struct err fatal;
};

bool gateway_check(const struct config *c, struct err *e)
{
    const char *edge = config_str(c, "edge");
    bool has_tls = config_int(c, "tls_port") >= 0;
    if (strcmp(edge, "validate") != 0 && strcmp(edge, "pass") != 0) {
        return err_set(e, ERR_CONFIG, "edge: \"%.40s\" is none of validate, pass", edge);
    }
    if (config_int(c, "port") < 0 && !has_tls) {
        return err_set(e, ERR_CONFIG, "port and tls_port are both -1: there would be no way in");
    }
    if (has_tls && (config_str(c, "tls_certificate")[0] == '\0' || config_str(c, "tls_key")[0] == '\0')) {
        return err_set(e, ERR_CONFIG, "tls_port needs tls_certificate and tls_key");
    }
    if (config_str(c, "tokens")[0] == '\0' && (!has_tls || config_str(c, "tls_client_ca")[0] == '\0')) {
        return err_set(e, ERR_CONFIG,
                       "neither tokens nor tls_client_ca (with tls_port) is set: nobody could be let in");
    }
    return true;
}

/* --- what the admin server asks, on its own thread --- */

static bool is_ready(void *ctx, struct buf *detail)
{
    struct gateway *g = ctx;
    bool serving = atomic_load(&g->serving);
    bool stopping = atomic_load(&g->stopping);
    buf_printf(detail, "{\"serving\":%s,\"stopping\":%s,\"connections\":%zu}", serving ? "true" : "false",
               stopping ? "true" : "false", g->service.peers == NULL ? 0 : peers_count(g->service.peers));
    return serving && !stopping;
}

static bool is_alive(void *ctx)
{
    struct gateway *g = ctx;
    return clock_mono_ms() - atomic_load(&g->turn_mono_ms) < ALIVE_MS;
}

static void refresh(void *ctx)
{
    struct gateway *g = ctx;
    cell_set(metrics_cell(g->metrics, M_MEMORY_BYTES, NULL), (double)memory_resident_bytes());
    cell_set(metrics_cell(g->metrics, M_GATEWAY_IN_FLIGHT, NULL), atomic_load(&g->service.load.n_requests));
    cell_set(metrics_cell(g->metrics, M_GATEWAY_IN_FLIGHT_BYTES, NULL), (double)atomic_load(&g->service.load.n_bytes));
}

/* --- set-up --- */

/* old: the version before, or NULL. */
static void show_version(struct gateway *g, const char *old)
{
    (void)snprintf(g->version, sizeof g->version, "%s", directory_policy_version(g->service.directory));
    const struct slice before = old == NULL ? SLICE_NONE : slice_str(old);
    const struct slice now = slice_str(g->version);
    if (old != NULL) {
        cell_set(metrics_cell(g->metrics, M_POLICY_VERSION, &before), 0);
    }
    cell_set(metrics_cell(g->metrics, M_POLICY_VERSION, &now), 1);
}

static void read_config(struct gateway *g)
{
    const struct config *c = g->config;
    struct service *s = &g->service;
    const char *instance = config_str(c, "instance");
    if (instance[0] != '\0' || gethostname(g->instance, sizeof g->instance) != 0) {
        (void)snprintf(g->instance, sizeof g->instance, "%s", instance[0] != '\0' ? instance : "sluice-gateway");
    }
    g->instance[sizeof g->instance - 1] = '\0';
    g->kafka = (struct kafka_settings){.config = c,
                                       .group = "sluice-gateway",
                                       .instance = g->instance,
                                       .memory_limit_bytes = FOLLOWER_BYTES};
    s->passes = strcmp(config_str(c, "edge"), "pass") == 0;
    s->max_body_bytes = (size_t)config_int(c, "max_body_bytes");
    s->ack_timeout_ms = config_int(c, "ack_timeout_ms") + NET_MS; /* the publisher's own comes first */
    s->load.max_bytes = (size_t)config_int(c, "in_flight_mb") * MIB;
    s->load.max_requests = (int)config_int(c, "max_requests");
    s->load.tenant_percent = config_int(c, "tenant_share_percent");
    s->load.shed_percent[CLASS_VERBOSE] = config_int(c, "shed_verbose_percent");
    s->load.shed_percent[CLASS_STANDARD] = config_int(c, "shed_standard_percent");
#if SLUICE_FAULTS
    s->fault_ack_early = config_bool(c, "fault.ack_early");
#endif
}

static bool open_judges(struct gateway *g, struct err *e)
{
    const struct config *c = g->config;
    const struct judge_options options = {
        .policy_path = config_str(c, "policy"),
        .cache_bytes = (size_t)config_int(c, "cache_mb") * MIB,
        .passes = g->service.passes,
        .max_unpacked_bytes = (size_t)config_int(c, "max_unpacked_bytes"),
        .max_ratio = config_int(c, "max_ratio"),
    };
    int n = (int)config_int(c, "threads");
    g->service.judges = calloc((size_t)n, sizeof *g->service.judges);
    if (g->service.judges == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (; g->n_judges < n; g->n_judges++) {
        if (!judge_init(&g->service.judges[g->n_judges], &options, e)) {
            return false;
        }
    }
    return true;
}

static void published(void *token, const struct err *failed)
{
    flight_land(token, failed);
}

static bool open_kafka(struct gateway *g, struct err *e)
{
    const struct publisher_options options = {
        .kafka = &g->kafka,
        .topic = config_str(g->config, "topic"),
        .timeout_ms = config_int(g->config, "ack_timeout_ms"),
        .queue_bytes = 2 * config_int(g->config, "in_flight_mb") * MIB, /* the load is the bound */
        .published = published,
    };
    const char *topics[] = {config_str(g->config, "control_topic")};
    if (!publisher_open(&options, &g->service.publisher, e)) {
        return false;
    }
    return topics[0][0] == '\0' || follower_open(&g->kafka, topics, 1, &g->follower, e);
}

static bool open_service(struct gateway *g, struct err *e)
{
    const struct config *c = g->config;
    const struct directory_options who = {.policy_path = config_str(c, "policy"),
                                          .tokens_path = config_str(c, "tokens"),
                                          .n_replicas = config_int(c, "replicas"),
                                          .metrics = g->metrics};
    const struct peers_options peers = {
        .max = (size_t)config_int(c, "max_connections"),
        .max_per_address = (size_t)config_int(c, "max_connections_per_address"),
        .max_ms = {[PEER_HEAD] = config_int(c, "header_timeout_ms"),
                   [PEER_BODY] = config_int(c, "body_timeout_ms"),
                   [PEER_IDLE] = config_int(c, "idle_timeout_ms"),
                   [PEER_LINGERS] = NET_MS},
        .metrics = g->metrics,
    };
    struct service *s = &g->service;
    s->flights.landed = request_landed;
    s->flights.free_flight = request_free;
    s->flights.ctx = s;
    return flights_init(&s->flights, e) && directory_open(&who, &s->directory, e) && peers_new(&peers, &s->peers, e) &&
           open_judges(g, e) && open_kafka(g, e);
}

static bool open_admin(struct gateway *g, struct err *e)
{
    const struct admin_options o = {
        .address = config_str(g->config, "http_address"),
        .port = (int)config_int(g->config, "http_port"),
        .metrics = g->metrics,
        .ready = is_ready,
        .alive = is_alive,
        .refresh = refresh,
        .ctx = g,
    };
    return admin_start(&o, &g->admin, e);
}

static bool open_doors(struct gateway *g, struct err *e)
{
    const struct config *c = g->config;
    const struct doors_options o = {
        .lanes = {.service = &g->service,
                  .n_lanes = g->n_judges,
                  .max_connections = (size_t)config_int(c, "max_connections"),
                  .max_header_bytes = 2 * (size_t)config_int(c, "max_header_bytes"), /* headers, and room to answer */
                  .idle_s = (unsigned)(config_int(c, "idle_timeout_ms") / 1000 + 1)},
        .address = config_str(c, "address"),
        .port = (int)config_int(c, "port"),
        .tls_port = (int)config_int(c, "tls_port"),
        .certificate_path = config_str(c, "tls_certificate"),
        .key_path = config_str(c, "tls_key"),
        .ca_path = config_str(c, "tls_client_ca"),
        .metrics = g->metrics,
    };
    return doors_open(&o, &g->doors, e);
}

/* --- the operators' rules --- */

static bool take_control(void *ctx, size_t topic, const struct record *r, struct err *e)
{
    struct gateway *g = ctx;
    int64_t now_ms = clock_now_ms();
    (void)topic;
    (void)e;
    struct err why = ERR_INIT;
    bool ok = directory_control(g->service.directory, r->key, r->value, now_ms, &why);
    for (int i = 0; i < g->n_judges; i++) {
        struct err again = ERR_INIT;
        (void)!judge_control(&g->service.judges[i], r->key, r->value, now_ms, &again);
    }
    if (!ok) {
        cell_add(metrics_cell(g->metrics, M_CONTROL_ERRORS, NULL), 1);
        log_err(LOG_ERROR, "a record of the control topic can't be read", &why);
    }
    return true;
}

static bool follow(struct gateway *g, struct err *e)
{
    int64_t now_ms = clock_now_ms();
    directory_expire(g->service.directory, now_ms);
    for (int i = 0; i < g->n_judges; i++) {
        judge_expire(&g->service.judges[i], now_ms);
    }
    return g->follower == NULL || follower_poll(g->follower, 0, take_control, g, e);
}

/* Rules count from the first request on. */
static bool catch_up(struct gateway *g, struct err *e)
{
    while (g->follower != NULL && !follower_caught_up(g->follower) && !signals_stop_requested()) {
        atomic_store(&g->turn_mono_ms, clock_mono_ms());
        if (!follower_poll(g->follower, TURN_MS, take_control, g, e)) {
            return false;
        }
    }
    return true;
}

/* --- files that change --- */

static void reload_error(struct gateway *g, const char *what, const struct err *why)
{
    struct slice label = slice_str(what);
    cell_add(metrics_cell(g->metrics, M_GATEWAY_RELOAD_ERRORS, &label), 1);
    log_line(LOG_ERROR, "changed files are refused, the old ones stay in force",
             LOG_FIELDS(LOG_STR("what", what), LOG_STR("error", why->text)));
}

static void reload_policy(struct gateway *g)
{
    struct err why = ERR_INIT;
    char old[sizeof g->version];
    (void)snprintf(old, sizeof old, "%s", g->version);
    enum policy_change change = directory_reload_policy(g->service.directory, &why);
    if (change == POLICY_NEW) {
        show_version(g, old);
    }
    for (int i = 0; i < g->n_judges; i++) {
        struct err again = ERR_INIT;
        if (judge_reload(&g->service.judges[i], &again) == POLICY_REFUSED && change == POLICY_SAME) {
            change = POLICY_REFUSED;
            why = again;
        }
    }
    if (change == POLICY_NEW) {
        log_line(LOG_INFO, "a new policy is in force",
                 LOG_FIELDS(LOG_STR("version", directory_policy_version(g->service.directory))));
    } else if (change == POLICY_REFUSED) {
        cell_add(metrics_cell(g->metrics, M_POLICY_ERRORS, NULL), 1);
        log_err(LOG_ERROR, "the changed policy is refused, the old one stays in force", &why);
    }
}

static void reload_files(struct gateway *g)
{
    struct err why = ERR_INIT;
    reload_policy(g);
    switch (directory_reload_tokens(g->service.directory, &why)) {
    case POLICY_NEW:
        log_info("new tokens are in force");
        break;
    case POLICY_REFUSED:
        reload_error(g, "tokens", &why);
        break;
    case POLICY_SAME:
        break;
    }
    switch (doors_reload(g->doors, &why)) {
    case DOORS_NEW:
        log_info("new certificates are in force");
        break;
    case DOORS_REFUSED:
        reload_error(g, "certificates", &why);
        break;
    case DOORS_SAME:
        break;
    }
}

/* --- the loop --- */

static void turn(struct gateway *g)
{
    struct pollfd signal = {.fd = signals_fd(), .events = POLLIN};
    (void)poll(&signal, 1, TURN_MS);
    int64_t mono_ms = clock_mono_ms();
    atomic_store(&g->turn_mono_ms, mono_ms);
    peers_sweep(g->service.peers, mono_ms);
    flights_sweep(&g->service.flights, mono_ms);
    if (g->fatal.kind == ERR_NONE && follow(g, &g->fatal) && publisher_ok(g->service.publisher, &g->fatal) &&
        (signals_reload_requested() || mono_ms - g->files_mono_ms >= FILES_EVERY_MS)) {
        g->files_mono_ms = mono_ms;
        reload_files(g);
    }
}

/* Serves on for a while, then lets nobody in, and waits for what is under way. */
static void drain(struct gateway *g)
{
    int64_t from = clock_mono_ms();
    atomic_store(&g->stopping, true);
    atomic_store(&g->service.draining, true);
    log_info("stopping: no new work");
    while (g->fatal.kind == ERR_NONE && clock_mono_ms() - from < config_int(g->config, "drain_ms")) {
        (void)usleep(TURN_MS * 1000);
        turn(g);
    }
    doors_shut(g->doors);
    from = clock_mono_ms();
    while (atomic_load(&g->service.load.n_requests) > 0 &&
           clock_mono_ms() - from < config_int(g->config, "shutdown_ms")) {
        (void)usleep(TURN_MS * 1000);
        peers_sweep(g->service.peers, clock_mono_ms());
        flights_sweep(&g->service.flights, clock_mono_ms());
    }
}

static bool open_all(struct gateway *g, struct err *e)
{
    read_config(g);
    if (!open_service(g, e) || !open_admin(g, e) || !catch_up(g, e) || !open_doors(g, e)) {
        return false;
    }
    show_version(g, NULL);
    atomic_store(&g->serving, true);
    log_line(LOG_INFO, "started",
             LOG_FIELDS(LOG_STR("versions", kafka_version_line()), LOG_STR("instance", g->instance),
                        LOG_INT("port", doors_port(g->doors)), LOG_INT("tls_port", doors_tls_port(g->doors)),
                        LOG_INT("http_port", admin_port(g->admin))));
    return true;
}

/* None may be asleep when its daemon ends. */
static void wake_all(struct service *s)
{
    atomic_store(&s->closed, true);
    for (int i = 0; i < WAKE_TURNS; i++) {
        flights_sweep(&s->flights, INT64_MAX);
        (void)usleep(TURN_MS * 1000 / WAKE_TURNS);
    }
}

static void close_all(struct gateway *g)
{
    struct service *s = &g->service;
    if (g->doors != NULL) {
        doors_shut(g->doors);
        wake_all(s);
        doors_close(g->doors);
    }
    publisher_close(s->publisher);
    follower_close(g->follower);
    admin_stop(g->admin);
    for (int i = 0; i < g->n_judges; i++) {
        judge_fini(&s->judges[i]);
    }
    free(s->judges);
    peers_free(s->peers);
    directory_close(s->directory);
    flights_fini(&s->flights);
}

int gateway_run(const struct config *config, struct metrics *metrics)
{
    static struct gateway gateway; /* zero */
    struct gateway *g = &gateway;
    struct err e = ERR_INIT;
    g->config = config;
    g->metrics = metrics;
    signals_install();
    atomic_store(&g->turn_mono_ms, clock_mono_ms());
    if (!open_all(g, &e)) {
        log_err(LOG_ERROR, "can't start", &e);
        close_all(g);
        return err_exit_code(&e);
    }
    while (!signals_stop_requested() && g->fatal.kind == ERR_NONE) {
        turn(g);
    }
    drain(g);
    if (g->fatal.kind != ERR_NONE) {
        log_err(LOG_ERROR, "ends", &g->fatal);
    }
    close_all(g);
    log_info("ended");
    return g->fatal.kind == ERR_NONE ? 0 : err_exit_code(&g->fatal);
}
