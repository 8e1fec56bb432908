/* OTLP attributes (common.proto): a run of fields, each KeyValue { key=1 value=2 AnyValue },
 * whatever number the fields have in their message. The walk hands runs on unread; here they are
 * read, when a series is first seen. */
#pragma once

#include "base/cursor.h"

enum otlp_value {
    OTLP_V_NONE,
    OTLP_V_STRING,
    OTLP_V_BOOL,
    OTLP_V_INT,
    OTLP_V_DOUBLE,
    OTLP_V_BYTES,
    OTLP_V_NESTED
};

struct otlp_attribute {
    struct slice name;
    enum otlp_value type; /* arrays and maps are OTLP_V_NESTED: not walked, never recursed into */
    struct slice text;    /* string, bytes */
    int64_t integer;      /* bool, int */
    double number;
};

/* Walks an attributes run; false at its end or when *c failed (check cursor_ok). */
bool otlp_attribute_next(struct cursor *c, struct otlp_attribute *out);
/* The value as label text: strings as they are, numbers and booleans printed into text_space
 * (32 bytes are enough). False for nested values and bytes. */
bool otlp_attribute_text(const struct otlp_attribute *a, char *text_space, size_t max_bytes,
                         struct slice *out);
