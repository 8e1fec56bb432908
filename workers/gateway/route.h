/* What a request wants, by its line and headers: where it goes, in which format and encoding the
 * body is, and in which form the answer has to be (OTLP/HTTP 1.x; Remote Write 1.0 and 2.0). */
#pragma once

#include "answer.h"
#include "edge/edge.h"
#include "wire/inflate.h"

enum route { ROUTE_NONE, ROUTE_OTLP, ROUTE_REMOTE_WRITE };

struct route_headers {
    struct slice method;
    struct slice path;
    struct slice content_type;
    struct slice content_encoding;
};

struct routed {
    enum route route;
    enum edge_format format;
    bool is_packed; /* in: */
    enum inflate_format packing;
    enum answer_form form;
};

/* For metrics: "otlp", "remote_write", "none". */
const char *route_name(enum route r);
/* Fills out even when it refuses, so that the refusal has the right form: false, the answer then
 * says 404, 405 or 415 and why. */
bool route_look(const struct route_headers *h, struct routed *out, struct answer *refusal);
