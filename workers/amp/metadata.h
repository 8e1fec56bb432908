/* What metrics are: type and unit by name, sent along with samples at a low rate (MetricMetadata of
 * prompb; beside the text of Remote Write 1.0, but what every store reads). Best effort: in the
 * first sending of a request only, never in what is sent again. */
#pragma once

#include "base/table.h"
#include "batch/shape.h"

struct metadata {
    struct table names;  /* struct metadata_row by the name's hash, owned; bounded */
    int64_t interval_ms; /* all once in that time; 0 = never */
    int64_t due_ms;
    size_t at; /* in names: where the round under way stands */
};

void metadata_init(struct metadata *m, int64_t interval_ms, size_t max_bytes);
void metadata_fini(struct metadata *m);
void metadata_learn(struct metadata *m, const struct shape *shape);
struct metadata_facts {
    uint8_t type; /* MetricType of either version */
    struct slice unit;
};

/* Of a metric, or, with _bucket, _sum or _count behind its name, of a classic histogram's parts. */
bool metadata_find(const struct metadata *m, struct slice name, struct metadata_facts *out);
/* What is due, some hundred names at most, as fields of a WriteRequest. */
void metadata_put(struct metadata *m, int64_t now_ms, struct buf *out);
