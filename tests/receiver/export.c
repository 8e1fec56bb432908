#include "export.h"

#include <inttypes.h>
#include <stdlib.h>

#include "histogram.h"
#include "text.h"

enum { PIECE_BYTES = 256 * 1024, MAX_PIECE_BYTES = 256 << 20 };

struct export
{
    struct receiver *rx;
    struct export_options options;
    regex_t regex;
    bool has_regex;
    uint32_t series;
    bool opened; /* this series' head is written */
    int track;
    uint32_t point;
    size_t refusal;
    struct buf out;
    size_t n_read;
};

struct export *export_new(struct receiver *rx, const struct export_options *options, struct err *e)
{
    struct export *x = calloc(1, sizeof *x);
    if (x == NULL) {
        err_set(e, ERR_FATAL, "out of memory");
        return NULL;
    }
    x->rx = rx;
    x->options = *options;
    x->options.match = NULL; /* the caller's */
    if (options->match != NULL) {
        if (regcomp(&x->regex, options->match, REG_EXTENDED | REG_NOSUB) != 0) {
            err_set(e, ERR_CONFIG, "match is not a regular expression");
            free(x);
            return NULL;
        }
        x->has_regex = true;
    }
    buf_init(&x->out, MAX_PIECE_BYTES);
    return x;
}

void export_free(struct export *x)
{
    if (x == NULL) {
        return;
    }
    if (x->has_regex) {
        regfree(&x->regex);
    }
    buf_fini(&x->out);
    free(x);
}

static struct slice key_of(const struct series *series)
{
    return slice_of(series->key, series->key_len);
}

static bool series_wanted(struct export *x, const struct series *series)
{
    if (!x->has_regex) {
        return true;
    }
    struct buf text;
    buf_init(&text, MAX_PIECE_BYTES);
    text_series(&text, key_of(series));
    const char *line = buf_c_str(&text);
    bool wanted = line != NULL && regexec(&x->regex, line, 0, NULL, 0) == 0;
    buf_fini(&text);
    return wanted;
}

static void value_json(struct buf *out, enum track_kind kind, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    if (kind == TRACK_HISTOGRAM) {
        buf_printf(out, ",\"digest\":\"%016" PRIx64 "\"", bits);
    } else {
        buf_printf(out, ",\"v\":\"%.17g\",\"bits\":\"%016" PRIx64 "\"", value, bits);
    }
}

static void sample_put(struct export *x, const struct series *series, const struct point *p,
                       const struct slice *kept)
{
    struct buf *out = &x->out;
    buf_printf(out, "{\"labels\":");
    text_json_labels(out, key_of(series));
    buf_printf(out, ",\"t\":%" PRId64, p->t_ms);
    value_json(out, (enum track_kind)x->track, p->bits);
    buf_printf(out, ",\"times\":%u,\"request\":%" PRIu32, p->n_times, p->request);
    if (kept != NULL) {
        buf_printf(out, ",\"histogram\":");
        histogram_json(*kept, out);
    }
    buf_printf(out, "}\n");
}

static void dump_put(struct export *x, const struct point *p, const struct slice *kept)
{
    struct buf *out = &x->out;
    buf_printf(out, "%" PRId64 " %s%016" PRIx64 " %u", p->t_ms,
               x->track == TRACK_HISTOGRAM ? "h:" : "", p->bits, p->n_times);
    if (x->options.arrival) {
        buf_printf(out, " %" PRIu32, p->request);
    }
    if (x->options.full && kept != NULL) {
        buf_u8(out, ' ');
        histogram_json(*kept, out);
    }
    buf_u8(out, '\n');
}

/* The next points of this series; true when it is done. */
static bool points_put(struct export *x, const struct series *series)
{
    for (; x->track < N_TRACKS; x->track++, x->point = 0) {
        const struct track *track = &series->tracks[x->track];
        for (; x->point < track->n; x->point++) {
            if (x->out.len >= PIECE_BYTES) {
                return false;
            }
            const struct slice *kept = track->kept == NULL ? NULL : &track->kept[x->point];
            if (x->options.kind == EXPORT_DUMP) {
                dump_put(x, &track->points[x->point], kept);
            } else {
                sample_put(x, series, &track->points[x->point], kept);
            }
        }
    }
    return true;
}

static void series_put(struct export *x, const struct series *series)
{
    buf_printf(&x->out, "{\"labels\":");
    text_json_labels(&x->out, key_of(series));
    buf_printf(&x->out,
               ",\"samples\":%" PRIu32 ",\"histograms\":%" PRIu32 ",\"late\":%" PRIu32
               ",\"refused\":%" PRIu32 "}\n",
               series->tracks[TRACK_SCALAR].n, series->tracks[TRACK_HISTOGRAM].n, series->n_late,
               series->n_refused);
}

static void refusals_put(struct export *x)
{
    struct store *s = &x->rx->store;
    for (; x->refusal < s->n_refusals && x->out.len < PIECE_BYTES; x->refusal++) {
        const struct refusal *r = &s->refusals[x->refusal];
        const struct series *series = s->list[r->series];
        if (!series_wanted(x, series)) {
            continue;
        }
        buf_printf(&x->out, "{\"labels\":");
        text_json_labels(&x->out, key_of(series));
        buf_printf(&x->out, ",\"t\":%" PRId64, r->t_ms);
        value_json(&x->out, (enum track_kind)r->kind, r->bits);
        buf_printf(&x->out, ",\"request\":%" PRIu32 ",\"reason\":\"%s\",\"stored\":%s}\n",
                   r->request, reason_key((enum reason)r->reason), r->stored ? "true" : "false");
    }
}

static bool series_open(struct export *x, const struct series *series)
{
    bool empty = series->tracks[0].n == 0 && series->tracks[1].n == 0;
    if ((empty && x->options.kind != EXPORT_SERIES) || !series_wanted(x, series)) {
        return false;
    }
    x->track = 0;
    x->point = 0;
    if (x->options.kind == EXPORT_DUMP) {
        text_json_labels(&x->out, key_of(series));
        buf_u8(&x->out, '\n');
    }
    return true;
}

static void piece_fill(struct export *x)
{
    const struct store *s = &x->rx->store;
    if (x->options.kind == EXPORT_REFUSED) {
        refusals_put(x);
        return;
    }
    for (; x->series < s->n_series && x->out.len < PIECE_BYTES; x->series++, x->opened = false) {
        const struct series *series = s->list[x->series];
        if (!x->opened && !series_open(x, series)) {
            continue;
        }
        x->opened = true;
        if (x->options.kind == EXPORT_SERIES) {
            series_put(x, series);
        } else if (!points_put(x, series)) {
            return;
        }
    }
}

size_t export_read(struct export *x, char *out, size_t max_bytes)
{
    if (x->n_read == x->out.len) {
        buf_reset(&x->out);
        x->n_read = 0;
        pthread_mutex_lock(&x->rx->lock);
        piece_fill(x);
        pthread_mutex_unlock(&x->rx->lock);
    }
    size_t left = x->out.len - x->n_read;
    size_t n = left < max_bytes ? left : max_bytes;
    if (n > 0) {
        memcpy(out, x->out.ptr + x->n_read, n);
    }
    x->n_read += n;
    return n;
}
