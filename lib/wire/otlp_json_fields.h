/* Private to otlp_json: the messages of metrics.proto, common.proto and resource.proto as JSON names them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum json_field_type {
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_BOOL,
    FIELD_DOUBLE,
    FIELD_FIXED64,
    FIELD_SFIXED64,
    FIELD_INT64,  /* varint */
    FIELD_UINT64, /* varint */
    FIELD_UINT32,
    FIELD_SINT32,
    FIELD_TEMPORALITY,
    FIELD_MESSAGE
};

struct json_message;

struct json_field {
    const char *name; /* NULL: the end */
    uint8_t number;
    uint8_t type;     /* enum json_field_type */
    bool is_repeated; /* numbers: packed */
    bool is_choice;   /* of its message's oneof: one of them at most */
    const struct json_message *message;
};

enum { MAX_JSON_FIELDS = 16 };

struct json_message {
    const struct json_field *fields; /* at most MAX_JSON_FIELDS */
};

extern const struct json_message otlp_json_root;
