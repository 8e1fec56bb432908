#include "upload.h"

#include "base/clock.h"
#include "upload_object.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { CLOSE_MS = 2000, MAX_THREADS = 64 };

struct upload {
    struct uploader *uploader;
    struct upload *next; /* in the queue */
    /* of the thread that has it */
    bool is_look;
    struct object_job job; /* of a store */
    char prefix[512];      /* of a look */
    char name[512];
    int64_t began_ms;
    int64_t backoff_ms;
    /* under the lock */
    int64_t due_ms;
    bool running;
    bool released;
    struct upload_status status;
};

struct uploader {
    struct uploader_options options;
    pthread_t threads[MAX_THREADS];
    int n_threads;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct upload *queue; /* waiting, oldest first */
    int n_running;
    bool stopping;
};

static void upload_free(struct upload *j)
{
    object_job_fini(&j->job);
    free(j);
}

/* --- the threads --- */

static void wake(const struct uploader *u)
{
    static const uint64_t one = 1;
    (void)!write(u->options.wake_fd, &one, sizeof one);
}

/* The first that is due, taken out of the queue. *wait_ms: until one is due. */
static struct upload *take_due(struct uploader *u, int64_t *wait_ms)
{
    int64_t now_ms = clock_mono_ms();
    *wait_ms = 1000;
    for (struct upload **at = &u->queue; *at != NULL; at = &(*at)->next) {
        struct upload *j = *at;
        if (j->due_ms <= now_ms) {
            *at = j->next;
            return j;
        }
        *wait_ms = j->due_ms - now_ms < *wait_ms ? j->due_ms - now_ms : *wait_ms;
    }
    return NULL;
}

static void append(struct uploader *u, struct upload *j)
{
    struct upload **at = &u->queue;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    j->next = NULL;
    *at = j;
}

/* If it is in there. */
static void take_out(struct uploader *u, const struct upload *j)
{
    struct upload **at = &u->queue;
    while (*at != NULL && *at != j) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = j->next;
    }
}

static int64_t backoff_ms(const struct uploader *u, struct upload *j)
{
    uint32_t random = 0;
    int64_t most_ms = j->backoff_ms == 0 ? u->options.min_backoff_ms : j->backoff_ms * 2;
    (void)!getrandom(&random, sizeof random, 0);
    j->backoff_ms = most_ms < u->options.max_backoff_ms ? most_ms : u->options.max_backoff_ms;
    return j->backoff_ms / 2 + (int64_t)((uint64_t)j->backoff_ms / 2 * random >> 32);
}

/* A piece of the job: all of a look, or one object. */
static enum object_result do_piece(struct upload *j, struct s3 *s3, struct err *e)
{
    return j->is_look ? object_look(s3, j->prefix, j->name, e)
                      : object_job_step(&j->job, &j->uploader->options, s3, e);
}

/* The lock is held. */
static void note(struct uploader *u, struct upload *j, enum object_result result,
                 const struct err *e)
{
    struct upload_status *s = &j->status;
    j->running = false;
    u->n_running--;
    s->is_failing = result == OBJECT_FAILED;
    if (!j->is_look) {
        object_job_count(&j->job, s);
    }
    if (result == OBJECT_FAILED) {
        s->n_failures++;
        s->is_scratch = j->job.is_scratch_trouble;
        s->is_denied = e->kind == ERR_CONFIG;
        j->due_ms = clock_mono_ms() + backoff_ms(u, j);
    } else {
        j->backoff_ms = 0;
        j->due_ms = 0;
    }
    if (e->kind != ERR_NONE) {
        memcpy(s->trouble, e->text, sizeof s->trouble);
    }
    if (result == OBJECT_CONFLICT || result == OBJECT_ALL_DONE) {
        s->state = result == OBJECT_CONFLICT ? UPLOAD_CONFLICT : UPLOAD_DONE;
        s->seconds = (double)(clock_mono_ms() - j->began_ms) / 1000.0;
    } else if (!j->released) {
        append(u, j);
    }
    if (j->released) {
        upload_free(j);
    }
}

static void run_one(struct uploader *u, struct upload *j, struct s3 *s3)
{
    struct err e = ERR_INIT;
    j->running = true;
    u->n_running++;
    pthread_mutex_unlock(&u->lock);
    enum object_result result = do_piece(j, s3, &e);
    pthread_mutex_lock(&u->lock);
    note(u, j, result, &e);
    wake(u);
}

static void wait_changed(struct uploader *u, int64_t ms)
{
    int64_t until_ns = clock_mono_ns() + ms * 1000000;
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    (void)pthread_cond_timedwait(&u->changed, &u->lock, &until);
}

struct start {
    struct uploader *uploader;
    struct s3 *s3; /* the thread's own */
};

static void *thread_main(void *arg)
{
    struct start start = *(struct start *)arg;
    struct uploader *u = start.uploader;
    free(arg);
    pthread_mutex_lock(&u->lock);
    while (!u->stopping) {
        int64_t wait_ms;
        struct upload *j = take_due(u, &wait_ms);
        if (j != NULL) {
            run_one(u, j, start.s3);
        } else {
            wait_changed(u, wait_ms);
        }
    }
    pthread_mutex_unlock(&u->lock);
    s3_close(start.s3);
    return NULL;
}

/* --- life --- */

static bool start_thread(struct uploader *u, struct err *e)
{
    struct start *start = calloc(1, sizeof *start);
    if (start == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    start->uploader = u;
    if (!s3_open(&u->options.s3, &start->s3, e)) {
        free(start);
        return false;
    }
    if (pthread_create(&u->threads[u->n_threads], NULL, thread_main, start) != 0) {
        s3_close(start->s3);
        free(start);
        return err_set(e, ERR_FATAL, "cannot start a thread");
    }
    u->n_threads++;
    return true;
}

bool uploader_open(const struct uploader_options *o, struct uploader **out, struct err *e)
{
    struct uploader *u = calloc(1, sizeof *u);
    if (u == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    u->options = *o;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&u->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&u->lock, NULL);
    for (int i = 0; i < o->n_threads && i < MAX_THREADS; i++) {
        if (!start_thread(u, e)) {
            (void)!uploader_close(u);
            return false;
        }
    }
    *out = u;
    return true;
}

/* Waits a little for the threads to come back; false: one is in the middle of a request. */
static bool all_idle(struct uploader *u)
{
    int64_t until_ms = clock_mono_ms() + CLOSE_MS;
    pthread_mutex_lock(&u->lock);
    u->stopping = true;
    pthread_cond_broadcast(&u->changed);
    while (u->n_running > 0 && clock_mono_ms() < until_ms) {
        wait_changed(u, 20);
    }
    bool idle = u->n_running == 0;
    pthread_mutex_unlock(&u->lock);
    return idle;
}

bool uploader_close(struct uploader *u)
{
    if (u == NULL) {
        return true;
    }
    if (!all_idle(u)) {
        return false;
    }
    for (int i = 0; i < u->n_threads; i++) {
        pthread_join(u->threads[i], NULL);
    }
    while (u->queue != NULL) {
        struct upload *j = u->queue;
        u->queue = j->next;
        upload_free(j);
    }
    pthread_mutex_destroy(&u->lock);
    pthread_cond_destroy(&u->changed);
    free(u);
    return true;
}

static void enqueue(struct uploader *u, struct upload *j)
{
    j->uploader = u;
    j->began_ms = clock_mono_ms();
    pthread_mutex_lock(&u->lock);
    append(u, j);
    pthread_cond_signal(&u->changed);
    pthread_mutex_unlock(&u->lock);
}

bool upload_store(struct uploader *u, const struct upload_order *order, struct upload **out,
                  struct err *e)
{
    struct upload *j = calloc(1, sizeof *j);
    if (j == NULL) {
        range_close(order->range);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    object_job_init(&j->job, order);
    enqueue(u, j);
    *out = j;
    return true;
}

bool upload_look(struct uploader *u, const char *prefix, const char *name, struct upload **out,
                 struct err *e)
{
    struct upload *j = calloc(1, sizeof *j);
    if (j == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    j->is_look = true;
    j->job.body_fd = -1;
    (void)snprintf(j->prefix, sizeof j->prefix, "%s", prefix);
    (void)snprintf(j->name, sizeof j->name, "%s", name);
    enqueue(u, j);
    *out = j;
    return true;
}

void upload_status(struct upload *j, struct upload_status *out)
{
    pthread_mutex_lock(&j->uploader->lock);
    *out = j->status;
    pthread_mutex_unlock(&j->uploader->lock);
}

void upload_release(struct upload *j)
{
    if (j == NULL) {
        return;
    }
    struct uploader *u = j->uploader;
    pthread_mutex_lock(&u->lock);
    j->released = j->running; /* with a thread: freed there */
    if (!j->running) {
        take_out(u, j);
        upload_free(j);
    }
    pthread_mutex_unlock(&u->lock);
}
