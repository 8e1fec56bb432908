#include "options.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 26 };

static bool row_find(const struct options *o, const char *name, size_t len, size_t *row)
{
    for (size_t i = 0; i < o->n_rows; i++) {
        if (strlen(o->rows[i].name) == len && memcmp(o->rows[i].name, name, len) == 0) {
            *row = i;
            return true;
        }
    }
    return false;
}

static bool option_take(struct options *o, int argc, char **argv, int *i, struct err *e)
{
    const char *text = argv[*i];
    if (strncmp(text, "--", 2) != 0) {
        return err_set(e, ERR_CONFIG, "%s: options begin with --", text);
    }
    const char *equals = strchr(text, '=');
    size_t len = (equals == NULL ? strlen(text) : (size_t)(equals - text)) - 2;
    size_t row;
    if (!row_find(o, text + 2, len, &row)) {
        return err_set(e, ERR_CONFIG, "--%.*s: no such option", (int)len, text + 2);
    }
    if (o->n_given == MAX_OPTIONS_GIVEN) {
        return err_set(e, ERR_CONFIG, "more than %d options", MAX_OPTIONS_GIVEN);
    }
    const char *value = "";
    if (o->rows[row].argument == NULL) {
        if (equals != NULL) {
            return err_set(e, ERR_CONFIG, "--%s takes no value", o->rows[row].name);
        }
    } else if (equals != NULL) {
        value = equals + 1;
    } else if (*i + 1 < argc) {
        value = argv[++*i];
    } else {
        return err_set(e, ERR_CONFIG, "--%s wants %s", o->rows[row].name, o->rows[row].argument);
    }
    o->given[o->n_given].row = row;
    o->given[o->n_given++].value = value;
    return true;
}

bool options_parse(struct options *o, const struct option_row *rows, size_t n_rows, int argc,
                   char **argv, struct err *e)
{
    memset(o, 0, sizeof *o);
    o->rows = rows;
    o->n_rows = n_rows;
    for (int i = 0; i < argc; i++) {
        if (!option_take(o, argc, argv, &i, e)) {
            return false;
        }
    }
    return true;
}

void options_help(const struct option_row *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        const char *argument = rows[i].argument == NULL ? "" : rows[i].argument;
        int n = printf("  --%s %s", rows[i].name, argument);
        printf("%*s%s\n", n < HELP_COLUMN ? HELP_COLUMN - n : 1, "", rows[i].help);
    }
}

const char *options_next(const struct options *o, const char *name, size_t *at)
{
    for (; *at < o->n_given; ++*at) {
        if (strcmp(o->rows[o->given[*at].row].name, name) == 0) {
            return o->given[(*at)++].value;
        }
    }
    return NULL;
}

const char *options_get(const struct options *o, const char *name)
{
    size_t row;
    assert(row_find(o, name, strlen(name), &row));
    const char *last = NULL;
    size_t at = 0;
    for (const char *value; (value = options_next(o, name, &at)) != NULL;) {
        last = value;
    }
    return last;
}

bool options_int(const struct options *o, const char *name, int64_t min, int64_t max, int64_t *out,
                 struct err *e)
{
    const char *text = options_get(o, name);
    if (text == NULL) {
        return true;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < min || value > max) {
        return err_set(e, ERR_CONFIG, "--%s: \"%s\" is no whole number from %lld to %lld", name,
                       text, (long long)min, (long long)max);
    }
    *out = value;
    return true;
}

bool options_number(const struct options *o, const char *name, double min, double max, double *out,
                    struct err *e)
{
    const char *text = options_get(o, name);
    if (text == NULL) {
        return true;
    }
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        return err_set(e, ERR_CONFIG, "--%s: \"%s\" is no number from %g to %g", name, text, min,
                       max);
    }
    *out = value;
    return true;
}
