#include "aws/xml.h"

#include "base/cursor.h"

enum { MAX_DEPTH = 16, MAX_PATH_CHARS = 255, MAX_NAME_CHARS = 64 };

struct walk {
    struct cursor c;
    struct arena *arena;
    const struct xml_sink *sink;
    char path[MAX_PATH_CHARS + 1];
    size_t path_lens[MAX_DEPTH]; /* of the path without the element on that level */
    size_t depth;
    size_t n_roots;
};

static bool bad(const struct walk *w, const char *what, struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "XML: byte %zu: %s", cursor_at(&w->c), what);
}

static bool looking_at(const struct walk *w, const char *text)
{
    size_t n = strlen(text);
    return cursor_left(&w->c) >= n && memcmp(w->c.next, text, n) == 0;
}

/* Passes over all up to and with the text. */
static bool skip_past(struct walk *w, const char *text, struct err *e)
{
    const uint8_t *at = memmem(w->c.next, cursor_left(&w->c), text, strlen(text));
    if (at == NULL) {
        return bad(w, "not ended", e);
    }
    (void)cursor_take(&w->c, (size_t)(at - w->c.next) + strlen(text));
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
}

static bool take_name(struct walk *w, struct slice *out, struct err *e)
{
    const uint8_t *from = w->c.next;
    size_t n = 0;
    while (n < cursor_left(&w->c) && is_name_char(from[n])) {
        n++;
    }
    *out = cursor_take(&w->c, n);
    return (n > 0 && n <= MAX_NAME_CHARS) || bad(w, "no name of a usual length", e);
}

/* Attributes, to the tag's end; *is_empty for "<a/>". */
static bool skip_attributes(struct walk *w, bool *is_empty, struct err *e)
{
    uint8_t quote = 0;
    uint8_t before = 0;
    while (cursor_more(&w->c)) {
        uint8_t c = cursor_u8(&w->c);
        if (quote != 0) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '<') {
            return bad(w, "\"<\" within a tag", e);
        } else if (c == '>') {
            *is_empty = before == '/';
            return true;
        }
        before = c;
    }
    return bad(w, "a tag without end", e);
}

static bool push(struct walk *w, struct slice name, struct err *e)
{
    size_t len = strlen(w->path);
    size_t n_slash = len == 0 ? 0 : 1;
    if (w->depth == MAX_DEPTH || len + n_slash + name.len > MAX_PATH_CHARS) {
        return bad(w, "nested too deeply", e);
    }
    if (w->depth == 0 && ++w->n_roots > 1) {
        return bad(w, "more than one root element", e);
    }
    w->path_lens[w->depth++] = len;
    memcpy(w->path + len, "/", n_slash);
    memcpy(w->path + len + n_slash, name.ptr, name.len);
    w->path[len + n_slash + name.len] = '\0';
    return true;
}

static bool pop(struct walk *w, struct slice text, struct err *e)
{
    bool ok = w->sink->element(w->sink->ctx, w->path, text, e);
    w->path[w->path_lens[--w->depth]] = '\0';
    return ok;
}

/* "&lt;" and the like at the start of s; the number of bytes passed, 0 = none that is known. */
static size_t entity(struct slice s, uint32_t *out)
{
    static const struct {
        const char *name;
        char c;
    } known[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (slice_starts_with(s, slice_str(known[i].name))) {
            *out = (uint32_t)known[i].c;
            return strlen(known[i].name);
        }
    }
    bool is_hex = slice_starts_with(s, SLICE_LITERAL("&#x"));
    size_t from = is_hex ? 3 : 2;
    size_t i = from;
    *out = 0;
    if (!slice_starts_with(s, SLICE_LITERAL("&#"))) {
        return 0;
    }
    for (; i < s.len && i < from + 8 && s.ptr[i] != ';'; i++) {
        uint8_t c = s.ptr[i];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)c - '0' : ((uint32_t)c | 0x20) - 'a' + 10;
        if (digit >= (is_hex ? 16 : 10)) {
            return 0;
        }
        *out = *out * (is_hex ? 16 : 10) + digit;
    }
    bool is_char = *out != 0 && *out <= 0x10ffff && (*out < 0xd800 || *out > 0xdfff);
    return i > from && i < s.len && s.ptr[i] == ';' && is_char ? i + 1 : 0;
}

static size_t put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) {
        to[i] = (uint8_t)(0x80 | (c & 0x3f));
    }
    to[0] = (uint8_t)((0xf00 >> n) | c); /* 110…, 1110…, 11110…, by n */
    return n;
}

/* No entity is shorter than what it stands for. */
static bool decode_text(struct walk *w, struct slice raw, struct slice *out, struct err *e)
{
    uint8_t *to = arena_alloc(w->arena, raw.len);
    size_t n = 0;
    if (to == NULL) {
        return err_set(e, ERR_RETRY, "XML: out of memory");
    }
    for (size_t i = 0; i < raw.len;) {
        uint32_t c;
        if (raw.ptr[i] != '&') {
            to[n++] = raw.ptr[i++];
            continue;
        }
        size_t skip = entity(slice_of(raw.ptr + i, raw.len - i), &c);
        if (skip == 0) {
            return bad(w, "an unknown entity", e);
        }
        n += put_utf8(to + n, c);
        i += skip;
    }
    *out = slice_of(to, n);
    return true;
}

static bool close_tag(struct walk *w, struct slice text, struct err *e)
{
    struct slice name;
    bool is_empty;
    struct slice decoded = SLICE_NONE;
    if (!take_name(w, &name, e) || !skip_attributes(w, &is_empty, e)) {
        return false;
    }
    if (w->depth == 0 || !slice_ends_with(slice_str(w->path), name) ||
        strlen(w->path) - name.len - (w->path_lens[w->depth - 1] > 0) !=
            w->path_lens[w->depth - 1]) {
        return bad(w, "ends an element that isn't open", e);
    }
    return decode_text(w, text, &decoded, e) && pop(w, decoded, e);
}

/* A tag; text is what stood before it. */
static bool tag(struct walk *w, struct slice text, struct err *e)
{
    struct slice name;
    bool is_empty;
    if (looking_at(w, "<!--")) {
        return skip_past(w, "-->", e);
    }
    if (looking_at(w, "<?")) {
        return skip_past(w, "?>", e);
    }
    if (looking_at(w, "<!")) {
        return bad(w, "a document type or CDATA", e);
    }
    if (looking_at(w, "</")) {
        (void)cursor_take(&w->c, 2);
        return close_tag(w, text, e);
    }
    (void)cursor_u8(&w->c);
    return take_name(w, &name, e) && push(w, name, e) && skip_attributes(w, &is_empty, e) &&
           (!is_empty || pop(w, SLICE_NONE, e));
}

static bool only_blanks(struct slice s)
{
    size_t i = 0;
    while (i < s.len && is_blank(s.ptr[i])) {
        i++;
    }
    return i == s.len;
}

bool xml_walk(struct slice document, struct arena *a, const struct xml_sink *sink, struct err *e)
{
    struct walk w = {.c = cursor_of(document), .arena = a, .sink = sink};
    while (cursor_more(&w.c)) {
        const uint8_t *next = memchr(w.c.next, '<', cursor_left(&w.c));
        size_t n_text = next == NULL ? cursor_left(&w.c) : (size_t)(next - w.c.next);
        struct slice text = cursor_take(&w.c, n_text);
        if (w.depth == 0 && !only_blanks(text)) {
            return bad(&w, "text outside of the root element", e);
        }
        if (next != NULL && !tag(&w, text, e)) {
            return false;
        }
    }
    return (w.depth == 0 && w.n_roots == 1) || bad(&w, "ends too soon", e);
}
