/* What both ways of reading Prometheus share: numbers come by remote read (raw, fast), native
 * histograms by the query API. */
#pragma once

#include "http.h"
#include "readers.h"

/* Some servers in a stretch of time, both ends included. */
struct prometheus_window {
    int64_t from_ms;
    int64_t to_ms;
    uint32_t first;
    uint32_t n_servers;
};

typedef bool (*prometheus_query)(void *ctx, const struct prometheus_window *w, struct err *e);

/* Cuts the load into windows of about max_samples, of n_series series per server. */
bool prometheus_windows(struct reader *r, uint32_t n_series, int64_t max_samples,
                        prometheus_query query, void *ctx, struct err *e) MUST_CHECK;
/* Regular expressions: the shards of a window; the names of all histograms. */
void prometheus_shards(const struct model *m, const struct prometheus_window *w, struct buf *out);
void prometheus_histogram_names(struct buf *out);
/* The length of a URL without slashes at its end. */
int prometheus_base_len(const char *url);
bool read_prometheus_histograms(struct reader *r, struct http *http, const char *url,
                                struct err *e) MUST_CHECK;
