#include "flights.h"

bool flights_init(struct flights *f, struct err *e)
{
    return pthread_mutex_init(&f->lock, NULL) == 0 || err_set(e, ERR_FATAL, "flights: no mutex");
}

void flights_fini(struct flights *f)
{
    (void)pthread_mutex_destroy(&f->lock);
}

/* Under the lock. True: the caller has to resume the connection, once the lock is given back: it
 * stays there for that, since it sleeps. */
static bool wake(struct flight *f)
{
    if (!f->listed) {
        return false;
    }
    f->listed = false;
    if (f->previous != NULL) {
        f->previous->next = f->next;
    } else {
        f->flights->first = f->next;
    }
    if (f->next != NULL) {
        f->next->previous = f->previous;
    }
    f->awake = true;
    return true;
}

void flights_begin(struct flights *all, struct flight *f, struct MHD_Connection *c, int64_t deadline_mono_ms)
{
    /* First of all, so that a wake-up can only come behind it. */
    MHD_suspend_connection(c);
    (void)pthread_mutex_lock(&all->lock);
    f->flights = all;
    f->connection = c;
    f->deadline_mono_ms = deadline_mono_ms;
    f->n_waiting = 1;
    f->listed = true;
    f->previous = NULL;
    f->next = all->first;
    if (all->first != NULL) {
        all->first->previous = f;
    }
    all->first = f;
    (void)pthread_mutex_unlock(&all->lock);
}

void flight_expect(struct flight *f, size_t n_bytes)
{
    (void)pthread_mutex_lock(&f->flights->lock);
    f->n_waiting++;
    f->n_bytes += n_bytes;
    (void)pthread_mutex_unlock(&f->flights->lock);
}

void flight_land(struct flight *f, const struct err *failed)
{
    struct flights *all = f->flights;
    bool resumes = false;
    bool frees = false;
    (void)pthread_mutex_lock(&all->lock);
    if (failed != NULL && f->failed.kind == ERR_NONE) {
        f->failed = *failed;
    }
    struct MHD_Connection *connection = f->connection;
    if (f->n_waiting == 1) { /* the last one; f stays whole for landed */
        (void)pthread_mutex_unlock(&all->lock);
        all->landed(all->ctx, f);
        (void)pthread_mutex_lock(&all->lock);
        resumes = wake(f);
        frees = f->left;
    }
    f->n_waiting--;
    (void)pthread_mutex_unlock(&all->lock);
    if (resumes) {
        MHD_resume_connection(connection);
    }
    if (frees) {
        all->free_flight(f);
    }
}

void flight_wake(struct flight *f)
{
    (void)pthread_mutex_lock(&f->flights->lock);
    struct MHD_Connection *connection = f->connection;
    bool resumes = wake(f);
    (void)pthread_mutex_unlock(&f->flights->lock);
    if (resumes) {
        MHD_resume_connection(connection);
    }
}

void flight_leave(struct flight *f)
{
    struct flights *all = f->flights;
    if (all == NULL) { /* never begun */
        return;
    }
    (void)pthread_mutex_lock(&all->lock);
    f->left = true;
    bool frees = f->n_waiting == 0;
    (void)pthread_mutex_unlock(&all->lock);
    if (frees) {
        all->free_flight(f);
    }
}

void flights_sweep(struct flights *all, int64_t mono_ms)
{
    struct MHD_Connection *connection;
    do {
        connection = NULL;
        (void)pthread_mutex_lock(&all->lock);
        for (struct flight *f = all->first; f != NULL && connection == NULL; f = f->next) {
            if (mono_ms >= f->deadline_mono_ms || mono_ms == INT64_MAX) {
                connection = f->connection;
                f->timed_out = true;
                (void)wake(f);
            }
        }
        (void)pthread_mutex_unlock(&all->lock);
        if (connection != NULL) {
            MHD_resume_connection(connection);
        }
    } while (connection != NULL);
}
