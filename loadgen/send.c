#include "send.h"

#include <inttypes.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "door.h"
#include "message.h"
#include "producer.h"
#include "run/signals.h"
#include "send_options.h"
#include "write_message.h"

enum {
    GARBAGE_BYTES = 600,
    PROGRESS_MS = 1000,
    LOOK_EVERY = 32,       /* scrapes between looks at the clock when not paced */
    LAST_WAIT_MS = 330000, /* longer than librdkafka's message.timeout.ms */
    STOPPED_WAIT_MS = 10000,
    TAG_GARBAGE = 1,
    TAG_BITS = 1,
    MAX_PROPERTIES = MAX_OPTIONS_GIVEN
};

struct sender {
    struct send_options options;
    struct model model;
    struct message message;
    struct write_message write_message;
    struct outlet outlet; /* self NULL: not open */
    bool out_of_memory;
    bool broken; /* the outlet */
    struct door_stats door_stats;
    size_t n_turned_away; /* of doubts: garbage that the gateway refused, as it should */
    int64_t begin_ms;     /* monotonic, of the first scrape */
    int64_t told_ms;
    int64_t told_samples;
    bool terminal;
    char trouble[256]; /* the outlet's last */
};

/* Remote write is answered 400 for a forbidden label when all the others are stored. */
static bool is_partly_stored(const struct sender *s, int64_t scrape)
{
    int64_t n_servers = s->model.p.n_servers;
    return s->options.door.format == DOOR_REMOTE_WRITE &&
           model_forbidden(&s->model, (uint32_t)(scrape % n_servers), scrape / n_servers);
}

/* The tag of a message: its scrape's number and whether it is the garbage before it. */
static void on_result(void *ctx, uint64_t tag, enum outcome outcome)
{
    struct sender *s = ctx;
    struct manifest *f = &s->options.manifest;
    bool garbage = (tag & TAG_GARBAGE) != 0;
    struct manifest_doubt about = {.scrape = (int64_t)(tag >> TAG_BITS), .garbage = garbage};
    bool refused = outcome == OUTCOME_REFUSED;
    if (outcome == OUTCOME_ACKED || (refused && !garbage && is_partly_stored(s, about.scrape))) {
        f->counts.acked_messages++;
        f->counts.acked_samples += garbage ? 0 : s->model.p.n_series;
        return;
    }
    s->n_turned_away += refused && garbage ? 1 : 0;
    struct manifest_list *list = outcome == OUTCOME_REPEATED ? &f->repeats : &f->doubts;
    s->out_of_memory |= !manifest_list_add(list, about);
}

static struct slice key_of(const struct sender *s, const struct model_server *server)
{
    return s->options.manifest.keyed ? slice_str(server->source) : SLICE_NONE;
}

static void hand_over(struct sender *s, uint32_t server, struct slice key, struct slice payload,
                      uint64_t tag)
{
    struct err e = ERR_INIT;
    const struct parcel parcel = {.server = server, .key = key, .bytes = payload, .tag = tag};
    if (!s->broken && s->outlet.send(s->outlet.self, &parcel, &e)) {
        s->options.manifest.counts.bytes += (int64_t)payload.len;
        return;
    }
    s->broken |= e.kind == ERR_FATAL;
    on_result(s, tag, OUTCOME_UNACKED);
}

static void send_garbage(struct sender *s, uint32_t server, int64_t step)
{
    uint8_t bytes[GARBAGE_BYTES];
    struct model_server names;
    model_server(&s->model, server, &names);
    size_t n = model_garbage_bytes(&s->model, server, step, bytes, sizeof bytes);
    uint64_t scrape = (uint64_t)step * s->model.p.n_servers + server;
    hand_over(s, server, key_of(s, &names), slice_of(bytes, n), scrape << TAG_BITS | TAG_GARBAGE);
    s->options.manifest.counts.garbage++;
}

static void send_scrape(struct sender *s, uint32_t server, int64_t step)
{
    struct manifest_counts *counts = &s->options.manifest.counts;
    struct model_server names;
    model_server(&s->model, server, &names);
    uint64_t scrape = (uint64_t)step * s->model.p.n_servers + server;
    uint32_t n_copies = model_copies(&s->model, server, step);
    struct slice payload =
        s->options.door.url != NULL && s->options.door.format == DOOR_REMOTE_WRITE
            ? write_message_encode(&s->write_message, server, step)
            : message_encode(&s->message, server, step);
    if (payload.ptr == NULL) {
        s->out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < n_copies; i++) {
        hand_over(s, server, key_of(s, &names), payload, scrape << TAG_BITS);
    }
    counts->scrapes++;
    counts->copies += n_copies - 1;
    counts->samples += (int64_t)n_copies * s->model.p.n_series;
}

/* The scrapes that were held back until this step of the server. */
static void send_held(struct sender *s, uint32_t server, int64_t step)
{
    for (int64_t back = MAX_LATE_STEPS; back >= 1; back--) {
        int64_t held = step - back;
        if (held >= 0 && held * s->model.p.n_servers + server < s->options.manifest.n_scrapes &&
            model_late_steps(&s->model, server, held) == back) {
            send_scrape(s, server, held);
        }
    }
}

static void progress(struct sender *s, const char *what)
{
    int64_t now_ms = clock_mono_ms();
    if (!s->terminal || now_ms - s->told_ms < PROGRESS_MS) {
        return;
    }
    const struct manifest *f = &s->options.manifest;
    double rate =
        (double)(f->counts.samples - s->told_samples) * 1000 / (double)(now_ms - s->told_ms);
    (void)fprintf(stderr,
                  "\r%s %6.0f s  %9.0f samples/s  %12" PRId64 " sent  %12" PRId64
                  " stored  %zu failed  %6d queued  %.60s\033[K",
                  what, (double)(now_ms - s->begin_ms) / 1000, rate, f->counts.samples,
                  f->counts.acked_samples, f->doubts.n - s->n_turned_away,
                  s->outlet.queued(s->outlet.self), s->outlet.trouble(s->outlet.self));
    s->told_ms = now_ms;
    s->told_samples = f->counts.samples;
}

/* Serves the outlet until a scrape is due; false when a stop was requested. */
static bool wait_until(struct sender *s, int64_t due_ms)
{
    for (int64_t left_ms; (left_ms = due_ms - clock_mono_ms()) > 0;) {
        if (signals_stop_requested()) {
            return false;
        }
        s->outlet.poll(s->outlet.self, left_ms > 50 ? 50 : (int)left_ms);
        progress(s, "sending");
    }
    return !signals_stop_requested();
}

static bool more(struct sender *s, int64_t scrape)
{
    const struct send_options *o = &s->options;
    int64_t n_servers = s->model.p.n_servers;
    int64_t elapsed_ms =
        model_elapsed_ms(&s->model, (uint32_t)(scrape % n_servers), scrape / n_servers);
    if ((o->max_scrapes > 0 && scrape >= o->max_scrapes) ||
        (o->run_ms > 0 && elapsed_ms >= o->run_ms) || s->broken || s->out_of_memory) {
        return false;
    }
    if (o->paced) {
        return wait_until(s, s->begin_ms + elapsed_ms);
    }
    if (scrape % LOOK_EVERY == 0) {
        progress(s, "sending");
    }
    return !signals_stop_requested();
}

static void send_all(struct sender *s)
{
    struct manifest *f = &s->options.manifest;
    int64_t n_servers = s->model.p.n_servers;
    int64_t scrape = 0;
    for (; more(s, scrape); scrape++) {
        uint32_t server = (uint32_t)(scrape % n_servers);
        int64_t step = scrape / n_servers;
        f->n_scrapes = scrape + 1;
        if (model_garbage(&s->model, server, step)) {
            send_garbage(s, server, step);
        }
        if (model_late_steps(&s->model, server, step) == 0) {
            send_scrape(s, server, step);
        }
        send_held(s, server, step);
    }
    /* No message stays held for ever. */
    for (int64_t end = scrape + MAX_LATE_STEPS * n_servers; s->model.p.late > 0 && scrape < end;
         scrape++) {
        send_held(s, (uint32_t)(scrape % n_servers), scrape / n_servers);
    }
}

static void outlet_close(struct sender *s)
{
    if (s->outlet.self != NULL) {
        s->outlet.close(s->outlet.self);
        s->outlet.self = NULL;
    }
}

static void wait_for_outcomes(struct sender *s)
{
    int64_t begin_ms = clock_mono_ms();
    while (!s->broken && s->outlet.queued(s->outlet.self) > 0) {
        int64_t waited_ms = clock_mono_ms() - begin_ms;
        if (waited_ms > (signals_stop_requested() ? STOPPED_WAIT_MS : LAST_WAIT_MS)) {
            break;
        }
        s->outlet.poll(s->outlet.self, 20);
        progress(s, "waiting");
    }
    (void)snprintf(s->trouble, sizeof s->trouble, "%s", s->outlet.trouble(s->outlet.self));
    if (s->options.door.url != NULL) {
        s->door_stats = *door_stats(&s->outlet);
    }
    outlet_close(s);
}

static size_t unacknowledged(const struct sender *s)
{
    return s->options.manifest.doubts.n - s->n_turned_away;
}

static void report_door_json(const struct sender *s, double seconds, json_t *report)
{
    const struct door_stats *d = &s->door_stats;
    json_t *door = json_pack(
        "{s:I,s:f,s:f,s:f,s:I,s:I,s:I,s:I}", "requests", (json_int_t)d->n_requests,
        "requests_per_s", seconds > 0 ? (double)d->n_requests / seconds : 0, "ttfb_p50_s",
        latency_quantile(&d->first_byte, 0.5), "ttfb_p99_s", latency_quantile(&d->first_byte, 0.99),
        "held", (json_int_t)d->n_held, "rejected_samples", (json_int_t)d->n_rejected, "turned_away",
        (json_int_t)s->n_turned_away, "repeated", (json_int_t)s->options.manifest.repeats.n);
    json_object_update(report, door);
    json_decref(door);
}

static void report_door_text(const struct sender *s, double seconds)
{
    const struct door_stats *d = &s->door_stats;
    (void)printf("%" PRIu64 " requests, %.0f/s; first byte p50 %.1f ms, p99 %.1f ms; %" PRIu64
                 " times told to wait, %zu messages sent again without a clear answer, %" PRIu64
                 " samples rejected\n",
                 d->n_requests, seconds > 0 ? (double)d->n_requests / seconds : 0,
                 latency_quantile(&d->first_byte, 0.5) * 1000,
                 latency_quantile(&d->first_byte, 0.99) * 1000, d->n_held,
                 s->options.manifest.repeats.n, d->n_rejected);
}

static void report_json(const struct sender *s, double seconds, double cpu_s)
{
    const struct manifest *f = &s->options.manifest;
    double millions = (double)f->counts.acked_samples / 1e6;
    json_t *report = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:f,s:f,s:f,s:f,s:s,s:s,s:s}", "samples",
        (json_int_t)f->counts.acked_samples, "messages", (json_int_t)f->counts.acked_messages,
        "scrapes", (json_int_t)f->counts.scrapes, "copies", (json_int_t)f->counts.copies, "garbage",
        (json_int_t)f->counts.garbage, "bytes", (json_int_t)f->counts.bytes, "unacknowledged",
        (int)unacknowledged(s), "seconds", seconds, "samples_per_s",
        seconds > 0 ? (double)f->counts.acked_samples / seconds : 0, "cpu_s", cpu_s,
        "cpu_s_per_million", millions > 0 ? cpu_s / millions : 0, "state",
        manifest_state_name(f->state), "manifest", s->options.manifest_path, "librdkafka",
        rd_kafka_version_str());
    if (s->options.door.url != NULL) {
        report_door_json(s, seconds, report);
    }
    (void)json_dumpf(report, stdout, JSON_COMPACT);
    (void)fputc('\n', stdout);
    json_decref(report);
}

static void report_text(const struct sender *s, double seconds, double cpu_s)
{
    const struct manifest *f = &s->options.manifest;
    (void)printf("%s: %" PRId64 " samples in %" PRId64 " messages stored in %s, %zu messages not "
                 "acknowledged; %.1f s, %.0f samples/s, %.1f CPU-s; manifest %s\n",
                 manifest_state_name(f->state), f->counts.acked_samples, f->counts.acked_messages,
                 f->topic, unacknowledged(s), seconds,
                 seconds > 0 ? (double)f->counts.acked_samples / seconds : 0, cpu_s,
                 s->options.manifest_path);
    if (s->options.door.url != NULL) {
        report_door_text(s, seconds);
    }
}

static bool producer_outlet(struct sender *s, struct err *e)
{
    struct send_options *o = &s->options;
    const char *properties[MAX_PROPERTIES];
    size_t n_properties = 0;
    size_t at = 0;
    for (const char *text; (text = options_next(&o->given, "kafka", &at)) != NULL;) {
        properties[n_properties++] = text;
    }
    const struct producer_options p = {.brokers = o->manifest.brokers,
                                       .topic = o->manifest.topic,
                                       .codec = o->codec,
                                       .properties = properties,
                                       .n_properties = n_properties,
                                       .linger_ms = o->linger_ms,
                                       .max_queue_kbytes = o->max_queue_kbytes,
                                       .result = on_result,
                                       .ctx = s};
    return producer_open(&p, &s->outlet, e);
}

static bool sender_open(struct sender *s, struct err *e)
{
    struct send_options *o = &s->options;
    if (!model_init(&s->model, &o->manifest.params, e) ||
        !message_init(&s->message, &s->model, e)) {
        return false;
    }
    write_message_init(&s->write_message, &s->model);
    if (o->door.url == NULL) {
        return producer_outlet(s, e);
    }
    o->door.max_queue_kbytes = o->max_queue_kbytes;
    o->door.result = on_result;
    o->door.ctx = s;
    return door_open(&o->door, &s->outlet, e);
}

static bool run(struct sender *s, struct err *e)
{
    struct manifest *f = &s->options.manifest;
    if (!manifest_write(f, s->options.manifest_path, e)) {
        return false;
    }
    int64_t cpu_ns = clock_cpu_ns();
    s->begin_ms = clock_mono_ms();
    if (s->options.starts_now) {
        s->begin_ms += f->params.start_ms - clock_now_ms();
    }
    s->told_ms = s->begin_ms;
    int64_t began_ms = clock_mono_ms();
    send_all(s);
    bool stopped = signals_stop_requested();
    wait_for_outcomes(s);
    f->state = stopped || s->broken ? MANIFEST_INTERRUPTED : MANIFEST_DONE;
    double seconds = (double)(clock_mono_ms() - began_ms) / 1000;
    double cpu_s = (double)(clock_cpu_ns() - cpu_ns) / 1e9;
    if (s->terminal) {
        (void)fputc('\n', stderr);
    }
    if (s->out_of_memory) {
        return err_set(e, ERR_FATAL, "out of memory; the manifest is not complete");
    }
    if (!manifest_write(f, s->options.manifest_path, e)) {
        return false;
    }
    (s->options.json ? report_json : report_text)(s, seconds, cpu_s);
    return unacknowledged(s) == 0 ||
           err_set(e, ERR_FATAL, "%zu messages are not acknowledged: %s", unacknowledged(s),
                   s->trouble[0] == '\0' ? "no answer came in time" : s->trouble);
}

int send_main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "--help") == 0) {
        (void)printf("sluice-loadgen send: deterministic load, to Kafka (OTLP) or to a gateway "
                     "(OTLP, remote write)\n\n");
        send_options_help();
        return 0;
    }
    static struct sender s;
    struct err e = ERR_INIT;
    signals_install();
    s.terminal = isatty(STDERR_FILENO) == 1;
    if (!send_options_read(&s.options, argc, argv, &e) || !sender_open(&s, &e) || !run(&s, &e)) {
        (void)fprintf(stderr, "sluice-loadgen send: %s\n", e.text);
    }
    outlet_close(&s);
    message_fini(&s.message);
    write_message_fini(&s.write_message);
    model_fini(&s.model);
    manifest_fini(&s.options.manifest);
    return err_exit_code(&e);
}
