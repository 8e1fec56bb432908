/* The forms in which keys come: JSON (container endpoints, IMDS), XML (STS), INI (shared files).
 * All input is untrusted; no error quotes it, since what stands in it may be a secret. */
#pragma once

#include "aws/keys.h"
#include "base/arena.h"
#include "base/err.h"

enum {
    CREDENTIALS_MAX_ANSWER_BYTES = 64 * 1024,
    CREDENTIALS_MAX_KEY_CHARS = 128,
    CREDENTIALS_MAX_SECRET_CHARS = 256,
    CREDENTIALS_MAX_TOKEN_CHARS = 16 * 1024
};

/* Key, secret and token of usual lengths, of visible ASCII (they go into headers). */
bool credentials_check(const struct aws_keys *keys, struct err *e) MUST_CHECK;

/* {"AccessKeyId": …, "SecretAccessKey": …, "Token": …, "Expiration": "2026-…Z"}; a "Code" other
 * than "Success" is an error that names it. Strings live in the arena. */
bool credentials_of_json(struct slice json, struct arena *a, struct aws_keys *out,
                         struct err *e) MUST_CHECK;
/* The answer of AssumeRoleWithWebIdentity. */
bool credentials_of_sts(struct slice xml, struct arena *a, struct aws_keys *out,
                        struct err *e) MUST_CHECK;
/* The error's code in a refusal of STS, "IDPCommunicationError"; "" when there is none. */
void credentials_sts_code(struct slice xml, struct arena *a, char *code, size_t n_code);

/* One profile of a shared file; what is absent is NULL. */
struct credentials_profile {
    bool present;
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    const char *role_arn;
    const char *role_session_name;
    const char *web_identity_token_file;
    const char *region;
    const char *unsupported; /* the first key that asks for what sluice can't do: "sso_session" */
};

/* Adds what section [name] says (section "profile name" in the config file: is_config) to *p; what
 * is there already stays. Strings live in the arena. */
bool credentials_of_ini(struct slice ini, const char *name, bool is_config, struct arena *a,
                        struct credentials_profile *p, struct err *e) MUST_CHECK;
