#include "verdict.h"

#include "base/utf8.h"

/* The first row found in the text decides; lower case. permanent: a 5xx that says so is no trouble
 * of the server's (Prometheus 2.42 answers 500 then). */
static const struct {
    const char *text;
    enum refusal refusal;
    bool permanent;
} texts[] = {
    {"duplicate label", REFUSAL_OWN, true},
    {"label name \"", REFUSAL_OWN, true}, /* 2.42: label name "x" is not unique */
    {"out of order", REFUSAL_ORDER, true},
    {"out-of-order", REFUSAL_ORDER, true},
    {"too old", REFUSAL_OLD, true},
    {"too-old", REFUSAL_OLD, true},
    {"out of bounds", REFUSAL_OLD, true},
    {"max sample age", REFUSAL_OLD, true},
    {"max_sample_age", REFUSAL_OLD, true},
    {"duplicate sample", REFUSAL_DUPLICATE, true},
    {"duplicate-sample", REFUSAL_DUPLICATE, true},
    {"new value for timestamp", REFUSAL_DUPLICATE, true},
    {"new-value-for-timestamp", REFUSAL_DUPLICATE, true},
    /* Behind those: a text names the series, too, and a metric may be called tenant_series_limit. */
    {"series limit", REFUSAL_LIMIT, false},
    {"series_limit", REFUSAL_LIMIT, false},
    {"active series", REFUSAL_LIMIT, false},
    {"max series", REFUSAL_LIMIT, false},
    {"maximum number of series", REFUSAL_LIMIT, false},
    {"label", REFUSAL_OWN, false},
    {"metric name", REFUSAL_OWN, false},
    {"metric_name", REFUSAL_OWN, false},
    {"histogram", REFUSAL_OWN, false},
    {"bucket", REFUSAL_OWN, false},
    {"too new", REFUSAL_OWN, false},
    {"future", REFUSAL_OWN, false},
    {"utf-8", REFUSAL_OWN, false},
};
enum { N_TEXTS = sizeof texts / sizeof texts[0] };

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool contains(struct slice body, const char *text)
{
    struct slice want = slice_str(text);
    for (size_t i = 0; i + want.len <= body.len; i++) {
        size_t n = 0;
        while (n < want.len && lower(body.ptr[i + n]) == want.ptr[n]) {
            n++;
        }
        if (n == want.len) {
            return true;
        }
    }
    return false;
}

static int row_of(struct slice body)
{
    for (int i = 0; i < N_TEXTS; i++) {
        if (contains(body, texts[i].text)) {
            return i;
        }
    }
    return -1;
}

static bool is_blank(struct slice body)
{
    for (size_t i = 0; i < body.len; i++) {
        if (body.ptr[i] > ' ') {
            return false;
        }
    }
    return true;
}

enum refusal refusal_of(int status, struct slice body)
{
    int row = row_of(body);
    if (row >= 0) {
        return texts[row].refusal;
    }
    if (status > 400 && status < 500) {
        return REFUSAL_OTHER;
    }
    return is_blank(body) ? REFUSAL_SILENT : REFUSAL_UNKNOWN;
}

static bool is_permanent(struct slice body)
{
    int row = row_of(body);
    return row >= 0 && texts[row].permanent;
}

enum verdict verdict_of(int status, struct slice body)
{
    switch (status) {
    case 401:
    case 403:
    case 407:
        return VERDICT_AUTH;
    case 404:
    case 405: /* these, too, are about the url or the form, whatever the samples are */
    case 410:
    case 411:
    case 414:
    case 415:
    case 421:
    case 426:
    case 431:
        return VERDICT_MISROUTED;
    case 402: /* Amazon's ServiceQuotaExceededException */
    case 408:
    case 425:
    case 429:
        return VERDICT_RETRY;
    case 413:
        return VERDICT_TOO_LARGE;
    default:
        break;
    }
    if (status >= 200 && status < 300) {
        return VERDICT_TAKEN;
    }
    if (status >= 300 && status < 400) {
        return VERDICT_MISROUTED;
    }
    bool refused = (status >= 400 && status < 500) || (status >= 500 && is_permanent(body));
    return refused ? VERDICT_REFUSED : VERDICT_RETRY;
}

const char *verdict_outcome(enum verdict verdict, int status)
{
    switch (verdict) {
    case VERDICT_TAKEN:
        return "2xx";
    case VERDICT_AUTH:
        return "auth";
    case VERDICT_MISROUTED:
        return status >= 400 ? "404" : "redirect";
    case VERDICT_TOO_LARGE:
        return "413";
    case VERDICT_REFUSED:
        return "400";
    case VERDICT_RETRY:
        break;
    }
    return status == 0 ? "error" : status == 429 || status == 402 ? "429" : "5xx";
}

const char *refusal_reason(enum refusal refusal)
{
    static const char *const names[N_REFUSALS] = {
        [REFUSAL_SILENT] = "store_refused",      [REFUSAL_UNKNOWN] = "store_refused",
        [REFUSAL_OTHER] = "store_refused",       [REFUSAL_LIMIT] = "store_series_limit",
        [REFUSAL_OWN] = "store_invalid",         [REFUSAL_ORDER] = "store_out_of_order",
        [REFUSAL_DUPLICATE] = "store_duplicate", [REFUSAL_OLD] = "store_too_old",
    };
    return names[refusal];
}

void store_text(struct slice body, char *out, size_t n_out)
{
    size_t n = utf8_fit(body, n_out - 1);
    size_t valid = utf8_check(slice_of(body.ptr, n));
    for (size_t i = 0; i < valid; i++) {
        out[i] = body.ptr[i] < ' ' || body.ptr[i] == 0x7f ? ' ' : (char)body.ptr[i];
    }
    while (valid > 0 && out[valid - 1] == ' ') {
        valid--;
    }
    out[valid] = '\0';
}
