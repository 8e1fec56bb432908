#include "rules.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct rule {
    const char *key;
    const char *help;
    size_t at; /* offset in struct rules */
    int64_t amp;
    int64_t prometheus;
};

static const struct rule TABLE[] = {
#define R(key, amp, prometheus, help) {#key, help, offsetof(struct rules, key), amp, prometheus},
    RULES_TABLE(R)
#undef R
};
enum { N_RULES = sizeof TABLE / sizeof TABLE[0] };

static void rule_store(struct rules *r, const struct rule *rule, int64_t value)
{
    memcpy((char *)r + rule->at, &value, sizeof value);
}

static int64_t rule_load(const struct rules *r, const struct rule *rule)
{
    int64_t value;
    memcpy(&value, (const char *)r + rule->at, sizeof value);
    return value;
}

static const struct rule *rule_find(const char *key, size_t len)
{
    for (size_t i = 0; i < N_RULES; i++) {
        if (strlen(TABLE[i].key) == len && memcmp(TABLE[i].key, key, len) == 0) {
            return &TABLE[i];
        }
    }
    return NULL;
}

bool rules_init(struct rules *r, const char *profile, struct err *e)
{
    bool amp = strcmp(profile, "amp") == 0;
    if (!amp && strcmp(profile, "prometheus") != 0) {
        return err_set(e, ERR_CONFIG, "no profile \"%s\": amp or prometheus", profile);
    }
    for (size_t i = 0; i < N_RULES; i++) {
        rule_store(r, &TABLE[i], amp ? TABLE[i].amp : TABLE[i].prometheus);
    }
    return true;
}

static bool number_parse(const char *text, int64_t *value)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *value = text[0] == 't';
        return true;
    }
    char *end = NULL;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *value = n;
    return errno == 0 && end != text && *end == '\0';
}

bool rules_set(struct rules *r, const char *assignment, struct err *e)
{
    const char *equals = strchr(assignment, '=');
    int64_t value = 0;
    if (equals == NULL || !number_parse(equals + 1, &value)) {
        return err_set(e, ERR_CONFIG, "\"%s\" is not key=number", assignment);
    }
    const struct rule *rule = rule_find(assignment, (size_t)(equals - assignment));
    if (rule == NULL) {
        return err_set(e, ERR_CONFIG, "no rule in \"%s\"", assignment);
    }
    rule_store(r, rule, value);
    return true;
}

bool rules_set_json(struct rules *r, const json_t *object, struct err *e)
{
    struct rules changed = *r;
    if (!json_is_object(object)) {
        return err_set(e, ERR_CONFIG, "rules must be a JSON object");
    }
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const char *key = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        const struct rule *rule = rule_find(key, strlen(key));
        if (rule == NULL) {
            return err_set(e, ERR_CONFIG, "no rule \"%s\"", key);
        }
        if (!json_is_integer(value) && !json_is_boolean(value)) {
            return err_set(e, ERR_CONFIG, "%s must be a whole number or a boolean", key);
        }
        rule_store(&changed, rule,
                   json_is_boolean(value) ? json_is_true(value) : json_integer_value(value));
    }
    *r = changed;
    return true;
}

json_t *rules_json(const struct rules *r)
{
    json_t *object = json_object();
    for (size_t i = 0; i < N_RULES; i++) {
        json_object_set_new(object, TABLE[i].key, json_integer(rule_load(r, &TABLE[i])));
    }
    return object;
}

void rules_help(FILE *out)
{
    for (size_t i = 0; i < N_RULES; i++) {
        fprintf(out, "  %-24s %s (amp %lld, prometheus %lld)\n", TABLE[i].key, TABLE[i].help,
                (long long)TABLE[i].amp, (long long)TABLE[i].prometheus);
    }
}
