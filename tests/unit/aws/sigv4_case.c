#include "sigv4_case.h"

#include <stdlib.h>

static void wrong(const char *line)
{
    fprintf(stderr, "not a line of a case: %s\n", line);
    exit(1);
}

/* Cuts the next word off. */
static char *word(char **rest)
{
    char *at = *rest;
    char *blank = strchr(at, ' ');
    *rest = blank == NULL ? at + strlen(at) : blank + 1;
    if (blank != NULL) {
        *blank = '\0';
    }
    return at;
}

static char *word_or_null(char **rest)
{
    char *at = word(rest);
    return at[0] == '\0' ? NULL : at;
}

static enum sigv4_path rules_of(const char *text)
{
    if (strcmp(text, "normal") == 0) {
        return SIGV4_PATH_NORMAL;
    }
    return strcmp(text, "s3") == 0 ? SIGV4_PATH_S3 : SIGV4_PATH_ENCODED;
}

static void put_body(struct sigv4_case *c, const char *text)
{
    struct err e = ERR_INIT;
    if (!sigv4_hash(slice_str(text), c->hash, &e)) {
        wrong(e.text);
    }
    c->request.payload_hash = c->hash;
}

static void put_header(struct sigv4_case *c, char *text)
{
    if (c->request.n_headers == CASE_MAX_HEADERS) {
        wrong("too many headers");
    }
    c->headers[c->request.n_headers++] = text;
}

static void put_line(struct sigv4_case *c, char *line)
{
    char *rest = line;
    const char *what = word(&rest);
    if (strcmp(what, "case") == 0) {
        c->name = rest;
    } else if (strcmp(what, "keys") == 0) {
        c->keys.access_key = word(&rest);
        c->keys.secret_key = word(&rest);
        c->keys.session_token = word_or_null(&rest);
    } else if (strcmp(what, "scope") == 0) {
        c->scope.region = word(&rest);
        c->scope.service = word(&rest);
    } else if (strcmp(what, "time") == 0) {
        c->now_ms = strtoll(rest, NULL, 10);
    } else if (strcmp(what, "rules") == 0) {
        c->scope.path = rules_of(rest);
    } else if (strcmp(what, "request") == 0) {
        c->request.method = word(&rest);
        c->request.path = slice_str(rest);
    } else if (strcmp(what, "query") == 0) {
        c->request.query = slice_str(rest);
    } else if (strcmp(what, "header") == 0) {
        put_header(c, rest);
    } else if (strcmp(what, "body") == 0) {
        put_body(c, rest);
    } else if (strcmp(what, "payload") == 0) {
        c->request.payload_hash = rest;
    } else if (strcmp(what, "want") == 0) {
        c->want = word(&rest);
        c->want_names = rest;
    } else if (strcmp(what, "want_query") == 0) {
        c->lifetime_s = strtoll(word(&rest), NULL, 10);
        c->want_query = rest;
    } else {
        wrong(line);
    }
}

static void put_defaults(struct sigv4_case *c)
{
    c->keys = (struct aws_keys){.access_key = "AKIDEXAMPLE",
                                .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                .expires_ms = AWS_NEVER_EXPIRES};
    c->scope = (struct sigv4_scope){.region = "us-east-1", .service = "service"};
    c->now_ms = 1440938160000;
    c->request =
        (struct sigv4_request){.method = "GET", .path = SLICE_LITERAL("/"), .headers = c->headers};
}

/* The lines of one case; NULL at the end of the file. */
static char *read_block(FILE *f)
{
    char *text = calloc(1, CASE_MAX_BYTES);
    size_t len = 0;
    while (text != NULL && fgets(text + len, (int)(CASE_MAX_BYTES - len), f) != NULL) {
        if (text[len] == '#') {
            text[len] = '\0';
        } else if (text[len] == '\n' && len > 0) {
            break;
        } else if (text[len] == '\n') {
            text[len] = '\0';
        }
        len += strlen(text + len);
    }
    if (len == 0) {
        free(text);
        return NULL;
    }
    return text;
}

bool sigv4_case_read(FILE *f, struct sigv4_case *c)
{
    *c = (struct sigv4_case){.text = read_block(f)};
    if (c->text == NULL) {
        return false;
    }
    put_defaults(c);
    for (char *line = c->text; *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        if (line[0] != '\0') {
            put_line(c, line);
        }
        line = end == NULL ? line + strlen(line) : end + 1;
    }
    return true;
}

void sigv4_case_free(struct sigv4_case *c)
{
    free(c->text);
}
