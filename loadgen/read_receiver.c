#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "http.h"
#include "stored.h"

/* tests/receiver's text (its export.h): a line of labels as JSON, then a line per point:
 *   <t_ms> <bits, 16 hex digits> <times received>
 *   <t_ms> h:<digest, 16 hex digits> <times received> */

enum { MAX_LINE_BYTES = 1 << 20, HEX = 16, MAX_URL_BYTES = 2048 };

struct dump {
    struct reader *reader;
    struct buf line; /* a piece of one that is not whole yet */
    json_t *labels; /* of the current series, owned; series borrows from it */
    struct stored_series series;
};

static bool labels_take(struct dump *d, const char *line, struct err *e)
{
    json_error_t why;
    json_decref(d->labels);
    d->labels = json_loads(line, 0, &why);
    d->series = (struct stored_series){.n_labels = 0};
    if (!stored_labels_json(&d->series, d->labels)) {
        return err_set(e, ERR_FATAL, "labels that can't be read: %.100s", line);
    }
    stored_match(&d->series, d->reader);
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
    stored_see(&d->series, d->reader, &seen);
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
    struct dump d = {.reader = r, .series = {.match = MATCH_OTHER}};
    buf_init(&d.line, MAX_LINE_BYTES);
    bool ok = http_get(http, path, on_piece, &d, e);
    if (ok && d.line.len > 0) {
        ok = err_set(e, ERR_FATAL, "%s: cut short", path);
    }
    buf_fini(&d.line);
    json_decref(d.labels);
    http_close(http);
    return ok;
}
