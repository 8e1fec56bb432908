/* Of increase.c alone: the same for histograms. */
#pragma once

#include "batch/histogram.h"
#include "increase.h"

enum { MAX_BUCKETS = 160, MAX_READ_BUCKETS = 1 << 16 };

/* What a cumulative point is, after the last one if there is any; counts resets. */
enum point_effect increase_effect(struct increase *x, int64_t start_ms, bool has_last,
                                  int64_t last_ms, bool has_fallen);

bool exp_calculate(struct increase *x, const struct slot *slot, const struct point_list *p,
                   const struct fold_list *folds, struct row_series *out, struct err *e) MUST_CHECK;
bool classic_calculate(struct increase *x, const struct slot *slot, const struct point_list *p,
                       const struct fold_list *folds, struct row_series *out,
                       struct err *e) MUST_CHECK;
/* Late classic ones into one. */
bool classic_folds(struct increase *x, uint32_t n_bounds, const struct fold_list *folds,
                   struct classic_histogram *out, struct err *e) MUST_CHECK;
/* The sum of late histograms, packed; lives until the next calculation. */
bool packed_sum(struct increase *x, const struct slot *slot, const struct fold_list *points,
                struct slice *out, struct err *e) MUST_CHECK;
