#include "wire/otlp_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/json.h"
#include "wire/otlp_json_fields.h"
#include "wire/protobuf.h"

const struct otlp_json_caps otlp_json_default_caps = {.max_json_bytes = 32 << 20,
                                                      .max_message_bytes = 8 << 20};

enum { NUMBER_BYTES = 1024, PATH_BYTES = 160, NO_INDEX = -1 };
#define MAX_EXACT 9007199254740992.0 /* 2^53 */

/* A step of the way to the value at hand. */
struct step {
    const char *name;
    int64_t index; /* NO_INDEX: not in an array */
};

struct translation {
    struct json_reader json;
    struct buf *out;
    struct step steps[JSON_MAX_DEPTH + 1];
    uint32_t n_steps;
};

/* ---- numbers ---- */

static bool number_text(struct translation *t, struct slice *out)
{
    return json_peek(&t->json) == JSON_KIND_STRING ? json_take_string(&t->json, out)
                                                   : json_take_number(&t->json, out);
}

/* The text is a number as JSON has it. */
static bool double_parse(struct slice text, double *out)
{
    char space[NUMBER_BYTES];
    if (text.len >= sizeof space) {
        return false;
    }
    memcpy(space, text.ptr, text.len);
    space[text.len] = '\0';
    *out = strtod(space, NULL);
    return isfinite(*out);
}

static bool double_read(struct translation *t, double *out)
{
    bool is_string = json_peek(&t->json) == JSON_KIND_STRING;
    struct slice text;
    if (!number_text(t, &text)) {
        return false;
    }
    if (is_string && slice_eq_str(text, "NaN")) {
        *out = NAN;
    } else if (is_string && slice_eq_str(text, "Infinity")) {
        *out = INFINITY;
    } else if (is_string && slice_eq_str(text, "-Infinity")) {
        *out = -INFINITY;
    } else if (!json_is_number(text)) {
        return json_fail(&t->json, "must be a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
    } else if (!double_parse(text, out)) {
        return json_fail(&t->json, "a number beyond what a double holds");
    }
    return true;
}

struct integer {
    uint64_t magnitude;
    bool is_negative;
};

static bool digits_parse(struct slice text, struct integer *out)
{
    out->is_negative = text.ptr[0] == '-';
    out->magnitude = 0;
    for (size_t i = out->is_negative; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' ||
            __builtin_mul_overflow(out->magnitude, 10, &out->magnitude) ||
            __builtin_add_overflow(out->magnitude, (uint64_t)(text.ptr[i] - '0'), &out->magnitude)) {
            return false;
        }
    }
    return true;
}

/* Written with a point or an exponent it must be whole, and exact. */
static bool integer_parse(struct slice text, struct integer *out)
{
    double v;
    if (digits_parse(text, out)) {
        return true;
    }
    if (!double_parse(text, &v) || v != floor(v) || fabs(v) > MAX_EXACT) {
        return false;
    }
    *out = (struct integer){(uint64_t)fabs(v), v < 0};
    return true;
}

static bool integer_read(struct translation *t, struct integer *out)
{
    struct slice text;
    if (!number_text(t, &text)) {
        return false;
    }
    return (json_is_number(text) && integer_parse(text, out)) ||
           json_fail(&t->json, "must be a whole number of 64 bits, or one in a string");
}

/* In two's complement. */
static bool signed_read(struct translation *t, uint64_t max, uint64_t *out)
{
    struct integer v;
    if (!integer_read(t, &v)) {
        return false;
    }
    *out = v.is_negative ? 0 - v.magnitude : v.magnitude;
    return v.magnitude <= max + v.is_negative || json_fail(&t->json, "a number out of range");
}

static bool unsigned_read(struct translation *t, uint64_t max, uint64_t *out)
{
    struct integer v;
    if (!integer_read(t, &v)) {
        return false;
    }
    *out = v.magnitude;
    return (v.magnitude <= max && (!v.is_negative || v.magnitude == 0)) ||
           json_fail(&t->json, "a number out of range");
}

/* ---- other scalars ---- */

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Standard or for URLs, padded or not (ProtoJSON takes all four); appends. */
static bool base64_read(struct translation *t, struct slice text)
{
    size_t n = text.len;
    while (n > 0 && text.len - n < 2 && text.ptr[n - 1] == '=') {
        n--;
    }
    if (n % 4 == 1 || (n != text.len && text.len % 4 != 0)) {
        return json_fail(&t->json, "not base64");
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0) {
            return json_fail(&t->json, "not base64");
        }
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 0) {
            buf_u8(t->out, (uint8_t)(bits >> (6 - i % 4 * 2)));
        }
    }
    return true;
}

static bool bool_read(struct translation *t, uint64_t *out)
{
    enum json_kind kind = json_peek(&t->json);
    *out = kind == JSON_KIND_TRUE;
    return kind == JSON_KIND_TRUE || kind == JSON_KIND_FALSE
               ? json_skip(&t->json)
               : json_fail(&t->json, "must be true or false");
}

/* A number that is not known stays as it is, as protobuf's enums are open. */
static bool temporality_read(struct translation *t, uint64_t *out)
{
    static const char *const names[] = {"AGGREGATION_TEMPORALITY_UNSPECIFIED",
                                        "AGGREGATION_TEMPORALITY_DELTA",
                                        "AGGREGATION_TEMPORALITY_CUMULATIVE"};
    struct slice name;
    if (json_peek(&t->json) == JSON_KIND_NUMBER) {
        return signed_read(t, INT32_MAX, out);
    }
    if (!json_take_string(&t->json, &name)) {
        return false;
    }
    for (uint64_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_eq_str(name, names[i])) {
            *out = i;
            return true;
        }
    }
    return json_fail(&t->json, "no such temporality");
}

/* ---- fields ---- */

static void tag_put(struct translation *t, const struct json_field *f, enum pb_wire wire)
{
    buf_varint(t->out, PB_TAG(f->number, wire));
}

/* Puts the length of what was written from start on in front of it. */
static bool length_insert(struct translation *t, size_t start)
{
    struct buf *out = t->out;
    size_t len = out->len - start;
    uint8_t head[10];
    struct buf varint = {.ptr = head, .cap = sizeof head, .max_bytes = sizeof head};
    buf_varint(&varint, len);
    if (buf_ok(out) && buf_extend(out, varint.len) != NULL) {
        memmove(out->ptr + start + varint.len, out->ptr + start, len);
        memcpy(out->ptr + start, head, varint.len);
    }
    return buf_ok(out) || json_fail(&t->json, "what it becomes is too large");
}

/* A number without its tag. */
static bool number_put(struct translation *t, const struct json_field *f)
{
    uint64_t v = 0;
    double d = 0;
    bool ok;
    switch ((enum json_field_type)f->type) {
    case FIELD_DOUBLE:
        ok = double_read(t, &d);
        buf_double(t->out, d);
        return ok;
    case FIELD_FIXED64:
        ok = unsigned_read(t, UINT64_MAX, &v);
        buf_le64(t->out, v);
        return ok;
    case FIELD_SFIXED64:
        ok = signed_read(t, INT64_MAX, &v);
        buf_le64(t->out, v);
        return ok;
    case FIELD_INT64:
        ok = signed_read(t, INT64_MAX, &v);
        break;
    case FIELD_UINT64:
        ok = unsigned_read(t, UINT64_MAX, &v);
        break;
    case FIELD_UINT32:
        ok = unsigned_read(t, UINT32_MAX, &v);
        break;
    case FIELD_SINT32:
        ok = signed_read(t, INT32_MAX, &v);
        v = v << 1 ^ (0 - (v >> 63)); /* zigzag */
        break;
    case FIELD_TEMPORALITY:
        ok = temporality_read(t, &v);
        break;
    default:
        ok = bool_read(t, &v);
        break;
    }
    buf_varint(t->out, v);
    return ok;
}

static enum pb_wire wire_of(const struct json_field *f)
{
    bool is_fixed =
        f->type == FIELD_DOUBLE || f->type == FIELD_FIXED64 || f->type == FIELD_SFIXED64;
    return is_fixed ? PB_I64 : PB_VARINT;
}

static bool message_read(struct translation *t, const struct json_message *m);

/* One value with its tag. */
static bool value_put(struct translation *t, const struct json_field *f)
{
    bool is_text = f->type == FIELD_STRING || f->type == FIELD_BYTES;
    struct slice text;
    if (!is_text && f->type != FIELD_MESSAGE) {
        tag_put(t, f, wire_of(f));
        return number_put(t, f);
    }
    tag_put(t, f, PB_LEN);
    size_t start = t->out->len;
    if (is_text && !json_take_string(&t->json, &text)) {
        return false;
    }
    if (f->type == FIELD_STRING) {
        buf_varint_bytes(t->out, text);
        return buf_ok(t->out) || json_fail(&t->json, "what it becomes is too large");
    }
    bool ok = is_text ? base64_read(t, text) : message_read(t, f->message);
    return ok && length_insert(t, start);
}

/* The array's numbers as one packed field. */
static bool packed_put(struct translation *t, const struct json_field *f, struct step *step)
{
    size_t before = t->out->len;
    tag_put(t, f, PB_LEN);
    size_t start = t->out->len;
    for (step->index = 0; json_item(&t->json); step->index++) {
        if (!number_put(t, f)) {
            return false;
        }
    }
    if (t->out->len == start) { /* nothing is no field */
        t->out->len = before;
        return json_ok(&t->json);
    }
    return json_ok(&t->json) && length_insert(t, start);
}

static bool array_put(struct translation *t, const struct json_field *f, struct step *step)
{
    if (!json_enter(&t->json, '[')) {
        return false;
    }
    if (f->type != FIELD_MESSAGE) {
        return packed_put(t, f, step);
    }
    for (step->index = 0; json_item(&t->json); step->index++) {
        if (!value_put(t, f)) {
            return false;
        }
    }
    return json_ok(&t->json);
}

static bool field_put(struct translation *t, const struct json_field *f)
{
    struct step *step = &t->steps[t->n_steps++];
    *step = (struct step){f->name, NO_INDEX};
    bool ok = f->is_repeated ? array_put(t, f, step) : value_put(t, f);
    t->n_steps -= ok; /* of a failure the way is told */
    return ok;
}

/* ---- messages ---- */

/* "time_unix_nano" is "timeUnixNano" as protobuf names it. */
static bool is_snake(struct slice key, const char *name)
{
    size_t at = 0;
    for (; *name != '\0'; name++) {
        if (*name >= 'A' && *name <= 'Z') {
            if (at + 1 >= key.len || key.ptr[at] != '_' || key.ptr[at + 1] != (*name | 0x20)) {
                return false;
            }
            at += 2;
        } else if (at >= key.len || key.ptr[at++] != *name) {
            return false;
        }
    }
    return at == key.len;
}

/* NULL: not known. */
static const struct json_field *field_find(struct translation *t, const struct json_message *m,
                                           struct slice key)
{
    const struct json_field *f = m->fields;
    bool has_underscore = memchr(key.ptr, '_', key.len) != NULL;
    for (; f->name != NULL; f++) {
        if (slice_eq_str(key, f->name)) {
            return f;
        }
        if (has_underscore && is_snake(key, f->name)) {
            t->steps[t->n_steps++] = (struct step){f->name, NO_INDEX};
            (void)json_fail(&t->json, "the key must be written so, not in snake_case");
            return NULL;
        }
    }
    return NULL;
}

/* Which fields of a message have come. */
struct seen {
    uint32_t fields;
    bool has_choice;
};

static bool member_read(struct translation *t, const struct json_message *m,
                        const struct json_field *f, struct seen *seen)
{
    uint32_t bit = UINT32_C(1) << (f - m->fields);
    if (seen->fields & bit) {
        t->steps[t->n_steps++] = (struct step){f->name, NO_INDEX};
        return json_fail(&t->json, "stands there twice");
    }
    seen->fields |= bit;
    if (json_peek(&t->json) == JSON_KIND_NULL) {
        return json_skip(&t->json);
    }
    if (f->is_choice && seen->has_choice) {
        t->steps[t->n_steps++] = (struct step){f->name, NO_INDEX};
        return json_fail(&t->json, "only one of its kind can stand there");
    }
    seen->has_choice |= f->is_choice;
    return field_put(t, f);
}

/* Recursion ends where the reader's nesting does. */
static bool message_read(struct translation *t, const struct json_message *m)
{
    struct seen seen = {0};
    struct slice key;
    if (!json_enter(&t->json, '{')) {
        return false;
    }
    while (json_key(&t->json, &key)) {
        const struct json_field *f = field_find(t, m, key);
        bool ok = f != NULL ? member_read(t, m, f, &seen) : json_skip(&t->json);
        if (!ok) {
            return false;
        }
    }
    return json_ok(&t->json);
}

/* "a[0].b[1].c: "; the beginning gives way when there is no room for all. */
static void path_print(const struct translation *t, char *out)
{
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < t->n_steps && n < PATH_BYTES; i++) {
        const struct step *s = &t->steps[i];
        char index[24] = "";
        if (s->index != NO_INDEX) {
            (void)snprintf(index, sizeof index, "[%" PRId64 "]", s->index);
        }
        int len = snprintf(out + n, PATH_BYTES - n, "%s%s%s", i == 0 ? "" : ".", s->name, index);
        n += len < 0 ? 0 : (size_t)len;
    }
    if (n > 0) {
        n = n < PATH_BYTES - 3 ? n : PATH_BYTES - 3;
        memcpy(out + n, ": ", 3);
    }
}

bool otlp_json_read(struct slice json, const struct otlp_json_caps *caps, struct buf *out,
                    struct err *e)
{
    if (json.len > caps->max_json_bytes) {
        return err_set_code(e, ERR_BAD_INPUT, PB_TOO_LARGE, "JSON of %zu bytes, more than %zu",
                            json.len, caps->max_json_bytes);
    }
    struct translation t = {.out = out};
    const size_t max_bytes = out->max_bytes;
    if (caps->max_message_bytes < max_bytes - out->len) {
        out->max_bytes = out->len + caps->max_message_bytes;
    }
    json_open(&t.json, json);
    bool ok = message_read(&t, &otlp_json_root) && json_end(&t.json);
    if (!buf_ok(out)) {
        ok = err_set_code(e, ERR_BAD_INPUT, PB_TOO_LARGE, "becomes a message of more than %zu bytes",
                          caps->max_message_bytes);
    } else if (!ok) {
        char path[PATH_BYTES];
        path_print(&t, path);
        (void)err_set(e, ERR_BAD_INPUT, "%s%s, at byte %zu", path, t.json.fault, t.json.at);
    }
    json_close(&t.json);
    out->max_bytes = max_bytes;
    return ok;
}
