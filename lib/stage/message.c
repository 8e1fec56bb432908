#include "stage/message.h"

static void headers_read(const rd_kafka_message_t *m, struct record *r)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    while (r->n_headers < MAX_RECORD_HEADERS &&
           rd_kafka_header_get_all(headers, r->n_headers, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        r->headers[r->n_headers++] = (struct record_header){slice_str(name), slice_of(value, len)};
    }
}

void message_record(const rd_kafka_message_t *m, struct partition *p, struct record *out)
{
    *out = (struct record){
        .partition = p,
        .offset = m->offset,
        .timestamp_ms = rd_kafka_message_timestamp(m, NULL),
        .key = slice_of(m->key, m->key_len),
        .value = slice_of(m->payload, m->len),
    };
    headers_read(m, out);
}
