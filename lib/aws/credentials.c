#include "aws/credentials.h"

#include "aws/credentials_source.h"
#include "aws/region.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    ARENA_MAX_BYTES = 4 << 20,
    ADVISORY_MS = 15 * 60 * 1000,
    REREAD_MS = 5 * 60 * 1000,
    FIRST_RETRY_MS = 500,
    LONGEST_RETRY_MS = 30000,
    /* The wall clock may leap: expiry is looked at again this often. */
    LONGEST_SLEEP_MS = 30000
};

struct credentials {
    struct credentials_options options;
    struct exchange exchange;
    pthread_t thread;
    int stop_fd;
    struct arena fetch_arena; /* the thread's */

    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t changed;
    struct arena held_arena; /* what held points into */
    struct aws_keys held;
    bool has_keys;
    bool fetched_once;
    bool asked;
    bool stopping;
    int64_t due_ms;        /* wall clock */
    int64_t last_fetch_ms; /* monotonic */
    int n_failed_in_row;
    enum err_kind failure_kind;
    struct credentials_status status;
};

static uint32_t random_bits(void)
{
    uint32_t v = 0;
    (void)!getrandom(&v, sizeof v, 0);
    return v;
}

int64_t credentials_due_ms(int64_t now_ms, int64_t expires_ms, uint32_t random)
{
    if (expires_ms == AWS_NEVER_EXPIRES) {
        return now_ms + REREAD_MS; /* the shared files may have changed; it costs no network */
    }
    int64_t left_ms = expires_ms > now_ms ? expires_ms - now_ms : 0;
    int64_t ahead_ms = left_ms / 2 < ADVISORY_MS ? left_ms / 2 : ADVISORY_MS;
    int64_t most_jitter_ms = ahead_ms / 8;
    return expires_ms - ahead_ms - (int64_t)((uint64_t)most_jitter_ms * random >> 32);
}

/* --- the thread --- */

static bool copy_text(struct arena *a, const char *from, const char **to)
{
    size_t n = from == NULL ? 0 : strlen(from);
    char *text = arena_alloc(a, n + 1);
    if (text != NULL) {
        memcpy(text, from == NULL ? "" : from, n + 1);
    }
    *to = text;
    return text != NULL;
}

static bool copy_keys(struct arena *a, const struct aws_keys *from, struct aws_keys *to)
{
    to->expires_ms = from->expires_ms;
    return copy_text(a, from->access_key, &to->access_key) &&
           copy_text(a, from->secret_key, &to->secret_key) &&
           copy_text(a, from->session_token, &to->session_token);
}

static int64_t retry_ms(const struct credentials *c)
{
    int64_t longest_ms = (int64_t)FIRST_RETRY_MS
                         << (c->n_failed_in_row < 8 ? c->n_failed_in_row : 8);
    longest_ms = longest_ms < LONGEST_RETRY_MS ? longest_ms : LONGEST_RETRY_MS;
    return longest_ms / 2 + random_bits() % (longest_ms / 2);
}

/* Under the lock. */
static void take_keys(struct credentials *c, const struct aws_keys *keys)
{
    arena_reset(&c->held_arena);
    c->has_keys = copy_keys(&c->held_arena, keys, &c->held);
    c->due_ms = credentials_due_ms(clock_now_ms(), keys->expires_ms, random_bits());
    c->status.expires_ms = keys->expires_ms;
    c->status.n_fetched++;
    c->n_failed_in_row = 0;
    c->status.failure[0] = '\0';
}

static void take_failure(struct credentials *c, const struct err *e)
{
    c->status.n_failed++;
    c->n_failed_in_row += c->n_failed_in_row < 8;
    c->failure_kind = e->kind == ERR_CONFIG ? ERR_CONFIG : ERR_RETRY;
    c->due_ms = clock_now_ms() + retry_ms(c);
    memcpy(c->status.failure, e->text, sizeof c->status.failure);
}

static void fetch(struct credentials *c)
{
    const struct credentials_context context = {
        .environment = c->options.environment, .exchange = &c->exchange, .arena = &c->fetch_arena};
    struct err e = ERR_INIT;
    struct aws_keys keys;
    const char *source;
    arena_reset(&c->fetch_arena);
    bool ok = credentials_fetch(&context, &source, &keys, &e);
    if (ok && keys.expires_ms <= clock_now_ms()) {
        ok = err_set(&e, ERR_RETRY, "AWS credentials: %s: those that came have expired", source);
    }
    (void)pthread_mutex_lock(&c->lock);
    if (source != NULL) {
        (void)snprintf(c->status.source, sizeof c->status.source, "%s", source);
    }
    if (ok) {
        take_keys(c, &keys);
    } else {
        take_failure(c, &e);
    }
    c->fetched_once = true;
    c->asked = false;
    c->last_fetch_ms = clock_mono_ms();
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

/* Under the lock, which it gives up meanwhile. */
static void wait_ms(struct credentials *c, int64_t ms)
{
    int64_t end_ns = clock_mono_ns() + ms * 1000000;
    const struct timespec end = {.tv_sec = end_ns / 1000000000, .tv_nsec = end_ns % 1000000000};
    (void)pthread_cond_timedwait(&c->changed, &c->lock, &end);
}

/* How long the thread may still sleep; 0 = fetch now. Under the lock. */
static int64_t sleep_ms(const struct credentials *c)
{
    int64_t now_ms = clock_now_ms();
    int64_t left_ms = c->due_ms > now_ms ? c->due_ms - now_ms : 0;
    if (c->asked) {
        int64_t calm_ms = c->last_fetch_ms + c->options.min_refresh_ms - clock_mono_ms();
        left_ms = calm_ms < left_ms ? calm_ms : left_ms;
    }
    left_ms = left_ms < 0 ? 0 : left_ms;
    return left_ms < LONGEST_SLEEP_MS ? left_ms : LONGEST_SLEEP_MS;
}

static bool is_stopping(struct credentials *c)
{
    (void)pthread_mutex_lock(&c->lock);
    int64_t left_ms;
    while (!c->stopping && (left_ms = sleep_ms(c)) > 0) {
        wait_ms(c, left_ms);
    }
    bool stopping = c->stopping;
    (void)pthread_mutex_unlock(&c->lock);
    return stopping;
}

static void *run(void *credentials)
{
    struct credentials *c = credentials;
    do {
        fetch(c);
    } while (!is_stopping(c));
    return NULL;
}

/* --- outside --- */

static void init_lock(struct credentials *c)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&c->lock, NULL);
}

static void free_all(struct credentials *c)
{
    exchange_close(&c->exchange);
    arena_fini(&c->fetch_arena);
    arena_fini(&c->held_arena);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    if (c->stop_fd >= 0) {
        (void)close(c->stop_fd);
    }
    free(c);
}

bool credentials_open(const struct credentials_options *o, struct credentials **out, struct err *e)
{
    struct credentials *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    c->options = *o;
    arena_init(&c->fetch_arena, ARENA_MAX_BYTES);
    arena_init(&c->held_arena, ARENA_MAX_BYTES);
    init_lock(c);
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool ok = c->stop_fd >= 0 || err_set(e, ERR_FATAL, "eventfd failed");
    ok = ok && exchange_open(&c->exchange, o->user_agent, c->stop_fd, e);
    if (ok && pthread_create(&c->thread, NULL, run, c) != 0) {
        ok = err_set(e, ERR_FATAL, "no thread for the credentials");
    }
    if (!ok) {
        free_all(c);
        return false;
    }
    *out = c;
    return true;
}

void credentials_close(struct credentials *c)
{
    if (c == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    const uint64_t one = 1;
    (void)!write(c->stop_fd, &one, sizeof one);
    (void)pthread_join(c->thread, NULL);
    free_all(c);
}

/* Under the lock. */
static bool give(struct credentials *c, struct arena *a, struct aws_keys *out, struct err *e)
{
    const char *failure = c->status.failure;
    if (c->has_keys && c->held.expires_ms > clock_now_ms()) {
        return copy_keys(a, &c->held, out) || err_set(e, ERR_RETRY, "out of memory");
    }
    if (!c->fetched_once) {
        return err_set(e, ERR_RETRY, "AWS credentials: the first are still being fetched");
    }
    enum err_kind kind = failure[0] == '\0' ? ERR_RETRY : c->failure_kind;
    return err_set(e, kind, "%s%s", c->has_keys ? "expired; " : "",
                   failure[0] == '\0' ? "AWS credentials: to be refreshed" : failure);
}

bool credentials_get(struct credentials *c, int64_t wait, struct arena *a, struct aws_keys *out,
                     struct err *e)
{
    int64_t end_ms = clock_mono_ms() + wait;
    int64_t now_ms;
    (void)pthread_mutex_lock(&c->lock);
    while (!c->has_keys && (now_ms = clock_mono_ms()) < end_ms && c->failure_kind != ERR_CONFIG) {
        wait_ms(c, end_ms - now_ms);
    }
    bool ok = give(c, a, out, e);
    (void)pthread_mutex_unlock(&c->lock);
    return ok;
}

void credentials_refresh(struct credentials *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->asked = true;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

void credentials_status(struct credentials *c, struct credentials_status *out)
{
    (void)pthread_mutex_lock(&c->lock);
    *out = c->status;
    (void)pthread_mutex_unlock(&c->lock);
}

bool credentials_find_region(char **environment, char *out, size_t n_out, struct err *e)
{
    struct arena a;
    arena_init(&a, ARENA_MAX_BYTES);
    const struct credentials_context context = {.environment = environment, .arena = &a};
    const char *region = credentials_region(&context);
    bool ok = region == NULL ? err_set(e, ERR_CONFIG, "no AWS region: set AWS_REGION")
                             : region_check(region, e);
    if (ok) {
        (void)snprintf(out, n_out, "%s", region);
    }
    arena_fini(&a);
    return ok;
}

bool credentials_choose_region(const char *configured, const char *name, char *out, size_t n_out, struct err *e)
{
    if (configured == NULL || configured[0] == '\0') {
        return credentials_find_region(NULL, out, n_out, e) || err_wrap(e, "%s is not set", name);
    }
    (void)snprintf(out, n_out, "%s", configured);
    return region_check(configured, e) || err_wrap(e, "%s", name);
}

bool credentials_check_setup(char **environment, struct err *e)
{
    struct arena a;
    struct exchange offline = {.client = NULL, .stop_fd = -1};
    struct aws_keys keys;
    const char *source;
    arena_init(&a, ARENA_MAX_BYTES);
    buf_init(&offline.answer, 0);
    const struct credentials_context context = {
        .environment = environment, .exchange = &offline, .arena = &a};
    bool ok = credentials_fetch(&context, &source, &keys, e) || e->kind != ERR_CONFIG;
    buf_fini(&offline.answer);
    arena_fini(&a);
    return ok;
}
