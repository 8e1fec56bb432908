/* Counts what a WriteRequest holds without looking at it closer than it must. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

struct skim_counts {
    uint64_t n_series;
    uint64_t n_samples;
    uint64_t n_histograms;
};

/* ERR_BAD_INPUT. */
bool skim_request(struct slice bytes, struct skim_counts *counts, struct err *e) MUST_CHECK;
