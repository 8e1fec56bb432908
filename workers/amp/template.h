/* A shape on the wire, compressed once. Of exponential histograms it has the labels (exp_labels.h),
 * of classic ones nothing. The scalar series are Snappy elements (format_description.txt of
 * google/snappy: literals and copies, without the length in front) whose values lie in literals that
 * no copy refers to. A scrape is then these bytes, and its values written into the holes:
 *
 *   labels … 12 10 09 | value, 8 bytes: a hole | 10 time | labels of the next …
 *
 * What decompresses is byte for byte what scrape_encode would have written. Copies are relative, so
 * templates and other elements stand one behind another under one common length.
 *
 * The usual scrape has one time: it is a hole once per chunk, and a copy from there on. In the
 * other form each sample's time is a hole, too. Times have 6 bytes as a varint: 1971 to 2109. */
#pragma once

#include "exp_labels.h"

enum template_form { TEMPLATE_ONE_TIME, TEMPLATE_MANY_TIMES, N_TEMPLATE_FORMS };

/* A run of series that stands by itself: no copy goes beyond it. */
struct template_chunk {
    uint32_t from; /* series, and the end */
    uint32_t to;
    uint32_t at; /* in bytes */
    uint32_t len;
    uint32_t n_plain; /* bytes when decompressed */
    uint32_t column;  /* the first scalar, and how many: their holes and values */
    uint32_t n_columns;
    uint32_t time_at; /* one time: its hole, from the chunk's begin */
};

struct template
{
    uint8_t *bytes; /* owned */
    size_t n_bytes;
    uint32_t *holes; /* per scalar, from the chunk's begin; of a delta one: the chunk's end */
    struct template_chunk *chunks;
    uint32_t n_chunks;
    enum template_form form;
    struct exp_labels exp;
};

/* A template is copied with so much room behind: a delta series' hole lies there. */
enum { TEMPLATE_SLACK_BYTES = 32, TEMPLATE_CHUNK_SERIES = 512 };

/* NULL: out of memory (or the shape's labels take more than 1 GiB): then there is none. */
struct template *template_new(const struct wire_shape *w, enum template_form form);
void template_free(struct template *t);
/* Bytes held. */
size_t template_cost(const struct template *t, const struct wire_shape *w);
