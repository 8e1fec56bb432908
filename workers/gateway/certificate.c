#include "certificate.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>

/* A certificate whose alternative names can't be read at all gives an error for each. */
enum { MAX_ALTERNATIVE_NAMES = 1024 };

static void name_add(struct certificate *c, size_t *used, const char *prefix, const char *name, size_t len)
{
    size_t n_prefix = strlen(prefix);
    if (c->n_names == CERTIFICATE_MAX_NAMES || n_prefix + len > CERTIFICATE_NAME_BYTES) {
        return;
    }
    char *to = c->block + *used;
    memcpy(to, prefix, n_prefix);
    memcpy(to + n_prefix, name, len);
    c->names[c->n_names++] = slice_of(to, n_prefix + len);
    *used += n_prefix + len;
}

static void names_read(struct certificate *c, gnutls_x509_crt_t crt)
{
    char text[CERTIFICATE_NAME_BYTES];
    size_t used = 0;
    c->block = malloc(CERTIFICATE_MAX_NAMES * CERTIFICATE_NAME_BYTES);
    for (unsigned i = 0; c->block != NULL && i < MAX_ALTERNATIVE_NAMES; i++) {
        size_t len = sizeof text;
        int type = gnutls_x509_crt_get_subject_alt_name(crt, i, text, &len, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            break;
        }
        /* Others: too long for a principal, or of a type that is not known. */
        if (type == GNUTLS_SAN_URI && memchr(text, '\0', len) == NULL) {
            name_add(c, &used, "", text, len);
        }
    }
    size_t len = sizeof text;
    if (c->block != NULL &&
        gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &len) == 0 &&
        memchr(text, '\0', len) == NULL) {
        name_add(c, &used, "CN=", text, len);
    }
}

static void say_why(struct certificate *c, unsigned status)
{
    gnutls_datum_t text = {0};
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
        (void)snprintf(c->why_not, sizeof c->why_not, "%.*s", (int)text.size, (const char *)text.data);
        gnutls_free(text.data);
    }
}

void certificate_read(gnutls_session_t session, struct certificate *out)
{
    unsigned n = 0;
    unsigned status = 0;
    gnutls_x509_crt_t crt = NULL;
    *out = (struct certificate){0};
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    if (chain == NULL || n == 0) {
        return;
    }
    out->is_there = true;
    (void)snprintf(out->why_not, sizeof out->why_not, "it can't be read");
    char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st data = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose};
    if (gnutls_certificate_verify_peers(session, &data, 1, &status) != 0) {
        return;
    }
    if (status != 0) {
        say_why(out, status);
        return;
    }
    if (gnutls_x509_crt_init(&crt) != 0) {
        return;
    }
    if (gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) == 0) {
        out->expires_s = (int64_t)gnutls_x509_crt_get_expiration_time(crt);
        names_read(out, crt);
        out->is_good = true;
    }
    gnutls_x509_crt_deinit(crt);
}

void certificate_fini(struct certificate *c)
{
    free(c->block);
    *c = (struct certificate){0};
}
