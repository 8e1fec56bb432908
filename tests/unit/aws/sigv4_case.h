/* Requests to sign, as text: one setting a line, a case ends at an empty line. What is not said is
 * as in AWS's test suite (its keys, us-east-1, "service", 2015-08-30T12:36:00Z, GET /).
 *
 *   case get-utf8              name, the first line
 *   keys AKID secret [token]   scope us-east-1 s3        time 1440938160000    rules
 * normal|encoded|s3 request POST /path         query a=b&c               header
 * Host:example.amazonaws.com body text                  payload UNSIGNED-PAYLOAD want <signature>
 * host;x-amz-date                     the header form want_query <seconds> <signature> the query
 * form  */
#pragma once

#include "aws/sigv4.h"

#include <stdio.h>

enum { CASE_MAX_HEADERS = 32, CASE_MAX_BYTES = 1 << 20 };

struct sigv4_case {
    char *text; /* owned; all that follows points into it */
    const char *name;
    struct aws_keys keys;
    struct sigv4_scope scope;
    struct sigv4_request request;
    const char *headers[CASE_MAX_HEADERS];
    char hash[SIGV4_HASH_CHARS + 1];
    int64_t now_ms;
    const char *want; /* NULL = not said */
    const char *want_names;
    int64_t lifetime_s; /* 0 = no query form */
    const char *want_query;
};

/* The next case, or false at the end of the file. Exits with a message when the text is wrong. */
bool sigv4_case_read(FILE *f, struct sigv4_case *c);
void sigv4_case_free(struct sigv4_case *c);
