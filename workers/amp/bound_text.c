#include "bound_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 17 };

/* Digits without point, and where the point goes: 0.d1d2d3… × 10^exponent. */
struct decimal {
    char digits[MAX_DIGITS + 1];
    int n;
    int exponent;
};

static void shortest(double v, struct decimal *d)
{
    char text[40];
    for (int n = 1; n <= MAX_DIGITS; n++) {
        (void)snprintf(text, sizeof text, "%.*e", n - 1, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    const char *at = text;
    d->n = 0;
    for (; *at != 'e'; at++) {
        if (*at != '.') {
            d->digits[d->n++] = *at;
        }
    }
    d->exponent = (int)strtol(at + 1, NULL, 10) + 1;
}

static size_t fill(char *out, size_t at, char c, int n)
{
    for (int i = 0; i < n; i++) {
        out[at++] = c;
    }
    return at;
}

size_t bound_text(double bound, char out[BOUND_TEXT_BYTES])
{
    if (isnan(bound) || isinf(bound)) {
        const char *name = isnan(bound) ? "NaN" : bound > 0 ? "+Inf" : "-Inf";
        return (size_t)snprintf(out, BOUND_TEXT_BYTES, "%s", name);
    }
    struct decimal d;
    size_t at = 0;
    if (signbit(bound)) {
        out[at++] = '-';
    }
    shortest(fabs(bound), &d);
    int n_whole = d.exponent < 0 ? 0 : d.exponent;
    int n_from_digits = n_whole < d.n ? n_whole : d.n;
    if (n_whole == 0) {
        out[at++] = '0';
    }
    memcpy(out + at, d.digits, (size_t)n_from_digits);
    at = fill(out, at + (size_t)n_from_digits, '0', n_whole - n_from_digits);
    if (n_from_digits < d.n) {
        out[at++] = '.';
        at = fill(out, at, '0', d.exponent < 0 ? -d.exponent : 0);
        memcpy(out + at, d.digits + n_from_digits, (size_t)(d.n - n_from_digits));
        at += (size_t)(d.n - n_from_digits);
    }
    out[at] = '\0';
    return at;
}
