#include "auth.h"

#include <stdio.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws/region.h"
#include "http/url.h"

enum { MAX_ORG_ID_CHARS = 150, MAX_PART_CHARS = 255 }; /* the former is Mimir's */

static bool is_set(const char *text)
{
    return text[0] != '\0';
}

/* Visible ASCII, and maybe spaces: fit for a header. */
static bool is_plain(const char *text, char least)
{
    while (*text >= least && *text < 0x7f) {
        text++;
    }
    return *text == '\0';
}

bool auth_region_of_host(const char *host, char *out, size_t n_out)
{
    static const char service[] = "aps-workspaces";
    const char *at = strstr(host, service);
    /* Also of a VPC endpoint, whose own name stands in front. */
    if (at == NULL || (at != host && at[-1] != '.')) {
        return false;
    }
    at += strlen(service);
    at += strncmp(at, "-fips", 5) == 0 ? 5 : 0;
    size_t n = *at == '.' ? strcspn(at + 1, ".") : 0;
    bool is_aws = n > 0 && (strstr(at, ".amazonaws.com") != NULL || strstr(at, ".api.aws") != NULL);
    struct err e = ERR_INIT;
    if (!is_aws || n >= n_out) {
        return false;
    }
    memcpy(out, at + 1, n);
    out[n] = '\0';
    return region_check(out, &e);
}

bool auth_region(const struct auth_options *o, char *out, size_t n_out, struct err *e)
{
    struct http_url url;
    if (!http_url_parse(o->url, &url, e)) {
        return false;
    }
    bool by_host = auth_region_of_host(url.host, out, n_out);
    if (!is_set(o->region)) {
        return by_host || credentials_find_region(NULL, out, n_out, e) ||
               err_wrap(e, "auth=sigv4, and neither aws.region nor the url's host names a region");
    }
    if (!region_check(o->region, e)) {
        return err_wrap(e, "aws.region");
    }
    if (by_host && strcmp(out, o->region) != 0) {
        return err_set(e, ERR_CONFIG, "aws.region is %s, but the url is of %s", o->region, out);
    }
    (void)snprintf(out, n_out, "%s", o->region);
    return true;
}

static bool kind_of(const char *name, enum auth_kind *out, struct err *e)
{
    static const char *const names[] = {
        [AUTH_NONE] = "none",
        [AUTH_SIGV4] = "sigv4",
        [AUTH_BASIC] = "basic",
        [AUTH_BEARER] = "bearer",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum auth_kind)i;
            return true;
        }
    }
    return err_set(e, ERR_CONFIG, "auth: \"%.40s\" is not none, sigv4, basic or bearer", name);
}

/* A key that is there for another kind shows that somebody meant that one. */
static bool check_strays(const struct auth_options *o, struct err *e)
{
    const struct {
        const char *key;
        const char *value;
        enum auth_kind kind;
        const char *kind_name;
    } rows[] = {
        {"aws.region", o->region, AUTH_SIGV4, "sigv4"},
        {"username", o->username, AUTH_BASIC, "basic"},
        {"password", o->password, AUTH_BASIC, "basic"},
        {"bearer_token", o->bearer_token, AUTH_BEARER, "bearer"},
        {"bearer_token_file", o->bearer_token_file, AUTH_BEARER, "bearer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (is_set(rows[i].value) && o->kind != rows[i].kind) {
            return err_set(e, ERR_CONFIG, "%s is given, but auth is not %s", rows[i].key,
                           rows[i].kind_name);
        }
    }
    return true;
}

static bool check_sigv4(const struct auth_options *o, struct err *e)
{
    char region[REGION_MAX_CHARS + 1];
    if (!is_plain(o->url, '!')) {
        return err_set(e, ERR_CONFIG, "url: percent-encode what is not visible ASCII, to sign it");
    }
    return auth_region(o, region, sizeof region, e) && credentials_check_setup(NULL, e);
}

static bool check_basic(const struct auth_options *o, struct err *e)
{
    if (!is_set(o->username) || !is_set(o->password)) {
        return err_set(e, ERR_CONFIG, "auth=basic needs %s",
                       is_set(o->username) ? "password, password_file or SLUICE_PASSWORD"
                                           : "username");
    }
    if (strchr(o->username, ':') != NULL) {
        return err_set(e, ERR_CONFIG, "username: it must not hold a colon");
    }
    return (strlen(o->username) <= MAX_PART_CHARS && strlen(o->password) <= MAX_PART_CHARS) ||
           err_set(e, ERR_CONFIG, "username or password: more than %d bytes", MAX_PART_CHARS);
}

static bool check_bearer(const struct auth_options *o, struct err *e)
{
    if (is_set(o->bearer_token) == is_set(o->bearer_token_file)) {
        return err_set(e, ERR_CONFIG, "auth=bearer needs %s of bearer_token_file and bearer_token",
                       is_set(o->bearer_token) ? "only one" : "one");
    }
    struct auth *tried = NULL; /* reads and checks the token */
    bool ok = auth_new(o, &tried, e);
    auth_free(tried);
    return ok;
}

static bool check(const struct auth_options *o, struct err *e)
{
    struct http_url url;
    if (!http_url_parse(o->url, &url, e) || !check_strays(o, e)) {
        return false;
    }
    if (strlen(o->org_id) > MAX_ORG_ID_CHARS || !is_plain(o->org_id, '!')) {
        return err_set(e, ERR_CONFIG, "org_id: not 1 to %d characters of visible ASCII",
                       MAX_ORG_ID_CHARS);
    }
    switch (o->kind) {
    case AUTH_NONE:
        return true;
    case AUTH_SIGV4:
        return check_sigv4(o, e);
    case AUTH_BASIC:
        return check_basic(o, e);
    case AUTH_BEARER:
        return check_bearer(o, e);
    }
    return true;
}

bool auth_options_of(const struct config *c, struct auth_options *out, struct err *e)
{
    *out = (struct auth_options){
        .url = config_str(c, "url"),
        .region = config_str(c, "aws.region"),
        .refresh_ms = config_int(c, "auth_refresh_ms"),
        .username = config_str(c, "username"),
        .password = config_str(c, "password"),
        .bearer_token = config_str(c, "bearer_token"),
        .bearer_token_file = config_str(c, "bearer_token_file"),
        .org_id = config_str(c, "org_id"),
    };
    return kind_of(config_str(c, "auth"), &out->kind, e) && check(out, e);
}
