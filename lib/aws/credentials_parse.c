#include "aws/credentials_parse.h"

#include "aws/encode.h"
#include "aws/xml.h"

#include <jansson.h>
#include <stdio.h>

/* Visible ASCII without blanks, 1 to max_chars. */
static bool check_text(const char *text, size_t max_chars, const char *what, struct err *e)
{
    size_t n = 0;
    for (; text != NULL && text[n] != '\0'; n++) {
        if (text[n] <= ' ' || text[n] >= 0x7f) {
            return err_set(e, ERR_BAD_INPUT, "the %s holds byte 0x%02x at %zu", what,
                           (uint8_t)text[n], n);
        }
    }
    if (n == 0 || n > max_chars) {
        return err_set(e, ERR_BAD_INPUT, "the %s is %s", what, n == 0 ? "missing" : "too long");
    }
    return true;
}

bool credentials_check(const struct aws_keys *keys, struct err *e)
{
    bool has_token = keys->session_token != NULL && keys->session_token[0] != '\0';
    return check_text(keys->access_key, CREDENTIALS_MAX_KEY_CHARS, "access key", e) &&
           check_text(keys->secret_key, CREDENTIALS_MAX_SECRET_CHARS, "secret key", e) &&
           (!has_token ||
            check_text(keys->session_token, CREDENTIALS_MAX_TOKEN_CHARS, "session token", e));
}

/* A NUL-ended copy; NULL at the arena's ceiling. */
static const char *text_of(struct arena *a, struct slice s)
{
    char *text = arena_alloc(a, s.len + 1);
    if (text != NULL) {
        memcpy(text, s.len == 0 ? (const void *)"" : s.ptr, s.len);
        text[s.len] = '\0';
    }
    return text;
}

/* What may be shown of a peer's word: letters and digits, cut. */
static void shown(struct slice s, char *out, size_t n_out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len && n + 1 < n_out; i++) {
        uint8_t c = s.ptr[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        out[n++] = plain ? (char)c : '?';
    }
    out[n] = '\0';
}

/* --- JSON --- */

static const char *member(const json_t *object, const char *name, struct arena *a)
{
    const json_t *v = json_object_get(object, name);
    return json_is_string(v) ? text_of(a, slice_of(json_string_value(v), json_string_length(v)))
                             : NULL;
}

static bool code_is_success(const json_t *object, struct err *e)
{
    enum { SHOWN_CHARS = 40 };
    char word[SHOWN_CHARS + 1];
    const json_t *code = json_object_get(object, "Code");
    if (!json_is_string(code) || strcmp(json_string_value(code), "Success") == 0) {
        return true;
    }
    shown(slice_str(json_string_value(code)), word, sizeof word);
    return err_set(e, ERR_RETRY, "the answer's code is %s", word);
}

static bool keys_of_object(const json_t *object, struct arena *a, struct aws_keys *out,
                           struct err *e)
{
    if (!json_is_object(object)) {
        return err_set(e, ERR_BAD_INPUT, "JSON: not an object");
    }
    if (!code_is_success(object, e)) {
        return false;
    }
    const char *expiration = member(object, "Expiration", a);
    *out = (struct aws_keys){.access_key = member(object, "AccessKeyId", a),
                             .secret_key = member(object, "SecretAccessKey", a),
                             .session_token = member(object, "Token", a),
                             .expires_ms = AWS_NEVER_EXPIRES};
    if (expiration != NULL && !decode_time(slice_str(expiration), &out->expires_ms)) {
        return err_set(e, ERR_BAD_INPUT, "JSON: \"Expiration\" is no time");
    }
    return credentials_check(out, e);
}

bool credentials_of_json(struct slice json, struct arena *a, struct aws_keys *out, struct err *e)
{
    json_error_t where;
    json_t *root = json_loadb((const char *)json.ptr, json.len, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        return err_set(e, ERR_BAD_INPUT, "not JSON at byte %d", where.position);
    }
    bool ok = keys_of_object(root, a, out, e);
    json_decref(root);
    return ok;
}

/* --- STS --- */

static const char sts_credentials[] =
    "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";

struct sts {
    struct arena *arena;
    struct aws_keys keys;
    bool bad_time;
};

static bool on_sts(void *ctx, const char *path, struct slice text, struct err *e)
{
    struct sts *s = ctx;
    (void)e;
    if (strncmp(path, sts_credentials, sizeof sts_credentials - 1) != 0) {
        return true;
    }
    const char *name = path + sizeof sts_credentials - 1;
    if (strcmp(name, "AccessKeyId") == 0) {
        s->keys.access_key = text_of(s->arena, text);
    } else if (strcmp(name, "SecretAccessKey") == 0) {
        s->keys.secret_key = text_of(s->arena, text);
    } else if (strcmp(name, "SessionToken") == 0) {
        s->keys.session_token = text_of(s->arena, text);
    } else if (strcmp(name, "Expiration") == 0) {
        s->bad_time = !decode_time(text, &s->keys.expires_ms);
    }
    return true;
}

bool credentials_of_sts(struct slice xml, struct arena *a, struct aws_keys *out, struct err *e)
{
    struct sts s = {.arena = a, .keys.expires_ms = AWS_NEVER_EXPIRES};
    const struct xml_sink sink = {.ctx = &s, .element = on_sts};
    if (!xml_walk(xml, a, &sink, e)) {
        return false;
    }
    if (s.bad_time || s.keys.expires_ms == AWS_NEVER_EXPIRES) {
        return err_set(e, ERR_BAD_INPUT, "XML: \"Expiration\" is %s",
                       s.bad_time ? "no time" : "missing");
    }
    *out = s.keys;
    return credentials_check(out, e) &&
           check_text(out->session_token, CREDENTIALS_MAX_TOKEN_CHARS, "session token", e);
}

struct sts_code {
    char *text;
    size_t n_text;
};

static bool on_sts_error(void *ctx, const char *path, struct slice text, struct err *e)
{
    struct sts_code *code = ctx;
    (void)e;
    if (strcmp(path, "ErrorResponse/Error/Code") == 0) {
        shown(text, code->text, code->n_text);
    }
    return true;
}

void credentials_sts_code(struct slice xml, struct arena *a, char *code, size_t n_code)
{
    struct err e = ERR_INIT;
    struct sts_code ctx = {.text = code, .n_text = n_code};
    const struct xml_sink sink = {.ctx = &ctx, .element = on_sts_error};
    code[0] = '\0';
    if (!xml_walk(xml, a, &sink, &e)) {
        code[0] = '\0';
    }
}

/* --- INI --- */

static struct slice trim(struct slice s)
{
    while (s.len > 0 && strchr(" \t\r", s.ptr[0]) != NULL && s.ptr[0] != '\0') {
        s = slice_of(s.ptr + 1, s.len - 1);
    }
    while (s.len > 0 && strchr(" \t\r", s.ptr[s.len - 1]) != NULL && s.ptr[s.len - 1] != '\0') {
        s.len--;
    }
    return s;
}

/* Is "[…]" the profile's section? In the config file all but default are "profile <name>". */
static bool is_section(struct slice line, const char *name, bool is_config)
{
    struct slice inner = trim(slice_of(line.ptr + 1, line.len - 2));
    if (is_config && slice_starts_with(inner, SLICE_LITERAL("profile "))) {
        return slice_eq_str(trim(slice_of(inner.ptr + 8, inner.len - 8)), name);
    }
    return slice_eq_str(inner, name) && (!is_config || strcmp(name, "default") == 0);
}

static bool put_key(struct arena *a, struct credentials_profile *p, struct slice name,
                    struct slice value, struct err *e)
{
    static const char *const foreign[] = {
        "source_profile", "credential_source", "credential_process", "sso_session",
        "sso_start_url",  "sso_account_id",    "login_session"};
    const struct {
        const char *name;
        const char **to;
    } known[] = {{"aws_access_key_id", &p->access_key},
                 {"aws_secret_access_key", &p->secret_key},
                 {"aws_session_token", &p->session_token},
                 {"role_arn", &p->role_arn},
                 {"role_session_name", &p->role_session_name},
                 {"web_identity_token_file", &p->web_identity_token_file},
                 {"region", &p->region}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (slice_eq_str(name, known[i].name) && *known[i].to == NULL) {
            *known[i].to = text_of(a, value);
            return *known[i].to != NULL || err_set(e, ERR_RETRY, "out of memory");
        }
    }
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (slice_eq_str(name, foreign[i]) && p->unsupported == NULL) {
            p->unsupported = foreign[i];
        }
    }
    return true;
}

struct ini {
    const char *name;
    bool is_config;
    bool within;
    struct arena *arena;
    struct credentials_profile *profile;
};

static bool put_line(struct ini *ini, struct slice raw, struct err *e)
{
    struct slice line = trim(raw);
    bool is_indented = raw.len > 0 && (raw.ptr[0] == ' ' || raw.ptr[0] == '\t');
    if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';') {
        return true;
    }
    if (line.ptr[0] == '[') {
        if (line.len < 2 || line.ptr[line.len - 1] != ']') {
            return err_set(e, ERR_CONFIG, "a section without \"]\"");
        }
        ini->within = is_section(line, ini->name, ini->is_config);
        ini->profile->present = ini->profile->present || ini->within;
        return true;
    }
    if (!ini->within || is_indented) { /* indented: a nested setting ("s3 =") */
        return true;
    }
    const uint8_t *equals = memchr(line.ptr, '=', line.len);
    if (equals == NULL || equals == line.ptr) {
        return err_set(e, ERR_CONFIG, "neither a section nor \"name = value\"");
    }
    size_t n_name = (size_t)(equals - line.ptr);
    struct slice value = trim(slice_of(equals + 1, line.len - n_name - 1));
    if (memchr(value.ptr, '\0', value.len) != NULL) {
        return err_set(e, ERR_CONFIG, "a NUL byte");
    }
    return put_key(ini->arena, ini->profile, trim(slice_of(line.ptr, n_name)), value, e);
}

bool credentials_of_ini(struct slice text, const char *name, bool is_config, struct arena *a,
                        struct credentials_profile *p, struct err *e)
{
    struct ini ini = {.name = name, .is_config = is_config, .arena = a, .profile = p};
    size_t number = 1;
    for (size_t from = 0; from < text.len; number++) {
        const uint8_t *end = memchr(text.ptr + from, '\n', text.len - from);
        size_t len = end == NULL ? text.len - from : (size_t)(end - text.ptr) - from;
        if (!put_line(&ini, slice_of(text.ptr + from, len), e)) {
            return err_wrap(e, "line %zu", number);
        }
        from += len + 1;
    }
    return true;
}
