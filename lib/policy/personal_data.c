#include "policy/personal_data.h"

#include <arpa/inet.h>
#include <stddef.h>

enum {
    UUID_BYTES = 36,
    UUID_DIGITS = 32,
    MAX_VERSION_PART = 31, /* an address whose four parts are all that low is rare: 1 in 4,096 */
    MIN_HASH_BYTES = 12
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alnum(uint8_t c)
{
    return is_digit(c) || is_letter(c) || c >= 0x80;
}

/* The byte at that place; 0 outside. */
static uint8_t at(struct slice s, size_t i)
{
    return i < s.len ? s.ptr[i] : 0;
}

/* The run that begins at *i, of bytes that `in` takes; *i is moved behind it. */
static struct slice run_of(struct slice s, size_t *i, bool (*in)(uint8_t))
{
    size_t from = *i;
    while (*i < s.len && in(s.ptr[*i])) {
        (*i)++;
    }
    return slice_of(s.ptr + from, *i - from);
}

/* What is in a value at all: most have too little for any detector. */
struct signs {
    uint32_t digits;
    uint32_t dots;
    uint32_t colons;
    uint32_t dashes;
    uint32_t ats;
};

/* Each kind has SIGN_BITS of a word, so that a byte costs one addition. */
enum { SIGN_BITS = 12, SIGNS_AT_ONCE = (1 << SIGN_BITS) - 1 };
#define SIGN(kind) (UINT64_C(1) << ((kind)*SIGN_BITS))

static const uint64_t sign_of[256] = {
    ['0'] = SIGN(0), ['1'] = SIGN(0), ['2'] = SIGN(0), ['3'] = SIGN(0), ['4'] = SIGN(0),
    ['5'] = SIGN(0), ['6'] = SIGN(0), ['7'] = SIGN(0), ['8'] = SIGN(0), ['9'] = SIGN(0),
    ['.'] = SIGN(1), [':'] = SIGN(2), ['-'] = SIGN(3), ['@'] = SIGN(4),
};

static uint32_t signs_among(uint64_t sum, unsigned kind)
{
    return (uint32_t)(sum >> (kind * SIGN_BITS)) & SIGNS_AT_ONCE;
}

static struct signs signs_of(struct slice value)
{
    struct signs n = {0};
    for (size_t from = 0; from < value.len; from += SIGNS_AT_ONCE) {
        uint64_t sum = 0;
        for (size_t i = from; i < value.len && i - from < SIGNS_AT_ONCE; i++) {
            sum += sign_of[value.ptr[i]];
        }
        n.digits += signs_among(sum, 0);
        n.dots += signs_among(sum, 1);
        n.colons += signs_among(sum, 2);
        n.dashes += signs_among(sum, 3);
        n.ats += signs_among(sum, 4);
    }
    return n;
}

static bool is_local_part(uint8_t c)
{
    return is_alnum(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
}

static bool is_host(uint8_t c)
{
    return is_alnum(c) || c == '.' || c == '-';
}

/* host.tld, where the last part has two letters at least and nothing else. */
static bool host_has_tld(struct slice host)
{
    while (host.len > 0 && (host.ptr[host.len - 1] == '.' || host.ptr[host.len - 1] == '-')) {
        host.len--;
    }
    size_t n = 0;
    while (n < host.len && is_letter(host.ptr[host.len - 1 - n])) {
        n++;
    }
    return n >= 2 && host.len > n + 1 && host.ptr[host.len - 1 - n] == '.';
}

static bool has_email(struct slice value)
{
    for (size_t i = 1; i < value.len; i++) {
        size_t behind = i + 1;
        if (value.ptr[i] == '@' && is_local_part(value.ptr[i - 1]) &&
            host_has_tld(run_of(value, &behind, is_host))) {
            return true;
        }
    }
    return false;
}

static bool is_uuid(struct slice s)
{
    bool any = false;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.ptr[i] != '-' : !is_hex(s.ptr[i])) {
            return false;
        }
        any |= !dash && s.ptr[i] != '0';
    }
    return any;
}

/* 32 hexadecimal digits may be any hash: the version (1 to 8) and the variant (8 to b) tell. */
static bool is_bare_uuid(struct slice s)
{
    return s.len == UUID_DIGITS && s.ptr[12] >= '1' && s.ptr[12] <= '8' &&
           strchr("89abAB", s.ptr[16]) != NULL;
}

static bool has_uuid(struct slice value)
{
    size_t i = 0;
    while (i < value.len) {
        size_t from = i;
        struct slice run = run_of(value, &i, is_hex);
        bool is_apart = (from == 0 || !is_alnum(value.ptr[from - 1])) && !is_alnum(at(value, i));
        if (is_apart && is_bare_uuid(run)) {
            return true;
        }
        if (run.len >= 8 && from + run.len - 8 + UUID_BYTES <= value.len &&
            is_uuid(slice_of(value.ptr + i - 8, UUID_BYTES)) &&
            !is_hex(at(value, i - 8 + UUID_BYTES))) {
            return true;
        }
        i += i == from ? 1 : 0;
    }
    return false;
}

static bool is_ipv6_sign(uint8_t c)
{
    return is_hex(c) || c == ':' || c == '.';
}

static bool is_ipv6(struct slice s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    struct signs n = signs_of(s);
    if (n.colons < 2 || n.digits == 0 || s.len >= sizeof text) {
        return false;
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    uint32_t n_groups = 0;
    for (size_t i = 0; i < s.len; i++) {
        n_groups += s.ptr[i] != ':' && (i == 0 || s.ptr[i - 1] == ':');
    }
    return n_groups >= 2 && inet_pton(AF_INET6, text, &address) == 1;
}

static bool has_ipv6(struct slice value)
{
    for (size_t i = 0; i < value.len;) {
        size_t from = i;
        struct slice run = run_of(value, &i, is_ipv6_sign);
        bool is_apart = (from == 0 || !is_alnum(value.ptr[from - 1])) && !is_alnum(at(value, i));
        if (is_apart && is_ipv6(run)) {
            return true;
        }
        i += i == from ? 1 : 0;
    }
    return false;
}

static bool is_ipv4_sign(uint8_t c)
{
    return is_digit(c) || c == '.';
}

/* Four numbers to 255 without leading zeros. */
static bool ipv4_read(struct slice s, uint32_t parts[4])
{
    size_t i = 0;
    for (int k = 0; k < 4; k++) {
        size_t from = i;
        struct slice part = run_of(s, &i, is_digit);
        parts[k] = 0;
        for (size_t n = 0; n < part.len && n < 4; n++) {
            parts[k] = parts[k] * 10 + (part.ptr[n] - '0');
        }
        if (part.len == 0 || part.len > 3 || parts[k] > 255 ||
            (part.len > 1 && part.ptr[0] == '0') || (k < 3 && at(s, i) != '.') || i == from) {
            return false;
        }
        i += k < 3 ? 1 : 0;
    }
    return i == s.len;
}

static bool is_version(struct slice value, size_t from, size_t to, const uint32_t parts[4])
{
    bool low = parts[0] != 10;
    for (int k = 0; k < 4; k++) {
        low = low && parts[k] <= MAX_VERSION_PART;
    }
    uint8_t sign = at(value, to);
    uint8_t before = from > 0 ? value.ptr[from - 1] : 0;
    bool is_v = (before == 'v' || before == 'V') && (from < 2 || !is_alnum(value.ptr[from - 2]));
    return low || is_v || ((sign == '-' || sign == '+') && is_letter(at(value, to + 1)));
}

static bool has_ipv4(struct slice value)
{
    for (size_t i = 0; i < value.len;) {
        size_t from = i;
        uint32_t parts[4];
        struct slice run = run_of(value, &i, is_ipv4_sign);
        while (run.len > 0 && run.ptr[run.len - 1] == '.') { /* the end of a sentence */
            run.len--;
        }
        if (run.len > 0 && ipv4_read(run, parts) &&
            !is_version(value, from, from + run.len, parts) &&
            !is_letter(at(value, from + run.len))) {
            return true;
        }
        i += i == from ? 1 : 0;
    }
    return false;
}

static uint32_t number_at(struct slice s, size_t from, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v * 10 + (s.ptr[from + i] - '0');
    }
    return v;
}

/* YYYYMMDDhhmm or YYYYMMDDhhmmss of this century. */
static bool is_time(struct slice digits)
{
    if (digits.len != 12 && digits.len != 14) {
        return false;
    }
    uint32_t month = number_at(digits, 4, 2);
    uint32_t day = number_at(digits, 6, 2);
    return number_at(digits, 0, 2) == 20 && month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
           number_at(digits, 8, 2) < 24 && number_at(digits, 10, 2) < 60;
}

/* Are the digits at from … to part of a hash: a run of hexadecimal digits on its own, an eighth of
 * it letters? */
static bool is_in_hash(struct slice value, size_t from, size_t to)
{
    size_t n_letters = 0;
    while (from > 0 && is_hex(value.ptr[from - 1])) {
        from--;
    }
    while (to < value.len && is_hex(value.ptr[to])) {
        to++;
    }
    for (size_t i = from; i < to; i++) {
        n_letters += is_letter(value.ptr[i]);
    }
    bool is_0x = from >= 2 && value.ptr[from - 1] == 'x' && value.ptr[from - 2] == '0';
    bool is_apart =
        (from == 0 || is_0x || !is_alnum(value.ptr[from - 1])) && !is_alnum(at(value, to));
    return is_apart && to - from >= MIN_HASH_BYTES && n_letters >= 2 && n_letters * 8 >= to - from;
}

static bool is_one_digit(struct slice run)
{
    return run.len > 0 && memcmp(run.ptr, run.ptr + 1, run.len - 1) == 0;
}

static bool has_digit_run(struct slice value, size_t digit_run)
{
    for (size_t i = 0; i < value.len;) {
        size_t from = i;
        struct slice run = run_of(value, &i, is_digit);
        if (run.len >= digit_run && !is_time(run) && !is_one_digit(run) &&
            !is_in_hash(value, from, i)) {
            return true;
        }
        i += i == from ? 1 : 0;
    }
    return false;
}

enum personal_data personal_data_find(const struct detectors *d, struct slice label,
                                      struct slice value)
{
    struct signs n = signs_of(value);
    if (d->on[PERSONAL_EMAIL] && n.ats > 0 && n.dots > 0 && has_email(value)) {
        return PERSONAL_EMAIL;
    }
    bool may_be_uuid = value.len >= UUID_DIGITS && (n.dashes >= 4 || n.digits > 0);
    bool may_be_digits = (int64_t)n.digits >= d->digit_run;
    bool may_be_ip = n.colons >= 2 || (n.dots >= 3 && n.digits >= 4);
    if ((!may_be_uuid && !may_be_digits && !may_be_ip) || glob_any(&d->exempt, label)) {
        return PERSONAL_NONE;
    }
    if (d->on[PERSONAL_UUID] && may_be_uuid && has_uuid(value)) {
        return PERSONAL_UUID;
    }
    if (d->on[PERSONAL_IPV6] && n.colons >= 2 && has_ipv6(value)) {
        return PERSONAL_IPV6;
    }
    if (d->on[PERSONAL_IPV4] && n.dots >= 3 && has_ipv4(value)) {
        return PERSONAL_IPV4;
    }
    bool digits = d->on[PERSONAL_DIGITS] && may_be_digits;
    return digits && has_digit_run(value, (size_t)d->digit_run) ? PERSONAL_DIGITS : PERSONAL_NONE;
}

const char *personal_data_text(enum personal_data kind)
{
    static const char *const texts[N_PERSONAL] = {
        [PERSONAL_NONE] = "is no personal data",
        [PERSONAL_EMAIL] = "looks like an e-mail address",
        [PERSONAL_UUID] = "looks like a UUID",
        [PERSONAL_IPV6] = "looks like an IPv6 address",
        [PERSONAL_IPV4] = "looks like an IPv4 address",
        [PERSONAL_DIGITS] = "has a long run of digits, as account and phone numbers have",
    };
    return texts[kind];
}
