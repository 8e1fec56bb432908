#include "aws/msk.h"

#include "aws/encode.h"
#include "aws/region.h"
#include "aws/sigv4.h"
#include "base/buf.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

enum { MAX_URL_BYTES = 64 * 1024, MAX_HOST_CHARS = 128 };

/* base64url without padding (RFC 4648, 5). */
static bool base64url(struct arena *a, struct slice s, const char **out, struct err *e)
{
    unsigned char *text = arena_alloc(a, (s.len + 2) / 3 * 4 + 1);
    if (text == NULL) {
        return err_set(e, ERR_RETRY, "MSK token: out of memory");
    }
    int n = EVP_EncodeBlock(text, s.ptr, (int)s.len);
    while (n > 0 && text[n - 1] == '=') {
        text[--n] = '\0';
    }
    for (int i = 0; i < n; i++) {
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    }
    *out = (const char *)text;
    return true;
}

bool msk_token(const struct aws_keys *keys, const char *region, const char *user_agent,
               int64_t now_ms, struct arena *a, struct msk_token *out, struct err *e)
{
    char host[MAX_HOST_CHARS];
    const char *const headers[] = {host};
    const struct sigv4_scope scope = {.region = region, .service = "kafka-cluster"};
    const struct sigv4_request request = {.method = "GET",
                                          .path = SLICE_LITERAL("/"),
                                          .query = SLICE_LITERAL("Action=kafka-cluster%3AConnect"),
                                          .headers = headers,
                                          .n_headers = 1};
    const struct sigv4_presigning p = {.now_ms = now_ms, .lifetime_s = MSK_TOKEN_LIFETIME_S};
    struct slice query;
    struct buf url;
    if (!region_check(region, e)) {
        return false;
    }
    (void)snprintf(host, sizeof host, "Host: kafka.%s.amazonaws.com", region);
    if (!sigv4_presign(keys, &scope, &request, &p, a, &query, e)) {
        return err_wrap(e, "MSK token");
    }
    buf_init(&url, MAX_URL_BYTES);
    buf_printf(&url, "https://kafka.%s.amazonaws.com/?", region);
    buf_put_slice(&url, query);
    buf_printf(&url, "&User-Agent="); /* after the signature: not part of it */
    encode_percent(&url, slice_str(user_agent), false);
    bool ok = buf_ok(&url) ? base64url(a, buf_slice(&url), &out->text, e)
                           : err_set(e, ERR_RETRY, "MSK token: too long, or out of memory");
    int64_t expires_ms = now_ms / 1000 * 1000 + (int64_t)MSK_TOKEN_LIFETIME_S * 1000;
    out->expires_ms = keys->expires_ms < expires_ms ? keys->expires_ms : expires_ms;
    buf_fini(&url);
    return ok;
}
