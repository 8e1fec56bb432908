/* Bearer tokens. A token is slt_<id>_<secret>: 12 hex digits that find its line, and 256 random
 * bits in base64url. The file holds what is needed to recognise one, never one:
 *
 *   # id tenant created expires salt hash
 *   3f9a1c0b77de studio-a 2026-11-27T16:00:00Z never|revoked|<time> <16 bytes, hex> <SHA-256(salt, secret), hex>
 *
 * The secret is random, so that a salted hash is as good as a slow one and costs nothing per request. */
#pragma once

#include "base/file.h"
#include "base/table.h"

enum {
    TOKEN_ID_CHARS = 12,
    TOKEN_SALT_BYTES = 16,
    TOKEN_HASH_BYTES = 32,
    TOKEN_TENANT_MAX_BYTES = 128,
    TOKEN_TEXT_BYTES = 80,
    TOKENS_MAX_BYTES = 16 << 20
};
#define TOKEN_NEVER INT64_MAX
#define TOKEN_REVOKED INT64_C(0)

struct token {
    char id[TOKEN_ID_CHARS + 1];
    char tenant[TOKEN_TENANT_MAX_BYTES + 1];
    int64_t created_s; /* since the epoch */
    int64_t expires_s; /* TOKEN_NEVER, TOKEN_REVOKED */
    uint8_t salt[TOKEN_SALT_BYTES];
    uint8_t hash[TOKEN_HASH_BYTES];
};

struct tokens {
    struct token *items; /* owned, in the file's order */
    size_t n;
    size_t cap;
    struct table by_id;
};

/* ERR_CONFIG names the line. On success *out is to be freed by tokens_fini. */
bool tokens_parse(struct slice text, struct tokens *out, struct err *e) MUST_CHECK;
bool tokens_load(const char *path, struct tokens *out, struct err *e) MUST_CHECK;
void tokens_fini(struct tokens *t);
/* Whose token it is; NULL with the reason for a person in e (ERR_BAD_INPUT). In constant time as
 * far as the secret goes. */
const struct token *tokens_find(const struct tokens *t, struct slice bearer, int64_t now_s, struct err *e);

/* Makes a token: what the file keeps of it, and the text that only its owner gets. ERR_FATAL: no
 * random numbers. */
bool token_make(const char *tenant, int64_t now_s, int64_t expires_s, struct token *out,
                char text[TOKEN_TEXT_BYTES], struct err *e) MUST_CHECK;
/* Appends its line. */
void token_write(const struct token *t, struct buf *out);
/* "2026-11-27T16:00:00Z", "never", "revoked". */
void token_time_text(int64_t time_s, char out[24]);
bool token_time_parse(struct slice text, int64_t *out);
