#include "run/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "run/log_repeat.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line is at most LINE_BYTES; the last TAIL_BYTES are kept for what closes it. */
enum { LINE_BYTES = 32 * 1024, TEXT_BYTES = 4096, TAIL_BYTES = 64 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under the lock: */
static char worker_name[64] = "sluice";
static struct log_repeat repeats;
static struct buf line = {.max_bytes = LINE_BYTES};

static enum log_level least_level = LOG_INFO;

void log_open(const char *worker, enum log_level least)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(worker_name, sizeof worker_name, "%s", worker);
    least_level = least;
    (void)pthread_mutex_unlock(&lock);
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

static void put_char(uint8_t ch)
{
    switch (ch) {
    case '"':
    case '\\':
        buf_u8(&line, '\\');
        buf_u8(&line, ch);
        break;
    case '\n':
        buf_put(&line, "\\n", 2);
        break;
    case '\t':
        buf_put(&line, "\\t", 2);
        break;
    default:
        if (ch < 0x20 || ch == 0x7f) {
            buf_printf(&line, "\\u%04x", ch);
        } else {
            buf_u8(&line, ch);
        }
    }
}

/* A JSON string; what is not UTF-8 becomes U+FFFD, what is too long is cut. */
static void put_text(const char *text)
{
    if (text == NULL) {
        buf_put(&line, "null", 4);
        return;
    }
    struct slice s = slice_of(text, strnlen(text, TEXT_BYTES + 4));
    s.len = utf8_fit(s, TEXT_BYTES);
    buf_u8(&line, '"');
    while (s.len > 0) {
        size_t n_valid = utf8_check(s);
        for (size_t i = 0; i < n_valid; i++) {
            put_char(s.ptr[i]);
        }
        s = slice_of(s.ptr + n_valid, s.len - n_valid);
        if (s.len > 0) {
            buf_put(&line, "\xef\xbf\xbd", 3);
            s = slice_of(s.ptr + 1, s.len - 1);
        }
    }
    buf_u8(&line, '"');
}

static void put_time(int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL) {
        tm = (struct tm){0};
    }
    char text[32];
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(&line, "{\"ts\":\"%.*s.%03dZ\"", (int)len, text, (int)(now_ms % 1000));
}

static void put_field(const struct log_field *f)
{
    buf_u8(&line, ',');
    put_text(f->key);
    buf_u8(&line, ':');
    if (f->type == LOG_NUMBER) {
        buf_printf(&line, "%" PRId64, f->number);
    } else {
        put_text(f->text);
    }
}

static void write_all(struct slice s)
{
    while (s.len > 0) {
        ssize_t n = write(STDERR_FILENO, s.ptr, s.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        s = slice_of(s.ptr + n, s.len - (size_t)n);
    }
}

static void write_line(enum log_level level, int64_t now_ms, const char *msg,
                       const struct log_field *fields, int n_fields)
{
    buf_reset(&line);
    put_time(now_ms);
    put_field(&LOG_STR("level", level_names[level]));
    put_field(&LOG_STR("worker", worker_name));
    put_field(&LOG_STR("msg", msg));
    for (int i = 0; i < n_fields; i++) {
        size_t mark = line.len;
        put_field(&fields[i]);
        if (!buf_ok(&line) || line.len > LINE_BYTES - TAIL_BYTES) {
            line.failed = false;
            line.len = mark;
            put_field(&LOG_INT("fields_left_out", n_fields - i));
            break;
        }
    }
    buf_put(&line, "}\n", 2);
    if (buf_ok(&line)) {
        write_all(buf_slice(&line));
    }
}

void log_line(enum log_level level, const char *msg, const struct log_field *fields, int n_fields)
{
    int saved_errno = errno;
    (void)pthread_mutex_lock(&lock);
    if (level >= least_level) {
        int64_t mono_ms = clock_mono_ms();
        int64_t now_ms = clock_now_ms();
        struct log_repeat_entry due;
        while (log_repeat_due(&repeats, mono_ms, &due)) {
            write_line(LOG_INFO, now_ms, due.msg,
                       LOG_FIELDS(LOG_INT("suppressed", due.n_suppressed)));
        }
        if (log_repeat_allow(&repeats, msg, mono_ms)) {
            write_line(level, now_ms, msg, fields, n_fields);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    errno = saved_errno;
}
