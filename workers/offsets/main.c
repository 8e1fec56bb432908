/* sluice-offsets: the operator's tool. */
#include "replay_words.h"
#include "reset.h"
#include "topics.h"

#include "run/config.h"
#include "run/log.h"
#include "stage/kafka_client.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define OFFSETS_CONFIG(KEY)                                                                                            \
    KEY("topics_file", STRING, "deploy/topics.json", 0, 0, "topics apply|check: the definition")                       \
    KEY("profile", STRING, "", 0, 0, "topics apply|check: a profile of the definition (say, local); empty = production") \
    KEY("tenants", LIST, "", 0, 0, "topics apply|check: tenants with an ingest topic of their own")                    \
    KEY("topic", STRING, "metrics.admitted", 0, 0, "reset: the group's input")                                         \
    KEY("timeout_ms", INT, "600000", 1000, 86400000, "reset: longest time to read a partition, ms")

static const struct config_key keys[] = {OFFSETS_CONFIG(CONFIG_ROW)};

static const char usage[] =
    "usage: sluice-offsets topics apply|check [--json] [--config FILE] [--set key=value]…\n"
    "  apply   creates the topics that are missing and changes settings that differ\n"
    "  check   says what is missing or differs\n"
    "       sluice-offsets reset --group GROUP --to earliest|-30m|OFFSET [--dry-run] [--force]\n"
    "                      [--config FILE] [--set key=value]…\n"
    "  reset   moves a stopped rollup group back; -30m (s, m, h) is log time before the committed one, an offset\n"
    "          is for each partition of the topic. It reads the log for the time that belongs there; the rows do\n"
    "          not change.\n"
    "       sluice-offsets plan replay|apply --help\n"
    "exit codes: 0 all is as defined; 1 something differs or failed; 2 usage or configuration\n"
    "keys: sluice-offsets topics apply --help\n";

static void report_text(const struct topic_definition *t, const struct topic_report *report)
{
    (void)printf("%-8s %-28s %s\n", topic_state_name(report->state), t->name, report->detail);
}

static void report_json(json_t *list, const struct topic_definition *t, const struct topic_report *report)
{
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "topic", t->name, "state",
                                                topic_state_name(report->state), "detail", report->detail));
}

static bool settle_all(rd_kafka_t *rk, const struct topic_definitions *d, bool apply, bool as_json, bool *all_fit,
                       struct err *e)
{
    json_t *list = json_array();
    bool ok = true;
    *all_fit = true;
    for (size_t i = 0; ok && i < d->n; i++) {
        struct topic_report report;
        ok = topic_settle(rk, &d->topics[i], apply, &report, e);
        if (!ok) {
            break;
        }
        *all_fit = *all_fit && report.state != TOPIC_MISSING && report.state != TOPIC_DIFFERS;
        if (as_json) {
            report_json(list, &d->topics[i], &report);
        } else {
            report_text(&d->topics[i], &report);
        }
    }
    if (as_json && ok) {
        (void)json_dumpf(list, stdout, JSON_INDENT(2));
        (void)puts("");
    }
    json_decref(list);
    return ok;
}

static int topics_main(const struct config *config, bool apply, bool as_json)
{
    struct err e = ERR_INIT;
    struct arena a;
    struct topic_definitions definitions;
    const char *const *tenants;
    size_t n_tenants = config_list(config, "tenants", &tenants);
    rd_kafka_t *rk = NULL;
    bool all_fit = false;
    arena_init(&a, (size_t)16 << 20);

    const struct kafka_settings settings = {.config = config, .instance = "sluice-offsets"};
    bool ok = definitions_read(config_str(config, "topics_file"), config_str(config, "profile"), tenants, n_tenants,
                               &a, &definitions, &e) &&
              kafka_open(KAFKA_PLAIN_PRODUCER, &settings, NULL, &rk, &e) &&
              settle_all(rk, &definitions, apply, as_json, &all_fit, &e);
    if (rk != NULL) {
        rd_kafka_destroy(rk);
    }
    arena_fini(&a);
    if (!ok) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", e.text);
        return err_exit_code(&e);
    }
    return all_fit ? 0 : 1;
}

static int reset_main(const struct config *config, const struct reset_options *flags)
{
    struct err e = ERR_INIT;
    struct reset_options o = *flags;
    o.topic = config_str(config, "topic");
    o.timeout_ms = config_int(config, "timeout_ms");
    const struct kafka_settings settings = {.config = config,
                                            .group = o.group,
                                            .instance = "sluice-offsets",
                                            .session_timeout_ms = 15000,
                                            .max_poll_interval_ms = 300000,
                                            .memory_limit_bytes = INT64_C(256) << 20};
    if (!group_reset(&settings, &o, &e)) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", e.text);
        return err_exit_code(&e);
    }
    return 0;
}

/* One of reset's own arguments, with its value if it has one; how many it takes. */
static int reset_flag(char **arguments, int n, struct reset_options *o)
{
    if (strcmp(arguments[0], "--group") == 0 && n > 1) {
        o->group = arguments[1];
        return 2;
    }
    if (strcmp(arguments[0], "--to") == 0 && n > 1) {
        o->to = arguments[1];
        return 2;
    }
    bool is_force = strcmp(arguments[0], "--force") == 0;
    bool is_dry_run = strcmp(arguments[0], "--dry-run") == 0;
    o->force |= is_force;
    o->dry_run |= is_dry_run;
    return is_force || is_dry_run ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (replay_words_asked(argc, argv)) {
        return replay_words_main(argc, argv);
    }
    struct reset_options reset = {0};
    bool is_reset = argc > 1 && strcmp(argv[1], "reset") == 0;
    bool apply = argc > 2 && strcmp(argv[2], "apply") == 0;
    bool check = argc > 2 && strcmp(argv[2], "check") == 0;
    bool alone = argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "--help") == 0);
    if (!alone && !is_reset && (argc < 3 || strcmp(argv[1], "topics") != 0 || !(apply || check))) {
        (void)fputs(usage, stderr);
        return 2;
    }
    bool as_json = false;
    char **rest = calloc((size_t)argc + 1, sizeof *rest);
    if (rest == NULL) {
        return 1;
    }
    int n = 0;
    rest[n++] = argv[0];
    for (int i = alone ? 1 : is_reset ? 2 : 3; i < argc; i++) {
        int n_taken = is_reset ? reset_flag(argv + i, argc - i, &reset) : 0;
        if (n_taken > 0) {
            i += n_taken - 1;
        } else if (strcmp(argv[i], "--json") == 0) {
            as_json = true;
        } else {
            rest[n++] = argv[i];
        }
    }
    bool is_help = n > 1 && strcmp(rest[1], "--help") == 0;
    if (is_reset && !is_help && (reset.group == NULL || reset.to == NULL)) {
        (void)fputs(usage, stderr);
        free(rest);
        return 2;
    }
    log_open("offsets", LOG_WARN);
    const struct config_program program = {
        .name = "sluice-offsets",
        .summary = usage,
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
    };
    struct err e = ERR_INIT;
    struct config *config = NULL;
    enum config_mode mode = CONFIG_RUN;
    int code = 0;
    if (!config_load(&program, n, rest, &config, &mode, &e)) {
        (void)fprintf(stderr, "sluice-offsets: %s\n", e.text);
        code = err_exit_code(&e);
    } else if (mode == CONFIG_RUN) {
        code = is_reset ? reset_main(config, &reset) : topics_main(config, apply, as_json);
    }
    config_free(config);
    free(rest);
    return code;
}
