/* The files that keys, tokens and profiles are read from. */
#pragma once

#include "aws/credentials_parse.h"
#include "aws/credentials_source.h"

/* The whole file, at most max_bytes of it; *absent tells that there is none. In the arena. */
bool credentials_file(const char *path, size_t max_bytes, struct arena *a, struct slice *out,
                      bool *absent, struct err *e) MUST_CHECK;
/* A token of visible ASCII; trailing line breaks are an error, as for AWS's SDKs. */
bool credentials_token_file(const char *path, struct arena *a, const char **out,
                            struct err *e) MUST_CHECK;
/* The profile AWS_PROFILE (or "default") of both shared files. */
bool credentials_profile_read(const struct credentials_context *c, const char **name,
                              struct credentials_profile *out, struct err *e) MUST_CHECK;
