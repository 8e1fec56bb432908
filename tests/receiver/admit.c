#include "admit.h"

#include "base/hash.h"
#include "histogram.h"

static const struct {
    const char *key;
    const char *text;
} REASON_NAMES[] = {
#define REASON(name, key, text) {key, text},
    REASONS_TABLE(REASON)
#undef REASON
};

/* One point while it is judged. */
struct candidate {
    enum track_kind kind;
    int64_t t_ms;
    uint64_t bits;
};

const char *reason_key(enum reason reason)
{
    return REASON_NAMES[reason].key;
}

const char *reason_text(enum reason reason)
{
    return REASON_NAMES[reason].text;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void histograms_check(struct admission *ad, const Prometheus__TimeSeries *ts, size_t at,
                             const struct rules *r, struct arena *a, struct buf *scratch)
{
    for (size_t i = 0; i < ts->n_histograms; i++, at++) {
        const Prometheus__Histogram *h = ts->histograms[i];
        size_t n_buckets = h->n_positive_deltas + h->n_positive_counts + h->n_negative_deltas +
                           h->n_negative_counts;
        struct err why = ERR_INIT;
        buf_reset(scratch);
        if (!histogram_canonical(h, scratch, &why)) {
            ad->histogram_faults[at] = why.code == HISTOGRAM_BAD_SCHEMA ? REASON_HISTOGRAM_SCHEMA
                                                                        : REASON_HISTOGRAM_INVALID;
            continue;
        }
        if (r->max_buckets > 0 && n_buckets > (uint64_t)r->max_buckets) {
            ad->histogram_faults[at] = REASON_HISTOGRAM_BUCKETS;
        }
        ad->contents[at] = arena_copy(a, buf_slice(scratch));
        ad->digests[at] = hash64(buf_slice(scratch));
    }
}

bool admission_init(struct admission *ad, const Prometheus__WriteRequest *request,
                    const struct rules *r, struct arena *a, struct err *e)
{
    ad->request = request;
    for (size_t i = 0; i < request->n_timeseries; i++) {
        ad->n_samples += request->timeseries[i]->n_samples;
        ad->n_histograms += request->timeseries[i]->n_histograms;
    }
    ad->series = ARENA_ARRAY(a, struct series *, request->n_timeseries);
    ad->series_faults = ARENA_ARRAY(a, enum reason, request->n_timeseries);
    ad->contents = ARENA_ARRAY(a, struct slice, ad->n_histograms);
    ad->digests = ARENA_ARRAY(a, uint64_t, ad->n_histograms);
    ad->histogram_faults = ARENA_ARRAY(a, enum reason, ad->n_histograms);
    ad->verdicts = ARENA_ARRAY(a, enum reason, ad->n_samples + ad->n_histograms);
    if (ad->series == NULL || ad->series_faults == NULL || ad->contents == NULL ||
        ad->digests == NULL || ad->histogram_faults == NULL || ad->verdicts == NULL) {
        return err_set(e, ERR_RETRY, "request beyond the memory ceiling");
    }
    struct buf scratch;
    buf_init(&scratch, 64 << 20);
    size_t at = 0;
    for (size_t i = 0; i < request->n_timeseries; i++) {
        ad->series_faults[i] = labels_check(request->timeseries[i], r);
        histograms_check(ad, request->timeseries[i], at, r, a, &scratch);
        at += request->timeseries[i]->n_histograms;
    }
    buf_fini(&scratch);
    return true;
}

bool admission_series(struct admission *ad, struct store *s, struct err *e)
{
    struct buf key;
    buf_init(&key, 64 << 20);
    for (size_t i = 0; i < ad->request->n_timeseries; i++) {
        buf_reset(&key);
        labels_key(ad->request->timeseries[i], &key);
        ad->series[i] = buf_ok(&key) ? store_series(s, buf_slice(&key)) : NULL;
        if (ad->series[i] == NULL) {
            buf_fini(&key);
            return err_set(e, ERR_RETRY, "out of memory for a series");
        }
    }
    buf_fini(&key);
    return true;
}

/* A point below the series' newest one. */
static enum reason late_judge(const struct series *series, const struct candidate *p,
                              const struct store *s, const struct rules *r, bool in_bounds)
{
    if (p->kind == TRACK_HISTOGRAM && !r->histograms_out_of_order) {
        return REASON_OUT_OF_ORDER;
    }
    int64_t newest_ms = s->max_t_ms;
    if (r->window_from_series && series->judged_any) {
        newest_ms = series->judged_max_ms;
    }
    if (r->out_of_order_ms <= 0) {
        return in_bounds ? REASON_OUT_OF_ORDER : REASON_OUT_OF_BOUNDS;
    }
    if (p->t_ms < newest_ms - r->out_of_order_ms) {
        return REASON_TOO_OLD;
    }
    const struct point *there = track_find(&series->tracks[p->kind], p->t_ms);
    const struct point *other = track_find(&series->tracks[N_TRACKS - 1 - p->kind], p->t_ms);
    if (there != NULL && there->bits == p->bits) {
        return r->refuse_same_value ? REASON_SAME_VALUE : REASON_NONE;
    }
    bool taken = there != NULL || other != NULL;
    return taken && !r->hide_old_new_value ? REASON_NEW_VALUE : REASON_NONE;
}

/* As memSeries.appendable of Prometheus' head does it, with AMP's age limits before. */
static enum reason point_judge(const struct series *series, const struct candidate *p,
                               const struct store *s, const struct rules *r, int64_t now_ms)
{
    if (r->max_future_ms > 0 && p->t_ms > now_ms + r->max_future_ms) {
        return REASON_FUTURE;
    }
    bool in_bounds = true;
    if (r->max_sample_age_ms > 0) {
        if (!r->age_from_store && p->t_ms < now_ms - r->max_sample_age_ms) {
            return REASON_SAMPLE_AGE;
        }
        in_bounds = !r->age_from_store || !s->any || p->t_ms >= s->max_t_ms - r->max_sample_age_ms;
    }
    if (in_bounds && (!series->judged_any || p->t_ms > series->judged_max_ms)) {
        return REASON_NONE;
    }
    if (in_bounds && p->t_ms == series->judged_max_ms) {
        if (series->judged_kind != p->kind || series->judged_bits != p->bits) {
            return REASON_NEW_VALUE;
        }
        return r->refuse_same_value ? REASON_SAME_VALUE : REASON_NONE;
    }
    return late_judge(series, p, s, r, in_bounds);
}

static void series_begin(struct series *series, uint32_t request)
{
    if (series->judged_request == request) {
        return;
    }
    enum track_kind kind = TRACK_SCALAR;
    series->judged_request = request;
    series->judged_any = series_newest(series, &series->judged_max_ms, &kind, &series->judged_bits);
    series->judged_kind = (uint8_t)kind;
}

static void series_advance(struct series *series, const struct candidate *p)
{
    if (!series->judged_any || p->t_ms > series->judged_max_ms) {
        series->judged_any = true;
        series->judged_max_ms = p->t_ms;
        series->judged_bits = p->bits;
        series->judged_kind = (uint8_t)p->kind;
    }
}

/* Walks all points in request order, samples of a series before its histograms. */
struct walk {
    size_t series;
    size_t in_series;
    size_t histogram; /* index over the whole request, of the next histogram */
    size_t point;     /* index in verdicts, of the next point */
};

struct walk_point {
    struct candidate p;
    size_t series;
    size_t histogram;
    size_t point;
};

static bool walk_next(const struct admission *ad, struct walk *w, struct walk_point *out)
{
    for (; w->series < ad->request->n_timeseries; w->series++, w->in_series = 0) {
        const Prometheus__TimeSeries *ts = ad->request->timeseries[w->series];
        *out =
            (struct walk_point){.series = w->series, .histogram = w->histogram, .point = w->point};
        if (w->in_series < ts->n_samples) {
            const Prometheus__Sample *sample = ts->samples[w->in_series];
            out->p = (struct candidate){TRACK_SCALAR, sample->timestamp, bits_of(sample->value)};
        } else if (w->in_series < ts->n_samples + ts->n_histograms) {
            const Prometheus__Histogram *h = ts->histograms[w->in_series - ts->n_samples];
            out->p = (struct candidate){TRACK_HISTOGRAM, h->timestamp, ad->digests[w->histogram]};
            w->histogram += 1;
        } else {
            continue;
        }
        w->in_series += 1;
        w->point += 1;
        return true;
    }
    return false;
}

static enum reason verdict_of(const struct admission *ad, const struct walk_point *at,
                              const struct store *s, const struct rules *r)
{
    if (ad->series_faults[at->series] != REASON_NONE) {
        return ad->series_faults[at->series];
    }
    if (at->p.kind == TRACK_HISTOGRAM && ad->histogram_faults[at->histogram] != REASON_NONE) {
        return ad->histogram_faults[at->histogram];
    }
    return point_judge(ad->series[at->series], &at->p, s, r, ad->now_ms);
}

static void refuse(struct admission *ad, const struct walk_point *at, enum reason reason)
{
    ad->verdicts[at->point] = reason;
    ad->n_refused += 1;
    ad->refused[reason] += 1;
    if (ad->first == REASON_NONE) {
        ad->first = reason;
        ad->first_series = ad->series[at->series];
        ad->first_ms = at->p.t_ms;
    }
}

/* The series limit: a request that would open one series too many is refused as a whole, or (by
 * rule) only what belongs to such series. */
static bool limit_check(struct admission *ad, const struct store *s, const struct rules *r)
{
    int64_t n_active = s->n_active;
    struct walk w = {0};
    struct walk_point at;
    while (r->max_series > 0 && walk_next(ad, &w, &at)) {
        struct series *series = ad->series[at.series];
        bool is_new = series->tracks[0].n == 0 && series->tracks[1].n == 0;
        if (!is_new || ad->verdicts[at.point] != REASON_NONE) {
            continue;
        }
        if (series->opened_request != ad->number) {
            n_active += 1;
            series->opened_request = ad->number;
            series->opened_beyond = n_active > r->max_series;
        }
        if (series->opened_beyond) {
            ad->limit_hit = true;
            refuse(ad, &at, REASON_SERIES_LIMIT);
        }
    }
    return !ad->limit_hit;
}

static void late_note(struct admission *ad, const struct walk_point *at)
{
    if (ad->n_late == 0) {
        ad->late_series = ad->series[at->series];
        ad->late_ms = at->p.t_ms;
    }
    ad->n_late += 1;
}

static bool is_late(enum reason reason)
{
    return reason == REASON_OUT_OF_ORDER || reason == REASON_TOO_OLD ||
           reason == REASON_OUT_OF_BOUNDS;
}

static void refused_store(struct admission *ad, struct store *s, const struct walk_point *at)
{
    struct series *series = ad->series[at->series];
    struct point *there = track_find(&series->tracks[at->p.kind], at->p.t_ms);
    bool stored = there != NULL && there->bits == at->p.bits;
    if (stored) {
        there->n_times = (uint16_t)(there->n_times + (there->n_times < UINT16_MAX ? 1 : 0));
        ad->n_redelivered += 1;
    } else {
        series->n_refused += 1;
        if (is_late(ad->verdicts[at->point])) {
            late_note(ad, at);
        }
    }
    struct refusal refusal = {.t_ms = at->p.t_ms,
                              .bits = at->p.bits,
                              .series = series->at,
                              .request = ad->number,
                              .reason = (uint8_t)ad->verdicts[at->point],
                              .kind = (uint8_t)at->p.kind,
                              .stored = stored};
    store_refusal(s, &refusal);
}

void admission_take(struct admission *ad, struct store *s, const struct rules *r)
{
    struct walk w = {0};
    struct walk_point at;
    for (size_t i = 0; i < ad->request->n_timeseries; i++) {
        series_begin(ad->series[i], ad->number);
    }
    while (walk_next(ad, &w, &at)) {
        enum reason reason = verdict_of(ad, &at, s, r);
        if (reason != REASON_NONE) {
            refuse(ad, &at, reason);
        } else {
            series_advance(ad->series[at.series], &at.p);
        }
    }
    bool keep = limit_check(ad, s, r) || r->series_limit_partial;
    keep = keep && (r->keep_good || ad->n_refused == 0);
    w = (struct walk){0};
    while (walk_next(ad, &w, &at)) {
        if (ad->verdicts[at.point] != REASON_NONE) {
            refused_store(ad, s, &at);
        } else if (!keep) {
            ad->n_dropped += 1;
        } else {
            struct point p = {at.p.t_ms, at.p.bits, ad->number, 1, 0};
            struct slice content =
                at.p.kind == TRACK_HISTOGRAM ? ad->contents[at.histogram] : SLICE_NONE;
            uint64_t n_late = s->n_late;
            (void)store_point(s, ad->series[at.series], at.p.kind, &p, content);
            if (s->n_late > n_late) {
                late_note(ad, &at);
            }
        }
    }
}
