#include "runner.h"

#include "run/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals are the whole process's: each scenario runs in a child and says by its exit code at
 * which step it failed. */
#define STEP(n, condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            _exit(n);                                                                              \
        }                                                                                          \
    } while (0)

static bool readable(void)
{
    struct pollfd p = {.fd = signals_fd(), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void stop_is_seen(int number)
{
    STEP(1, !signals_stop_requested() && !readable());
    (void)raise(number);
    STEP(2, readable());
    STEP(3, signals_stop_requested());
    STEP(4, !readable()); /* or a poll loop would spin until its end */
    STEP(5, signals_stop_requested());
    STEP(6, !signals_reload_requested());
}

static void reload_is_seen_once(int number)
{
    STEP(1, !signals_reload_requested());
    (void)raise(number);
    (void)raise(number);
    STEP(2, readable());
    STEP(3, !signals_stop_requested());
    STEP(4, signals_reload_requested());
    STEP(5, !signals_reload_requested());
    STEP(6, !readable());
    (void)raise(number);
    STEP(7, readable() && signals_reload_requested());
}

static void second_ends_at_once(int number)
{
    (void)raise(number);
    (void)raise(number == SIGTERM ? SIGINT : SIGTERM);
    _exit(1);
}

static void pipe_is_ignored(int number)
{
    int fds[2];
    (void)raise(number);
    STEP(1, pipe(fds) == 0 && close(fds[0]) == 0);
    STEP(2, write(fds[1], "x", 1) == -1);
    STEP(3, !signals_stop_requested() && !readable());
}

static void many_reloads_then_stop(int number)
{
    for (int i = 0; i < 100000; i++) {
        (void)raise(number);
    }
    (void)raise(SIGTERM);
    STEP(1, readable());
    STEP(2, signals_reload_requested());
    STEP(3, signals_stop_requested());
}

static const struct {
    const char *name;
    void (*scenario)(int number);
    int number;
    int code;
} rows[] = {
    {"SIGTERM stops", stop_is_seen, SIGTERM, 0},
    {"SIGINT stops", stop_is_seen, SIGINT, 0},
    {"SIGHUP reloads", reload_is_seen_once, SIGHUP, 0},
    {"SIGTERM, then SIGINT", second_ends_at_once, SIGTERM, 130},
    {"SIGINT, then SIGTERM", second_ends_at_once, SIGINT, 130},
    {"SIGPIPE is ignored", pipe_is_ignored, SIGPIPE, 0},
    {"many", many_reloads_then_stop, SIGHUP, 0},
};

START_TEST(signal_does)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        signals_install();
        rows[_i].scenario(rows[_i].number);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == rows[_i].code, "%s: status %x",
                  rows[_i].name, status);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signals");
    TCase *tc = tcase_create("signals");
    tcase_add_loop_test(tc, signal_does, 0, sizeof rows / sizeof rows[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
