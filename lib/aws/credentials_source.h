/* Where keys can come from, in the order in which AWS's SDKs ask. Each source says whether it is
 * set up here at all; the first one that is answers or fails for all: going on to the next would
 * quietly act under another identity.
 *
 *   environment → web identity (STS) → shared files → container (ECS, EKS Pod Identity) → IMDSv2 */
#pragma once

#include "aws/exchange.h"
#include "aws/keys.h"
#include "base/arena.h"

struct credentials_context {
    char **environment; /* NULL = the process's */
    struct exchange *exchange;
    struct arena *arena; /* for what is read on the way, and for the keys */
};

/* The variable's value; NULL when it is absent or empty. */
const char *credentials_variable(const struct credentials_context *c, const char *name);
/* The region: AWS_REGION, AWS_DEFAULT_REGION, the profile's; NULL when nothing says it. */
const char *credentials_region(const struct credentials_context *c);

/* *is_set_up = false, and true: not this one. Errors are ERR_CONFIG where the set-up is wrong, else
 * ERR_RETRY or ERR_BAD_INPUT. */
typedef bool (*credentials_source_fn)(const struct credentials_context *c, bool *is_set_up,
                                      struct aws_keys *out, struct err *e);

struct credentials_source {
    const char *name; /* "web identity" */
    credentials_source_fn fetch;
};

/* In order; the last one's name is NULL. */
extern const struct credentials_source credentials_sources[];

/* The first source that is set up; its name goes to *source also when it fails (NULL: none is). */
bool credentials_fetch(const struct credentials_context *c, const char **source,
                       struct aws_keys *out, struct err *e) MUST_CHECK;
