#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum salt {
    SALT_VALUE = 1,
    SALT_SERVER,
    SALT_RESET,
    SALT_RESTART,
    SALT_LATE,
    SALT_DUPLICATE,
    SALT_FORBIDDEN,
    SALT_FORBIDDEN_SERIES,
    SALT_GARBAGE,
    SALT_TIME,
    SALT_START
};

enum {
    HISTOGRAM_SCALE = 3,
    LEAST_OFFSET = -48,
    N_OFFSETS = 32,
    MID_BITS = 20, /* sums count in 2^-20 */
    EARLIER_MS = 3600000,
    LEAST_GARBAGE_BYTES = 16
};

struct epoch_mark {
    int64_t step; /* -1 = none */
    struct epoch epoch;
};

/* splitmix64's finalizer (Vigna, public domain). */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static const uint64_t golden = 0x9e3779b97f4a7c15u;

/* Draws from the server's number, not its place, so that generators beside each other differ. */
static uint64_t draw(const struct model *m, enum salt salt, uint32_t server, uint64_t what)
{
    uint64_t who = (uint64_t)(m->p.first_server + server) << 8 | (uint64_t)salt;
    return mix(mix(mix(m->p.seed + golden) + who * golden) + what * golden);
}

static uint64_t below(uint64_t random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)random * bound) >> 64);
}

static bool happens(const struct model *m, double probability, enum salt salt, uint32_t server,
                    int64_t step)
{
    if (probability <= 0) {
        return false;
    }
    uint64_t random = draw(m, salt, server, (uint64_t)step) >> 11;
    return (double)random < probability * 0x1p53;
}

static bool probability_ok(double p)
{
    return p >= 0 && p <= 1;
}

static bool bursts_check(const struct model_params *p, struct err *e)
{
    int64_t end_ms = 0;
    for (uint32_t i = 0; i < p->n_bursts; i++) {
        const struct burst *b = &p->bursts[i];
        if (b->factor < 1 || b->factor > p->interval_ms) {
            return err_set(e, ERR_CONFIG, "burst %u: a factor from 1 to the interval in ms", i);
        }
        if (b->from_ms < end_ms || b->to_ms <= b->from_ms || b->to_ms > INT64_C(1) << 40) {
            return err_set(e, ERR_CONFIG, "burst %u: bursts come in order and do not overlap", i);
        }
        end_ms = b->to_ms;
    }
    return true;
}

static bool params_check(const struct model_params *p, struct err *e)
{
    if (p->n_servers == 0 || p->n_servers > MAX_SERVERS ||
        p->first_server > MAX_SERVERS - p->n_servers) {
        return err_set(e, ERR_CONFIG, "servers: 1 to %d, numbers included", MAX_SERVERS);
    }
    if (p->n_series == 0 || p->n_series > MAX_SERIES) {
        return err_set(e, ERR_CONFIG, "series: 1 to %d", MAX_SERIES);
    }
    if (p->interval_ms < 1 || p->interval_ms > 86400000) {
        return err_set(e, ERR_CONFIG, "interval: 1 ms to a day");
    }
    if (p->start_ms < EARLIER_MS * 2 || p->start_ms > INT64_C(1) << 42) {
        return err_set(e, ERR_CONFIG, "start: ms since the epoch, after 1970, before 2109");
    }
    if (p->n_bursts > MAX_BURSTS) {
        return err_set(e, ERR_CONFIG, "at most %d bursts", MAX_BURSTS);
    }
    if (!probability_ok(p->resets) || !probability_ok(p->restarts) || !probability_ok(p->late) ||
        !probability_ok(p->duplicates) || !probability_ok(p->forbidden) ||
        !probability_ok(p->garbage)) {
        return err_set(e, ERR_CONFIG, "a probability is from 0 to 1");
    }
    return bursts_check(p, e);
}

/* n series dealt out to n_metrics, a metric's series side by side. */
static void series_fill(struct model_series *out, uint32_t n,
                        const struct catalogue_metric *metrics, uint32_t n_metrics,
                        bool is_histogram)
{
    uint32_t at = 0;
    for (uint32_t metric = 0; metric < n_metrics; metric++) {
        for (uint32_t c = metric; c < n; c += n_metrics) {
            struct model_series *s = &out[at++];
            s->metric = &metrics[metric];
            s->is_histogram = is_histogram;
            s->k = c / n_metrics;
            catalogue_dimension_value(s->metric->dimension, s->k, s->dimension_value);
        }
    }
}

bool model_init(struct model *m, const struct model_params *p, struct err *e)
{
    memset(m, 0, sizeof *m);
    if (!params_check(p, e)) {
        return false;
    }
    m->p = *p;
    m->n_counters = p->n_series - p->n_series / 10;
    m->series = calloc(p->n_series, sizeof *m->series);
    m->marks = calloc(p->n_servers, sizeof *m->marks);
    if (m->series == NULL || m->marks == NULL) {
        model_fini(m);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < p->n_servers; i++) {
        m->marks[i].step = -1;
    }
    series_fill(m->series, m->n_counters, catalogue_counters, N_COUNTER_METRICS, false);
    series_fill(m->series + m->n_counters, p->n_series - m->n_counters, catalogue_histograms,
                N_HISTOGRAM_METRICS, true);
    return true;
}

void model_fini(struct model *m)
{
    free(m->series);
    free(m->marks);
    m->series = NULL;
    m->marks = NULL;
}

/* Each label has the same length for every server: the encoder's template rests on it. */
void model_server(const struct model *m, uint32_t server, struct model_server *out)
{
    static const char *const regions[] = {"eu-west-1", "us-east-1", "us-west-2", "sa-east-1"};
    static const char *const types[] = {"c7g.4xlarge", "c6i.4xlarge", "m7g.4xlarge"};
    uint32_t number = m->p.first_server + server;
    uint64_t random = draw(m, SALT_SERVER, server, 0);
    const char *region = regions[random & 3];
    (void)snprintf(out->source, LABEL_BYTES, "gs-%06u", number);
    (void)snprintf(out->shard_id, LABEL_BYTES, "s%06u", number);
    (void)snprintf(out->region, LABEL_BYTES, "%s", region);
    (void)snprintf(out->az, LABEL_BYTES, "%s%c", region, (char)('a' + (random >> 2) % 3));
    (void)snprintf(out->cluster, LABEL_BYTES, "game-%02u", number / 64 % 100);
    (void)snprintf(out->instance_type, LABEL_BYTES, "%s", types[(random >> 8) % 3]);
    (void)snprintf(out->build_id, LABEL_BYTES, "r%05u", 48200 + (uint32_t)(random >> 16) % 4);
}

/* Times are made in a time without bursts, then squeezed where a burst is. */
static int64_t squeeze(const struct model *m, int64_t steady_ms)
{
    int64_t real_ms = 0;
    int64_t at_ms = 0;
    for (uint32_t i = 0; i < m->p.n_bursts; i++) {
        const struct burst *b = &m->p.bursts[i];
        int64_t calm_ms = b->from_ms - real_ms;
        if (steady_ms - at_ms < calm_ms) {
            break;
        }
        at_ms += calm_ms;
        real_ms = b->from_ms;
        int64_t held_ms = (b->to_ms - b->from_ms) * b->factor;
        if (steady_ms - at_ms < held_ms) {
            return real_ms + (steady_ms - at_ms) / b->factor;
        }
        at_ms += held_ms;
        real_ms = b->to_ms;
    }
    return real_ms + steady_ms - at_ms;
}

static int64_t stretch(const struct model *m, int64_t real_ms)
{
    int64_t steady_ms = real_ms;
    for (uint32_t i = 0; i < m->p.n_bursts; i++) {
        const struct burst *b = &m->p.bursts[i];
        if (real_ms <= b->from_ms) {
            break;
        }
        int64_t inside_ms = (real_ms < b->to_ms ? real_ms : b->to_ms) - b->from_ms;
        steady_ms += inside_ms * (b->factor - 1);
    }
    return steady_ms;
}

static int64_t place_ms(const struct model *m, uint32_t server)
{
    return m->p.interval_ms * server / m->p.n_servers;
}

int64_t model_elapsed_ms(const struct model *m, uint32_t server, int64_t step)
{
    return squeeze(m, step * m->p.interval_ms + place_ms(m, server));
}

int64_t model_time_ms(const struct model *m, uint32_t server, int64_t step)
{
    return m->p.start_ms + model_elapsed_ms(m, server, step);
}

uint64_t model_time_ns(const struct model *m, uint32_t server, int64_t step)
{
    return (uint64_t)model_time_ms(m, server, step) * 1000000 +
           below(draw(m, SALT_TIME, server, (uint64_t)step), 1000000);
}

int64_t model_step_at(const struct model *m, uint32_t server, int64_t time_ms)
{
    int64_t real_ms = time_ms - m->p.start_ms;
    if (real_ms < 0 || real_ms > INT64_C(1) << 42) {
        return -1;
    }
    int64_t guess = (stretch(m, real_ms) - place_ms(m, server)) / m->p.interval_ms;
    for (int64_t step = guess > 0 ? guess - 1 : 0; step <= guess + 1; step++) {
        if (model_elapsed_ms(m, server, step) == real_ms) {
            return step;
        }
    }
    return -1;
}

struct epoch model_epoch(const struct model *m, uint32_t server, int64_t step)
{
    struct epoch found = {0, 0};
    if (m->p.resets <= 0 && m->p.restarts <= 0) {
        return found;
    }
    struct epoch_mark *mark = &m->marks[server];
    bool known = mark->step >= 0 && mark->step <= step;
    int64_t end = known ? mark->step : 0;
    bool reset = false;
    bool restart = false;
    for (int64_t s = step; s > end && !restart; s--) {
        restart = happens(m, m->p.restarts, SALT_RESTART, server, s);
        if (!reset && (restart || happens(m, m->p.resets, SALT_RESET, server, s))) {
            reset = true;
            found.reset_step = s;
        }
        found.restart_step = restart ? s : 0;
    }
    if (known && !restart) {
        found.restart_step = mark->epoch.restart_step;
        found.reset_step = reset ? found.reset_step : mark->epoch.reset_step;
    }
    *mark = (struct epoch_mark){step, found};
    return found;
}

uint64_t model_start_ns(const struct model *m, uint32_t server, struct epoch epoch)
{
    uint64_t random = draw(m, SALT_START, server, (uint64_t)epoch.restart_step);
    int64_t start_ms = m->p.start_ms - EARLIER_MS + (int64_t)below(random, EARLIER_MS / 2);
    if (epoch.restart_step > 0) {
        start_ms = (model_time_ms(m, server, epoch.restart_step - 1) +
                    model_time_ms(m, server, epoch.restart_step)) /
                   2;
    }
    return (uint64_t)start_ms * 1000000 + (random & 0x3ffff);
}

/* Never falls within an epoch: rate a step, and less than rate on top of it. */
static uint64_t grow(uint64_t identity, uint64_t rate, int64_t step, int64_t since)
{
    return rate * (uint64_t)(step - since) + below(mix(identity + (uint64_t)step * golden), rate);
}

int64_t model_counter(const struct model *m, uint32_t server, uint32_t series, int64_t step,
                      struct epoch epoch)
{
    uint64_t identity = draw(m, SALT_VALUE, server, series);
    uint64_t most = UINT64_C(1) << m->series[series].metric->rate_bits;
    /* One in 16 stands still. */
    uint64_t rate = (identity & 15) == 0 ? 0 : 1 + below(mix(identity), most);
    uint64_t earlier = epoch.reset_step == 0 ? rate * (identity >> 52) : 0;
    return (int64_t)(earlier + grow(identity, rate, step, epoch.reset_step));
}

double model_value(const struct model *m, uint32_t series, int64_t counter)
{
    return m->series[series].metric->is_double ? (double)counter / 1024 : (double)counter;
}

/* A value inside bucket `index`, in 2^-20: whole numbers, so that every machine sums alike. */
static uint64_t bucket_mid(int32_t index)
{
    static const double eighths[8] = {1.0442737824274138, 1.1387886347566916, 1.2418578120734840,
                                      1.3542555469368927, 1.4768261459394993, 1.6104903319492543,
                                      1.7562521603732995, 1.9152065613971474};
    return (uint64_t)ldexp(eighths[index & 7], (index >> 3) + MID_BITS);
}

void model_histogram(const struct model *m, uint32_t server, uint32_t series, int64_t step,
                     struct epoch epoch, struct model_histogram *out)
{
    uint64_t identity = draw(m, SALT_VALUE, server, series);
    out->scale = HISTOGRAM_SCALE;
    out->offset = LEAST_OFFSET + (int32_t)(identity >> 8 & (N_OFFSETS - 1));
    out->n_buckets = 8 + (uint32_t)below(mix(identity), MAX_BUCKETS - 8 + 1);
    uint64_t earlier = epoch.reset_step == 0 ? identity >> 54 : 0;
    out->zero_count = grow(~identity, identity & 3, step, epoch.reset_step);
    out->count = out->zero_count;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < out->n_buckets; i++) {
        uint64_t bucket = mix(identity + i + 1);
        uint32_t from_edge = i < out->n_buckets - i ? i : out->n_buckets - i;
        /* One in 8 stays empty: gaps between the spans. */
        uint64_t rate = (bucket & 7) == 0 ? 0 : 1 + (uint64_t)from_edge * from_edge;
        out->counts[i] = rate * earlier + grow(bucket, rate, step, epoch.reset_step);
        out->count += out->counts[i];
        sum += out->counts[i] * bucket_mid(out->offset + (int32_t)i);
    }
    out->sum = ldexp((double)sum, -MID_BITS);
}

int64_t model_late_steps(const struct model *m, uint32_t server, int64_t step)
{
    if (!happens(m, m->p.late, SALT_LATE, server, step)) {
        return 0;
    }
    return 1 + (int64_t)below(draw(m, SALT_LATE, server, ~(uint64_t)step), MAX_LATE_STEPS);
}

uint32_t model_copies(const struct model *m, uint32_t server, int64_t step)
{
    return happens(m, m->p.duplicates, SALT_DUPLICATE, server, step) ? 2 : 1;
}

bool model_forbidden(const struct model *m, uint32_t server, int64_t step)
{
    return happens(m, m->p.forbidden, SALT_FORBIDDEN, server, step);
}

bool model_series_forbidden(const struct model *m, uint32_t series)
{
    return series == 0 || draw(m, SALT_FORBIDDEN_SERIES, 0, series) % 16 == 0;
}

bool model_garbage(const struct model *m, uint32_t server, int64_t step)
{
    return happens(m, m->p.garbage, SALT_GARBAGE, server, step);
}

size_t model_garbage_bytes(const struct model *m, uint32_t server, int64_t step, uint8_t *out,
                           size_t max_bytes)
{
    uint64_t random = draw(m, SALT_GARBAGE, server, ~(uint64_t)step);
    size_t n = LEAST_GARBAGE_BYTES + (size_t)below(random, max_bytes - LEAST_GARBAGE_BYTES);
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)mix(random + i);
    }
    out[0] |= 7; /* protobuf has no wire type 7; and it is not Avro's C3 01 */
    return n;
}

int64_t model_order(const struct model *m, uint32_t server, int64_t step)
{
    int64_t late = model_late_steps(m, server, step);
    int64_t place = late == 0 ? 0 : MAX_LATE_STEPS + 1 - late;
    return (step + late) * (MAX_LATE_STEPS + 1) + place;
}
