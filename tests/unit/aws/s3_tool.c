/* S3 on command, for tests/flow/test_s3.py. Arguments: endpoint, bucket, region, attempts, answer
 * limit. Lines of input, the answer to each a line of JSON; files hold the bodies: put KEY FILE
 * [name=value…]          parts KEY FILE PART_BYTES [name=value…] head KEY NAME…     get KEY FIRST N
 * FILE     list PREFIX     KEY and PREFIX are percent-encoded. Names of put: if-none-match, kms,
 * tagging, lock-mode, lock-until, class; others are metadata. */
#include "aws/s3_object.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_WORDS = 40, MAX_BODY_BYTES = 64 << 20 };

struct command {
    char *words[MAX_WORDS];
    size_t n_words;
    struct buf key;
};

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void split(struct command *c, char *line)
{
    char *rest = NULL;
    c->n_words = 0;
    for (char *w = strtok_r(line, " \n", &rest); w != NULL && c->n_words < MAX_WORDS;
         w = strtok_r(NULL, " \n", &rest)) {
        c->words[c->n_words++] = w;
    }
    buf_reset(&c->key);
    for (const char *p = c->n_words < 2 ? "" : c->words[1]; *p != '\0'; p++) {
        if (*p == '%') {
            buf_u8(&c->key, (uint8_t)(hex(p[1]) << 4 | hex(p[2])));
            p += 2;
        } else {
            buf_u8(&c->key, (uint8_t)*p);
        }
    }
}

static struct slice read_file(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "rb");
    buf_init(b, MAX_BODY_BYTES);
    if (f == NULL) {
        exit(1);
    }
    for (int c; (c = getc_unlocked(f)) != EOF;) {
        buf_u8(b, (uint8_t)c);
    }
    (void)fclose(f);
    return buf_slice(b);
}

static json_t *failure(const struct err *e)
{
    return json_pack("{s:b, s:i, s:i, s:s}", "ok", 0, "kind", e->kind, "code", e->code, "error",
                     e->text);
}

static void read_options(const struct command *c, size_t from, struct s3_put_options *o,
                         struct s3_pair *pairs)
{
    *o = (struct s3_put_options){.metadata = pairs};
    for (size_t i = from; i < c->n_words; i++) {
        char *value = strchr(c->words[i], '=');
        *value++ = '\0';
        const char *name = c->words[i];
        if (strcmp(name, "if-none-match") == 0) {
            o->only_if_absent = true;
        } else if (strcmp(name, "kms") == 0) {
            o->kms_key = value;
        } else if (strcmp(name, "tagging") == 0) {
            o->tagging = value;
        } else if (strcmp(name, "lock-mode") == 0) {
            o->lock_mode = value;
        } else if (strcmp(name, "lock-until") == 0) {
            o->lock_until = value;
        } else if (strcmp(name, "class") == 0) {
            o->storage_class = value;
        } else {
            pairs[o->n_metadata++] = (struct s3_pair){name, value};
        }
    }
}

static json_t *put(struct s3 *s, const struct command *c, bool in_parts)
{
    struct buf body;
    struct s3_put_options o;
    struct s3_put_result r = {.n_attempts = 0};
    struct s3_pair pairs[MAX_WORDS];
    struct err e = ERR_INIT;
    struct slice bytes = read_file(c->words[2], &body);
    read_options(c, in_parts ? 4 : 3, &o, pairs);
    bool ok = in_parts ? s3_put_parts(s, buf_slice(&c->key), bytes, strtoull(c->words[3], NULL, 10),
                                      &o, &r, &e)
                       : s3_put(s, buf_slice(&c->key), bytes, &o, &r, &e);
    buf_fini(&body);
    return ok ? json_pack("{s:b, s:b, s:b, s:i}", "ok", 1, "existed", r.existed, "maybe_own",
                          r.maybe_own, "attempts", r.n_attempts)
              : failure(&e);
}

static json_t *head(struct s3 *s, const struct command *c)
{
    struct arena a;
    struct s3_head h;
    const char *values[MAX_WORDS];
    const char *names[MAX_WORDS];
    struct err e = ERR_INIT;
    size_t n = c->n_words - 2;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        names[i] = c->words[i + 2];
    }
    json_t *answer;
    if (s3_head(s, buf_slice(&c->key), names, n, values, &a, &h, &e)) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++) {
            (void)json_array_append_new(list,
                                        values[i] == NULL ? json_null() : json_string(values[i]));
        }
        answer = json_pack("{s:b, s:b, s:I, s:o}", "ok", 1, "found", h.found, "bytes",
                           (json_int_t)h.n_bytes, "values", list);
    } else {
        answer = failure(&e);
    }
    arena_fini(&a);
    return answer;
}

static json_t *get(struct s3 *s, const struct command *c)
{
    struct buf b;
    bool found;
    struct err e = ERR_INIT;
    buf_init(&b, MAX_BODY_BYTES);
    bool ok = s3_get(s, buf_slice(&c->key), strtoll(c->words[2], NULL, 10),
                     strtoll(c->words[3], NULL, 10), &b, &found, &e);
    if (ok && found) {
        FILE *f = fopen(c->words[4], "wb");
        if (f == NULL || fwrite(b.ptr, 1, b.len, f) != b.len || fclose(f) != 0) {
            exit(1);
        }
    }
    buf_fini(&b);
    return ok ? json_pack("{s:b, s:b}", "ok", 1, "found", found) : failure(&e);
}

static bool on_key(void *ctx, struct slice key, int64_t n_bytes, struct err *e)
{
    (void)e;
    return json_array_append_new(ctx,
                                 json_pack("[s%, I]", key.ptr, key.len, (json_int_t)n_bytes)) == 0;
}

static json_t *list(struct s3 *s, const struct command *c)
{
    json_t *keys = json_array();
    struct err e = ERR_INIT;
    if (!s3_list(s, buf_slice(&c->key), on_key, keys, &e)) {
        json_decref(keys);
        return failure(&e);
    }
    return json_pack("{s:b, s:o}", "ok", 1, "keys", keys);
}

static json_t *obey(struct s3 *s, const struct command *c)
{
    if (strcmp(c->words[0], "put") == 0 || strcmp(c->words[0], "parts") == 0) {
        return put(s, c, c->words[0][1] == 'a');
    }
    if (strcmp(c->words[0], "head") == 0) {
        return head(s, c);
    }
    if (strcmp(c->words[0], "get") == 0) {
        return get(s, c);
    }
    return list(s, c);
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    const struct credentials_options keys = {.user_agent = "sluice-test/1"};
    struct s3_options o = {.user_agent = "sluice-test/1",
                           .path_style = true,
                           .timeout_ms = 10000,
                           .min_backoff_ms = 20,
                           .max_backoff_ms = 200,
                           .max_connections = 8};
    struct s3 *s = NULL;
    struct command c;
    static char line[8192];
    if (argc != 6 || !credentials_open(&keys, &o.credentials, &e)) {
        return EXIT_FAILURE;
    }
    o.endpoint = argv[1];
    o.bucket = argv[2];
    o.region = argv[3];
    o.max_attempts = (int)strtol(argv[4], NULL, 10);
    o.max_answer_bytes = strtoull(argv[5], NULL, 10);
    if (!s3_open(&o, &s, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_FAILURE;
    }
    buf_init(&c.key, 8192);
    while (fgets(line, sizeof line, stdin) != NULL) {
        split(&c, line);
        json_t *answer = obey(s, &c);
        (void)json_dumpf(answer, stdout, 0);
        printf("\n");
        (void)fflush(stdout);
        json_decref(answer);
    }
    buf_fini(&c.key);
    s3_close(s);
    credentials_close(o.credentials);
    return EXIT_SUCCESS;
}
