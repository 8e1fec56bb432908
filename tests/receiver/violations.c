#include "write.h"

#include <inttypes.h>
#include <poll.h>
#include <strings.h>

#include "text.h"

/* Clocks of two processes and rounding to ms. */
static const int64_t RETRY_SLACK_NS = 2000000;

bool peer_gone(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, timeout_ms) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void violations_headers(struct tally *t, const struct incoming *in)
{
    static const char type[] = "application/x-protobuf";
    if (in->encoding == NULL || strcasecmp(in->encoding, "snappy") != 0) {
        tally_violation(t, VIOLATION_header, 1, "Content-Encoding is not snappy");
    }
    if (in->type == NULL || strncasecmp(in->type, type, sizeof type - 1) != 0) {
        tally_violation(t, VIOLATION_header, 1, "Content-Type is not %s", type);
    }
    if (in->version == NULL || strcmp(in->version, "0.1.0") != 0) {
        tally_violation(t, VIOLATION_header, 1, "X-Prometheus-Remote-Write-Version is not 0.1.0");
    }
    if (in->agent == NULL || *in->agent == '\0') {
        tally_violation(t, VIOLATION_header, 1, "no User-Agent");
    }
}

static void series_violations(struct tally *t, const Prometheus__TimeSeries *ts,
                              const struct series *series, enum reason fault, struct buf *text)
{
    bool sorted = true;
    for (size_t i = 1; i < ts->n_samples; i++) {
        sorted = sorted && ts->samples[i - 1]->timestamp <= ts->samples[i]->timestamp;
    }
    for (size_t i = 1; i < ts->n_histograms; i++) {
        sorted = sorted && ts->histograms[i - 1]->timestamp <= ts->histograms[i]->timestamp;
    }
    bool bad_labels = fault >= REASON_NO_NAME && fault <= REASON_LABEL_TWICE;
    if (sorted && !bad_labels) {
        return;
    }
    buf_reset(text);
    text_series(text, slice_of(series->key, series->key_len));
    if (!sorted) {
        tally_violation(t, VIOLATION_samples_unsorted, 1, "%s", buf_c_str(text));
    }
    if (bad_labels) {
        tally_violation(t, VIOLATION_labels, 1, "%s: %s", reason_text(fault), buf_c_str(text));
    }
}

static void flight_begin(struct write *w, struct series *series, struct buf *text)
{
    struct tally *t = &w->rx->tally;
    if (series->flight == &w->flight) {
        return; /* twice in this request */
    }
    bool clash = series->flight != NULL ? !peer_gone(series->flight->fd, 0)
                                        : series->flight_end_ns > w->flight.start_ns;
    bool early = w->flight.start_ns + RETRY_SLACK_NS < series->not_before_ns;
    series->flight = &w->flight;
    if (!clash && !early) {
        return;
    }
    buf_reset(text);
    text_series(text, slice_of(series->key, series->key_len));
    if (clash) {
        tally_violation(t, VIOLATION_in_flight, 1, "request %" PRIu32 ": %s", w->flight.request,
                        buf_c_str(text));
    }
    if (early) {
        tally_violation(t, VIOLATION_retry_too_early, 1, "request %" PRIu32 ": %" PRId64 " ms: %s",
                        w->flight.request, (series->not_before_ns - w->flight.start_ns) / NS_PER_MS,
                        buf_c_str(text));
    }
}

void violations_request(struct write *w)
{
    const struct admission *ad = &w->admission;
    struct buf text;
    buf_init(&text, MAX_TEXT_BYTES);
    for (size_t i = 0; i < ad->request->n_timeseries; i++) {
        flight_begin(w, ad->series[i], &text);
        series_violations(&w->rx->tally, ad->request->timeseries[i], ad->series[i],
                          ad->series_faults[i], &text);
    }
    for (size_t i = 0; i < ad->n_histograms; i++) {
        if (ad->histogram_faults[i] == REASON_HISTOGRAM_SCHEMA ||
            ad->histogram_faults[i] == REASON_HISTOGRAM_INVALID) {
            tally_violation(&w->rx->tally, VIOLATION_histogram, 1, "request %" PRIu32 ": %s",
                            w->flight.request, reason_text(ad->histogram_faults[i]));
        }
    }
    buf_fini(&text);
}

void violations_late(struct write *w)
{
    const struct admission *ad = &w->admission;
    if (ad->n_late == 0) {
        return;
    }
    struct buf text;
    buf_init(&text, MAX_TEXT_BYTES);
    text_series(&text, slice_of(ad->late_series->key, ad->late_series->key_len));
    tally_violation(&w->rx->tally, VIOLATION_late, ad->n_late,
                    "request %" PRIu32 ": %" PRIu64 " samples, first %" PRId64 " of %s", ad->number,
                    ad->n_late, ad->late_ms, buf_c_str(&text));
    buf_fini(&text);
}
