/* Rows of rollups (schemas/rollup.avsc, Avro single-object encoding): one stream's samples of one
 * window, summed up. The same content always has the same bytes.
 *
 *   C3 01 fingerprint | kind tenant class source window_ms end_ms closed_at part shape samples
 *                       last_ms ended counters gauges exp classic late amends
 *
 * Columns are in the shape's order: counters of total, delta, last; gauges of sum, min, max, last
 * (doubles, little-endian); histograms of total, delta, last, packed as in batch.h. */
#pragma once

#include "batch/batch.h"

enum rollup_kind { ROLLUP_ROW, ROLLUP_AMEND, ROLLUP_HEARTBEAT, N_ROLLUP_KINDS };
enum { COUNTER_COLUMNS = 3, GAUGE_COLUMNS = 4, HISTOGRAM_COLUMNS = 3, AMEND_GAUGE_COLUMNS = 3 };

/* What of a series' delta was late: a double, or a packed histogram. */
struct rollup_late {
    uint32_t series;
    struct slice amount;
};

/* Late amounts of one window that had closed. */
struct rollup_amend {
    int64_t end_ms;
    struct slice shape;
    struct slice columns; /* encoded: samples, then the four columns; see rollup_amend_columns */
    uint32_t n_series;    /* of the shape and the columns */
};

struct rollup {
    enum rollup_kind kind;
    struct slice tenant;
    enum batch_class class;
    uint64_t source;
    int64_t window_ms;
    int64_t end_ms;
    int64_t closed_at; /* -1: further parts follow */
    int32_t part;
    struct slice shape; /* empty = no series */
    uint32_t n_series;
    const uint32_t *samples; /* per series */
    const int64_t *last_ms;  /* per series */
    uint32_t n_ended;
    const uint32_t *ended; /* rising */
    struct slice counters;
    struct slice gauges;
    struct slice exp;
    struct slice classic;
    uint32_t n_late;
    const struct rollup_late *late; /* by rising series */
    uint32_t n_amends;
    const struct rollup_amend *amends; /* by rising end_ms */
};

void rollup_encode(const struct rollup *r, struct buf *out); /* appends; check buf_ok */

/* Columns of an amend, as rollup_amend.columns has them. */
struct rollup_amend_columns {
    uint32_t n_series;
    const uint32_t *samples;
    struct slice counters;
    struct slice gauges;
    struct slice exp;
    struct slice classic;
};
void rollup_amend_encode(const struct rollup_amend_columns *c, struct buf *out);

/* Do the bytes begin as a rollup's? What else is on a topic has another schema. */
bool rollup_is(struct slice bytes);
/* Bytes are borrowed, arrays live in a. An unknown fingerprint is ERR_BAD_INPUT and named. Only
 * what rollup_encode would have written passes, but for the columns against the shape:
 * rollup_check. */
bool rollup_decode(struct slice bytes, struct arena *a, struct rollup *out,
                   struct err *e) MUST_CHECK;
/* An amend's columns; the amend is of rollup_decode. */
bool rollup_amend_decode(const struct rollup_amend *m, struct arena *a,
                         struct rollup_amend_columns *out, struct err *e) MUST_CHECK;

/* That the columns have exactly what the shape says; s: of an empty shape, one without series. */
bool rollup_check(const struct rollup *r, const struct shape *s, struct err *e) MUST_CHECK;
