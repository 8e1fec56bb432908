#include "rate.h"

void rate_advance(struct rate *r, int64_t now_ms)
{
    if (r->now_ms == 0) {
        r->began_ms = now_ms;
    }
    if (now_ms <= r->now_ms) {
        return;
    }
    r->now_ms = now_ms;
    int64_t elapsed_ms = now_ms - r->began_ms;
    if (elapsed_ms >= RATE_WINDOW_MS) {
        r->per_second = r->n_offered * 1000 / elapsed_ms;
        r->n_offered = 0;
        r->began_ms = now_ms;
    }
}

static double part(enum batch_class class)
{
    static const double parts[N_CLASSES] = {
        [CLASS_CRITICAL] = 0, [CLASS_STANDARD] = 0.1, [CLASS_VERBOSE] = 0.3};
    return parts[class];
}

static void fill(struct rate *r, double max_per_second, double capacity)
{
    if (r->filled_ms == 0) {
        r->tokens = capacity;
    } else {
        r->tokens += max_per_second * (double)(r->now_ms - r->filled_ms) / 1000;
    }
    r->tokens = r->tokens > capacity ? capacity : r->tokens;
    r->filled_ms = r->now_ms;
}

bool rate_pass(struct rate *r, int64_t n, enum batch_class class, int64_t max_per_second,
               int64_t burst_ms)
{
    double capacity = (double)max_per_second * (double)burst_ms / 1000;
    r->n_offered += n;
    if (r->n_offered * 1000 > r->per_second * RATE_WINDOW_MS) {
        r->per_second =
            r->n_offered * 1000 / RATE_WINDOW_MS; /* already more than in the last window */
    }
    fill(r, (double)max_per_second, capacity);
    if (r->tokens - (double)n < part(class) * capacity) { /* left to those above it */
        return false;
    }
    r->tokens -= (double)n;
    return true;
}
