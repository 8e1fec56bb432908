#include "edge/mask.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

bool mask_value(struct slice key, struct slice value, uint8_t out[MASK_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (key.len == 0 || key.len > INT32_MAX ||
        HMAC(EVP_sha256(), key.ptr, (int)key.len, value.ptr, value.len, digest, &n) == NULL ||
        n < MASK_BYTES) {
        return false;
    }
    memcpy(out, digest, MASK_BYTES);
    return true;
}
