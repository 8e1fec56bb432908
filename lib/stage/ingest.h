/* What an ingest record is and whose: tenant by topic or by the gateway's header, format by the
 * content-type header or the leading bytes. */
#pragma once

#include "policy/reason.h"
#include "stage/record.h"

enum ingest_format {
    INGEST_OTLP,
    INGEST_TENANT_AVRO,
    INGEST_REMOTE_WRITE_1, /* both in a snappy block */
    INGEST_REMOTE_WRITE_2,
    INGEST_BATCH
};

struct ingest {
    struct slice topic;       /* the record's */
    struct slice tenant_name; /* as said, not looked up; empty when nobody says */
    bool is_shared;           /* the topic that only the gateway writes to */
    enum ingest_format format;
    enum reason reason; /* REASON_NONE, or why the record is refused at once */
};

struct ingest ingest_look(const struct record *in, struct slice shared_topic);
