/* What a worker that follows topics sees, a line each: "<topic> <offset> <key>=<value>", a
 * tombstone without "=", "caught up" once. Ends at the end of its input (a pipe), so that it never
 * outlives the test. */
#include "run/log.h"
#include "stage/follow.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define FOLLOW_CONFIG(KEY) KEY("topics", LIST, "", 0, 0, "what to follow")
static const struct config_key keys[] = {FOLLOW_CONFIG(CONFIG_ROW)};

static bool print(void *topics, size_t topic, const struct record *r, struct err *e)
{
    (void)printf("%s %lld %.*s", ((const char *const *)topics)[topic], (long long)r->offset,
                 SLICE_ARG(r->key));
    if (r->value.ptr != NULL) {
        (void)printf("=%.*s", SLICE_ARG(r->value));
    }
    (void)puts("");
    (void)fflush(stdout);
    return r->timestamp_ms > 0 || err_set(e, ERR_FATAL, "a record without a time");
}

static bool input_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

static bool follow(const struct config *config, struct err *e)
{
    const struct kafka_settings settings = {
        .config = config, .group = "follow", .instance = "follow"};
    const char *const *topics;
    size_t n = config_list(config, "topics", &topics);
    struct follower *f = NULL;
    bool ok = follower_open(&settings, topics, n, &f, e);
    bool was_caught_up = false;
    while (ok && !input_ended()) {
        ok = follower_poll(f, 50, print, (void *)(uintptr_t)topics, e);
        if (!was_caught_up && follower_caught_up(f)) {
            was_caught_up = true;
            (void)puts("caught up");
            (void)fflush(stdout);
        }
    }
    follower_close(f);
    return ok;
}

int main(int argc, char **argv)
{
    const struct config_program program = {
        .name = "sluice-test-follower",
        .summary = "prints what it follows",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
    };
    struct err e = ERR_INIT;
    struct config *config = NULL;
    enum config_mode mode = CONFIG_RUN;
    log_open("follow", LOG_ERROR);
    bool ok = config_load(&program, argc, argv, &config, &mode, &e) &&
              (mode != CONFIG_RUN || follow(config, &e));
    config_free(config);
    if (!ok) {
        (void)fprintf(stderr, "%s\n", e.text);
        return err_exit_code(&e);
    }
    return 0;
}
