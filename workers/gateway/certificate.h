/* A client's certificate: checked against the client CA, and the names that it gives (RFC 5280). The
 * policy maps them to a tenant: a URI of the subject alternative names, or CN=<common name>. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <gnutls/gnutls.h>

enum { CERTIFICATE_MAX_NAMES = 8, CERTIFICATE_NAME_BYTES = 256 };

struct certificate {
    bool is_there;
    bool is_good;      /* chains to the CA, is for clients, and was in its time when it was looked at */
    int64_t expires_s; /* since the epoch */
    uint32_t n_names;
    struct slice names[CERTIFICATE_MAX_NAMES]; /* owned, in one block; URIs first */
    char *block;
    char why_not[160]; /* not good: what is wrong, for a person */
};

/* After the handshake. What it says that is wrong is no error: is_good is false. */
void certificate_read(gnutls_session_t session, struct certificate *out);
void certificate_fini(struct certificate *c);
