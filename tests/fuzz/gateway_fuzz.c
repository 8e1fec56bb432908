/* What the gateway reads itself: a file of tokens, whose lines are written and read again as they were; and
 * a request's headers (lines "method", "path", "content-type", "content-encoding"), whose route is
 * answered in its form whatever they say. */
#include <stdio.h>
#include <stdlib.h>

#include "route.h"
#include "tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_S = 1800000000 };

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

static void check_tokens(struct slice text)
{
    struct err e = ERR_INIT;
    struct tokens first;
    struct tokens again;
    struct buf out;
    (void)tokens_find(&(struct tokens){0}, text, NOW_S, &e);
    if (!tokens_parse(text, &first, &e)) {
        if (e.kind != ERR_CONFIG || e.text[0] == '\0') {
            fail("refused without a word");
        }
        return;
    }
    buf_init(&out, 64 << 20);
    for (size_t i = 0; i < first.n; i++) {
        token_write(&first.items[i], &out);
    }
    if (!buf_ok(&out) || !tokens_parse(buf_slice(&out), &again, &e) || again.n != first.n) {
        fail("written, then refused");
    }
    for (size_t i = 0; i < first.n; i++) {
        if (memcmp(&first.items[i].salt, &again.items[i].salt, sizeof first.items[i].salt) != 0 ||
            first.items[i].expires_s != again.items[i].expires_s ||
            strcmp(first.items[i].tenant, again.items[i].tenant) != 0) {
            fail("written, then another");
        }
    }
    tokens_fini(&first);
    tokens_fini(&again);
    buf_fini(&out);
}

static struct slice next_line(struct slice *text)
{
    const uint8_t *newline = text->len == 0 ? NULL : memchr(text->ptr, '\n', text->len);
    size_t n = newline == NULL ? text->len : (size_t)(newline - text->ptr);
    struct slice line = slice_of(text->ptr, n);
    *text = newline == NULL ? SLICE_NONE : slice_of(newline + 1, text->len - n - 1);
    return line;
}

static void check_route(struct slice text)
{
    struct route_headers h = {.method = next_line(&text)};
    struct routed routed;
    struct answer refusal = {0};
    struct buf body;
    h.path = next_line(&text);
    h.content_type = next_line(&text);
    h.content_encoding = next_line(&text);
    bool ok = route_look(&h, &routed, &refusal);
    if (ok != (refusal.status == 0) || (ok && routed.route == ROUTE_NONE) || (!ok && refusal.text[0] == '\0')) {
        fail("neither taken nor refused");
    }
    buf_init(&body, 16384);
    answer_body(&refusal, routed.form, &body);
    if (!buf_ok(&body)) {
        fail("an answer that is too large");
    }
    buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_tokens(slice_of(data, size));
    check_route(slice_of(data, size));
    return 0;
}
