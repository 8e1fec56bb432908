#include "run/config_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 64, NEAR = 2 };

const char *config_copy(struct config *c, const char *text)
{
    return (const char *)arena_copy(&c->arena, slice_of(text, strlen(text) + 1)).ptr;
}

int config_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->program->n_keys; i++) {
        if (strcmp(c->program->keys[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Levenshtein distance of short names. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a);
    size_t m = strlen(b);
    size_t row[MAX_NAME + 1];
    if (n > MAX_NAME || m > MAX_NAME) {
        return MAX_NAME;
    }
    for (size_t j = 0; j <= m; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *config_near(const struct config *c, const char *name)
{
    const char *best = NULL;
    size_t least = NEAR + 1;
    for (size_t i = 0; i < c->program->n_keys; i++) {
        size_t d = distance(name, c->program->keys[i].name);
        if (d < least) {
            least = d;
            best = c->program->keys[i].name;
        }
    }
    return best;
}

bool kafka_property_is_secret(const char *name)
{
    return strstr(name, "password") != NULL || strstr(name, "secret") != NULL ||
           strcmp(name, "ssl.key.pem") == 0 || strcmp(name, "ssl_key") == 0 || strcmp(name, "sasl.jaas.config") == 0 ||
           strcmp(name, "sasl.oauthbearer.config") == 0;
}

static bool set_kafka(struct config *c, const char *name, const char *text, const char *from, struct err *e)
{
    size_t i = 0;
    while (i < c->n_kafka && strcmp(c->kafka[i].name, name) != 0) {
        i++;
    }
    if (i == MAX_KAFKA_PROPERTIES) {
        return err_set(e, ERR_CONFIG, "%s: more than %d kafka.* properties", from, MAX_KAFKA_PROPERTIES);
    }
    c->kafka[i] = (struct kafka_property){config_copy(c, name), config_copy(c, text), from};
    c->n_kafka += i == c->n_kafka;
    return true;
}

static bool set_int(const struct config_key *key, struct config_value *v, const char *text, struct err *e)
{
    char *end;
    errno = 0;
    v->number = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno != 0) {
        return err_set(e, ERR_CONFIG, "%s: \"%s\" is not a whole number", key->name, text);
    }
    if (v->number < key->min || v->number > key->max) {
        return err_set(e, ERR_CONFIG, "%s: %lld is not between %lld and %lld", key->name, (long long)v->number,
                       (long long)key->min, (long long)key->max);
    }
    return true;
}

static bool set_bool(const struct config_key *key, struct config_value *v, const char *text, struct err *e)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        return err_set(e, ERR_CONFIG, "%s: \"%s\" is neither true nor false", key->name, text);
    }
    v->number = text[0] == 't';
    return true;
}

/* "a, b" → items; empty text is an empty list. */
static bool set_list(struct config *c, const struct config_key *key, struct config_value *v, struct err *e)
{
    size_t n = 1;
    for (const char *p = v->text; *p != '\0'; p++) {
        n += *p == ',';
    }
    v->items = ARENA_ARRAY(&c->arena, const char *, n);
    char *rest = (char *)(uintptr_t)config_copy(c, v->text);
    if (v->items == NULL || rest == NULL) {
        return err_set(e, ERR_CONFIG, "%s: too long", key->name);
    }
    v->n_items = 0;
    for (char *item; (item = strsep(&rest, ",")) != NULL;) {
        item += strspn(item, " ");
        size_t len = strlen(item);
        while (len > 0 && item[len - 1] == ' ') {
            item[--len] = '\0';
        }
        if (len > 0) {
            v->items[v->n_items++] = item;
        }
    }
    return true;
}

bool config_set(struct config *c, const char *name, const char *text, const char *from, struct err *e)
{
    if (strncmp(name, "kafka.", 6) == 0 && name[6] != '\0') {
        return set_kafka(c, name + 6, text, from, e);
    }
    int i = config_find(c, name);
    if (i < 0) {
        const char *near = config_near(c, name);
        return err_set(e, ERR_CONFIG, "%s: unknown key \"%s\"%s%s%s", from, name, near != NULL ? "; did you mean \"" : "",
                       near != NULL ? near : "", near != NULL ? "\"?" : "");
    }
    const struct config_key *key = &c->program->keys[i];
    struct config_value *v = &c->values[i];
    v->text = config_copy(c, text);
    v->from = from;
    bool ok = v->text != NULL || err_set(e, ERR_CONFIG, "%s: too long", name);
    switch (key->type) {
    case CONFIG_INT:
        ok = ok && set_int(key, v, text, e);
        break;
    case CONFIG_BOOL:
        ok = ok && set_bool(key, v, text, e);
        break;
    case CONFIG_LIST:
        ok = ok && set_list(c, key, v, e);
        break;
    case CONFIG_STRING:
    case CONFIG_SECRET:
        break;
    }
    return ok || err_wrap(e, "%s", from);
}
