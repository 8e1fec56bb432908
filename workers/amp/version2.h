/* A WriteRequest of Remote Write 1.0 as a Request of 2.0 (2.0-rc.4, io.prometheus.write.v2): labels
 * become references into one table of symbols, samples and histograms stay as they are, and each
 * series says what it is.
 *
 *   Request    { 22 symbol … (the first is empty)   2A series … }
 *   TimeSeries { 0A refs   12 sample … | 1A histogram …   2A { 08 type  20 unit } } */
#pragma once

#include "metadata.h"

struct version2 {
    struct buf series;
    struct buf symbols;
    struct buf one; /* of the series at hand */
    struct buf refs;
    struct table seen; /* 1 + a symbol's number, as a pointer, by its hash */
    uint32_t n_symbols;
};

void version2_init(struct version2 *v, size_t max_bytes);
void version2_fini(struct version2 *v);
/* In place. The input is our own encoding. False: out of memory, or beyond the ceiling. */
bool version2_convert(struct version2 *v, const struct metadata *m, struct buf *request);
