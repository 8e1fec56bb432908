#include "run/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINE = 8192, N_RECENT = 64, PER_MINUTE = 10, MINUTE_MS = 60000 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* How often a message was said in its current minute. */
struct recent {
    const char *msg; /* messages are literals: the pointer tells them apart */
    int64_t since_ms;
    int n;
};

static struct {
    pthread_mutex_t lock;
    char worker[64];
    enum log_level least;
    struct recent recent[N_RECENT];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .worker = "sluice", .least = LOG_INFO};

void log_open(const char *worker, enum log_level least)
{
    (void)snprintf(state.worker, sizeof state.worker, "%s", worker);
    state.least = least;
}

enum log_level log_level_of(const char *name)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            return (enum log_level)i;
        }
    }
    return LOG_INFO;
}

static void put_string(struct buf *out, const char *text)
{
    buf_u8(out, '"');
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\') {
            buf_u8(out, '\\');
            buf_u8(out, c);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_u8(out, c);
        }
    }
    buf_u8(out, '"');
}

/* How many repeats were held back until now; -1 = hold this one back too. */
static int suppressed(const char *msg, int64_t now_ms)
{
    struct recent *slot = &state.recent[((uintptr_t)msg >> 3) % N_RECENT];
    if (slot->msg != msg || now_ms - slot->since_ms >= MINUTE_MS) {
        int held = slot->msg == msg && slot->n > PER_MINUTE ? slot->n - PER_MINUTE : 0;
        *slot = (struct recent){msg, now_ms, 1};
        return held;
    }
    slot->n++;
    return slot->n > PER_MINUTE ? -1 : 0;
}

static void put_time(struct buf *out, int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char text[32];
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(out, "{\"ts\":\"%s.%03dZ\"", text, (int)(now_ms % 1000));
}

void log_line(enum log_level level, const char *msg, const struct log_field *fields, int n_fields)
{
    if (level < state.least) {
        return;
    }
    int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&state.lock);
    int held = suppressed(msg, now_ms);
    pthread_mutex_unlock(&state.lock);
    if (held < 0) {
        return;
    }
    struct buf out;
    buf_init(&out, MAX_LINE);
    put_time(&out, now_ms);
    buf_printf(&out, ",\"level\":\"%s\",\"worker\":", level_names[level]);
    put_string(&out, state.worker);
    buf_printf(&out, ",\"msg\":");
    put_string(&out, msg);
    for (int i = 0; i < n_fields; i++) {
        buf_u8(&out, ',');
        put_string(&out, fields[i].key);
        buf_u8(&out, ':');
        if (fields[i].type == LOG_NUMBER) {
            buf_printf(&out, "%lld", (long long)fields[i].number);
        } else {
            put_string(&out, fields[i].text == NULL ? "" : fields[i].text);
        }
    }
    if (held > 0) {
        buf_printf(&out, ",\"suppressed\":%d", held);
    }
    buf_put(&out, "}\n", 2);
    if (buf_ok(&out)) {
        (void)!write(STDERR_FILENO, out.ptr, out.len); /* one call: lines of threads don't mix */
    } else {
        (void)dprintf(STDERR_FILENO, "{\"level\":\"%s\",\"msg\":\"a log line was too long\"}\n", level_names[level]);
    }
    buf_fini(&out);
}
