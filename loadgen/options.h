/* Command line: --name VALUE, --name=VALUE or --name, from one table per command, which also
 * prints --help. All errors are ERR_CONFIG and name the option. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct option_row {
    const char *name;
    const char *argument; /* what --help calls it; NULL = a switch */
    const char *help;
};

enum { MAX_OPTIONS_GIVEN = 64 };

struct options {
    const struct option_row *rows;
    size_t n_rows;
    size_t n_given;
    struct {
        size_t row;
        const char *value; /* argv's */
    } given[MAX_OPTIONS_GIVEN];
};

bool options_parse(struct options *o, const struct option_row *rows, size_t n_rows, int argc,
                   char **argv, struct err *e) MUST_CHECK;
void options_help(const struct option_row *rows, size_t n_rows);
/* The last one given; NULL when there is none. A switch's value is "". */
const char *options_get(const struct options *o, const char *name);
/* One after the other, from *at = 0 on; NULL at the end. */
const char *options_next(const struct options *o, const char *name, size_t *at);
/* *out stays when the option is not given. */
bool options_int(const struct options *o, const char *name, int64_t min, int64_t max, int64_t *out,
                 struct err *e) MUST_CHECK;
bool options_number(const struct options *o, const char *name, double min, double max, double *out,
                    struct err *e) MUST_CHECK;
