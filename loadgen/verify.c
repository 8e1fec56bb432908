#include "verify.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "options.h"
#include "readers.h"
#include "run/signals.h"

enum { DEFAULT_WAIT_S = 30, MS = 1000 };

static const struct option_row rows[] = {
    {"manifest", "FILE", "what the sender wrote (required)"},
    {"topic", "NAME", "a series topic, read_committed: every sample as often as sent, in order"},
    {"brokers", "HOST:PORT,...", "Kafka (default: the manifest's)"},
    {"dlq-topic", "NAME", "with --topic: its records are counted"},
    {"receiver", "URL", "the remote-write double of the tests: every sample at least once"},
    {"prometheus", "URL", "remote read: every sample at least once"},
    {"tenant", "NAME", "with --topic: batches of other tenants are passed over"},
    {"ignore-label", "NAME", "a label that stored series may have besides; repeatable"},
    {"no-order", NULL, "with --topic: any order"},
    {"no-repeats", NULL, "with --receiver: fail when a sample came more often than sent"},
    {"wait-s", "S", "with --topic: for transactions that are open (default 30)"},
    {"json", NULL, "the report as one line of JSON"},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

struct verification {
    struct options options;
    struct manifest manifest;
    struct model model;
    struct matcher matcher;
    struct ledger ledger;
    struct reader reader;
    struct ledger_rejects rejects;
    const char *place;
    bool has_dlq;
    uint64_t n_dlq_records;
    double seconds;
};

static bool target_check(const struct options *o, struct err *e)
{
    int n = (options_get(o, "topic") != NULL) + (options_get(o, "receiver") != NULL) +
            (options_get(o, "prometheus") != NULL);
    if (options_get(o, "manifest") == NULL) {
        return err_set(e, ERR_CONFIG, "--manifest is required");
    }
    return n == 1 || err_set(e, ERR_CONFIG, "one of --topic, --receiver, --prometheus");
}

static bool ignored_take(struct verification *v, struct err *e)
{
    size_t at = 0;
    for (const char *name; (name = options_next(&v->options, "ignore-label", &at)) != NULL;) {
        if (v->matcher.n_ignored == MAX_IGNORED) {
            return err_set(e, ERR_CONFIG, "--ignore-label: at most %d", MAX_IGNORED);
        }
        v->matcher.ignored[v->matcher.n_ignored++] = name;
    }
    return true;
}

static bool verification_open(struct verification *v, int argc, char **argv, struct err *e)
{
    int64_t wait_s = DEFAULT_WAIT_S;
    manifest_init(&v->manifest);
    if (!options_parse(&v->options, rows, N_ROWS, argc, argv, e) || !target_check(&v->options, e) ||
        !options_int(&v->options, "wait-s", 0, 86400, &wait_s, e) ||
        !manifest_read(&v->manifest, options_get(&v->options, "manifest"), e)) {
        return false;
    }
    if (v->manifest.state == MANIFEST_RUNNING) {
        return err_set(e, ERR_CONFIG, "%s: its sender is still at work, or was killed",
                       options_get(&v->options, "manifest"));
    }
    bool log = options_get(&v->options, "topic") != NULL;
    if (!model_init(&v->model, &v->manifest.params, e) ||
        !matcher_init(&v->matcher, &v->model, e) || !ignored_take(v, e) ||
        !ledger_init(&v->ledger, &v->model, &v->manifest, log ? LEDGER_LOG : LEDGER_STORE, e)) {
        return false;
    }
    v->ledger.ordered &= options_get(&v->options, "no-order") == NULL;
    v->ledger.exact = options_get(&v->options, "no-repeats") != NULL;
    v->reader = (struct reader){.ledger = &v->ledger,
                                .matcher = &v->matcher,
                                .tenant = options_get(&v->options, "tenant"),
                                .wait_ms = wait_s * MS};
    return true;
}

static bool read_place(struct verification *v, struct err *e)
{
    const char *topic = options_get(&v->options, "topic");
    const char *receiver = options_get(&v->options, "receiver");
    const char *brokers = options_get(&v->options, "brokers");
    brokers = brokers == NULL ? v->manifest.brokers : brokers;
    if (receiver != NULL) {
        v->place = receiver;
        return read_receiver(&v->reader, receiver, e);
    }
    if (topic == NULL) {
        v->place = options_get(&v->options, "prometheus");
        return read_prometheus(&v->reader, v->place, e);
    }
    v->place = topic;
    const char *dlq = options_get(&v->options, "dlq-topic");
    v->has_dlq = dlq != NULL;
    return read_topic(&v->reader, brokers, topic, e) &&
           (dlq == NULL || read_count(&v->reader, brokers, dlq, &v->n_dlq_records, e));
}

/* Each rejected message and each message with rejected points leaves at least one reference. */
static bool dlq_right(const struct verification *v)
{
    bool some = v->rejects.min_garbage > 0 || v->rejects.min_samples > 0;
    bool may = v->rejects.max_garbage > 0 || v->rejects.max_samples > 0;
    return !v->has_dlq ||
           (v->n_dlq_records >= v->rejects.min_garbage + (v->rejects.min_samples > 0) &&
            (may || v->n_dlq_records == 0) && (!some || v->n_dlq_records > 0));
}

static void report_text(const struct verification *v, bool ok)
{
    const struct ledger *l = &v->ledger;
    (void)printf("%s: %s: %" PRIu64 " samples expected, %" PRIu64 " found", v->place,
                 ok ? "all there" : "DIFFERENT", l->n_expected, l->n_found);
    for (int i = 0; i < N_FAULTS; i++) {
        (void)printf(", %" PRIu64 " %s", l->faults[i], fault_name((enum fault)i));
    }
    (void)printf("; %" PRIu64 " repeated, %" PRIu64 " of others; to be rejected: %" PRIu64
                 " samples, %" PRIu64 " messages",
                 l->n_repeats, l->n_other, v->rejects.max_samples, v->rejects.max_garbage);
    if (v->has_dlq) {
        (void)printf("; %" PRIu64 " records in the DLQ", v->n_dlq_records);
    }
    (void)printf("; %.1f s\n", v->seconds);
    for (int i = 0; i < N_FAULTS; i++) {
        for (uint32_t k = 0; k < l->n_examples[i]; k++) {
            (void)printf("  %s: %s\n", fault_name((enum fault)i), l->examples[i][k]);
        }
    }
}

static void report_json(const struct verification *v, bool ok)
{
    const struct ledger *l = &v->ledger;
    json_t *examples = json_object();
    json_t *report = json_pack(
        "{s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f}", "ok", (int)ok, "place", v->place,
        "expected", (json_int_t)l->n_expected, "found", (json_int_t)l->n_found, "read",
        (json_int_t)v->reader.n_read, "records", (json_int_t)v->reader.n_records, "repeated",
        (json_int_t)l->n_repeats, "other", (json_int_t)l->n_other, "to_reject_samples",
        (json_int_t)v->rejects.max_samples, "to_reject_messages",
        (json_int_t)v->rejects.max_garbage, "seconds", v->seconds);
    if (v->has_dlq) {
        json_object_set_new(report, "dlq_records", json_integer((json_int_t)v->n_dlq_records));
    }
    for (int i = 0; i < N_FAULTS; i++) {
        const char *name = fault_name((enum fault)i);
        json_object_set_new(report, name, json_integer((json_int_t)l->faults[i]));
        json_t *list = json_array();
        for (uint32_t k = 0; k < l->n_examples[i]; k++) {
            json_t *text = json_string(l->examples[i][k]);
            json_array_append_new(list, text == NULL ? json_string("(no UTF-8)") : text);
        }
        json_object_set_new(examples, name, list);
    }
    json_object_set_new(report, "examples", examples);
    (void)json_dumpf(report, stdout, JSON_COMPACT);
    (void)fputc('\n', stdout);
    json_decref(report);
}

static bool verify(struct verification *v, bool *ok, struct err *e)
{
    int64_t began_ms = clock_mono_ms();
    if (!read_place(v, e)) {
        return false;
    }
    ledger_close(&v->ledger);
    ledger_rejects(&v->ledger, &v->rejects);
    v->seconds = (double)(clock_mono_ms() - began_ms) / MS;
    *ok = ledger_clean(&v->ledger) && dlq_right(v);
    (options_get(&v->options, "json") != NULL ? report_json : report_text)(v, *ok);
    return true;
}

int verify_main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "--help") == 0) {
        (void)printf("sluice-loadgen verify: reads back what `send` left in its manifest\n\n");
        options_help(rows, N_ROWS);
        return EXIT_SUCCESS;
    }
    static struct verification v;
    struct err e = ERR_INIT;
    bool ok = false;
    signals_install();
    int code = EXIT_SUCCESS;
    if (!verification_open(&v, argc, argv, &e) || !verify(&v, &ok, &e)) {
        (void)fprintf(stderr, "sluice-loadgen verify: %s\n", e.text);
        code = err_exit_code(&e);
    }
    ledger_fini(&v.ledger);
    matcher_fini(&v.matcher);
    model_fini(&v.model);
    manifest_fini(&v.manifest);
    return code != EXIT_SUCCESS ? code : ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
