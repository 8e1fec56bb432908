#include "policy/policy_json.h"

#include <inttypes.h>
#include <stdio.h>

bool policy_complain(const struct policy_reader *r, const char *path, const char *what)
{
    return err_set(r->e, ERR_CONFIG, "%s: %s", path[0] == '\0' ? "policy" : path, what);
}

void policy_path_join(char out[POLICY_PATH_BYTES], const char *path, const char *name)
{
    (void)snprintf(out, POLICY_PATH_BYTES, "%.100s%s%.50s", path, path[0] == '\0' ? "" : ".", name);
}

bool policy_no_memory(const struct policy_reader *r, const char *path)
{
    return policy_complain(r, path, "the policy takes too much memory");
}

void policy_path_index(char out[POLICY_PATH_BYTES], const char *path, size_t i)
{
    (void)snprintf(out, POLICY_PATH_BYTES, "%.120s[%zu]", path, i);
}

bool policy_read_text(const struct policy_reader *r, json_t *value, const char *path,
                      struct slice *out)
{
    if (!json_is_string(value)) {
        return policy_complain(r, path, "must be a string");
    }
    struct slice copy =
        arena_copy(r->arena, slice_of(json_string_value(value), json_string_length(value)));
    if (copy.ptr == NULL) {
        return policy_no_memory(r, path);
    }
    *out = copy;
    return true;
}

bool policy_read_texts(const struct policy_reader *r, json_t *value, const char *path,
                       struct text_list *out)
{
    if (!json_is_array(value)) {
        return policy_complain(r, path, "must be a list of strings");
    }
    size_t n = json_array_size(value);
    struct slice *items = ARENA_ARRAY(r->arena, struct slice, n);
    if (items == NULL) {
        return policy_no_memory(r, path);
    }
    for (size_t i = 0; i < n; i++) {
        char place[POLICY_PATH_BYTES];
        policy_path_index(place, path, i);
        if (!policy_read_text(r, json_array_get(value, i), place, &items[i])) {
            return false;
        }
        if (items[i].len == 0) {
            return policy_complain(r, place, "is empty");
        }
    }
    *out = (struct text_list){(uint32_t)n, items};
    return true;
}

static bool read_int(const struct policy_reader *r, json_t *value, const char *path,
                     const struct policy_key *key, int64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < key->min ||
        json_integer_value(value) > key->max) {
        return err_set(r->e, ERR_CONFIG, "%s: must be an integer from %" PRId64 " to %" PRId64,
                       path, key->min, key->max);
    }
    *out = json_integer_value(value);
    return true;
}

int policy_read_choice(const struct policy_reader *r, json_t *value, const char *path,
                       const char *const *choices)
{
    char list[120] = "";
    for (int i = 0; choices[i] != NULL; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), choices[i]) == 0) {
            return i;
        }
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", choices[i]);
    }
    (void)err_set(r->e, ERR_CONFIG, "%s: must be one of %s", path, list);
    return -1;
}

static bool read_key(const struct policy_reader *r, const struct policy_key *key, json_t *value,
                     const char *path, void *into)
{
    void *at = (uint8_t *)into + key->offset;
    switch (key->type) {
    case VALUE_TEXTS:
        return policy_read_texts(r, value, path, at);
    case VALUE_TEXT:
        return policy_read_text(r, value, path, at);
    case VALUE_INT:
        return read_int(r, value, path, key, at);
    case VALUE_CHOICE: {
        int choice = policy_read_choice(r, value, path, key->choices);
        *(bool *)at = choice > 0;
        return choice >= 0;
    }
    case VALUE_BOOL:
        *(bool *)at = json_is_true(value);
        return json_is_boolean(value) || policy_complain(r, path, "must be true or false");
    default:
        return key->read(r, value, path, into);
    }
}

static bool is_one_of(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

bool policy_read_object(const struct policy_reader *r, json_t *object, const char *path,
                        const struct policy_key *keys, const char *const *also, void *into)
{
    if (!json_is_object(object)) {
        return policy_complain(r, path, "must be an object");
    }
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char place[POLICY_PATH_BYTES];
        policy_path_join(place, path, name);
        const struct policy_key *key = keys;
        while (key->name != NULL && strcmp(key->name, name) != 0) {
            key++;
        }
        if (key->name == NULL && is_one_of(also, name)) {
            continue;
        }
        if (key->name == NULL) {
            return policy_complain(r, place, "is not a key of the policy");
        }
        if (!read_key(r, key, value, place, into)) {
            return false;
        }
        if (key->rule != RULE_NONE) {
            ((struct rules *)into)->set_at[key->rule] = (uint8_t)r->level;
        }
    }
    return true;
}

bool policy_read_principals(const struct policy_reader *r, json_t *tenant, const char *path,
                            struct text_list *out)
{
    char place[POLICY_PATH_BYTES];
    json_t *value = json_object_get(tenant, "principals");
    policy_path_join(place, path, "principals");
    return value == NULL || policy_read_texts(r, value, place, out);
}
