/* A record of any of our topics as one JSON object, told by the bytes that it begins with. What
 * tenants send is never shown: only how long it is. */
#pragma once

#include "batch/shape.h"
#include "batch/versions.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>

enum { RECORD_SCHEMAS = 7 };

struct record_printer {
    const char *tenant;       /* NULL = all */
    struct slice metric_glob; /* empty = all */
    struct arena arena;
    struct shape_cache shapes;
    json_t *schemas[RECORD_SCHEMAS]; /* owned */
};

bool record_printer_init(struct record_printer *p, const char *tenant, const char *metric, struct err *e) MUST_CHECK;
void record_printer_fini(struct record_printer *p);

/* *out: the caller's, or NULL when the filters leave it out. A damaged record is one of kind
 * "unreadable" that says why. False: out of memory. */
bool record_json(struct record_printer *p, const rd_kafka_message_t *m, json_t **out, struct err *e) MUST_CHECK;
/* The value alone: *kind is static. ERR_BAD_INPUT: damaged. */
bool record_value_json(struct record_printer *p, const char *topic, struct slice value, const char **kind,
                       json_t **out, struct err *e) MUST_CHECK;
