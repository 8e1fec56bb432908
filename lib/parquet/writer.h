/* Writes a Parquet file: columns in, bytes out through a sink. V1 data pages with statistics, page
 * index, Bloom filters and checksums; memory stays below a ceiling, since row groups are written as
 * they fill it. No I/O, no Kafka, no S3 in here.
 *
 *   PAR1 | row group: pages of each column; Bloom filters | … | page index | footer | length | PAR1
 *
 * Without the footer the file is none: a writer that has failed says so for ever and never writes
 * one. Source: apache/parquet-format. */
#pragma once

#include "parquet/footer.h"
#include "parquet/rows.h"

/* Takes the file's next bytes. A failure, whose err it sets, is the writer's end. */
typedef bool (*parquet_sink)(void *context, struct slice bytes, struct err *e);

/* Fields with 0 get the default. All pointers stay the caller's and must live as long as the
 * writer. */
struct parquet_options {
    const struct parquet_field *fields;
    size_t n_fields;
    const struct parquet_sorting *sorting; /* the order the caller's rows have; not checked */
    size_t n_sorting;
    const struct parquet_pair *pairs; /* key-value metadata */
    size_t n_pairs;
    enum parquet_codec codec;
    int zstd_level;
    bool no_checksums;
    uint32_t page_rows;          /* 20,000 */
    size_t page_max_bytes;       /* of a page's values in memory: 1 MiB, less for many columns */
    uint64_t group_max_rows;     /* 1,048,576 */
    size_t dictionary_max_bytes; /* 1 MiB */
    size_t statistics_max_bytes; /* 64; longer texts are cut */
    size_t bloom_max_bytes;      /* 1 MiB */
    size_t max_bytes;            /* ceiling of what the writer holds: 64 MiB; at least 16 MiB */
};

struct parquet_writer;

/* ERR_CONFIG: fields or options that can't be; ERR_RETRY: no memory. Nothing is written yet. */
bool parquet_new(const struct parquet_options *options, parquet_sink sink, void *sink_context,
                 struct parquet_writer **out, struct err *e) MUST_CHECK;
void parquet_free(struct parquet_writer *w);

/* n_rows rows; columns has one entry per field, borrowed for the call. The larger the calls, the
 * cheaper. Errors: the sink's own; ERR_BAD_INPUT for a null where none may be, a string that is not
 * UTF-8, a row too large for the ceiling. Every call after a failure fails with the same error. */
bool parquet_append(struct parquet_writer *w, const struct parquet_column *columns, size_t n_rows,
                    struct err *e) MUST_CHECK;
/* Writes what is gathered as a row group. Done without being asked when memory or rows say so. */
bool parquet_end_group(struct parquet_writer *w, struct err *e) MUST_CHECK;
/* Writes the rest and the footer: now it is a file. Only parquet_free may follow. */
bool parquet_close(struct parquet_writer *w, struct err *e) MUST_CHECK;

int64_t parquet_rows(const struct parquet_writer *w);
/* Bytes given to the sink, and gathered for it so far (estimated): how large the file would be by
 * now. */
int64_t parquet_bytes(const struct parquet_writer *w);
size_t parquet_held_bytes(const struct parquet_writer *w);
/* The most it has held since it was made. */
size_t parquet_peak_bytes(const struct parquet_writer *w);
