/* sluice-parquet as a sink stage: its configuration, and the wires between lib/stage, the portions
 * (one a partition) and the uploader. */
#pragma once

#include "aws/s3_config.h"
#include "layout.h"
#include "portion.h"
#include "stage/stage.h"
#include "stage/stage_config.h"

#if SLUICE_FAULTS
#define PARQUET_FAULT_CONFIG(KEY)                                                                  \
    KEY("fault.put_before_intent", BOOL, "false", 0, 0,                                            \
        "TEST: objects are stored before the intent's commit is answered")
#else
#define PARQUET_FAULT_CONFIG(KEY)
#endif

#define PARQUET_CONFIG(KEY)                                                                        \
    KEY("topics", LIST, "metrics.admitted", 0, 0,                                                  \
        "series and rollup topics to read; a record's own bytes say which table it is of")         \
    KEY("start", STRING, "", 0, 0,                                                                 \
        "earliest: a partition without a committed offset begins at the log's start, if there is " \
        "no object of its topic yet; empty: it is stopped, with an alarm")                         \
    KEY("bucket", STRING, NULL, 0, 0, "where the objects go")                                      \
    KEY("prefix", STRING, "", 0, 0, "of all keys, without a slash at either end")                  \
    KEY("hours", INT, "1", 1, 24, "hours of sample time that share a folder: 1, 3, 6 or 24")       \
    KEY("tenant_level", BOOL, "false", 0, 0, "a folder, and objects, for each tenant")             \
    KEY("label_columns", LIST, layout_default_label_columns, 0, 0, "labels that have a column of their own")      \
    KEY("portable", BOOL, "false", 0, 0,                                                           \
        "encodings that older readers know (Spark before 4), a third larger")                      \
    KEY("file_max_bytes", INT, "134217728", 1, 4294967296, "a range is due at about so many bytes") \
    KEY("file_max_rows", INT, "50000000", 1, 1000000000, "a range is due at so many rows")         \
    KEY("raw_max_age_ms", INT, "900000", 100, 86400000,                                            \
        "a range of raw samples is due when it is this old, by the log or by the clock, ms")       \
    KEY("rollup_max_age_ms", INT, "3600000", 100, 86400000,                                        \
        "a range of rollups alone is due when it is this old, ms")                                 \
    KEY("range_memory_mb", INT, "16", 8, 4096,                                                     \
        "rows of one partition's open range in memory, MiB; more goes to scratch_dir")             \
    KEY("writer_memory_mb", INT, "64", 16, 4096, "of each upload while it writes a file, MiB")     \
    KEY("scratch_dir", STRING, "/tmp", 0, 0, "for sorting and for files on their way; lost at no loss") \
    KEY("uploads", INT, "2", 1, 64, "ranges stored at a time")                                     \
    KEY("multipart_bytes", INT, "104857600", 5242880, 5368709120,                                  \
        "larger objects go in parts, bytes")                                                       \
    KEY("part_bytes", INT, "16777216", 5242880, 1073741824, "size of a part")                      \
    S3_CONFIG(KEY)                                                                                 \
    KEY("kms_key", STRING, "", 0, 0, "SSE-KMS by this key; empty = as the bucket has it")          \
    KEY("kms_keys", LIST, "", 0, 0, "tenant=key: of that tenant's objects; needs tenant_level")    \
    KEY("tags", STRING, "", 0, 0, "of each object, a=b&c=d, percent-encoded")                      \
    KEY("request_timeout_ms", INT, "60000", 10, 3600000, "no answer within this is an error, ms")  \
    KEY("min_backoff_ms", INT, "200", 1, 600000, "first wait before a retry, doubled each time, ms") \
    KEY("max_backoff_ms", INT, "20000", 1, 3600000, "longest wait before a retry, ms")             \
    PARQUET_FAULT_CONFIG(KEY)

struct worker;

extern const struct stage_spec parquet_spec;

/* What config_load can't tell of one key alone. */
bool worker_check(const struct config *c, struct err *e);
bool worker_new(const struct config *c, struct metrics *m, struct worker **out,
                struct err *e) MUST_CHECK;
void worker_free(struct worker *w);
/* What it would write ranges with, and a connection to its bucket, of the caller's own: for replays
 * (replay.h), which then write what it would have written. Both live no longer than the worker. */
const struct portion_options *worker_portions(const struct worker *w);
bool worker_s3(const struct worker *w, struct s3 **out, struct err *e) MUST_CHECK;
