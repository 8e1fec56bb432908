#include "run/config.h"

#include "run/config_value.h"
#include "run/metrics.h"

#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 16 * 1024 * 1024, MAX_SECRET_BYTES = 65536 };

extern char **environ;

/* --- sources --- */

static bool set_defaults(struct config *c, struct err *e)
{
    for (size_t i = 0; i < c->program->n_keys; i++) {
        const struct config_key *key = &c->program->keys[i];
        if (key->fallback != NULL && !config_set(c, key->name, key->fallback, "default", e)) {
            return false;
        }
    }
    return true;
}

static bool join_list(json_t *list, const char *name, struct buf *text, struct err *e)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item == NULL || strchr(item, ',') != NULL) {
            return err_set(e, ERR_CONFIG, "%s[%zu] must be a string without a comma", name, i);
        }
        buf_printf(text, "%s%s", i > 0 ? "," : "", item);
    }
    return true;
}

/* The type in the file must be the key's: "5" is no number. */
static bool type_fits(const struct config *c, const char *name, const json_t *value)
{
    int i = config_find(c, name);
    if (i < 0) {
        return !json_is_array(value);
    }
    switch (c->program->keys[i].type) {
    case CONFIG_INT:
        return json_is_integer(value);
    case CONFIG_BOOL:
        return json_is_boolean(value);
    case CONFIG_LIST:
        return json_is_array(value);
    case CONFIG_STRING:
    case CONFIG_SECRET:
        return json_is_string(value);
    }
    return false;
}

static bool set_json(struct config *c, const char *name, json_t *value, const char *from, struct err *e)
{
    static const char *const type_names[] = {"a string", "a whole number", "true or false", "a list of strings",
                                             "a string"};
    struct buf text;
    buf_init(&text, MAX_CONFIG_BYTES);
    int i = config_find(c, name);
    bool ok = type_fits(c, name, value) ||
              err_set(e, ERR_CONFIG, "%s: %s must be %s", from, name,
                      i >= 0 ? type_names[c->program->keys[i].type] : "a string, a number or a boolean");
    if (ok && json_is_array(value)) {
        ok = join_list(value, name, &text, e);
    } else if (ok && json_is_string(value)) {
        buf_printf(&text, "%s", json_string_value(value));
    } else if (ok && json_is_integer(value)) {
        buf_printf(&text, "%lld", (long long)json_integer_value(value));
    } else if (ok && json_is_boolean(value)) {
        buf_printf(&text, "%s", json_is_true(value) ? "true" : "false");
    } else if (ok) {
        ok = err_set(e, ERR_CONFIG, "%s: %s must be a string, a number or a boolean", from, name);
    }
    ok = ok && config_set(c, name, buf_c_str(&text), from, e);
    buf_fini(&text);
    return ok;
}

static bool set_file(struct config *c, const char *path, struct err *e)
{
    json_error_t where;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        return err_set(e, ERR_CONFIG, "%s line %d: %s", path, where.line, where.text);
    }
    const char *from = config_copy(c, path);
    bool ok = json_is_object(root) || err_set(e, ERR_CONFIG, "%s: must be a JSON object", path);
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        if (ok && strcmp(name, "kafka") == 0 && json_is_object(value)) {
            const char *property;
            json_t *inner;
            json_object_foreach(value, property, inner)
            {
                char full[256];
                (void)snprintf(full, sizeof full, "kafka.%s", property);
                ok = ok && set_json(c, full, inner, from, e);
            }
        } else {
            ok = ok && set_json(c, name, value, from, e);
        }
    }
    json_decref(root);
    return ok;
}

/* SLUICE_<KEY>: a key of the table or a kafka.* property; other names are not ours (scripts have some of that prefix),
 * unless they are near to a key's. */
static bool set_environment(struct config *c, struct err *e)
{
    for (char **at = environ; *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        char name[256];
        if (strncmp(*at, "SLUICE_", 7) != 0 || equals == NULL || (size_t)(equals - *at) - 7 >= sizeof name) {
            continue;
        }
        size_t len = (size_t)(equals - *at) - 7;
        for (size_t i = 0; i < len; i++) {
            name[i] = (char)tolower((unsigned char)(*at)[7 + i]);
        }
        name[len] = '\0';
        if (strncmp(name, "kafka_", 6) == 0) {
            for (char *p = name; *p != '\0'; p++) {
                *p = *p == '_' ? '.' : *p;
            }
        }
        if ((config_find(c, name) >= 0 || config_near(c, name) != NULL || strncmp(name, "kafka.", 6) == 0) &&
            !config_set(c, name, equals + 1, "environment", e)) {
            return false;
        }
    }
    return true;
}

static bool set_argument(struct config *c, const char *argument, struct err *e)
{
    const char *equals = strchr(argument, '=');
    char name[256];
    if (equals == NULL || equals == argument || (size_t)(equals - argument) >= sizeof name) {
        return err_set(e, ERR_CONFIG, "--set %s: must be key=value", argument);
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - argument), argument);
    int i = config_find(c, name);
    if ((i >= 0 && c->program->keys[i].type == CONFIG_SECRET) ||
        (strncmp(name, "kafka.", 6) == 0 && kafka_property_is_secret(name + 6))) {
        return err_set(e, ERR_CONFIG, "--set %s: secrets come by the file or the environment, since others see arguments",
                       name);
    }
    return config_set(c, name, equals + 1, "--set", e);
}

/* A secret whose text is @path is read from that file, without the newline at its end. */
static bool read_secret(struct config *c, size_t i, struct err *e)
{
    struct config_value *v = &c->values[i];
    if (c->program->keys[i].type != CONFIG_SECRET || v->text == NULL || v->text[0] != '@') {
        return true;
    }
    char *bytes = arena_calloc(&c->arena, 1, MAX_SECRET_BYTES);
    FILE *f = fopen(v->text + 1, "r");
    if (f == NULL || bytes == NULL) {
        return err_set(e, ERR_CONFIG, "%s: cannot read %s", c->program->keys[i].name, v->text + 1);
    }
    size_t len = fread(bytes, 1, MAX_SECRET_BYTES - 1, f);
    (void)fclose(f);
    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r')) {
        bytes[--len] = '\0';
    }
    v->text = bytes;
    return true;
}

static bool check_all(struct config *c, struct err *e)
{
    for (size_t i = 0; i < c->program->n_keys; i++) {
        if (c->values[i].text == NULL) {
            return err_set(e, ERR_CONFIG, "%s is required: %s", c->program->keys[i].name, c->program->keys[i].help);
        }
        if (!read_secret(c, i, e)) {
            return false;
        }
    }
    return c->program->check == NULL || c->program->check(c, e);
}

/* --- what is printed --- */

static void print_help(const struct config_program *program)
{
    static const char *const type_names[] = {"string", "int", "bool", "list", "secret"};
    (void)printf("%s: %s\n\nusage: %s [--config FILE] [--set key=value]… [--check] [--print-config] [--help]\n"
                 "       [--help-metrics] [--version]\n\n"
                 "Each key can also come from the environment as SLUICE_<KEY>; kafka.* passes to librdkafka; a secret\n"
                 "of the form @FILE is read from that file.\n\n",
                 program->name, program->summary, program->name);
    for (size_t i = 0; i < program->n_keys; i++) {
        const struct config_key *key = &program->keys[i];
        (void)printf("  %-26s %-7s ", key->name, type_names[key->type]);
        if (key->fallback == NULL) {
            (void)printf("required");
        } else {
            (void)printf("default %s", key->fallback[0] == '\0' ? "(empty)" : key->fallback);
        }
        if (key->type == CONFIG_INT) {
            (void)printf(", %lld to %lld", (long long)key->min, (long long)key->max);
        }
        (void)printf("\n  %26s %s\n", "", key->help);
    }
}

static void print_metrics(void)
{
    struct buf out;
    buf_init(&out, MAX_CONFIG_BYTES);
    metrics_print_docs(&out);
    (void)fwrite(out.ptr, 1, out.len, stdout);
    buf_fini(&out);
}

static json_t *value_json(const struct config_key *key, const struct config_value *v)
{
    json_t *list;
    switch (key->type) {
    case CONFIG_INT:
        return json_integer(v->number);
    case CONFIG_BOOL:
        return json_boolean(v->number != 0);
    case CONFIG_LIST:
        list = json_array();
        for (size_t i = 0; i < v->n_items; i++) {
            (void)json_array_append_new(list, json_string(v->items[i]));
        }
        return list;
    case CONFIG_SECRET:
        return json_string(v->text[0] == '\0' ? "" : "***");
    case CONFIG_STRING:
        return json_string(v->text);
    }
    return json_null();
}

static void print_config(const struct config *c)
{
    json_t *root = json_object();
    for (size_t i = 0; i < c->program->n_keys; i++) {
        (void)json_object_set_new(root, c->program->keys[i].name, value_json(&c->program->keys[i], &c->values[i]));
    }
    for (size_t i = 0; i < c->n_kafka; i++) {
        char name[256];
        (void)snprintf(name, sizeof name, "kafka.%s", c->kafka[i].name);
        (void)json_object_set_new(
            root, name, json_string(kafka_property_is_secret(c->kafka[i].name) ? "***" : c->kafka[i].value));
    }
    (void)json_dumpf(root, stdout, JSON_INDENT(2));
    (void)puts("");
    json_decref(root);
}

/* --- loading --- */

struct arguments {
    const char *path;
    bool check;
    bool print;
};

static bool read_arguments(const struct config_program *program, int argc, char **argv, struct arguments *out,
                           bool *done, struct err *e)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--help") == 0) {
            print_help(program);
            *done = true;
        } else if (strcmp(argv[i], "--help-metrics") == 0) {
            print_metrics();
            *done = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            (void)puts(program->version);
            *done = true;
        } else if (strcmp(argv[i], "--check") == 0) {
            out->check = true;
        } else if (strcmp(argv[i], "--print-config") == 0) {
            out->print = true;
        } else if (strcmp(argv[i], "--config") == 0 && has_value) {
            out->path = argv[++i];
        } else if (strcmp(argv[i], "--set") == 0 && has_value) {
            i++; /* in their turn */
        } else {
            return err_set(e, ERR_CONFIG, "unknown or incomplete argument \"%s\"; see --help", argv[i]);
        }
    }
    return true;
}

static bool load_all(struct config *c, const struct arguments *arguments, int argc, char **argv, struct err *e)
{
    if (!set_defaults(c, e) || (arguments->path != NULL && !set_file(c, arguments->path, e)) ||
        !set_environment(c, e)) {
        return false;
    }
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--set") == 0 && !set_argument(c, argv[++i], e)) {
            return false;
        }
    }
    return check_all(c, e);
}

bool config_load(const struct config_program *program, int argc, char **argv, struct config **out,
                 enum config_mode *mode, struct err *e)
{
    struct arguments arguments = {0};
    bool done = false;
    *out = NULL;
    *mode = CONFIG_RUN;
    if (!read_arguments(program, argc, argv, &arguments, &done, e)) {
        return false;
    }
    if (done) {
        *mode = CONFIG_DONE;
        return true;
    }
    struct config *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    c->program = program;
    arena_init(&c->arena, MAX_CONFIG_BYTES);
    c->values = ARENA_ARRAY(&c->arena, struct config_value, program->n_keys);
    bool ok = c->values != NULL ? load_all(c, &arguments, argc, argv, e) : err_set(e, ERR_FATAL, "out of memory");
    if (!ok) {
        config_free(c);
        return false;
    }
    if (arguments.print) {
        print_config(c);
    } else if (arguments.check) {
        (void)printf("%s: the configuration is good\n", program->name);
    }
    *mode = arguments.print || arguments.check ? CONFIG_DONE : CONFIG_RUN;
    *out = c;
    return true;
}

void config_free(struct config *c)
{
    if (c != NULL) {
        arena_fini(&c->arena);
        free(c);
    }
}

/* --- reading --- */

static const struct config_value *value_of(const struct config *c, const char *name)
{
    int i = config_find(c, name);
    assert(i >= 0);
    return &c->values[i];
}

const char *config_str(const struct config *c, const char *name)
{
    return value_of(c, name)->text;
}

int64_t config_int(const struct config *c, const char *name)
{
    return value_of(c, name)->number;
}

bool config_bool(const struct config *c, const char *name)
{
    return value_of(c, name)->number != 0;
}

size_t config_list(const struct config *c, const char *name, const char *const **items)
{
    const struct config_value *v = value_of(c, name);
    *items = v->items;
    return v->n_items;
}

bool config_kafka(const struct config *c, size_t i, const char **name, const char **value)
{
    if (i >= c->n_kafka) {
        return false;
    }
    *name = c->kafka[i].name;
    *value = c->kafka[i].value;
    return true;
}
