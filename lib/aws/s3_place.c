#include "aws/s3_place.h"

#include "aws/region.h"

#include <stdio.h>
#include <string.h>

static bool check_bucket(const char *bucket, struct err *e)
{
    size_t n = strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    if (n < 3 || n > 63 || bucket[n] != '\0' || bucket[0] == '.' || bucket[0] == '-') {
        return err_set(e, ERR_CONFIG, "\"%.63s\" is not the name of a bucket", bucket);
    }
    return true;
}

static void aws_endpoint(const struct s3_options *o, char *out, size_t n_out)
{
    (void)snprintf(out, n_out, "https://s3%s%s.%s.%s", o->fips ? "-fips" : "",
                   o->dual_stack ? ".dualstack" : "", o->region, region_domain(o->region));
}

bool s3_place(const struct s3_options *o, struct s3_place *out, struct err *e)
{
    char endpoint[HTTP_URL_MAX_CHARS + 1];
    struct http_url url;
    if (!check_bucket(o->bucket, e) || !region_check(o->region, e)) {
        return false;
    }
    bool is_own = o->endpoint != NULL && o->endpoint[0] != '\0';
    bool in_path = o->path_style || strchr(o->bucket, '.') != NULL;
    if (is_own) {
        (void)snprintf(endpoint, sizeof endpoint, "%s", o->endpoint);
    } else {
        aws_endpoint(o, endpoint, sizeof endpoint);
    }
    if (!http_url_parse(endpoint, &url, e)) {
        return err_wrap(e, "S3 endpoint");
    }
    if (strcmp(url.path, "/") != 0) {
        return err_set(e, ERR_CONFIG, "S3 endpoint: it has a path");
    }
    out->is_https = url.is_https;
    (void)snprintf(out->authority, sizeof out->authority, "%s%s%s", in_path ? "" : o->bucket,
                   in_path ? "" : ".", url.authority);
    (void)snprintf(out->base, sizeof out->base, "http%s://%.600s", url.is_https ? "s" : "",
                   out->authority);
    (void)snprintf(out->prefix, sizeof out->prefix, "%s%s", in_path ? "/" : "",
                   in_path ? o->bucket : "");
    return true;
}
