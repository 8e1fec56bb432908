#include "wire/json.h"

#include "base/utf8.h"

void json_open(struct json_reader *j, struct slice text)
{
    *j = (struct json_reader){.text = text};
    buf_init(&j->space, text.len + 1);
    if (slice_starts_with(text, SLICE_LITERAL("\xef\xbb\xbf"))) {
        j->at = 3;
    }
}

void json_close(struct json_reader *j)
{
    buf_fini(&j->space);
}

bool json_fail(struct json_reader *j, const char *fault)
{
    if (j->fault == NULL) {
        j->fault = fault;
    }
    return false;
}

static int byte_at(const struct json_reader *j, size_t at)
{
    return at < j->text.len ? j->text.ptr[at] : -1;
}

/* The next byte that is not white space; -1 at the end and after a fault. */
static int next_byte(struct json_reader *j)
{
    if (j->fault != NULL) {
        return -1;
    }
    for (;; j->at++) {
        int c = byte_at(j, j->at);
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return c;
        }
    }
}

enum json_kind json_peek(struct json_reader *j)
{
    int c = next_byte(j);
    switch (c) {
    case '{':
        return JSON_KIND_OBJECT;
    case '[':
        return JSON_KIND_ARRAY;
    case '"':
        return JSON_KIND_STRING;
    case 't':
        return JSON_KIND_TRUE;
    case 'f':
        return JSON_KIND_FALSE;
    case 'n':
        return JSON_KIND_NULL;
    default:
        return c == '-' || (c >= '0' && c <= '9') ? JSON_KIND_NUMBER : JSON_KIND_BAD;
    }
}

/* ---- objects and arrays ---- */

bool json_enter(struct json_reader *j, char bracket)
{
    if (next_byte(j) != bracket) {
        return json_fail(j, bracket == '{' ? "an object was expected" : "an array was expected");
    }
    if (j->depth == JSON_MAX_DEPTH) {
        return json_fail(j, "nests too deeply");
    }
    j->at++;
    j->levels[j->depth].end = bracket == '{' ? '}' : ']';
    j->levels[j->depth++].has_begun = false;
    return true;
}

bool json_item(struct json_reader *j)
{
    int c = next_byte(j);
    if (j->fault != NULL) {
        return false;
    }
    bool is_first = !j->levels[j->depth - 1].has_begun;
    if (c == j->levels[j->depth - 1].end) {
        j->at++;
        j->depth--;
        return false;
    }
    if (!is_first && c != ',') {
        return json_fail(j, c < 0 ? "the text is cut off" : "a comma or the end was expected");
    }
    j->at += !is_first;
    j->levels[j->depth - 1].has_begun = true;
    return true;
}

bool json_key(struct json_reader *j, struct slice *key)
{
    if (!json_item(j)) {
        return false;
    }
    if (json_peek(j) != JSON_KIND_STRING) {
        return json_fail(j, "a key was expected");
    }
    if (!json_take_string(j, key)) {
        return false;
    }
    if (next_byte(j) != ':') {
        return json_fail(j, "a colon was expected");
    }
    j->at++;
    return true;
}

/* ---- strings ---- */

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at `at`; -1 when they are none. */
static int32_t hex4(const struct json_reader *j, size_t at)
{
    int32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(byte_at(j, at + i));
        if (digit < 0) {
            return -1;
        }
        v = v * 16 + digit;
    }
    return v;
}

static void put_utf8(struct buf *b, uint32_t code)
{
    if (code < 0x80) {
        buf_u8(b, (uint8_t)code);
    } else if (code < 0x800) {
        buf_u8(b, (uint8_t)(0xc0 | code >> 6));
        buf_u8(b, (uint8_t)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        buf_u8(b, (uint8_t)(0xe0 | code >> 12));
        buf_u8(b, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (code & 0x3f)));
    } else {
        buf_u8(b, (uint8_t)(0xf0 | code >> 18));
        buf_u8(b, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        buf_u8(b, (uint8_t)(0x80 | (code & 0x3f)));
    }
}

/* Behind "\u"; a pair of surrogates is one character. */
static bool unicode_read(struct json_reader *j)
{
    int32_t high = hex4(j, j->at);
    if (high < 0) {
        return json_fail(j, "\\u wants four hex digits");
    }
    j->at += 4;
    if (high < 0xd800 || high > 0xdfff) {
        put_utf8(&j->space, (uint32_t)high);
        return true;
    }
    int32_t low = byte_at(j, j->at) == '\\' && byte_at(j, j->at + 1) == 'u' ? hex4(j, j->at + 2) : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return json_fail(j, "half of a surrogate pair");
    }
    j->at += 6;
    put_utf8(&j->space, 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
    return true;
}

/* Behind the backslash. */
static bool escape_read(struct json_reader *j)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    int c = byte_at(j, j->at++);
    if (c == 'u') {
        return unicode_read(j);
    }
    const char *found = c <= 0 ? NULL : strchr(from, c);
    if (found == NULL) {
        j->at--;
        return json_fail(j, "no such escape");
    }
    buf_u8(&j->space, (uint8_t)to[found - from]);
    return true;
}

/* Where the plain run from `at` on ends: at a quote, a backslash, a control character, the end. */
static size_t run_end(const struct json_reader *j, size_t at)
{
    while (at < j->text.len && j->text.ptr[at] != '"' && j->text.ptr[at] != '\\' &&
           j->text.ptr[at] >= 0x20) {
        at++;
    }
    return at;
}

static bool plain_check(struct json_reader *j, struct slice run)
{
    size_t bad = utf8_check(run);
    if (bad == run.len) {
        return true;
    }
    j->at = (size_t)(run.ptr - j->text.ptr) + bad;
    return json_fail(j, "not UTF-8");
}

bool json_take_string(struct json_reader *j, struct slice *out)
{
    if (next_byte(j) != '"') {
        return json_fail(j, "a string was expected");
    }
    buf_reset(&j->space);
    size_t start = ++j->at;
    for (bool has_escapes = false;; has_escapes = true) {
        struct slice run = slice_of(j->text.ptr + start, run_end(j, start) - start);
        if (!plain_check(j, run)) {
            return false;
        }
        j->at = start + run.len;
        int c = byte_at(j, j->at);
        if (c == '"') {
            j->at++;
            if (has_escapes) {
                buf_put_slice(&j->space, run);
            }
            *out = has_escapes ? buf_slice(&j->space) : run;
            return buf_ok(&j->space) || json_fail(j, "out of memory");
        }
        if (c != '\\') {
            return json_fail(j, c < 0 ? "the text is cut off" : "a control character in a string");
        }
        buf_put_slice(&j->space, run);
        j->at++;
        if (!escape_read(j)) {
            return false;
        }
        start = j->at;
    }
}

/* ---- numbers and words ---- */

static size_t digits(struct slice s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && s.ptr[at + n] >= '0' && s.ptr[at + n] <= '9') {
        n++;
    }
    return n;
}

static bool is_at(struct slice s, size_t at, const char *any)
{
    return at < s.len && s.ptr[at] != '\0' && strchr(any, s.ptr[at]) != NULL;
}

/* How long the number is that s begins with; 0 = none. */
static size_t number_len(struct slice s)
{
    size_t at = is_at(s, 0, "-");
    size_t n = digits(s, at);
    if (n == 0 || (n > 1 && s.ptr[at] == '0')) {
        return 0;
    }
    at += n;
    if (is_at(s, at, ".")) {
        n = digits(s, at + 1);
        if (n == 0) {
            return 0;
        }
        at += 1 + n;
    }
    if (is_at(s, at, "eE")) {
        size_t sign = is_at(s, at + 1, "+-");
        n = digits(s, at + 1 + sign);
        if (n == 0) {
            return 0;
        }
        at += 1 + sign + n;
    }
    return at;
}

bool json_is_number(struct slice s)
{
    return s.len > 0 && number_len(s) == s.len;
}

bool json_take_number(struct json_reader *j, struct slice *out)
{
    if (json_peek(j) != JSON_KIND_NUMBER) {
        return json_fail(j, "a number was expected");
    }
    struct slice rest = slice_of(j->text.ptr + j->at, j->text.len - j->at);
    size_t n = number_len(rest);
    if (n == 0 || is_at(rest, n, "0123456789.")) {
        return json_fail(j, "not a number as JSON has it");
    }
    *out = slice_of(rest.ptr, n);
    j->at += n;
    return true;
}

static bool word_read(struct json_reader *j, const char *word)
{
    struct slice rest = slice_of(j->text.ptr + j->at, j->text.len - j->at);
    if (!slice_starts_with(rest, slice_str(word))) {
        return json_fail(j, "not a value");
    }
    j->at += strlen(word);
    return true;
}

/* One step: a scalar as a whole, of an object or array its beginning. */
static bool skip_step(struct json_reader *j)
{
    struct slice nothing;
    switch (json_peek(j)) {
    case JSON_KIND_OBJECT:
        return json_enter(j, '{');
    case JSON_KIND_ARRAY:
        return json_enter(j, '[');
    case JSON_KIND_STRING:
        return json_take_string(j, &nothing);
    case JSON_KIND_NUMBER:
        return json_take_number(j, &nothing);
    case JSON_KIND_TRUE:
        return word_read(j, "true");
    case JSON_KIND_FALSE:
        return word_read(j, "false");
    case JSON_KIND_NULL:
        return word_read(j, "null");
    default:
        return json_fail(j, next_byte(j) < 0 ? "the text is cut off" : "not a value");
    }
}

bool json_skip(struct json_reader *j)
{
    const uint32_t depth = j->depth;
    struct slice key;
    if (!skip_step(j)) {
        return false;
    }
    while (j->depth > depth) {
        bool is_object = j->levels[j->depth - 1].end == '}';
        bool has_more = is_object ? json_key(j, &key) : json_item(j);
        if (!json_ok(j) || (has_more && !skip_step(j))) {
            return false;
        }
    }
    return true;
}

bool json_end(struct json_reader *j)
{
    return next_byte(j) < 0 ? json_ok(j) : json_fail(j, "more behind the end");
}
