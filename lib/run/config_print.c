#include "run/config_value.h"

#include <inttypes.h>
#include <stdlib.h>

enum { COLUMN = 26 };

static const char *type_name(enum config_type type)
{
    switch (type) {
    case CONFIG_STRING:
        return "string";
    case CONFIG_INT:
        return "integer";
    case CONFIG_BOOL:
        return "boolean";
    case CONFIG_LIST:
        return "list";
    case CONFIG_SECRET:
        return "secret";
    }
    return "?";
}

static void print_key(const struct config_key *k, struct buf *out)
{
    buf_printf(out, "  %-*s %s", COLUMN, k->name, type_name(k->type));
    if (k->type == CONFIG_INT) {
        buf_printf(out, " %" PRId64 "…%" PRId64, k->min, k->max);
    }
    if (k->fallback == NULL) {
        buf_printf(out, ", required");
    } else if (k->fallback[0] != '\0') {
        buf_printf(out, ", default %s", k->fallback);
    }
    buf_printf(out, "\n  %-*s %s\n", COLUMN, "", k->help);
}

void config_print_help(const struct config_program *p, struct buf *out)
{
    buf_printf(
        out,
        "%s: %s\n\n"
        "usage: %s [--config FILE] [--set key=value]…\n"
        "  --check         read the configuration, say whether it is good, exit\n"
        "  --print-config  print the configuration in force as JSON (secrets hidden), exit\n"
        "  --help          this text\n"
        "  --help-metrics  the metrics' names, types, labels and meaning\n"
        "  --version       the versions in use\n\n"
        "Keys come from FILE (one JSON object), then the environment (SLUICE_<KEY>), then --set;\n"
        "later ones win. Lists are separated by commas. A secret comes by FILE or environment, or\n"
        "as <key>_file, the path of a file that holds it. Exit codes: 1 failure, 2 configuration,\n"
        "3 another process has the same instance name.\n\n"
        "keys:\n",
        p->name, p->summary, p->name);
    for (size_t i = 0; i < p->n_keys; i++) {
        print_key(&p->keys[i], out);
    }
    buf_printf(out, "  %-*s passed to librdkafka, e.g. kafka.bootstrap.servers\n", COLUMN,
               "kafka.<property>");
}

static json_t *json_of_value(const struct config_key *k, const struct config_value *v)
{
    switch (k->type) {
    case CONFIG_STRING:
        return json_string(v->text);
    case CONFIG_INT:
        return json_integer(v->number);
    case CONFIG_BOOL:
        return json_boolean(v->flag);
    case CONFIG_SECRET:
        return json_string(v->text[0] == '\0' ? "" : "***");
    case CONFIG_LIST:
        break;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < v->n_items; i++) {
        (void)json_array_append_new(list, json_string(v->items[i]));
    }
    return list;
}

bool config_print_values(const struct config *c, struct buf *out)
{
    json_t *root = json_object();
    for (size_t i = 0; i < c->program->n_keys; i++) {
        const struct config_key *k = &c->program->keys[i];
        (void)json_object_set_new(root, k->name, json_of_value(k, &c->values[i]));
    }
    json_t *kafka = json_object();
    for (size_t i = 0; i < c->n_properties; i++) {
        const struct config_property *p = &c->properties[i];
        bool hidden = config_property_is_secret(p->name) && p->value[0] != '\0';
        (void)json_object_set_new(kafka, p->name, json_string(hidden ? "***" : p->value));
    }
    (void)json_object_set_new(root, "kafka", kafka);
    char *text = json_dumps(root, JSON_INDENT(2));
    if (text != NULL) {
        buf_printf(out, "%s\n", text);
    }
    free(text);
    json_decref(root);
    return text != NULL && buf_ok(out);
}
