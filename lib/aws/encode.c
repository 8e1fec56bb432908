#include "aws/encode.h"

#include <time.h>

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void put_byte(struct buf *b, uint8_t c)
{
    static const char digits[] = "0123456789ABCDEF";
    if (is_unreserved(c)) {
        buf_u8(b, c);
        return;
    }
    const char text[3] = {'%', digits[c >> 4], digits[c & 15]};
    buf_put(b, text, sizeof text);
}

void encode_percent(struct buf *b, struct slice s, bool keep_slash)
{
    for (size_t i = 0; i < s.len; i++) {
        if (keep_slash && s.ptr[i] == '/') {
            buf_u8(b, '/');
        } else {
            put_byte(b, s.ptr[i]);
        }
    }
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void encode_percent_again(struct buf *b, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        int high = s.ptr[i] == '%' && s.len - i > 2 ? digit_of(s.ptr[i + 1]) : -1;
        int low = high < 0 ? -1 : digit_of(s.ptr[i + 2]);
        if (low < 0) {
            put_byte(b, s.ptr[i]);
        } else {
            put_byte(b, (uint8_t)(high << 4 | low));
            i += 2;
        }
    }
}

void encode_hex(char *out, const uint8_t *bytes, size_t n_bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n_bytes; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

bool encode_basic_time(int64_t ms, char out[ENCODE_TIME_CHARS + 1])
{
    struct tm utc;
    time_t s = (time_t)(ms / 1000);
    return ms >= 0 && gmtime_r(&s, &utc) != NULL && utc.tm_year <= 9999 - 1900 &&
           strftime(out, ENCODE_TIME_CHARS + 1, "%Y%m%dT%H%M%SZ", &utc) == ENCODE_TIME_CHARS;
}

/* n decimal digits; false when there is something else. */
static bool take_digits(struct slice *s, size_t n, int *out)
{
    *out = 0;
    if (s->len < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9') {
            return false;
        }
        *out = *out * 10 + (s->ptr[i] - '0');
    }
    *s = slice_of(s->ptr + n, s->len - n);
    return true;
}

static bool take_char(struct slice *s, char c)
{
    if (s->len == 0 || s->ptr[0] != (uint8_t)c) {
        return false;
    }
    *s = slice_of(s->ptr + 1, s->len - 1);
    return true;
}

/* "Z", "+02:00", "-02:00"; minutes east. */
static bool take_offset(struct slice *s, int *minutes)
{
    int hours;
    int rest;
    *minutes = 0;
    if (take_char(s, 'Z')) {
        return true;
    }
    bool east = take_char(s, '+');
    if ((!east && !take_char(s, '-')) || !take_digits(s, 2, &hours) || !take_char(s, ':') ||
        !take_digits(s, 2, &rest) || hours > 23 || rest > 59) {
        return false;
    }
    *minutes = (east ? 1 : -1) * (hours * 60 + rest);
    return true;
}

static void skip_fraction(struct slice *s)
{
    int digit;
    if (take_char(s, '.')) {
        while (take_digits(s, 1, &digit)) {
        }
    }
}

bool decode_time(struct slice s, int64_t *ms)
{
    struct tm t = {0};
    int east_minutes;
    if (!take_digits(&s, 4, &t.tm_year) || !take_char(&s, '-') || !take_digits(&s, 2, &t.tm_mon) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &t.tm_mday) || !take_char(&s, 'T') ||
        !take_digits(&s, 2, &t.tm_hour) || !take_char(&s, ':') || !take_digits(&s, 2, &t.tm_min) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &t.tm_sec)) {
        return false;
    }
    skip_fraction(&s);
    if (!take_offset(&s, &east_minutes) || s.len != 0 || t.tm_year < 1970 || t.tm_mon < 1 ||
        t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour > 23 || t.tm_min > 59 ||
        t.tm_sec > 60) {
        return false;
    }
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    *ms = ((int64_t)timegm(&t) - (int64_t)east_minutes * 60) * 1000;
    return true;
}
