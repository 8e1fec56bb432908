#include "definition.h"

#include <jansson.h>
#include <stdio.h>

static const char *const tenant_mark = "{tenant}";

/* Where a topic's numbers come from, most particular first. */
struct sources {
    json_t *topic;
    json_t *profile; /* may be NULL */
    json_t *defaults;
};

static bool read_int(const struct sources *from, const char *key, int *out, struct err *e)
{
    json_t *const places[3] = {from->topic, from->profile, from->defaults};
    for (int i = 0; i < 3; i++) {
        json_t *value = json_object_get(places[i], key);
        if (value == NULL) {
            continue;
        }
        if (!json_is_integer(value) || json_integer_value(value) < 1 ||
            json_integer_value(value) > 100000) {
            return err_set(e, ERR_CONFIG, "%s must be a number from 1 on", key);
        }
        *out = (int)json_integer_value(value);
        return true;
    }
    return err_set(e, ERR_CONFIG, "%s is neither in the topic nor in defaults", key);
}

static const char *copy_text(struct arena *a, const char *text)
{
    return (const char *)arena_copy(a, slice_of(text, strlen(text) + 1)).ptr;
}

static bool read_settings(const struct sources *from, int min_insync, struct arena *a,
                          struct topic_definition *t, struct err *e)
{
    json_t *defaults = json_object_get(from->defaults, "config");
    json_t *own = json_object_get(from->topic, "config");
    struct topic_setting *settings = ARENA_ARRAY(
        a, struct topic_setting, json_object_size(defaults) + json_object_size(own) + 1);
    char digits[16];
    (void)snprintf(digits, sizeof digits, "%d", min_insync);
    if (settings == NULL) {
        return err_set(e, ERR_CONFIG, "the file is too large");
    }
    settings[t->n_settings++] = (struct topic_setting){"min.insync.replicas", copy_text(a, digits)};
    const char *key;
    json_t *value;
    json_object_foreach(defaults, key, value)
    {
        if (json_object_get(own, key) == NULL && json_is_string(value)) {
            settings[t->n_settings++] =
                (struct topic_setting){copy_text(a, key), copy_text(a, json_string_value(value))};
        }
    }
    json_object_foreach(own, key, value)
    {
        if (!json_is_string(value)) {
            return err_set(e, ERR_CONFIG, "config.%s must be a string", key);
        }
        settings[t->n_settings++] =
            (struct topic_setting){copy_text(a, key), copy_text(a, json_string_value(value))};
    }
    t->settings = settings;
    return true;
}

static bool read_topic(const struct sources *from, const char *name, struct arena *a,
                       struct topic_definition *t, struct err *e)
{
    int min_insync = 1;
    *t = (struct topic_definition){.name = copy_text(a, name)};
    return (read_int(from, "partitions", &t->n_partitions, e) &&
            read_int(from, "replication", &t->replication, e) &&
            read_int(from, "min_insync_replicas", &min_insync, e) &&
            read_settings(from, min_insync, a, t, e)) ||
           err_wrap(e, "topic %s", name);
}

static bool read_topics(json_t *root, const char *profile, const char *const *tenants,
                        size_t n_tenants, struct arena *a, struct topic_definitions *out,
                        struct err *e)
{
    struct sources from = {.defaults = json_object_get(root, "defaults")};
    json_t *list = json_object_get(root, "topics");
    if (!json_is_array(list)) {
        return err_set(e, ERR_CONFIG, "\"topics\" must be a list");
    }
    if (profile[0] != '\0') {
        from.profile = json_object_get(json_object_get(root, "profiles"), profile);
        if (from.profile == NULL) {
            return err_set(e, ERR_CONFIG, "there is no profile \"%s\"", profile);
        }
    }
    out->n = 0;
    out->topics = ARENA_ARRAY(a, struct topic_definition, json_array_size(list) * (n_tenants + 1));
    if (out->topics == NULL) {
        return err_set(e, ERR_CONFIG, "the file is too large");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        from.topic = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(from.topic, "name"));
        if (name == NULL) {
            return err_set(e, ERR_CONFIG, "topics[%zu] has no name", i);
        }
        const char *mark = strstr(name, tenant_mark);
        for (size_t k = 0; k < (mark == NULL ? 1 : n_tenants); k++) {
            char full[250];
            (void)snprintf(full, sizeof full, "%.*s%s%s",
                           mark == NULL ? (int)strlen(name) : (int)(mark - name), name,
                           mark == NULL ? "" : tenants[k],
                           mark == NULL ? "" : mark + strlen(tenant_mark));
            if (!read_topic(&from, full, a, &out->topics[out->n], e)) {
                return false;
            }
            out->topics[out->n++].tenant = mark == NULL ? NULL : tenants[k];
        }
    }
    return true;
}

bool definitions_read(const char *path, const char *profile, const char *const *tenants,
                      size_t n_tenants, struct arena *a, struct topic_definitions *out,
                      struct err *e)
{
    json_error_t where;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        return err_set(e, ERR_CONFIG, "%s line %d: %s", path, where.line, where.text);
    }
    bool ok = read_topics(root, profile, tenants, n_tenants, a, out, e) || err_wrap(e, "%s", path);
    json_decref(root);
    return ok;
}
