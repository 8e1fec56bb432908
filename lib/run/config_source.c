#include "run/config_value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX_BYTES = 1 << 20, DISTANCE_MAX = 64, VARIABLE_BYTES = 128 };

static const char variable_prefix[] = "SLUICE_";
static const char kafka_variable[] = "SLUICE_KAFKA_";

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment over three rows. */
size_t config_distance(const char *a, const char *b)
{
    size_t n = strlen(a);
    size_t m = strlen(b);
    if (n >= DISTANCE_MAX || m >= DISTANCE_MAX) {
        return n + m;
    }
    size_t rows[3][DISTANCE_MAX + 1] = {{0}};
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least_of(replace, least_of(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least_of(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[n % 3][m];
}

void config_variable(const char *key, char *out, size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "%s%s", variable_prefix, key);
    for (char *p = out; *p != '\0'; p++) {
        *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
    }
}

/* Jansson quotes the text near the error, which may be a secret. */
static bool bad_json(const char *path, json_error_t *error, struct err *e)
{
    char *near = strstr(error->text, " near ");
    if (near != NULL) {
        *near = '\0';
    }
    return err_set(e, ERR_CONFIG, "%s: line %d, column %d: %s", path, error->line, error->column,
                   error->text);
}

static bool read_kafka_object(struct config *c, json_t *object, const struct config_origin *from,
                              struct err *e)
{
    if (!json_is_object(object)) {
        return err_set(e, ERR_CONFIG, "kafka (%s): must be an object of librdkafka's properties",
                       from->where);
    }
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char full[VARIABLE_BYTES];
        if ((size_t)snprintf(full, sizeof full, "kafka.%s", name) >= sizeof full) {
            return err_set(e, ERR_CONFIG, "%.100s… (%s): the name is too long", full, from->where);
        }
        if (!config_put_json(c, full, value, from, e)) {
            return false;
        }
    }
    return true;
}

bool config_read_file(struct config *c, const char *path, struct err *e)
{
    struct slice text;
    if (!config_file_text(c, path, FILE_MAX_BYTES, &text, e)) {
        return false;
    }
    json_error_t error;
    json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return bad_json(path, &error, e);
    }
    const struct config_origin from = {LAYER_FILE, path};
    bool ok = json_is_object(root) || err_set(e, ERR_CONFIG, "%s: must hold one JSON object", path);
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        ok = ok && (strcmp(name, "kafka") == 0 ? read_kafka_object(c, value, &from, e)
                                               : config_put_json(c, name, value, &from, e));
    }
    json_decref(root);
    return ok;
}

/* A variable of no key: somebody else's (SLUICE_PORT_KAFKA of the local stack), unless it is so
 * near to one of ours that it is surely a slip. */
static bool check_stray(const struct config *c, const char *variable, struct err *e)
{
    for (size_t i = 0; i < c->program->n_keys; i++) {
        char known[VARIABLE_BYTES];
        config_variable(c->program->keys[i].name, known, sizeof known);
        size_t allowed = least_of(2, (strlen(known) - strlen(variable_prefix)) / 5);
        size_t d = config_distance(variable, known);
        if (d > 0 && d <= allowed) {
            return err_set(e, ERR_CONFIG, "%.100s (environment): unknown key; did you mean %s?",
                           variable, known);
        }
    }
    return true;
}

/* Is it the key's variable, or that of "<secret>_file"? Then name is the key as in a file. */
static bool match_variable(const struct config_key *k, const char *variable, char *name,
                           size_t name_bytes)
{
    char known[VARIABLE_BYTES];
    config_variable(k->name, known, sizeof known);
    if (strcmp(variable, known) == 0) {
        (void)snprintf(name, name_bytes, "%s", k->name);
        return true;
    }
    size_t len = strlen(known);
    if (k->type == CONFIG_SECRET && strncmp(variable, known, len) == 0 &&
        strcmp(variable + len, "_FILE") == 0) {
        (void)snprintf(name, name_bytes, "%s_file", k->name);
        return true;
    }
    return false;
}

static bool read_variable(struct config *c, const char *variable, const char *text, struct err *e)
{
    const struct config_origin from = {LAYER_ENVIRONMENT, variable};
    char name[VARIABLE_BYTES];
    for (size_t i = 0; i < c->program->n_keys; i++) {
        if (match_variable(&c->program->keys[i], variable, name, sizeof name)) {
            return config_put_text(c, name, text, &from, e);
        }
    }
    if (strncmp(variable, kafka_variable, strlen(kafka_variable)) != 0) {
        return check_stray(c, variable, e);
    }
    (void)snprintf(name, sizeof name, "kafka.%s", variable + strlen(kafka_variable));
    for (char *p = name; *p != '\0'; p++) {
        *p = *p == '_' ? '.' : (char)tolower((unsigned char)*p);
    }
    return config_put_text(c, name, text, &from, e);
}

bool config_read_environment(struct config *c, char **environment, struct err *e)
{
    for (char **entry = environment; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        size_t len = equals == NULL ? 0 : (size_t)(equals - *entry);
        if (strncmp(*entry, variable_prefix, strlen(variable_prefix)) != 0 ||
            len >= VARIABLE_BYTES - 10) {
            continue;
        }
        char *variable = config_text(c, slice_of(*entry, len), e);
        if (variable == NULL || !read_variable(c, variable, equals + 1, e)) {
            return false;
        }
    }
    return true;
}

bool config_read_set(struct config *c, const char *assignment, struct err *e)
{
    const struct config_origin from = {LAYER_SET, "--set"};
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment) {
        return err_set(e, ERR_CONFIG, "--set needs key=value");
    }
    char *name = config_text(c, slice_of(assignment, (size_t)(equals - assignment)), e);
    return name != NULL && config_put_text(c, name, equals + 1, &from, e);
}
