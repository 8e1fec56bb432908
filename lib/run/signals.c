#include "run/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SECOND_SIGNAL_CODE = 130 };

static atomic_int stop_wanted;
static atomic_int reload_wanted;
static atomic_int unread; /* the descriptor is (about to be) readable */
static int event_fd = -1;

/* Only what is async-signal-safe. */
static void on_signal(int number)
{
    int saved_errno = errno;
    if (number == SIGHUP) {
        atomic_store(&reload_wanted, 1);
    } else if (atomic_exchange(&stop_wanted, 1) != 0) {
        _exit(SECOND_SIGNAL_CODE);
    }
    atomic_store(&unread, 1);
    const uint64_t one = 1;
    ssize_t n = write(event_fd, &one, sizeof one);
    (void)n; /* a full counter is readable, too */
    errno = saved_errno;
}

static void signals_drain(void)
{
    if (atomic_load_explicit(&unread, memory_order_relaxed) != 0 &&
        atomic_exchange(&unread, 0) != 0) {
        uint64_t n_signals;
        ssize_t n = read(event_fd, &n_signals, sizeof n_signals);
        (void)n;
    }
}

void signals_install(void)
{
    if (event_fd < 0) {
        event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaddset(&action.sa_mask, SIGHUP);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

bool signals_stop_requested(void)
{
    signals_drain();
    return atomic_load_explicit(&stop_wanted, memory_order_relaxed) != 0;
}

bool signals_reload_requested(void)
{
    signals_drain();
    return atomic_load_explicit(&reload_wanted, memory_order_relaxed) != 0 &&
           atomic_exchange(&reload_wanted, 0) != 0;
}

int signals_fd(void)
{
    return event_fd;
}
