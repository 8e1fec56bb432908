/* Inside of lib/run's configuration: values, where they came from, and how text and JSON become
 * values. Not for other folders. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "run/config.h"

#include <jansson.h>

/* Later ones win. */
enum config_layer { LAYER_FALLBACK, LAYER_FILE, LAYER_ENVIRONMENT, LAYER_SET };

struct config_origin {
    enum config_layer layer;
    const char *where; /* for messages: the file's path, the variable, "--set" */
};

struct config_value {
    bool present;
    enum config_layer layer;
    const char *text; /* STRING, SECRET */
    int64_t number;   /* INT */
    bool flag;        /* BOOL */
    const char **items;
    size_t n_items;
};

struct config_property {
    const char *name; /* without "kafka." */
    const char *value;
    enum config_layer layer;
};

/* All strings live in the arena. */
struct config {
    const struct config_program *program;
    struct arena arena;
    struct config_value *values; /* one per key of the program */
    struct config_property *properties;
    size_t n_properties;
    size_t cap_properties;
};

/* A NUL-ended copy that lives as long as the config; NULL (and e) when there is no room. */
char *config_text(struct config *c, struct slice s, struct err *e);

/* Sets one key from text ("5", "true", "a,b") or from JSON; unknown names fail. A name
 * "<secret>_file" reads the secret from that file. "kafka.…" becomes a property. */
bool config_put_text(struct config *c, const char *name, const char *text,
                     const struct config_origin *from, struct err *e) MUST_CHECK;
bool config_put_json(struct config *c, const char *name, const json_t *json,
                     const struct config_origin *from, struct err *e) MUST_CHECK;

/* The layers. */
bool config_read_file(struct config *c, const char *path, struct err *e) MUST_CHECK;
bool config_read_environment(struct config *c, char **environment, struct err *e) MUST_CHECK;
bool config_read_set(struct config *c, const char *assignment, struct err *e) MUST_CHECK;

/* The whole file; at most max_bytes. The text is NUL-ended and lives in the config's arena. */
bool config_file_text(struct config *c, const char *path, size_t max_bytes, struct slice *out,
                      struct err *e) MUST_CHECK;

/* A property of librdkafka that must not be shown. */
bool config_property_is_secret(const char *name);

/* SLUICE_… of a key, into out. */
void config_variable(const char *key, char *out, size_t out_bytes);

/* How many edits (insert, delete, replace, swap) lead from a to b; large past 63 characters. */
size_t config_distance(const char *a, const char *b);

void config_print_help(const struct config_program *p, struct buf *out);
/* As JSON, secrets as "***". False when out of memory. */
bool config_print_values(const struct config *c, struct buf *out);
