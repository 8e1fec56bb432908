#include "prometheus.h"

enum { MAX_SERVERS_PER_QUERY = 200, MAX_URL_BYTES = 1900 };

int prometheus_base_len(const char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    return (int)(len < MAX_URL_BYTES ? len : MAX_URL_BYTES);
}

void prometheus_shards(const struct model *m, const struct prometheus_window *w, struct buf *out)
{
    for (uint32_t i = 0; i < w->n_servers; i++) {
        struct model_server server;
        model_server(m, w->first + i, &server);
        buf_printf(out, "%s%s", i == 0 ? "" : "|", server.shard_id);
    }
}

void prometheus_histogram_names(struct buf *out)
{
    for (uint32_t i = 0; i < N_HISTOGRAM_METRICS; i++) {
        buf_printf(out, "%s%s", i == 0 ? "" : "|", catalogue_histograms[i].prometheus);
    }
}

static int64_t between(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

/* Some servers for all the time, or one for a part of it. */
bool prometheus_windows(struct reader *r, uint32_t n_series, int64_t max_samples,
                        prometheus_query query, void *ctx, struct err *e)
{
    const struct model *m = r->ledger->model;
    if (n_series == 0) {
        return true;
    }
    int64_t last_step = r->ledger->manifest->n_scrapes / m->p.n_servers;
    int64_t n_servers = between(max_samples / ((last_step + 1) * n_series), 1, MAX_SERVERS_PER_QUERY);
    int64_t window_ms = between(max_samples / n_series, 1, INT32_MAX) * m->p.interval_ms;
    /* One step more than was sent: there must be nothing. */
    int64_t end_ms = model_time_ms(m, m->p.n_servers - 1, last_step + 1);
    for (int64_t at = 0; at < m->p.n_servers; at += n_servers) {
        struct prometheus_window w = {.first = (uint32_t)at, .from_ms = m->p.start_ms};
        w.n_servers = (uint32_t)between(m->p.n_servers - at, 1, n_servers);
        for (; w.from_ms <= end_ms; w.from_ms += window_ms) {
            w.to_ms = between(w.from_ms + window_ms - 1, 0, end_ms);
            if (!query(ctx, &w, e)) {
                return false;
            }
        }
    }
    return true;
}
