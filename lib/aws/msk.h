/* The token that an Amazon MSK broker takes as SASL/OAUTHBEARER: a presigned URL of
 * kafka-cluster:Connect, in base64url. Pure; lib/stage gives it to librdkafka.
 * Source: aws-msk-iam-sasl-signer-python. */
#pragma once

#include "aws/keys.h"
#include "base/arena.h"
#include "base/err.h"

enum { MSK_TOKEN_LIFETIME_S = 900 };

struct msk_token {
    const char *text;   /* in the arena */
    int64_t expires_ms; /* of the token, or of the keys where that is sooner */
};

/* ERR_CONFIG: the region is none; ERR_BAD_INPUT: empty keys; ERR_RETRY: no memory. */
bool msk_token(const struct aws_keys *keys, const char *region, const char *user_agent,
               int64_t now_ms, struct arena *a, struct msk_token *out, struct err *e) MUST_CHECK;
