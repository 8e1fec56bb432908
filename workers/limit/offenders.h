/* Who makes series: per (tenant, metric) how many are new and how many were refused, and for each
 * label how many values were seen among them: exact up to MAX_VALUES, then "at least". Bounded:
 * the metrics that were quiet longest make room. */
#pragma once

#include "base/buf.h"
#include "base/table.h"
#include "batch/series.h"
#include "run/metrics.h"

enum { MAX_VALUES = 1024, MAX_OFFENDER_LABELS = 16, OFFENDERS_SHOWN = 10 };

struct offenders {
    struct table table;
    int64_t since_ms;
    struct cell *shown[OFFENDERS_SHOWN]; /* in the metrics; NULL = fewer */
};

void offenders_init(struct offenders *o, size_t max_bytes, int64_t now_ms);
void offenders_fini(struct offenders *o);
/* Starts counting anew. */
void offenders_reset(struct offenders *o, int64_t now_ms);
void offenders_note(struct offenders *o, struct slice tenant, const struct series *s,
                    bool is_refused);
/* The worst ones into their cells; those that are no longer among them go to 0. */
void offenders_show(struct offenders *o, struct metrics *m);
/* JSON: the n worst metrics, by series refused, then new. */
void offenders_print(const struct offenders *o, uint32_t n, struct buf *out);
