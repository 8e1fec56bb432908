/* The values behind struct config; private to lib/run. Every value is kept as text and checked when it is set. */
#pragma once

#include "base/arena.h"
#include "run/config.h"

struct config_value {
    const char *text; /* NULL = not set and required */
    const char *from; /* where it came from: "default", "sluice.json", "environment", "--set" */
    int64_t number;   /* INT; BOOL as 0, 1 */
    const char **items; /* LIST */
    size_t n_items;
};

struct kafka_property {
    const char *name; /* without "kafka." */
    const char *value;
    const char *from;
};

enum { MAX_KAFKA_PROPERTIES = 256 };

struct config {
    const struct config_program *program;
    struct arena arena;
    struct config_value *values; /* as the table's keys */
    struct kafka_property kafka[MAX_KAFKA_PROPERTIES];
    size_t n_kafka;
};

/* Sets a key of the table or a kafka.* property from text. ERR_CONFIG: unknown (with a near name), wrong type, out of
 * range. */
bool config_set(struct config *c, const char *name, const char *text, const char *from, struct err *e) MUST_CHECK;
/* -1 when it is not in the table. */
int config_find(const struct config *c, const char *name);
/* Is a kafka.* property of this name a secret? */
bool kafka_property_is_secret(const char *name);
/* The name in the table nearest to this one, or NULL when none is near. */
const char *config_near(const struct config *c, const char *name);
const char *config_copy(struct config *c, const char *text);
