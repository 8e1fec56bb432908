/* Signs what stands on its input (sigv4_case.h) and prints, per case, the headers that are to be
 * added, or the query string; then an empty line. With the argument "msk": the MSK token and when
 * it expires, the case's name being the user agent. For tests/flow/test_sigv4.py. */
#include "sigv4_case.h"

#include "aws/msk.h"

#include <stdlib.h>

static bool print_msk(const struct sigv4_case *c, struct arena *a, struct err *e)
{
    struct msk_token token;
    if (!msk_token(&c->keys, c->scope.region, c->name, c->now_ms, a, &token, e)) {
        return false;
    }
    printf("%s\n%lld\n", token.text, (long long)token.expires_ms);
    return true;
}

static bool print_query(const struct sigv4_case *c, struct arena *a, struct err *e)
{
    const struct sigv4_presigning p = {.now_ms = c->now_ms, .lifetime_s = c->lifetime_s};
    struct slice query;
    if (!sigv4_presign(&c->keys, &c->scope, &c->request, &p, a, &query, e)) {
        return false;
    }
    printf("%.*s\n", SLICE_ARG(query));
    return true;
}

static bool print_headers(const struct sigv4_case *c, struct arena *a, struct err *e)
{
    struct sigv4_signed out;
    if (!sigv4_sign(&c->keys, &c->scope, &c->request, c->now_ms, a, &out, e)) {
        return false;
    }
    for (size_t i = 0; i < out.n_headers; i++) {
        printf("%s\n", out.headers[i]);
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sigv4_case c;
    struct arena a;
    struct err e = ERR_INIT;
    bool is_msk = argc == 2 && strcmp(argv[1], "msk") == 0;
    bool ok = true;
    arena_init(&a, 4 << 20);
    while (ok && sigv4_case_read(stdin, &c)) {
        ok = is_msk              ? print_msk(&c, &a, &e)
             : c.lifetime_s == 0 ? print_headers(&c, &a, &e)
                                 : print_query(&c, &a, &e);
        printf("\n");
        if (!ok) {
            fprintf(stderr, "%s: %s\n", c.name, e.text);
        }
        sigv4_case_free(&c);
        arena_reset(&a);
    }
    arena_fini(&a);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
