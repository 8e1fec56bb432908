#include "run/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_requested;
static volatile sig_atomic_t reload_requested;
static int wake[2] = {-1, -1};

static void wake_up(void)
{
    (void)!write(wake[1], "", 1);
}

static void on_stop(int number)
{
    (void)number;
    if (stop_requested) {
        _exit(130);
    }
    stop_requested = 1;
    wake_up();
}

static void on_reload(int number)
{
    (void)number;
    reload_requested = 1;
    wake_up();
}

static void on_alarm(int number)
{
    static const char text[] = "{\"level\":\"error\",\"msg\":\"the end took too long and was cut off\"}\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

static void install(int number, void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

void signals_install(void)
{
    if (wake[0] < 0 && pipe(wake) != 0) {
        wake[0] = wake[1] = -1;
    }
    install(SIGTERM, on_stop);
    install(SIGINT, on_stop);
    install(SIGHUP, on_reload);
    install(SIGALRM, on_alarm);
    install(SIGPIPE, SIG_IGN);
}

bool signals_stop_requested(void)
{
    return stop_requested != 0;
}

bool signals_reload_requested(void)
{
    bool requested = reload_requested != 0;
    reload_requested = 0;
    return requested;
}

int signals_fd(void)
{
    return wake[0];
}
