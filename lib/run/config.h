/* Configuration from one table per program: file (JSON), environment (SLUICE_<KEY>), --set.
 * Later ones win in that order. Unknown keys, wrong types and values out of range are
 * ERR_CONFIG and name the key and where it came from. Keys that begin with "kafka." pass to
 * librdkafka (environment: SLUICE_KAFKA_BOOTSTRAP_SERVERS = kafka.bootstrap.servers; in a file also
 * as an object "kafka"). Secrets (CONFIG_SECRET; kafka.*password* and the like) are never printed,
 * are refused in --set, and can be given as <key>_file, the path of a file that holds one.
 * A variable SLUICE_* that is no key is ignored (scripts have theirs: SLUICE_PORT_KAFKA), unless it
 * is within one edit in five characters (two at most) of a key's: then it is a slip, and an error. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_STRING,
    CONFIG_INT,
    CONFIG_BOOL,
    CONFIG_LIST,  /* of strings; in text form separated by commas */
    CONFIG_SECRET /* a string that is never printed, and refused in --set */
};

struct config_key {
    const char *name;
    enum config_type type;
    const char *fallback; /* text form; NULL = required */
    int64_t min;          /* of CONFIG_INT */
    int64_t max;
    const char *help; /* one line, with the unit */
};

/* Rows of an X-macro table KEY(name, type, fallback, min, max, help) become config_key rows. */
#define CONFIG_ROW(name, type, fallback, min, max, help)                                           \
    {name, CONFIG_##type, fallback, min, max, help},

struct config; /* opaque: owns parsed values */

enum config_mode {
    CONFIG_RUN,
    CONFIG_DONE /* --help, --help-metrics, --version, --check, --print-config: printed, exit 0 */
};

struct config_program {
    const char *name;    /* "sluice-validate" */
    const char *summary; /* first line of --help */
    const char *version; /* printed by --version, e.g. "sluice 0.1.0, librdkafka 2.15.1" */
    const struct config_key *keys;
    size_t n_keys;
    /* The file may be another program's: keys that are none of ours are passed over there. */
    bool shares_file;
    /* Further checks that need more than one key; may be NULL. */
    bool (*check)(const struct config *c, struct err *e);
};

/* On success *out is owned by the caller (config_free). */
bool config_load(const struct config_program *program, int argc, char **argv, struct config **out,
                 enum config_mode *mode, struct err *e) MUST_CHECK;
void config_free(struct config *c);
/* Is it an argument of config_load's, in the command line of a tool that has others, too? *has_value: the next one
 * belongs to it. */
bool config_owns(const char *argument, bool *has_value);

/* The name must stand in the table (an assert: our own bug). Strings live as long as c. */
const char *config_str(const struct config *c, const char *name);
int64_t config_int(const struct config *c, const char *name);
bool config_bool(const struct config *c, const char *name);
size_t config_list(const struct config *c, const char *name, const char *const **items);
/* The i-th kafka.* property (without the prefix); false past the last. */
bool config_kafka(const struct config *c, size_t i, const char **name, const char **value);
