#include "policy/value_pattern.h"

enum { MAX_STEPS = 256, BYTES_IN_SET = 256, WORD_BITS = 64, UNBOUNDED = -1 };

/* One byte of the value. */
struct pattern_step {
    uint64_t set[BYTES_IN_SET / WORD_BITS];
    bool may_skip;
    bool may_repeat;
};

struct compiler {
    struct slice text;
    size_t at;
    struct pattern_step *steps;
    uint32_t n;
    struct err *e;
};

static void set_add(uint64_t *set, uint8_t from, uint8_t to)
{
    for (unsigned c = from; c <= to; c++) {
        set[c / WORD_BITS] |= UINT64_C(1) << (c % WORD_BITS);
    }
}

static bool set_has(const uint64_t *set, uint8_t c)
{
    return (set[c / WORD_BITS] >> (c % WORD_BITS) & 1) != 0;
}

static void set_invert(uint64_t *set)
{
    for (size_t i = 0; i < BYTES_IN_SET / WORD_BITS; i++) {
        set[i] = ~set[i];
    }
}

static bool complain(const struct compiler *c, const char *what)
{
    return err_set(c->e, ERR_CONFIG, "pattern: byte %zu: %s", c->at, what);
}

/* The next byte, or 0 at the end: a NUL in the pattern is refused before. */
static uint8_t peek(const struct compiler *c)
{
    return c->at < c->text.len ? c->text.ptr[c->at] : 0;
}

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind a backslash. *only: the one byte that it stands for, 0 = a set. */
static bool escape_read(struct compiler *c, uint64_t *set, uint8_t *only)
{
    uint8_t what = peek(c);
    *only = 0;
    if (what == 'd' || what == 'w') {
        set_add(set, '0', '9');
        if (what == 'w') {
            set_add(set, 'a', 'z');
            set_add(set, 'A', 'Z');
            set_add(set, '_', '_');
        }
    } else if (what == 0 || is_alnum(what)) {
        return complain(c, "\\ goes before d, w or a sign");
    } else {
        set_add(set, what, what);
        *only = what;
    }
    c->at++;
    return true;
}

static bool set_item_read(struct compiler *c, uint64_t *set)
{
    uint8_t from = peek(c);
    c->at++;
    if (from == '\\' && !escape_read(c, set, &from)) {
        return false;
    }
    uint8_t to = from;
    bool is_range = from != 0 && peek(c) == '-' && c->at + 1 < c->text.len &&
                    c->text.ptr[c->at + 1] != ']';
    if (is_range) {
        c->at++;
        to = peek(c);
        c->at++;
        if (to == '\\' || to < from) {
            return complain(c, "a range goes from the lower byte to the higher");
        }
    }
    if (from != 0) {
        set_add(set, from, to);
    }
    return true;
}

static bool set_read(struct compiler *c, uint64_t *set)
{
    bool is_not = peek(c) == '^';
    c->at += is_not ? 1 : 0;
    size_t first = c->at;
    while (peek(c) != ']') {
        if (peek(c) == 0) {
            return complain(c, "[ without ]");
        }
        if (!set_item_read(c, set)) {
            return false;
        }
    }
    if (c->at == first) {
        return complain(c, "[] has nothing in it");
    }
    c->at++;
    if (is_not) {
        set_invert(set);
    }
    return true;
}

static bool atom_read(struct compiler *c, uint64_t *set)
{
    uint8_t what = peek(c);
    uint8_t only;
    if (what == 0 || what >= 0x80) {
        return complain(c, "only ASCII; . stands for any byte");
    }
    if (strchr("*+?{}()|^$]", what) != NULL) {
        return complain(c, "this sign needs a \\ before it");
    }
    c->at++;
    switch (what) {
    case '.':
        set_invert(set);
        return true;
    case '[':
        return set_read(c, set);
    case '\\':
        return escape_read(c, set, &only);
    default:
        set_add(set, what, what);
        return true;
    }
}

/* 1 to 3 digits. */
static bool number_read(struct compiler *c, int *out)
{
    size_t first = c->at;
    *out = 0;
    while (peek(c) >= '0' && peek(c) <= '9' && c->at < first + 3) {
        *out = *out * 10 + (peek(c) - '0');
        c->at++;
    }
    return c->at > first || complain(c, "{ goes with numbers, as in {2,5}");
}

static bool times_read(struct compiler *c, int *min, int *max)
{
    if (!number_read(c, min)) {
        return false;
    }
    *max = *min;
    if (peek(c) == ',') {
        c->at++;
        *max = UNBOUNDED;
        if (peek(c) != '}' && !number_read(c, max)) {
            return false;
        }
    }
    if (peek(c) != '}') {
        return complain(c, "{ without }");
    }
    c->at++;
    return *max == UNBOUNDED || (*max >= *min && *max > 0) ||
           complain(c, "{m,n} must be a rising range above 0");
}

static bool how_often_read(struct compiler *c, int *min, int *max)
{
    uint8_t what = peek(c);
    *min = what == '*' || what == '?' ? 0 : 1;
    *max = what == '*' || what == '+' ? UNBOUNDED : 1;
    if (what == '*' || what == '+' || what == '?' || what == '{') {
        c->at++;
    }
    return what != '{' || times_read(c, min, max);
}

static bool steps_add(struct compiler *c, const uint64_t *set, int min, int max)
{
    int n = max == UNBOUNDED ? (min == 0 ? 1 : min) : max;
    if (c->n + (uint32_t)n > MAX_STEPS) {
        return complain(c, "the pattern is too long");
    }
    for (int i = 0; i < n; i++) {
        struct pattern_step *step = &c->steps[c->n++];
        memcpy(step->set, set, sizeof step->set);
        step->may_skip = i >= min;
        step->may_repeat = max == UNBOUNDED && i + 1 == n;
    }
    return true;
}

bool value_pattern_compile(struct slice text, struct arena *a, struct value_pattern *out,
                           struct err *e)
{
    struct pattern_step steps[MAX_STEPS];
    struct compiler c = {.text = text, .steps = steps, .e = e};
    while (c.at < text.len) {
        uint64_t set[BYTES_IN_SET / WORD_BITS] = {0};
        int min;
        int max;
        if (!atom_read(&c, set) || !how_often_read(&c, &min, &max) ||
            !steps_add(&c, set, min, max)) {
            return false;
        }
    }
    struct pattern_step *kept = ARENA_ARRAY(a, struct pattern_step, c.n);
    struct slice copy = arena_copy(a, text);
    if (kept == NULL || copy.ptr == NULL) {
        return err_set(e, ERR_CONFIG, "the policy takes too much memory");
    }
    if (c.n > 0) {
        memcpy(kept, steps, c.n * sizeof *kept);
    }
    *out = (struct value_pattern){copy, c.n, kept};
    return true;
}

/* may[i]: all before step i is matched. */
static void skip_on(const struct value_pattern *p, bool *may)
{
    for (uint32_t i = 0; i < p->n_steps; i++) {
        may[i + 1] |= may[i] && p->steps[i].may_skip;
    }
}

bool value_pattern_match(const struct value_pattern *p, struct slice value)
{
    bool may[MAX_STEPS + 1] = {[0] = true};
    skip_on(p, may);
    for (size_t at = 0; at < value.len; at++) {
        bool any = false;
        /* Backwards, so that what a step gives isn't used for the same byte. */
        may[p->n_steps] = false;
        for (uint32_t i = p->n_steps; i-- > 0;) {
            bool fits = may[i] && set_has(p->steps[i].set, value.ptr[at]);
            may[i + 1] |= fits;
            may[i] = fits && p->steps[i].may_repeat;
            any |= fits;
        }
        if (!any) {
            return false;
        }
        skip_on(p, may);
    }
    return may[p->n_steps];
}
