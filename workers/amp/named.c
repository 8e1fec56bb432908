#include "named.h"

#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cursor.h"

enum { MAX_LABEL_TEXT = 8192 };

/* at: behind it. */
static bool find(struct slice text, struct slice what, size_t *at)
{
    const uint8_t *found = memmem(text.ptr, text.len, what.ptr, what.len);
    if (found != NULL) {
        *at = (size_t)(found - text.ptr) + what.len;
    }
    return found != NULL;
}

/* Up to max_digits; how many there were. */
static size_t digits(struct cursor *c, size_t max_digits, int64_t *value)
{
    size_t n = 0;
    *value = 0;
    while (n < max_digits && cursor_more(c) && *c->next >= '0' && *c->next <= '9') {
        *value = *value * 10 + (cursor_u8(c) - '0');
        n++;
    }
    return n;
}

static bool separated(struct cursor *c, char separator, int64_t *value)
{
    return cursor_u8(c) == (uint8_t)separator && digits(c, 2, value) == 2;
}

static int64_t fraction_ms(struct cursor *c)
{
    int64_t value;
    if (!cursor_more(c) || *c->next != '.') {
        return 0;
    }
    (void)cursor_u8(c);
    size_t n = digits(c, 3, &value);
    return n == 1 ? value * 100 : n == 2 ? value * 10 : value;
}

bool named_time(struct slice text, int64_t *time_ms)
{
    size_t at;
    if (!find(text, SLICE_LITERAL("timestamp="), &at) &&
        !find(text, SLICE_LITERAL("has timestamp "), &at)) {
        return false;
    }
    struct cursor c = cursor_of(slice_of(text.ptr + at, text.len - at));
    int64_t first, month, day, hour, minute, second;
    size_t n = digits(&c, 18, &first);
    if (n != 4) {
        *time_ms = first;
        return n > 4;
    }
    if (!separated(&c, '-', &month) || !separated(&c, '-', &day) || !separated(&c, 'T', &hour) ||
        !separated(&c, ':', &minute) || !separated(&c, ':', &second)) {
        return false;
    }
    struct tm tm = {.tm_year = (int)first - 1900,
                    .tm_mon = (int)month - 1,
                    .tm_mday = (int)day,
                    .tm_hour = (int)hour,
                    .tm_min = (int)minute,
                    .tm_sec = (int)second};
    *time_ms = (int64_t)timegm(&tm) * 1000 + fraction_ms(&c);
    return true;
}

/* name="value"; a metric's name may also stand as name{ */
static bool has_label(struct slice text, struct slice name, struct slice value, struct buf *want)
{
    size_t behind;
    buf_reset(want);
    buf_put_slice(want, name);
    buf_put(want, "=\"", 2);
    buf_put_slice(want, value);
    buf_u8(want, '"');
    if (!buf_ok(want) || find(text, buf_slice(want), &behind)) {
        return buf_ok(want);
    }
    buf_reset(want);
    buf_put_slice(want, value);
    buf_u8(want, '{');
    return buf_ok(want) && slice_eq_str(name, "__name__") && find(text, buf_slice(want), &behind);
}

/* How many labels it has, if the text has them all; else 0. */
static uint32_t labels_in(struct slice text, const struct piece *p, struct buf *want)
{
    struct slice name, value;
    uint32_t n = 0;
    for (size_t at = 0; wire_shape_label_next(p->scrape->shape, p->from, &at, &name, &value);) {
        if (!has_label(text, name, value, want)) {
            return 0;
        }
        n++;
    }
    return n;
}

uint32_t named_piece(const struct work *w, struct slice text)
{
    struct buf want;
    int64_t time_ms = 0;
    bool timed = named_time(text, &time_ms);
    uint32_t found = w->n_pieces;
    uint32_t n_most = 0;
    buf_init(&want, MAX_LABEL_TEXT);
    for (uint32_t i = 0; text.len > 0 && i < w->n_pieces; i++) {
        const struct piece *p = &w->pieces[i];
        if (timed && scrape_time_ms(p->scrape, p->from) != time_ms) {
            continue;
        }
        uint32_t n = labels_in(text, p, &want);
        if (n > n_most) {
            n_most = n;
            found = i;
        }
    }
    buf_fini(&want);
    return found;
}

uint32_t named_first(const struct work *w, struct slice text)
{
    uint32_t i = named_piece(w, text);
    return i < w->n_pieces && work_begins_series(w, i) ? i : w->n_pieces;
}
