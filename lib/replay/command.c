#include "replay/command.h"

#include "base/hash.h"
#include "run/log.h"
#include "run/signals.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

enum { MAX_GROUP = 250 };

static const char tool_name[] = "sluice-offsets"; /* who calls */

bool replay_is_asked(int argc, char **argv)
{
    return argc > 2 && strcmp(argv[1], "replay") == 0 &&
           (strcmp(argv[2], "plan") == 0 || strcmp(argv[2], "apply") == 0);
}

/* "^…" is a regular expression, as in subscriptions. */
static bool topic_is(const char *entry, const char *topic)
{
    regex_t pattern;
    if (entry[0] != '^') {
        return strcmp(entry, topic) == 0;
    }
    if (regcomp(&pattern, entry, REG_EXTENDED | REG_NOSUB) != 0) {
        return false;
    }
    bool is_it = regexec(&pattern, topic, 0, NULL, 0) == 0;
    regfree(&pattern);
    return is_it;
}

/* What the live worker reads, this sink may get again; nothing else. */
static bool topic_check(const struct config *c, const char *topic, const char *stage, struct err *e)
{
    const char *const *topics;
    char names[120] = "";
    size_t n = config_list(c, "topics", &topics);
    for (size_t i = 0; i < n; i++) {
        if (topic_is(topics[i], topic)) {
            return true;
        }
        if (strlen(names) + strlen(topics[i]) + 3 < sizeof names) {
            (void)strcat(strcat(names, names[0] == '\0' ? "" : ", "), topics[i]);
        }
    }
    return err_set(e, ERR_CONFIG, "topic %.60s is none of those that this sluice-%s reads (%s): give --topic one of them, "
                                  "or its own configuration", topic, stage, names);
}

static int call_run(const struct replay_command *c, const struct config *config, const struct replay_arguments *a)
{
    struct err e = ERR_INIT;
    char group[MAX_GROUP];
    const char *own = config_str(config, "group");
    (void)snprintf(group, sizeof group, "%s%s", own[0] == '\0' ? "sluice-" : "", own[0] == '\0' ? c->stage : own);
    const struct kafka_settings settings = {.config = config,
                                            .group = group,
                                            .instance = tool_name,
                                            .session_timeout_ms = config_int(config, "session_timeout_ms"),
                                            .max_poll_interval_ms = config_int(config, "max_poll_interval_ms"),
                                            .memory_limit_bytes = config_int(config, "memory_limit_mb") << 20};
    if (a->verb == REPLAY_PLAN && a->topic[0] != '\0' && !topic_check(config, a->topic, c->stage, &e)) {
        (void)fprintf(stderr, "%s: %s\n", tool_name, e.text);
        return err_exit_code(&e);
    }
    log_open(tool_name + strlen("sluice-"), LOG_ERROR);
    signals_install();
    struct metrics *metrics = metrics_new();
    const struct replay_call call = {config, metrics, &settings, a};
    int code = metrics == NULL ? 1 : a->verb == REPLAY_PLAN ? c->plan(&call) : c->apply(&call);
    metrics_free(metrics);
    return code;
}

int replay_main(const struct replay_command *c, int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct replay_arguments a;
    struct config *config = NULL;
    enum config_mode mode = CONFIG_RUN;
    hash_seed_init();
    enum replay_verb verb = strcmp(argv[2], "plan") == 0 ? REPLAY_PLAN : REPLAY_APPLY;
    if (!replay_arguments_read(verb, argc - 2, argv + 2, &a, &e)) {
        (void)fprintf(stderr, "%s: %s\n", tool_name, e.text);
        return err_exit_code(&e);
    }
    a.stage = c->stage;
    int code = 0;
    if (!config_load(c->program, a.n_rest, a.rest, &config, &mode, &e)) {
        (void)fprintf(stderr, "%s: %s\n", tool_name, e.text);
        code = err_exit_code(&e);
    } else if (mode == CONFIG_RUN) {
        code = call_run(c, config, &a);
    }
    config_free(config);
    replay_arguments_fini(&a);
    return code;
}
