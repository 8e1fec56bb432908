/* What a stretch of a topic holds: records, samples, sources, tenants. Series and rollup records are
 * decoded; others are counted by their bytes alone. */
#pragma once

#include "base/table.h"
#include "batch/batch.h"
#include "batch/rollup.h"
#include "stage/record.h"

struct survey_tenant {
    uint64_t n_samples;
    char name[]; /* NUL-ended */
};

struct survey {
    struct arena arena; /* of one record */
    struct shape_cache shapes;
    struct table sources;
    struct table tenants; /* struct survey_tenant, owned */
    uint64_t n_records;
    uint64_t n_bytes;
    uint64_t n_samples; /* series of rollup rows */
    uint64_t n_other;   /* records that are neither a batch nor a rollup */
    int64_t first_ms;   /* of the records' timestamps; first 0 = there was none */
    int64_t last_ms;
};

/* What one record was; borrowed until the next. */
struct survey_record {
    const struct batch *batch; /* with samples; NULL = none */
    const struct shape *shape; /* the batch's */
    const struct rollup *rollup;
    struct slice tenant;
    uint64_t source;
    uint32_t n_samples;
    struct batch batch_space;
    struct rollup rollup_space;
};

void survey_init(struct survey *s);
void survey_fini(struct survey *s);
/* ERR_RETRY: no memory. A record that can't be read is no error: it is counted. */
bool survey_add(struct survey *s, const struct record *r, struct survey_record *out,
                struct err *e) MUST_CHECK;
/* One that the caller has looked into: what a tenant sent, its source known by the record's key. */
bool survey_add_ingest(struct survey *s, const struct record *r, struct slice tenant, uint32_t n_samples,
                       struct err *e) MUST_CHECK;
