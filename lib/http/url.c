#include "http/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

/* false: absent (text is ""), or too long. */
static bool part(CURLU *u, CURLUPart which, char *text, size_t n_text)
{
    char *found = NULL;
    text[0] = '\0';
    if (curl_url_get(u, which, &found, 0) != CURLUE_OK) {
        return false;
    }
    int n = snprintf(text, n_text, "%s", found);
    curl_free(found);
    return n >= 0 && (size_t)n < n_text;
}

static bool take_parts(CURLU *u, struct http_url *out, struct err *e)
{
    char scheme[8];
    char port[8];
    char user[8];
    bool has_scheme = part(u, CURLUPART_SCHEME, scheme, sizeof scheme);
    out->is_https = has_scheme && strcmp(scheme, "https") == 0;
    if (!out->is_https && (!has_scheme || strcmp(scheme, "http") != 0)) {
        return err_set(e, ERR_CONFIG, "url: neither http nor https");
    }
    if (part(u, CURLUPART_USER, user, sizeof user) || user[0] != '\0') {
        return err_set(e, ERR_CONFIG, "url: holds a user name");
    }
    if (!part(u, CURLUPART_HOST, out->host, sizeof out->host) ||
        !part(u, CURLUPART_PATH, out->path, sizeof out->path)) {
        return err_set(e, ERR_CONFIG, "url: no host, or too long");
    }
    if (!part(u, CURLUPART_QUERY, out->query, sizeof out->query) && out->query[0] != '\0') {
        return err_set(e, ERR_CONFIG, "url: the query is too long");
    }
    bool has_port = part(u, CURLUPART_PORT, port, sizeof port);
    (void)snprintf(out->authority, sizeof out->authority, "%s%s%s", out->host, has_port ? ":" : "",
                   port);
    return true;
}

bool http_url_parse(const char *url, struct http_url *out, struct err *e)
{
    CURLU *u = curl_url();
    if (u == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    bool ok = code == CURLUE_OK ? take_parts(u, out, e)
                                : err_set(e, ERR_CONFIG, "url: %s", curl_url_strerror(code));
    curl_url_cleanup(u);
    return ok;
}

bool http_url_is_loopback(const struct http_url *u)
{
    struct in_addr address;
    return strcmp(u->host, "localhost") == 0 || strcmp(u->host, "[::1]") == 0 ||
           (inet_pton(AF_INET, u->host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}
