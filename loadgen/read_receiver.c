#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "http.h"
#include "readers.h"

/* tests/receiver's text (its export.h): a line of labels as JSON, then a line per point:
 *   <t_ms> <bits, 16 hex digits> <times received>
 *   <t_ms> h:<digest, 16 hex digits> <times received> */

enum { MAX_LABELS = 64, MAX_LINE_BYTES = 1 << 20, HEX = 16, MAX_URL_BYTES = 2048 };

struct dump {
    struct reader *reader;
    struct buf line; /* a piece of one that is not whole yet */
    json_t *labels_json; /* of the current series, owned; labels borrow from it */
    uint32_t n_labels;
    struct label labels[MAX_LABELS];
    struct slice metric;
    enum match match;
    uint32_t server;
    uint32_t series;
};

static bool labels_take(struct dump *d, const char *line, struct err *e)
{
    json_error_t why;
    json_decref(d->labels_json);
    d->labels_json = json_loads(line, 0, &why);
    d->n_labels = 0;
    d->metric = SLICE_NONE;
    if (!json_is_object(d->labels_json)) {
        return err_set(e, ERR_FATAL, "a line of labels that is no JSON object");
    }
    const char *name;
    json_t *value;
    json_object_foreach(d->labels_json, name, value) {
        const char *text = json_string_value(value);
        if (text == NULL || d->n_labels == MAX_LABELS) {
            return err_set(e, ERR_FATAL, "labels that can't be read");
        }
        if (strcmp(name, "__name__") == 0) {
            d->metric = slice_str(text);
        }
        d->labels[d->n_labels++] = (struct label){slice_str(name), slice_str(text)};
    }
    d->match = matcher_find(d->reader->matcher, d->metric, d->labels, d->n_labels, &d->server,
                            &d->series);
    return true;
}

static bool point_parse(const char *line, struct sighting *seen)
{
    char *end;
    errno = 0;
    seen->time_ms = strtoll(line, &end, 10);
    if (end == line || *end != ' ') {
        return false;
    }
    const char *text = end + 1;
    seen->is_histogram = strncmp(text, "h:", 2) == 0;
    seen->is_digest = seen->is_histogram;
    text += seen->is_histogram ? 2 : 0;
    uint64_t bits = strtoull(text, &end, HEX);
    if (end - text != HEX || *end != ' ') {
        return false;
    }
    if (seen->is_histogram) {
        seen->digest = bits;
    } else {
        memcpy(&seen->value, &bits, sizeof bits);
    }
    text = end + 1;
    seen->n_times = (uint32_t)strtoul(text, &end, 10);
    return end != text && errno == 0 && seen->n_times > 0;
}

static bool line_take(struct dump *d, const char *line, struct err *e)
{
    if (line[0] == '{') {
        return labels_take(d, line, e);
    }
    struct sighting seen = {.start_ms = -1};
    if (!point_parse(line, &seen)) {
        return err_set(e, ERR_FATAL, "a line that can't be read: %.60s", line);
    }
    d->reader->n_read += seen.n_times;
    if (d->match == MATCH_OTHER) {
        d->reader->ledger->n_other += seen.n_times;
    } else if (d->match == MATCH_UNEXPECTED) {
        ledger_unexpected(d->reader->ledger, seen.n_times, d->metric, d->labels, d->n_labels,
                          seen.time_ms);
    } else {
        seen.server = d->server;
        seen.series = d->series;
        ledger_see(d->reader->ledger, &seen);
    }
    return true;
}

static bool on_piece(void *ctx, struct slice piece, struct err *e)
{
    struct dump *d = ctx;
    while (piece.len > 0) {
        const uint8_t *newline = memchr(piece.ptr, '\n', piece.len);
        size_t len = newline == NULL ? piece.len : (size_t)(newline - piece.ptr);
        buf_put(&d->line, piece.ptr, len);
        if (newline == NULL) {
            break;
        }
        const char *line = buf_c_str(&d->line);
        if (line == NULL) {
            return err_set(e, ERR_FATAL, "a line that is too long");
        }
        if (!line_take(d, line, e)) {
            return false;
        }
        buf_reset(&d->line);
        piece.ptr += len + 1;
        piece.len -= len + 1;
    }
    return buf_ok(&d->line) || err_set(e, ERR_FATAL, "a line that is too long");
}

bool read_receiver(struct reader *r, const char *url, struct err *e)
{
    char path[MAX_URL_BYTES];
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    (void)snprintf(path, sizeof path, "%.*s/dump", (int)(len < 1900 ? len : 1900), url);
    struct http *http = http_open();
    if (http == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    struct dump d = {.reader = r, .match = MATCH_OTHER};
    buf_init(&d.line, MAX_LINE_BYTES);
    bool ok = http_get(http, path, on_piece, &d, e);
    if (ok && d.line.len > 0) {
        ok = err_set(e, ERR_FATAL, "%s: cut short", path);
    }
    buf_fini(&d.line);
    json_decref(d.labels_json);
    http_close(http);
    return ok;
}
