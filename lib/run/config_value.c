#include "run/config_value.h"

#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_CHARS = 60, SECRET_FILE_MAX_BYTES = 64 * 1024, NAME_MAX_CHARS = 200 };

static const char kafka_prefix[] = "kafka.";
enum { KAFKA_PREFIX_LEN = sizeof kafka_prefix - 1 };

static bool no_room(struct err *e)
{
    return err_set(e, ERR_CONFIG, "the configuration is too large");
}

char *config_text(struct config *c, struct slice s, struct err *e)
{
    char *text = arena_alloc(&c->arena, s.len + 1);
    if (text == NULL) {
        (void)no_room(e);
        return NULL;
    }
    if (s.len > 0) {
        memcpy(text, s.ptr, s.len);
    }
    text[s.len] = '\0';
    return text;
}

static bool ends_with(const char *name, const char *suffix)
{
    return slice_ends_with(slice_str(name), slice_str(suffix));
}

bool config_property_is_secret(const char *name)
{
    static const char *const parts[] = {"password",        "passphrase", "secret",
                                        "private.key.pem", "key.pem",    "oauthbearer.config",
                                        "jaas.config"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(name, parts[i]) != NULL && !ends_with(name, ".location")) {
            return true;
        }
    }
    return false;
}

static size_t key_index(const struct config *c, const char *name, size_t len)
{
    size_t i = 0;
    while (i < c->program->n_keys && !slice_eq_str(slice_of(name, len), c->program->keys[i].name)) {
        i++;
    }
    return i;
}

/* Text form to a number: the whole text, decimal. */
static bool parse_int(const char *text, int64_t *out)
{
    if (text[0] != '-' && (text[0] < '0' || text[0] > '9')) {
        return false;
    }
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *out = v;
    return errno == 0 && *end == '\0' && end != text;
}

static bool put_int(const struct config_key *k, struct config_value *v, int64_t n, struct err *e)
{
    if (n < k->min || n > k->max) {
        return err_set(e, ERR_CONFIG, "%" PRId64 " is not in %" PRId64 "…%" PRId64, n, k->min,
                       k->max);
    }
    v->number = n;
    return true;
}

static bool put_bool(struct config_value *v, const char *text, struct err *e)
{
    v->flag = strcmp(text, "true") == 0;
    return v->flag || strcmp(text, "false") == 0 ||
           err_set(e, ERR_CONFIG, "\"%.*s\" is neither true nor false", SHOWN_CHARS, text);
}

static bool put_list(struct config *c, struct config_value *v, const char *text, struct err *e)
{
    size_t n_max = 1;
    for (const char *p = text; *p != '\0'; p++) {
        n_max += *p == ',';
    }
    v->items = ARENA_ARRAY(&c->arena, const char *, n_max);
    if (v->items == NULL) {
        return no_room(e);
    }
    v->n_items = 0;
    if (text[0] == '\0') {
        return true;
    }
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        if (len == 0) {
            return err_set(e, ERR_CONFIG, "an item of the list is empty");
        }
        char *item = config_text(c, slice_of(p, len), e);
        if (item == NULL) {
            return false;
        }
        v->items[v->n_items++] = item;
        p += len;
        if (*p == '\0') {
            return true;
        }
    }
}

static bool value_of_text(struct config *c, const struct config_key *k, const char *text,
                          struct config_value *v, struct err *e)
{
    switch (k->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
        v->text = config_text(c, slice_str(text), e);
        return v->text != NULL;
    case CONFIG_INT: {
        int64_t n;
        return parse_int(text, &n)
                   ? put_int(k, v, n, e)
                   : err_set(e, ERR_CONFIG, "\"%.*s\" is not an integer", SHOWN_CHARS, text);
    }
    case CONFIG_BOOL:
        return put_bool(v, text, e);
    case CONFIG_LIST:
        return put_list(c, v, text, e);
    }
    return false;
}

static const char *json_type_name(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "?";
}

static bool wrong_type(const char *want, const json_t *json, struct err *e)
{
    return err_set(e, ERR_CONFIG, "must be %s, not %s", want, json_type_name(json));
}

static bool list_of_json(struct config *c, const json_t *json, struct config_value *v,
                         struct err *e)
{
    size_t n = json_array_size(json);
    v->n_items = 0;
    v->items = ARENA_ARRAY(&c->arena, const char *, n);
    if (v->items == NULL) {
        return no_room(e);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(json, i);
        if (!json_is_string(item)) {
            return wrong_type("a list of strings", item, e) || err_wrap(e, "item %zu", i + 1);
        }
        char *text = config_text(c, slice_str(json_string_value(item)), e);
        if (text == NULL) {
            return false;
        }
        if (text[0] == '\0') {
            return err_set(e, ERR_CONFIG, "item %zu is empty", i + 1);
        }
        v->items[v->n_items++] = text;
    }
    return true;
}

static bool value_of_json(struct config *c, const struct config_key *k, const json_t *json,
                          struct config_value *v, struct err *e)
{
    switch (k->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
        return json_is_string(json) ? value_of_text(c, k, json_string_value(json), v, e)
                                    : wrong_type("a string", json, e);
    case CONFIG_INT:
        return json_is_integer(json) ? put_int(k, v, json_integer_value(json), e)
                                     : wrong_type("an integer", json, e);
    case CONFIG_BOOL:
        v->flag = json_is_true(json);
        return json_is_boolean(json) || wrong_type("true or false", json, e);
    case CONFIG_LIST:
        if (json_is_string(json)) {
            return put_list(c, v, json_string_value(json), e);
        }
        return json_is_array(json) ? list_of_json(c, json, v, e)
                                   : wrong_type("a list of strings", json, e);
    }
    return false;
}

bool config_file_text(struct config *c, const char *path, size_t max_bytes, struct slice *out,
                      struct err *e)
{
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        return err_set_code(e, ERR_CONFIG, errno, "cannot open %s: %s", path, strerror(errno));
    }
    bool ok = false;
    struct buf text;
    buf_init(&text, max_bytes + 1);
    uint8_t piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0 && buf_ok(&text)) {
        buf_put(&text, piece, n);
    }
    if (ferror(f) != 0) {
        (void)err_set(e, ERR_CONFIG, "cannot read %s", path);
        goto out;
    }
    if (!buf_ok(&text) || text.len > max_bytes) {
        (void)err_set(e, ERR_CONFIG, "%s is larger than %zu bytes", path, max_bytes);
        goto out;
    }
    char *copy = config_text(c, buf_slice(&text), e);
    if (copy != NULL) {
        *out = slice_of(copy, text.len);
        ok = true;
    }
out:
    buf_fini(&text);
    (void)fclose(f);
    return ok;
}

/* The secret that a file holds, without the line's end. */
static bool secret_of_file(struct config *c, const char *path, const char **out, struct err *e)
{
    struct slice text;
    if (!config_file_text(c, path, SECRET_FILE_MAX_BYTES, &text, e)) {
        return false;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r')) {
        text.len--;
    }
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
        return err_set(e, ERR_CONFIG, "%s holds a NUL byte", path);
    }
    if (text.len == 0) {
        return err_set(e, ERR_CONFIG, "%s is empty", path);
    }
    *out = config_text(c, text, e);
    return *out != NULL;
}

static bool put_property(struct config *c, const char *name, const char *value,
                         const struct config_origin *from, struct err *e)
{
    for (size_t i = 0; i < c->n_properties; i++) {
        struct config_property *p = &c->properties[i];
        if (strcmp(p->name, name) == 0) {
            if (p->layer == from->layer && from->layer != LAYER_SET) {
                return err_set(e, ERR_CONFIG, "given twice");
            }
            p->value = value;
            p->layer = from->layer;
            return true;
        }
    }
    if (c->n_properties == c->cap_properties) {
        size_t cap = c->cap_properties == 0 ? 16 : c->cap_properties * 2;
        struct config_property *more = ARENA_ARRAY(&c->arena, struct config_property, cap);
        if (more == NULL) {
            return no_room(e);
        }
        if (c->n_properties > 0) {
            memcpy(more, c->properties, c->n_properties * sizeof *more);
        }
        c->properties = more;
        c->cap_properties = cap;
    }
    c->properties[c->n_properties++] = (struct config_property){name, value, from->layer};
    return true;
}

/* name without "kafka."; sasl.password_file (in the environment …_FILE, so sasl.password.file)
 * names a file. */
static bool put_kafka(struct config *c, const char *name, const char *text,
                      const struct config_origin *from, struct err *e)
{
    struct slice stem = slice_str(name);
    bool by_file = false;
    if (ends_with(name, "_file") || ends_with(name, ".file")) {
        stem.len -= strlen("_file");
        by_file = true;
    }
    char *base = config_text(c, by_file ? stem : slice_str(name), e);
    if (base == NULL) {
        return false;
    }
    by_file = by_file && config_property_is_secret(base);
    const char *value = NULL;
    if (by_file) {
        return secret_of_file(c, text, &value, e) && put_property(c, base, value, from, e);
    }
    if (name[0] == '\0') {
        return err_set(e, ERR_CONFIG, "the property's name is missing");
    }
    if (from->layer == LAYER_SET && config_property_is_secret(name)) {
        return err_set(e, ERR_CONFIG,
                       "a secret is not for the command line: pass it by file or environment");
    }
    char *own = config_text(c, slice_str(name), e);
    value = own == NULL ? NULL : config_text(c, slice_str(text), e);
    return value != NULL && put_property(c, own, value, from, e);
}

static bool kafka_of_json(struct config *c, const char *name, const json_t *json,
                          const struct config_origin *from, struct err *e)
{
    char number[32];
    switch (json_typeof(json)) {
    case JSON_STRING:
        return put_kafka(c, name, json_string_value(json), from, e);
    case JSON_INTEGER:
        (void)snprintf(number, sizeof number, "%" PRId64, (int64_t)json_integer_value(json));
        return put_kafka(c, name, number, from, e);
    case JSON_REAL:
        (void)snprintf(number, sizeof number, "%.15g", json_real_value(json));
        return put_kafka(c, name, number, from, e);
    case JSON_TRUE:
    case JSON_FALSE:
        return put_kafka(c, name, json_is_true(json) ? "true" : "false", from, e);
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL:
        break;
    }
    return wrong_type("a string, a number, true or false", json, e);
}

static bool unknown_key(const struct config *c, const char *name, struct err *e)
{
    const char *best = NULL;
    size_t least = strlen(name) / 3 < 2 ? 3 : strlen(name) / 3 + 1;
    for (size_t i = 0; i < c->program->n_keys; i++) {
        size_t d = config_distance(name, c->program->keys[i].name);
        if (d < least) {
            least = d;
            best = c->program->keys[i].name;
        }
    }
    if (best != NULL) {
        return err_set(e, ERR_CONFIG, "unknown key; did you mean %s?", best);
    }
    return err_set(e, ERR_CONFIG, "unknown key; --help lists them");
}

/* Finds the key; *by_file when name is "<secret>_file". */
static size_t seek_key(const struct config *c, const char *name, bool *by_file)
{
    size_t i = key_index(c, name, strlen(name));
    *by_file = false;
    if (i == c->program->n_keys && ends_with(name, "_file")) {
        i = key_index(c, name, strlen(name) - strlen("_file"));
        *by_file = i < c->program->n_keys && c->program->keys[i].type == CONFIG_SECRET;
        i = *by_file ? i : c->program->n_keys;
    }
    return i;
}

/* One of text and json is given. */
static bool put_any(struct config *c, const char *name, const char *text, const json_t *json,
                    const struct config_origin *from, struct err *e)
{
    if (text != NULL && !utf8_valid(slice_str(text))) {
        return err_set(e, ERR_CONFIG, "is not UTF-8 text");
    }
    if (strncmp(name, kafka_prefix, KAFKA_PREFIX_LEN) == 0) {
        const char *property = name + KAFKA_PREFIX_LEN;
        return text != NULL ? put_kafka(c, property, text, from, e)
                            : kafka_of_json(c, property, json, from, e);
    }
    bool by_file;
    size_t i = seek_key(c, name, &by_file);
    if (i == c->program->n_keys) {
        return (c->program->shares_file && from->layer == LAYER_FILE) || unknown_key(c, name, e);
    }
    const struct config_key *k = &c->program->keys[i];
    if (k->type == CONFIG_SECRET && from->layer == LAYER_SET && !by_file) {
        return err_set(e, ERR_CONFIG,
                       "a secret is not for the command line: pass it by file or environment");
    }
    struct config_value v = {.present = true, .layer = from->layer};
    if (by_file) {
        const char *path = text != NULL ? text : json_string_value(json);
        if (path == NULL) {
            return wrong_type("a string", json, e);
        }
        if (!secret_of_file(c, path, &v.text, e)) {
            return false;
        }
    } else if (text != NULL ? !value_of_text(c, k, text, &v, e)
                            : !value_of_json(c, k, json, &v, e)) {
        return false;
    }
    if (k->type == CONFIG_SECRET && c->values[i].present && c->values[i].layer == from->layer &&
        from->layer != LAYER_SET) {
        return err_set(e, ERR_CONFIG, "given twice, as %s and as %s_file", k->name, k->name);
    }
    c->values[i] = v;
    return true;
}

static bool wrap_name(const char *name, const struct config_origin *from, struct err *e)
{
    return err_wrap(e, "%.*s (%.*s)", NAME_MAX_CHARS / 2, name, NAME_MAX_CHARS / 2, from->where);
}

bool config_put_text(struct config *c, const char *name, const char *text,
                     const struct config_origin *from, struct err *e)
{
    return put_any(c, name, text, NULL, from, e) || wrap_name(name, from, e);
}

bool config_put_json(struct config *c, const char *name, const json_t *json,
                     const struct config_origin *from, struct err *e)
{
    return put_any(c, name, NULL, json, from, e) || wrap_name(name, from, e);
}
