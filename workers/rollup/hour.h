/* One partition's windows of an hour: rows of 5 m in, rows of 1 h out, by the same rules as
 * minute.h. A row that comes after its hour has closed is added to the stream's next one, all of it
 * late. No state but the windows: totals are the rows' own. */
#pragma once

#include "completeness.h"
#include "deadlines.h"
#include "merge.h"
#include "rules.h"

struct hour {
    struct rules rules;
    struct row_sink sink;
    struct table streams;
    struct deadlines deadlines;
    int64_t log_ms;
    struct place record; /* the one at hand */
    struct rollup_counts counts;
    struct arena arena; /* the row at hand, decoded */
    struct increase increase;
    struct merger merger;
};

bool hour_new(const struct rules *rules, const struct row_sink *sink, struct hour **out,
              struct err *e) MUST_CHECK;
void hour_free(struct hour *h);

/* A record of the input; log_ms: its timestamp. ERR_BAD_INPUT: not a row, nothing has happened. */
bool hour_take(struct hour *h, int64_t offset, int64_t log_ms, struct slice row,
               struct err *e) MUST_CHECK;
/* Recovery, as minute_restore. */
bool hour_restore(struct hour *h, struct slice row, int64_t log_ms, struct err *e) MUST_CHECK;
void hour_restored(struct hour *h, int64_t log_ms);
struct place hour_needs(const struct hour *h, struct place position);
/* Its sources' part in the completeness of windows. */
void hour_count(const struct hour *h, struct completeness *c);
size_t hour_bytes(const struct hour *h);
