/* The labels of a shape's exponential histograms as Snappy elements, compressed once: a series'
 * against those of the one before it. Between both stands that one's histogram, whose length differs
 * from scrape to scrape, so the copies' offsets are written into them when a scrape is put:
 *
 *   0A len | labels: literals and copies | 22 len { histogram, time } | 0A len | labels of the next …
 *
 * The first of a scrape has its labels as they are, and so has one behind a histogram that is too
 * long for an offset of two bytes. What decompresses is byte for byte what
 * scrape_encode_exponentials would have written. */
#pragma once

#include "scrape.h"

struct exp_copy {
    uint16_t at;       /* of its offset, from where the run begins */
    uint16_t distance; /* the offset, but for what stands between both labels */
};

/* Of one series. */
struct exp_run {
    uint32_t series;
    uint32_t at; /* in bytes */
    uint32_t len;
    uint32_t copies_at;
    uint32_t copies_end;
    uint16_t most; /* the largest distance */
};

struct exp_labels {
    struct exp_run *runs; /* owned, one per series that is no delta */
    uint32_t n_runs;
    uint8_t *bytes; /* owned */
    size_t n_bytes;
    struct exp_copy *copies; /* owned */
    size_t n_copies;
};

/* False: out of memory. */
bool exp_labels_init(struct exp_labels *x, const struct wire_shape *w);
void exp_labels_fini(struct exp_labels *x);
/* Bytes held. */
size_t exp_labels_cost(const struct exp_labels *x);
/* Appends the points of [from, to) that are exponential histograms; their times are usual ones.
 * Returns the bytes when decompressed; check buf_ok. */
size_t exp_labels_put(const struct exp_labels *x, const struct scrape *s, uint32_t from,
                      uint32_t to, struct buf *body);
