/* Who makes series: per (tenant, metric) how many are new and how many were refused, and for each
 * label how many values were seen among them: exact up to MAX_VALUES, then "at least". Bounded:
 * the metrics that were quiet longest make room. */
#pragma once

#include "base/buf.h"
#include "base/table.h"
#include "batch/series.h"
#include "run/metrics.h"

enum {
    MAX_VALUES = 1024,
    MAX_OFFENDER_LABELS = 16,
    OFFENDERS_SHOWN = 10,
    MAX_NAMES_SHOWN = 64 /* of a tenant, ever: in the metrics a name is for good */
};

struct offenders {
    struct table table;
    int64_t since_ms;
    struct cell *shown[OFFENDERS_SHOWN]; /* in the metrics; NULL = fewer */
    struct table names;                  /* that have a cell, by tenant, metric and label */
    struct table n_names;                /* by tenant */
};

void offenders_init(struct offenders *o, size_t max_bytes, int64_t now_ms);
void offenders_fini(struct offenders *o);
/* Starts counting anew. */
void offenders_reset(struct offenders *o, int64_t now_ms);
void offenders_note(struct offenders *o, struct slice tenant, const struct series *s,
                    bool is_refused);
/* The worst ones into their cells; those that are no longer among them go to 0. A tenant that has
 * had MAX_NAMES_SHOWN names there has its further ones in one, as metric "other". */
void offenders_show(struct offenders *o, struct metrics *m);
/* JSON: the n worst metrics, by series refused, then new. */
void offenders_print(const struct offenders *o, uint32_t n, struct buf *out);
