/* JSON (RFC 8259) read from front to back, a value at a time: no tree is built, so that a text takes
 * no more memory than its longest string. Nesting is capped. Failure is sticky, as a cursor's:
 * what comes behind it is an end.
 *
 *   json_enter(&j, '{'); while (json_key(&j, &key)) { … one value … }
 *   json_enter(&j, '['); while (json_item(&j)) { … one value … }
 *
 * Strict: no comments, no trailing commas, no bare names, UTF-8 alone. A byte order mark in front
 * is passed over. Whoever wants no key twice looks to it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { JSON_MAX_DEPTH = 64 };

enum json_kind {
    JSON_KIND_BAD, /* no value, or the reader has failed */
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL
};

struct json_reader {
    struct slice text;
    size_t at;
    const char *fault; /* what is wrong at `at`, a static text; NULL = nothing so far */
    struct buf space;  /* a string that has escapes */
    uint32_t depth;
    struct {
        char end; /* '}' or ']' */
        bool has_begun;
    } levels[JSON_MAX_DEPTH];
};

void json_open(struct json_reader *j, struct slice text);
void json_close(struct json_reader *j);
static inline bool json_ok(const struct json_reader *j)
{
    return j->fault == NULL;
}
/* Returns false, so that a check reads `return json_fail(…)`. The first fault stays. */
bool json_fail(struct json_reader *j, const char *fault);

/* What comes next, by its first byte. */
enum json_kind json_peek(struct json_reader *j);
/* Into the object ('{') or array ('[') that comes next. */
bool json_enter(struct json_reader *j, char bracket);
/* The next member's key, with the colon behind it; false at the object's end. key: as a string's. */
bool json_key(struct json_reader *j, struct slice *key);
/* Is there one more item? False at the array's end. */
bool json_item(struct json_reader *j);
/* Without its quotes and escapes; until the next string or key is read. */
bool json_take_string(struct json_reader *j, struct slice *out);
/* Its text. */
bool json_take_number(struct json_reader *j, struct slice *out);
/* Passes over the value that comes next, whatever it is. */
bool json_skip(struct json_reader *j);
/* Nothing but white space is left. */
bool json_end(struct json_reader *j);

/* Is all of s a number as JSON has it? */
bool json_is_number(struct slice s);
