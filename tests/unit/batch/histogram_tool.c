/* histogram-tool: histogram arithmetic, a request per line, so that tests in other languages hold
 * it against an implementation of their own. Histograms are hex strings of their packed form (an
 * exponential one without its length).
 *
 *   add MAX_BUCKETS X Y           subtract MAX_BUCKETS NOW BEFORE   reset NOW BEFORE
 *   downscale MAX_SCHEMA MAX_BUCKETS X
 *   classic-add N_BOUNDS X Y      classic-subtract N_BOUNDS X Y     classic-reset N_BOUNDS X Y
 *   → ok HEX | yes | no | error TEXT */
#include <stdio.h>
#include <stdlib.h>

#include "batch/histogram_math.h"

enum { ARENA_BYTES = 16 << 20, DECODE_MAX_BUCKETS = 20000, MAX_WORDS = 4 };

struct request {
    struct slice words[MAX_WORDS];
    uint32_t n_words;
    struct arena arena;
    struct buf out;
};

static void die(const char *what)
{
    fprintf(stderr, "histogram-tool: %s\n", what);
    exit(1);
}

static void split(struct request *r, char *line)
{
    r->n_words = 0;
    for (char *end = line; *line != '\0' && r->n_words < MAX_WORDS; line = end + (*end != '\0')) {
        end = line + strcspn(line, " \n");
        r->words[r->n_words++] = slice_of(line, (size_t)(end - line));
    }
}

static struct slice word(const struct request *r, uint32_t i)
{
    if (i >= r->n_words) {
        die("a word is missing");
    }
    return r->words[i];
}

static bool is(const struct request *r, const char *verb)
{
    return slice_eq_str(word(r, 0), verb);
}

static int32_t number(const struct request *r, uint32_t i)
{
    return (int32_t)strtol((const char *)word(r, i).ptr, NULL, 10);
}

static int nibble(uint8_t c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static struct slice bytes_of(struct request *r, uint32_t i)
{
    struct slice hex = word(r, i);
    uint8_t *bytes = arena_alloc(&r->arena, hex.len / 2);
    if (bytes == NULL) {
        die("out of memory");
    }
    for (size_t k = 0; k < hex.len / 2; k++) {
        bytes[k] = (uint8_t)(nibble(hex.ptr[2 * k]) << 4 | nibble(hex.ptr[2 * k + 1]));
    }
    return slice_of(bytes, hex.len / 2);
}

static void print_hex(struct slice bytes)
{
    printf("ok ");
    for (size_t i = 0; i < bytes.len; i++) {
        printf("%02x", bytes.ptr[i]);
    }
    printf("\n");
}

static bool exp_take(struct request *r, uint32_t i, struct exp_histogram *out, struct err *e)
{
    struct buf column;
    buf_init(&column, ARENA_BYTES);
    buf_varint_bytes(&column, bytes_of(r, i));
    struct slice copy = arena_copy(&r->arena, buf_slice(&column));
    buf_fini(&column);
    struct cursor c = cursor_of(copy);
    return exp_histogram_decode(&c, DECODE_MAX_BUCKETS, &r->arena, out, e) &&
           exp_histogram_check(out, e);
}

static bool run_exp(struct request *r, struct err *e)
{
    struct exp_histogram x;
    struct exp_histogram y;
    bool is_downscale = is(r, "downscale");
    bool is_reset = is(r, "reset");
    uint32_t max_buckets = is_reset ? 0 : (uint32_t)number(r, is_downscale ? 2 : 1);
    uint32_t at = is_reset ? 1 : is_downscale ? 3 : 2;
    if (!exp_take(r, at, &x, e) || (!is_downscale && !exp_take(r, at + 1, &y, e))) {
        return false;
    }
    if (is_reset) {
        puts(exp_histogram_is_reset(&x, &y) ? "yes" : "no");
        return true;
    }
    bool ok = is_downscale
                  ? exp_histogram_downscale(&x, number(r, 1), max_buckets, &r->arena, &x, e)
              : is(r, "add") ? exp_histogram_add(&x, &y, max_buckets, &r->arena, &x, e)
                             : exp_histogram_subtract(&x, &y, max_buckets, &r->arena, &x, e);
    if (ok) {
        exp_histogram_encode(&x, &r->out);
        struct cursor c = cursor_of(buf_slice(&r->out));
        print_hex(exp_histogram_skip(&c));
    }
    return ok;
}

static bool run_classic(struct request *r, struct err *e)
{
    struct classic_histogram x;
    struct classic_histogram y;
    uint32_t n_bounds = (uint32_t)number(r, 1);
    struct cursor x_bytes = cursor_of(bytes_of(r, 2));
    struct cursor y_bytes = cursor_of(bytes_of(r, 3));
    if (!classic_histogram_decode(&x_bytes, n_bounds, &r->arena, &x, e) ||
        !classic_histogram_decode(&y_bytes, n_bounds, &r->arena, &y, e)) {
        return false;
    }
    if (is(r, "classic-reset")) {
        puts(classic_histogram_is_reset(&x, &y) ? "yes" : "no");
        return true;
    }
    bool ok = is(r, "classic-add") ? classic_histogram_add(&x, &y, &r->arena, &x, e)
                                   : classic_histogram_subtract(&x, &y, &r->arena, &x, e);
    if (ok) {
        classic_histogram_encode(&x, &r->out);
        print_hex(buf_slice(&r->out));
    }
    return ok;
}

int main(void)
{
    struct request r;
    char *line = NULL;
    size_t line_bytes = 0;
    arena_init(&r.arena, ARENA_BYTES);
    buf_init(&r.out, ARENA_BYTES);
    while (getline(&line, &line_bytes, stdin) > 0) {
        struct err e = ERR_INIT;
        split(&r, line);
        bool is_classic = word(&r, 0).len > 8 && memcmp(word(&r, 0).ptr, "classic-", 8) == 0;
        if (!(is_classic ? run_classic(&r, &e) : run_exp(&r, &e))) {
            printf("error %s\n", e.text);
        }
        arena_reset(&r.arena);
        buf_reset(&r.out);
    }
    free(line);
    buf_fini(&r.out);
    arena_fini(&r.arena);
    return 0;
}
