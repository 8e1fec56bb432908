#include "api.h"

#include <stdlib.h>
#include <string.h>

#include "export.h"

enum { BLOCK_BYTES = 256 * 1024 };

/* What a handler works with. */
struct call {
    struct receiver *rx;
    struct MHD_Connection *connection;
    struct slice body;
};

static enum MHD_Result text_answer(const struct call *call, unsigned status, const char *type,
                                   const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", type);
    enum MHD_Result sent = MHD_queue_response(call->connection, status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result plain_answer(const struct call *call, unsigned status, const char *text)
{
    return text_answer(call, status, "text/plain; charset=utf-8", text);
}

static enum MHD_Result json_answer(const struct call *call, json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(1));
    json_decref(value);
    enum MHD_Result sent = text == NULL ? plain_answer(call, 500, "no JSON\n")
                                        : text_answer(call, 200, "application/json", text);
    free(text);
    return sent;
}

static const char *argument(const struct call *call, const char *key)
{
    return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, key);
}

static bool flag(const struct call *call, const char *key)
{
    const char *value = argument(call, key);
    return value != NULL && strcmp(value, "0") != 0;
}

static ssize_t export_block(void *cls, uint64_t at, char *out, size_t max_bytes)
{
    (void)at;
    size_t n = export_read(cls, out, max_bytes);
    return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)n;
}

static void export_done(void *cls)
{
    export_free(cls);
}

static enum MHD_Result export_answer(const struct call *call, enum export_kind kind)
{
    const char *histograms = argument(call, "histograms");
    struct export_options options = {.kind = kind,
                                     .match = argument(call, "match"),
                                     .arrival = flag(call, "arrival"),
                                     .full = histograms != NULL && strcmp(histograms, "full") == 0};
    struct err e = ERR_INIT;
    if (options.full && !call->rx->store.keep_histograms) {
        return plain_answer(call, 400, "histograms are not kept: start with --keep-histograms\n");
    }
    struct export *x = export_new(call->rx, &options, &e);
    if (x == NULL) {
        return plain_answer(call, 400, e.text);
    }
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                                      export_block, x, export_done);
    if (response == NULL) {
        export_free(x);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    enum MHD_Result sent = MHD_queue_response(call->connection, 200, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result get_dump(const struct call *call)
{
    return export_answer(call, EXPORT_DUMP);
}

static enum MHD_Result get_samples(const struct call *call)
{
    return export_answer(call, EXPORT_SAMPLES);
}

static enum MHD_Result get_refused(const struct call *call)
{
    return export_answer(call, EXPORT_REFUSED);
}

static enum MHD_Result get_series(const struct call *call)
{
    return export_answer(call, EXPORT_SERIES);
}

static enum MHD_Result get_stats(const struct call *call)
{
    return json_answer(call, receiver_stats(call->rx));
}

static enum MHD_Result get_health(const struct call *call)
{
    return plain_answer(call, 200, "ok\n");
}

/* Runs under the lock. */
typedef json_t *(*view_fn)(const struct receiver *rx);

static json_t *violations_view(const struct receiver *rx)
{
    return tally_violations(&rx->tally);
}

static json_t *requests_view(const struct receiver *rx)
{
    return tally_requests(&rx->tally);
}

static json_t *rules_view(const struct receiver *rx)
{
    return rules_json(&rx->rules);
}

static json_t *plan_view(const struct receiver *rx)
{
    return plan_json(&rx->plan);
}

static enum MHD_Result view_answer(const struct call *call, view_fn view)
{
    pthread_mutex_lock(&call->rx->lock);
    json_t *value = view(call->rx);
    pthread_mutex_unlock(&call->rx->lock);
    return json_answer(call, value);
}

static enum MHD_Result get_violations(const struct call *call)
{
    return view_answer(call, violations_view);
}

static enum MHD_Result get_requests(const struct call *call)
{
    return view_answer(call, requests_view);
}

static enum MHD_Result get_rules(const struct call *call)
{
    return view_answer(call, rules_view);
}

static enum MHD_Result get_plan(const struct call *call)
{
    return view_answer(call, plan_view);
}

/* Loads the body as JSON into the rules or the plan. */
static enum MHD_Result load_answer(const struct call *call, bool into_plan)
{
    json_error_t why;
    struct err e = ERR_INIT;
    struct receiver *rx = call->rx;
    if (rx->count_only) {
        return plain_answer(call, 409, "not in count mode\n");
    }
    json_t *value = json_loadb((const char *)call->body.ptr, call->body.len, 0, &why);
    if (value == NULL) {
        return plain_answer(call, 400, why.text);
    }
    pthread_mutex_lock(&rx->lock);
    bool ok = into_plan ? plan_load(&rx->plan, value, &e) : rules_set_json(&rx->rules, value, &e);
    pthread_mutex_unlock(&rx->lock);
    json_decref(value);
    return ok ? plain_answer(call, 200, "ok\n") : plain_answer(call, 400, e.text);
}

static enum MHD_Result post_rules(const struct call *call)
{
    return load_answer(call, false);
}

static enum MHD_Result post_plan(const struct call *call)
{
    return load_answer(call, true);
}

static void counts_reset(struct receiver *rx)
{
    atomic_store(&rx->n_requests, 0);
    atomic_store(&rx->n_bad, 0);
    atomic_store(&rx->n_bytes, 0);
    atomic_store(&rx->n_decoded_bytes, 0);
    atomic_store(&rx->n_series, 0);
    atomic_store(&rx->n_samples, 0);
    atomic_store(&rx->n_histograms, 0);
}

static enum MHD_Result post_reset(const struct call *call)
{
    struct receiver *rx = call->rx;
    pthread_mutex_lock(&rx->lock);
    bool quiet = rx->tally.n_in_flight == 0;
    if (quiet) {
        store_reset(&rx->store);
        tally_fini(&rx->tally);
        tally_init(&rx->tally);
        plan_fini(&rx->plan);
        rx->rate_ns = 0;
        counts_reset(rx);
    }
    pthread_mutex_unlock(&rx->lock);
    return quiet ? plain_answer(call, 200, "ok\n")
                 : plain_answer(call, 409, "requests are in flight\n");
}

static const struct {
    const char *method;
    const char *path;
    enum MHD_Result (*handler)(const struct call *call);
} ROUTES[] = {
    {"GET", "/stats", get_stats},       {"GET", "/violations", get_violations},
    {"GET", "/dump", get_dump},         {"GET", "/samples", get_samples},
    {"GET", "/refused", get_refused},   {"GET", "/series", get_series},
    {"GET", "/requests", get_requests}, {"GET", "/rules", get_rules},
    {"POST", "/rules", post_rules},     {"GET", "/plan", get_plan},
    {"POST", "/plan", post_plan},       {"POST", "/reset", post_reset},
    {"GET", "/healthz", get_health},
};

enum MHD_Result api_serve(struct receiver *rx, struct MHD_Connection *connection,
                          const char *method, const char *path, struct slice body)
{
    struct call call = {rx, connection, body};
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
        if (strcmp(method, ROUTES[i].method) == 0 && strcmp(path, ROUTES[i].path) == 0) {
            return ROUTES[i].handler(&call);
        }
    }
    return plain_answer(&call, 404, "no such path; see --help\n");
}
