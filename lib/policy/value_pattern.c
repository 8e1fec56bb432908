#include "policy/value_pattern.h"

enum { MAX_STEPS = 127, BYTES_IN_SET = 256, WORD_BITS = 64, UNBOUNDED = -1 };

/* A step takes one byte of the value. */
struct pattern_step {
    uint64_t set[BYTES_IN_SET / WORD_BITS];
    bool may_skip;
    bool may_repeat;
};

/* One bit a step: the classic "extended Shift-And" (Navarro and Raffinot). */
typedef unsigned __int128 steps_t;

struct pattern_masks {
    steps_t takes[BYTES_IN_SET]; /* by the byte */
    steps_t may_skip;
    steps_t may_repeat;
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
    bool is_range =
        from != 0 && peek(c) == '-' && c->at + 1 < c->text.len && c->text.ptr[c->at + 1] != ']';
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

static void masks_fill(const struct compiler *c, struct pattern_masks *m)
{
    for (uint32_t i = 0; i < c->n; i++) {
        steps_t bit = (steps_t)1 << i;
        m->may_skip |= c->steps[i].may_skip ? bit : 0;
        m->may_repeat |= c->steps[i].may_repeat ? bit : 0;
        for (unsigned byte = 0; byte < BYTES_IN_SET; byte++) {
            m->takes[byte] |= set_has(c->steps[i].set, (uint8_t)byte) ? bit : 0;
        }
    }
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
    struct pattern_masks *masks = ARENA_ARRAY(a, struct pattern_masks, 1);
    struct slice copy = arena_copy(a, text);
    if (masks == NULL || copy.ptr == NULL) {
        return err_set(e, ERR_CONFIG, "the policy takes too much memory");
    }
    masks_fill(&c, masks);
    *out = (struct value_pattern){copy, c.n, masks};
    return true;
}

/* Steps that may be skipped are, from any place that was reached: in each run of them the sum
 * carries from the lowest place to the run's end. */
static steps_t skip_on(const struct pattern_masks *m, steps_t reached)
{
    return reached | (((reached & m->may_skip) + m->may_skip) ^ m->may_skip);
}

bool value_pattern_match(const struct value_pattern *p, struct slice value)
{
    const struct pattern_masks *m = p->masks;
    steps_t reached = skip_on(m, 1); /* bit i: the steps before i are done */
    for (size_t i = 0; i < value.len && reached != 0; i++) {
        steps_t taken = reached & m->takes[value.ptr[i]];
        reached = skip_on(m, taken << 1 | (taken & m->may_repeat));
    }
    return (reached >> p->n_steps & 1) != 0;
}
