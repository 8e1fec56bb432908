/* The rows of one range of a partition's offsets, raw samples and rollups, on their way into
 * objects. Rows are gathered in memory, sorted into scratch files when that is full, and merged
 * when an object is written: sorted by tenant, metric, series and time. No Kafka, no S3.
 *
 *   range_open → range_add … → range_plan → for each object: range_key, range_facts, range_write
 *
 * The same records give the same objects, byte for byte, whatever the memory was. */
#pragma once

#include "batch/batch.h"
#include "batch/rollup.h"
#include "layout.h"
#include "parquet/writer.h"

enum { RANGE_LEAST_ROWS_BYTES = 8 << 20, RANGE_LEAST_WRITER_BYTES = 16 << 20 };

struct range; /* opaque */

/* The strings are copied. Fields with 0 get the default, but for those in the first line. */
struct range_options {
    const char *topic; /* and the partition: for keys and columns */
    const char *topic_id;
    int32_t partition;
    const char *scratch_dir; /* files there have no names: nothing stays behind */
    size_t max_rows_bytes;   /* 64 MiB: gathered rows and sorting them; one record may be over it */
    size_t max_writer_bytes; /* 128 MiB, with less row groups are smaller: besides, while an object
                                is written */
    int zstd_level;          /* 3 */
    bool portable;           /* only PLAIN and dictionaries, which every reader knows; larger */
};

/* ERR_CONFIG: options that can't be; ERR_RETRY: no memory. The layout is copied. */
bool range_open(const struct range_options *o, const struct layout *l, struct range **out,
                struct err *e) MUST_CHECK;
void range_close(struct range *r); /* NULL is fine */

/* A record's batch, decoded; offsets ascend. A heartbeat has no rows. ERR_RETRY: the scratch disk
 * is full or fails: nothing was taken or lost, call again with the same record. ERR_BAD_INPUT: no
 * batch that can be read, nothing was taken. */
bool range_add(struct range *r, const struct batch *b, int64_t offset, struct err *e) MUST_CHECK;
/* The same of a rollup: a row per series of its window, and one per late amount (revision > 0); an
 * amend record has those alone. */
bool range_add_rollup(struct range *r, const struct rollup *rollup, int64_t offset,
                      struct err *e) MUST_CHECK;
uint64_t range_n_rows(const struct range *r);
/* How many bytes the objects will have, roughly. */
size_t range_n_bytes(const struct range *r);
/* What it holds by now, all in; in memory and in scratch files. */
size_t range_held_bytes(const struct range *r);
uint64_t range_scratch_bytes(const struct range *r);

/* After the last add: what the objects are. Their order is that of tables, hours, then tenants;
 * their keys depend on layout, topic, id, partition, first, last and the rows alone. No rows: no
 * objects. May be called again (with another last, or more rows added before). ERR_RETRY: no
 * memory. */
bool range_plan(struct range *r, int64_t first, int64_t last, size_t *n_objects,
                struct err *e) MUST_CHECK;

struct object_facts {
    enum table_id table;
    struct slice tenant; /* empty without the tenant level */
    int64_t first_offset;
    int64_t last_offset;
    uint64_t n_rows;
    int64_t min_ts_ms;
    int64_t max_ts_ms;
};

/* Borrowed until the next plan. */
const char *range_key(const struct range *r, size_t i);
struct object_facts range_facts(const struct range *r, size_t i);

/* The object's bytes, piece by piece; may be called again: the same bytes. pairs: into the footer.
 * Errors: the sink's own; ERR_RETRY: scratch disk or memory. */
bool range_write(struct range *r, size_t i, const struct parquet_pair *pairs, size_t n_pairs,
                 parquet_sink sink, void *sink_context, struct err *e) MUST_CHECK;
