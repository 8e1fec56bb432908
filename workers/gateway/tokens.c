#include "tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECRET_BYTES = 32, SECRET_CHARS = 43, N_FIELDS = 6, LINE_MAX_BYTES = 512 };

static const char prefix[] = "slt_";
enum { PREFIX_CHARS = sizeof prefix - 1, TOKEN_CHARS = PREFIX_CHARS + TOKEN_ID_CHARS + 1 + SECRET_CHARS };

static bool hash_secret(const uint8_t salt[TOKEN_SALT_BYTES], struct slice secret, uint8_t out[TOKEN_HASH_BYTES])
{
    uint8_t text[TOKEN_SALT_BYTES + SECRET_CHARS];
    if (secret.len != SECRET_CHARS) {
        return false;
    }
    memcpy(text, salt, TOKEN_SALT_BYTES);
    memcpy(text + TOKEN_SALT_BYTES, secret.ptr, secret.len);
    bool ok = EVP_Digest(text, sizeof text, out, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_cleanse(text, sizeof text);
    return ok;
}

/* --- times --- */

void token_time_text(int64_t time_s, char out[24])
{
    time_t t = (time_t)time_s;
    struct tm utc;
    if (time_s == TOKEN_NEVER || time_s == TOKEN_REVOKED || gmtime_r(&t, &utc) == NULL) {
        (void)snprintf(out, 24, "%s", time_s == TOKEN_REVOKED ? "revoked" : "never");
        return;
    }
    (void)strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

bool token_time_parse(struct slice text, int64_t *out)
{
    char copy[24];
    struct tm utc = {0};
    if (text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (strcmp(copy, "never") == 0 || strcmp(copy, "revoked") == 0) {
        *out = copy[0] == 'n' ? TOKEN_NEVER : TOKEN_REVOKED;
        return true;
    }
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (end == NULL) {
        utc = (struct tm){0};
        end = strptime(copy, "%Y-%m-%d", &utc);
    }
    *out = (int64_t)timegm(&utc);
    return end != NULL && *end == '\0' && *out > TOKEN_REVOKED;
}

/* --- the file --- */

static int hex_value(uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

static bool hex_parse(struct slice text, uint8_t *out, size_t n_bytes)
{
    if (text.len != 2 * n_bytes) {
        return false;
    }
    for (size_t i = 0; i < n_bytes; i++) {
        int high = hex_value(text.ptr[2 * i]);
        int low = hex_value(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void hex_put(struct buf *out, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%02x", bytes[i]);
    }
}

/* The next run of bytes that are no spaces; empty at the end. */
static struct slice next_field(struct slice *rest)
{
    while (rest->len > 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t')) {
        *rest = slice_of(rest->ptr + 1, rest->len - 1);
    }
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != ' ' && rest->ptr[n] != '\t') {
        n++;
    }
    struct slice field = slice_of(rest->ptr, n);
    *rest = slice_of(rest->ptr + n, rest->len - n);
    return field;
}

static bool field_copy(struct slice field, char *out, size_t max_chars)
{
    if (field.len == 0 || field.len > max_chars) {
        return false;
    }
    for (size_t i = 0; i < field.len; i++) {
        if (field.ptr[i] <= ' ' || field.ptr[i] > '~') { /* a NUL would cut it short */
            return false;
        }
    }
    memcpy(out, field.ptr, field.len);
    out[field.len] = '\0';
    return true;
}

static bool line_parse(struct slice line, struct token *t, struct err *e)
{
    struct slice f[N_FIELDS];
    uint8_t id[TOKEN_ID_CHARS / 2];
    for (int i = 0; i < N_FIELDS; i++) {
        f[i] = next_field(&line);
    }
    if (f[N_FIELDS - 1].len == 0 || next_field(&line).len > 0) {
        return err_set(e, ERR_CONFIG, "has not the six fields id tenant created expires salt hash");
    }
    if (!hex_parse(f[0], id, sizeof id) || !field_copy(f[0], t->id, TOKEN_ID_CHARS)) {
        return err_set(e, ERR_CONFIG, "id: must have %d hex digits", TOKEN_ID_CHARS);
    }
    if (!field_copy(f[1], t->tenant, TOKEN_TENANT_MAX_BYTES)) {
        return err_set(e, ERR_CONFIG, "tenant: must be 1 to %d printable ASCII characters", TOKEN_TENANT_MAX_BYTES);
    }
    if (!token_time_parse(f[2], &t->created_s) || !token_time_parse(f[3], &t->expires_s)) {
        return err_set(e, ERR_CONFIG, "a time must be like 2026-11-27T16:00:00Z, or never, or revoked");
    }
    return (hex_parse(f[4], t->salt, sizeof t->salt) && hex_parse(f[5], t->hash, sizeof t->hash)) ||
           err_set(e, ERR_CONFIG, "salt or hash: must have %d and %d hex digits", 2 * TOKEN_SALT_BYTES,
                   2 * TOKEN_HASH_BYTES);
}

static bool token_add(struct tokens *t, struct slice line, struct err *e)
{
    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? 16 : 2 * t->cap;
        struct token *items = reallocarray(t->items, cap, sizeof *items);
        if (items == NULL) {
            return err_set(e, ERR_CONFIG, "out of memory");
        }
        t->items = items;
        t->cap = cap;
    }
    if (!line_parse(line, &t->items[t->n], e)) {
        return false;
    }
    t->n++;
    return true;
}

static bool index_all(struct tokens *t, struct err *e)
{
    for (size_t i = 0; i < t->n; i++) {
        struct hash128 key = hash128(slice_str(t->items[i].id));
        if (table_find(&t->by_id, key) != NULL) {
            return err_set(e, ERR_CONFIG, "the id %s is there twice", t->items[i].id);
        }
        if (!table_put(&t->by_id, key, &t->items[i], 0)) {
            return err_set(e, ERR_CONFIG, "out of memory");
        }
    }
    return true;
}

bool tokens_parse(struct slice text, struct tokens *out, struct err *e)
{
    *out = (struct tokens){0};
    table_init(&out->by_id, 0, NULL);
    for (size_t line = 1; text.len > 0; line++) {
        const uint8_t *newline = memchr(text.ptr, '\n', text.len);
        size_t n = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        struct slice one = slice_of(text.ptr, n);
        struct slice look = one;
        struct slice first = next_field(&look);
        n += newline != NULL;
        text = slice_of(text.ptr + n, text.len - n);
        if (first.len > 0 && first.ptr[0] != '#' &&
            !(one.len <= LINE_MAX_BYTES ? token_add(out, one, e) : err_set(e, ERR_CONFIG, "is too long"))) {
            tokens_fini(out);
            return err_wrap(e, "line %zu", line);
        }
    }
    if (!index_all(out, e)) {
        tokens_fini(out);
        return false;
    }
    return true;
}

bool tokens_load(const char *path, struct tokens *out, struct err *e)
{
    struct buf text;
    buf_init(&text, TOKENS_MAX_BYTES);
    bool ok = file_read(path, &text, e) && (tokens_parse(buf_slice(&text), out, e) || err_wrap(e, "%s", path));
    buf_fini(&text);
    return ok || err_wrap(e, "tokens");
}

void tokens_fini(struct tokens *t)
{
    table_fini(&t->by_id);
    free(t->items);
    *t = (struct tokens){0};
}

/* --- one token --- */

const struct token *tokens_find(const struct tokens *t, struct slice bearer, int64_t now_s, struct err *e)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    if (bearer.len != TOKEN_CHARS || !slice_starts_with(bearer, slice_str(prefix)) ||
        bearer.ptr[PREFIX_CHARS + TOKEN_ID_CHARS] != '_') {
        (void)err_set(e, ERR_BAD_INPUT, "the bearer token is none of sluice's (slt_…)");
        return NULL;
    }
    struct slice id = slice_of(bearer.ptr + PREFIX_CHARS, TOKEN_ID_CHARS);
    struct slice secret = slice_of(bearer.ptr + PREFIX_CHARS + TOKEN_ID_CHARS + 1, SECRET_CHARS);
    /* A look-up marks the entry as used, which means something in a cache only. */
    const struct token *found = table_find((struct table *)(uintptr_t)&t->by_id, hash128(id));
    if (found == NULL || !hash_secret(found->salt, secret, hash) ||
        CRYPTO_memcmp(hash, found->hash, sizeof hash) != 0) {
        (void)err_set(e, ERR_BAD_INPUT, "the bearer token is not known here; ask the operators for one");
        return NULL;
    }
    if (found->expires_s == TOKEN_REVOKED || now_s >= found->expires_s) {
        char when[24];
        token_time_text(found->expires_s, when);
        (void)err_set(e, ERR_BAD_INPUT, "the bearer token %s %s%s; ask the operators for a new one", found->id,
                      found->expires_s == TOKEN_REVOKED ? "was " : "expired at ", when);
        return NULL;
    }
    return found;
}

bool token_make(const char *tenant, int64_t now_s, int64_t expires_s, struct token *out,
                char text[TOKEN_TEXT_BYTES], struct err *e)
{
    static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t id[TOKEN_ID_CHARS / 2];
    uint8_t random[SECRET_BYTES + 1] = {0}; /* the last character's missing bits are 0 */
    char secret[SECRET_CHARS + 1] = "";
    *out = (struct token){.created_s = now_s, .expires_s = expires_s};
    if (RAND_bytes(id, sizeof id) != 1 || RAND_bytes(random, SECRET_BYTES) != 1 ||
        RAND_bytes(out->salt, sizeof out->salt) != 1) {
        return err_set(e, ERR_FATAL, "no random numbers are to be had");
    }
    for (size_t i = 0; i < SECRET_CHARS; i++) {
        size_t bit = 6 * i;
        unsigned pair = (unsigned)random[bit / 8] << 8 | random[bit / 8 + 1];
        secret[i] = base64url[pair >> (10 - bit % 8) & 63];
    }
    for (size_t i = 0; i < sizeof id; i++) {
        (void)snprintf(out->id + 2 * i, 3, "%02x", id[i]);
    }
    (void)snprintf(out->tenant, sizeof out->tenant, "%s", tenant);
    bool ok = hash_secret(out->salt, slice_str(secret), out->hash);
    (void)snprintf(text, TOKEN_TEXT_BYTES, "%s%s_%s", prefix, out->id, secret);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(random, sizeof random);
    return ok || err_set(e, ERR_FATAL, "SHA-256 failed");
}

void token_write(const struct token *t, struct buf *out)
{
    char created[24];
    char expires[24];
    token_time_text(t->created_s, created);
    token_time_text(t->expires_s, expires);
    buf_printf(out, "%s %s %s %s ", t->id, t->tenant, created, expires);
    hex_put(out, t->salt, sizeof t->salt);
    buf_u8(out, ' ');
    hex_put(out, t->hash, sizeof t->hash);
    buf_u8(out, '\n');
}
