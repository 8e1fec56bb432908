#include "policy/names.h"

#include <string.h>

enum { MAX_TOKENS = 272, UNIT_BYTES = 160 };

struct unit_name {
    const char *ucum;
    const char *name;
};

static const struct unit_name units[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
};
static const struct unit_name per_units[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

enum { LETTER = 1, DIGIT = 2, COLON = 4, UNDERSCORE = 8 };

static const uint8_t kind_of[256] = {
    ['a'... 'z'] = LETTER, ['A'... 'Z'] = LETTER, ['0'... '9'] = DIGIT, [':'] = COLON, ['_'] = UNDERSCORE,
};

static bool is_letter(uint8_t c)
{
    return (kind_of[c] & LETTER) != 0;
}

static bool is_digit(uint8_t c)
{
    return (kind_of[c] & DIGIT) != 0;
}

static bool is_name_char(uint8_t c)
{
    return (kind_of[c] & (LETTER | DIGIT | COLON)) != 0;
}

/* The second and later bytes of a character in UTF-8. */
static bool is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

struct tokens {
    struct slice items[MAX_TOKENS];
    size_t n;
};

static void token_add(struct tokens *t, struct slice s)
{
    if (t->n < MAX_TOKENS) {
        t->items[t->n++] = s;
    }
}

static bool token_has(const struct tokens *t, struct slice s)
{
    for (size_t i = 0; i < t->n; i++) {
        if (slice_eq(t->items[i], s)) {
            return true;
        }
    }
    return false;
}

/* To the end, once. */
static void token_move_last(struct tokens *t, struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!slice_eq(t->items[i], s)) {
            t->items[n++] = t->items[i];
        }
    }
    t->n = n;
    token_add(t, s);
}

static void tokens_split(struct slice name, struct tokens *t)
{
    size_t at = 0;
    while (at < name.len) {
        size_t from = at;
        while (at < name.len && is_name_char(name.ptr[at])) {
            at++;
        }
        if (at > from) {
            token_add(t, slice_of(name.ptr + from, at - from));
        }
        at += at < name.len ? 1 : 0;
    }
}

static struct slice trim_space(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || (s.ptr[0] >= '\t' && s.ptr[0] <= '\r'))) {
        s = slice_of(s.ptr + 1, s.len - 1);
    }
    while (s.len > 0 &&
           (s.ptr[s.len - 1] == ' ' || (s.ptr[s.len - 1] >= '\t' && s.ptr[s.len - 1] <= '\r'))) {
        s.len--;
    }
    return s;
}

static bool is_annotated(struct slice s)
{
    return s.len > 0 && (memchr(s.ptr, '{', s.len) != NULL || memchr(s.ptr, '}', s.len) != NULL);
}

static struct slice unit_look_up(struct slice ucum, const struct unit_name *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_eq_str(ucum, table[i].ucum)) {
            return slice_str(table[i].name);
        }
    }
    return ucum;
}

/* A unit as part of a name: prefix and text, other characters as _, runs of _ as one, none in
 * front. Into space, which holds UNIT_BYTES. */
static struct slice unit_clean(const char *prefix, struct slice text, uint8_t *space)
{
    size_t n = 0;
    struct slice parts[] = {slice_str(prefix), text};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < parts[k].len && n < UNIT_BYTES; i++) {
            uint8_t c = parts[k].ptr[i];
            if (is_name_char(c)) {
                space[n++] = c;
            } else if (!is_continuation(c) && n > 0 && space[n - 1] != '_') {
                space[n++] = '_';
            }
        }
    }
    return slice_of(space, n);
}

static void trim_underscore(struct slice *s)
{
    if (s->len > 0 && s->ptr[s->len - 1] == '_') {
        s->len--;
    }
}

static void tokens_add_unit(struct tokens *t, struct slice unit, uint8_t *main_space,
                            uint8_t *per_space)
{
    const uint8_t *slash = unit.len == 0 ? NULL : memchr(unit.ptr, '/', unit.len);
    struct slice whole =
        trim_space(slash == NULL ? unit : slice_of(unit.ptr, (size_t)(slash - unit.ptr)));
    struct slice per = SLICE_NONE;
    if (slash != NULL) {
        per = trim_space(slice_of(slash + 1, unit.len - (size_t)(slash - unit.ptr) - 1));
    }
    struct slice main_name = SLICE_NONE;
    struct slice per_name = SLICE_NONE;
    if (whole.len > 0 && !is_annotated(whole)) {
        main_name =
            unit_clean("", unit_look_up(whole, units, sizeof units / sizeof units[0]), main_space);
    }
    if (per.len > 0 && !is_annotated(per)) {
        per_name =
            unit_clean("per_", unit_look_up(per, per_units, sizeof per_units / sizeof per_units[0]),
                       per_space);
    }
    if (token_has(t, main_name)) {
        main_name.len = 0;
    }
    if (slice_eq_str(per_name, "per_")) {
        per_name.len = 0;
    }
    trim_underscore(&per_name);
    if (token_has(t, per_name)) {
        per_name.len = 0;
    }
    if (per_name.len > 0) {
        trim_underscore(&main_name);
    }
    if (main_name.len > 0) {
        token_add(t, main_name);
    }
    if (per_name.len > 0) {
        token_add(t, per_name);
    }
}

/* At least one character that is not _. */
static bool is_usable(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] != '_') {
            return true;
        }
    }
    return false;
}

bool name_translate(struct slice name, struct slice unit, enum name_kind kind, struct buf *out)
{
    /* 5 KB that would be cleared for each name; what is read was written before. */
    __attribute__((uninitialized)) uint8_t main_space[UNIT_BYTES];
    __attribute__((uninitialized)) uint8_t per_space[UNIT_BYTES];
    __attribute__((uninitialized)) struct tokens t;
    t.n = 0;
    tokens_split(name, &t);
    tokens_add_unit(&t, unit, main_space, per_space);
    if (kind == NAME_COUNTER) {
        token_move_last(&t, SLICE_LITERAL("total"));
    }
    if (kind == NAME_GAUGE && slice_eq_str(unit, "1")) {
        token_move_last(&t, SLICE_LITERAL("ratio"));
    }
    size_t start = out->len;
    if (t.n > 0 && t.items[0].len > 0 && is_digit(t.items[0].ptr[0])) {
        buf_u8(out, '_');
    }
    for (size_t i = 0; i < t.n; i++) {
        if (i > 0) {
            buf_u8(out, '_');
        }
        buf_put_slice(out, t.items[i]);
    }
    return buf_ok(out) && is_usable(slice_of(out->ptr + start, out->len - start));
}

bool label_name_translate(struct slice name, struct buf *out)
{
    size_t start = out->len;
    if (name.len > 0 && is_digit(name.ptr[0])) {
        buf_put(out, "key_", 4);
    } else if (name.len > 0 && !is_letter(name.ptr[0])) {
        /* The first character becomes _; a second one behind it keeps "__" as it is. */
        size_t next = 1;
        while (next < name.len && is_continuation(name.ptr[next])) {
            next++;
        }
        bool twice = next < name.len && !is_letter(name.ptr[next]) && !is_digit(name.ptr[next]);
        if (!twice) {
            buf_put(out, "key", 3);
        }
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (is_letter(c) || is_digit(c)) {
            buf_u8(out, c);
        } else if (!is_continuation(c)) {
            buf_u8(out, '_');
        }
    }
    return buf_ok(out) && is_usable(slice_of(out->ptr + start, out->len - start));
}

static bool is_made_of(struct slice name, unsigned kinds)
{
    unsigned bad = 0;
    for (size_t i = 0; i < name.len; i++) {
        bad |= (kind_of[name.ptr[i]] & kinds) == 0;
    }
    return bad == 0 && name.len > 0 && !is_digit(name.ptr[0]);
}

bool name_valid(struct slice name)
{
    return is_made_of(name, LETTER | DIGIT | COLON | UNDERSCORE);
}

bool label_name_valid(struct slice name)
{
    return is_made_of(name, LETTER | DIGIT | UNDERSCORE);
}
