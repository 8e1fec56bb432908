#include "run/config.h"

#include "run/config_value.h"
#include "run/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ; /* POSIX: declared by its user */

enum { CONFIG_MAX_BYTES = 16 << 20, PRINT_MAX_BYTES = 16 << 20 };

enum action { ACT_RUN, ACT_CHECK, ACT_PRINT, ACT_HELP, ACT_METRICS, ACT_VERSION };

struct arguments {
    enum action action;
    const char *file;
    const char **sets; /* the i-th --set; borrowed from argv */
    size_t n_sets;
};

/* "--name VALUE" or "--name=VALUE"; NULL when argv[*i] is not it. */
static const char *option_value(char **argv, int argc, int *i, const char *name, struct err *e)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0) {
        return NULL;
    }
    if (argv[*i][len] == '=') {
        return argv[*i] + len + 1;
    }
    if (argv[*i][len] != '\0') {
        return NULL;
    }
    if (*i + 1 >= argc) {
        (void)err_set(e, ERR_CONFIG, "%s needs a value", name);
        return NULL;
    }
    *i += 1;
    return argv[*i];
}

static bool read_switch(const char *text, enum action *action)
{
    static const struct {
        const char *name;
        enum action action;
    } switches[] = {
        {"--check", ACT_CHECK}, {"--print-config", ACT_PRINT},   {"--help", ACT_HELP},
        {"-h", ACT_HELP},       {"--help-metrics", ACT_METRICS}, {"--version", ACT_VERSION}};
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (strcmp(text, switches[i].name) == 0) {
            *action = switches[i].action > *action ? switches[i].action : *action;
            return true;
        }
    }
    return false;
}

static bool read_arguments(int argc, char **argv, struct arguments *a, struct err *e)
{
    for (int i = 1; i < argc; i++) {
        const char *value;
        err_reset(e);
        if ((value = option_value(argv, argc, &i, "--config", e)) != NULL) {
            if (a->file != NULL) {
                return err_set(e, ERR_CONFIG, "--config is given twice");
            }
            a->file = value;
        } else if (e->kind == ERR_NONE &&
                   (value = option_value(argv, argc, &i, "--set", e)) != NULL) {
            a->sets[a->n_sets++] = value;
        } else if (e->kind != ERR_NONE) {
            return false;
        } else if (!read_switch(argv[i], &a->action)) {
            /* Not shown beyond "=": it may be a secret. */
            return err_set(e, ERR_CONFIG, "unknown argument %.*s; see --help",
                           (int)(strcspn(argv[i], "=") < 60 ? strcspn(argv[i], "=") : 60), argv[i]);
        }
    }
    return true;
}

static bool put_fallbacks(struct config *c, struct err *e)
{
    const struct config_origin from = {LAYER_FALLBACK, "default"};
    for (size_t i = 0; i < c->program->n_keys; i++) {
        const struct config_key *k = &c->program->keys[i];
        if (k->fallback != NULL && !config_put_text(c, k->name, k->fallback, &from, e)) {
            return false;
        }
    }
    return true;
}

static bool check_required(const struct config *c, struct err *e)
{
    for (size_t i = 0; i < c->program->n_keys; i++) {
        if (!c->values[i].present) {
            const char *name = c->program->keys[i].name;
            char variable[128];
            config_variable(name, variable, sizeof variable);
            return err_set(e, ERR_CONFIG, "%s is required: in the file of --config, or as %s", name,
                           variable);
        }
    }
    return true;
}

static bool read_layers(struct config *c, const struct arguments *a, struct err *e)
{
    if ((a->file != NULL && !config_read_file(c, a->file, e)) ||
        !config_read_environment(c, environ, e)) {
        return false;
    }
    for (size_t i = 0; i < a->n_sets; i++) {
        if (!config_read_set(c, a->sets[i], e)) {
            return false;
        }
    }
    return check_required(c, e) && (c->program->check == NULL || c->program->check(c, e));
}

static bool say(struct buf *text, struct err *e)
{
    bool ok =
        buf_ok(text) && fwrite(text->ptr, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
    return ok || err_set(e, ERR_FATAL, "cannot write to the standard output");
}

static bool print_action(const struct config_program *p, const struct config *c, enum action action,
                         struct err *e)
{
    struct buf text;
    buf_init(&text, PRINT_MAX_BYTES);
    bool ok = true;
    switch (action) {
    case ACT_RUN:
        break;
    case ACT_CHECK:
        buf_printf(&text, "%s: the configuration is good\n", p->name);
        break;
    case ACT_PRINT:
        ok = config_print_values(c, &text) || err_set(e, ERR_FATAL, "out of memory");
        break;
    case ACT_HELP:
        config_print_help(p, &text);
        break;
    case ACT_METRICS:
        metrics_print_docs(&text);
        break;
    case ACT_VERSION:
        buf_printf(&text, "%s\n", p->version);
        break;
    }
    ok = ok && say(&text, e);
    buf_fini(&text);
    return ok;
}

static struct config *config_new(const struct config_program *program)
{
    struct config *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->program = program;
    arena_init(&c->arena, CONFIG_MAX_BYTES);
    c->values = ARENA_ARRAY(&c->arena, struct config_value, program->n_keys);
    if (c->values == NULL) {
        config_free(c);
        return NULL;
    }
    for (size_t i = 0; i < program->n_keys; i++) {
        c->values[i].text = ""; /* after --help a required key may still be asked for */
    }
    return c;
}

bool config_load(const struct config_program *program, int argc, char **argv, struct config **out,
                 enum config_mode *mode, struct err *e)
{
    bool ok = false;
    struct arguments a = {.action = ACT_RUN};
    struct config *c = config_new(program);
    a.sets = calloc((size_t)argc + 1, sizeof *a.sets);
    *out = NULL;
    if (c == NULL || a.sets == NULL) {
        (void)err_set(e, ERR_FATAL, "out of memory");
        goto out;
    }
    ok = read_arguments(argc, argv, &a, e) && put_fallbacks(c, e) &&
         (a.action >= ACT_HELP || read_layers(c, &a, e)) &&
         (a.action == ACT_RUN || print_action(program, c, a.action, e));
    *mode = a.action == ACT_RUN ? CONFIG_RUN : CONFIG_DONE;
out:
    free(a.sets);
    if (ok) {
        *out = c;
    } else {
        config_free(c);
    }
    return ok;
}

void config_free(struct config *c)
{
    if (c != NULL) {
        arena_fini(&c->arena);
        free(c);
    }
}

static const struct config_value *value_of(const struct config *c, const char *name,
                                           enum config_type type)
{
    for (size_t i = 0; i < c->program->n_keys; i++) {
        const struct config_key *k = &c->program->keys[i];
        if (strcmp(k->name, name) == 0) {
            assert(k->type == type || (k->type == CONFIG_SECRET && type == CONFIG_STRING));
            return &c->values[i];
        }
    }
    assert(!"a key that stands in no table");
    abort();
}

const char *config_str(const struct config *c, const char *name)
{
    return value_of(c, name, CONFIG_STRING)->text;
}

int64_t config_int(const struct config *c, const char *name)
{
    return value_of(c, name, CONFIG_INT)->number;
}

bool config_bool(const struct config *c, const char *name)
{
    return value_of(c, name, CONFIG_BOOL)->flag;
}

size_t config_list(const struct config *c, const char *name, const char *const **items)
{
    const struct config_value *v = value_of(c, name, CONFIG_LIST);
    *items = v->items;
    return v->n_items;
}

bool config_kafka(const struct config *c, size_t i, const char **name, const char **value)
{
    if (i >= c->n_properties) {
        return false;
    }
    *name = c->properties[i].name;
    *value = c->properties[i].value;
    return true;
}

bool config_owns(const char *text, bool *has_value)
{
    static const char *const alone[] = {"--help", "-h", "--version", "--check", "--print-config"};
    *has_value = strcmp(text, "--config") == 0 || strcmp(text, "--set") == 0;
    for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
        if (strcmp(text, alone[i]) == 0) {
            return true;
        }
    }
    return *has_value || strncmp(text, "--config=", 9) == 0 || strncmp(text, "--set=", 6) == 0;
}
