/* One partition while it is ours: the range being gathered, where the protocol stands (intent.h),
 * and the job that stores its objects. Between lib/stage and upload.h. */
#pragma once

#include "base/arena.h"
#include "decoded.h"
#include "ledger/intent.h"
#include "layout.h"
#include "range.h"
#include "run/metrics.h"
#include "stage/stage.h"
#include "upload.h"

enum stop_reason {
    STOP_NONE,
    STOP_NO_OFFSET,
    STOP_OBJECTS_EXIST,
    STOP_INTENT,
    STOP_ROWS_MISSING,
    STOP_CONFLICT,
    N_STOP_REASONS
};
extern const char *const stop_reason_names[N_STOP_REASONS];

/* What all portions share. */
struct portion_options {
    struct uploader *uploader;
    struct metrics *metrics;
    struct layout layout; /* of new ranges */
    char layout_text[INTENT_MAX_LAYOUT + 1];
    const char *scratch_dir;
    bool starts_at_earliest;
    bool portable;    /* range.h */
    size_t max_bytes; /* a file is due at one of these */
    uint64_t max_rows;
    int64_t raw_max_age_ms;
    int64_t rollup_max_age_ms; /* of a range without raw samples */
    size_t range_memory_bytes;
    size_t writer_memory_bytes;
    bool fault_put_before_intent;
};

struct portion {
    struct portion *next;
    const struct portion_options *options;
    struct partition *partition;
    char topic_id[INTENT_MAX_TOPIC_ID];
    struct intent_log log;
    struct intent intent; /* the open one */
    struct range *range;  /* owned; NULL before the first rows, and while the job has it */
    struct upload *job;
    bool is_looking; /* the job is a look for objects; nothing is taken in yet */
    bool is_opening; /* the offset to begin at is being committed */
    enum stop_reason stopped;
    uint64_t n_failures_seen;
    bool has_samples;       /* raw ones in the range */
    bool scratch_full;      /* the record at hand could not be taken in */
    int64_t opened_mono_ms; /* when the range got its first rows; 0 = none yet */
    int64_t took_mono_ms;
    int64_t first_ts_ms; /* log time of the range's first and last record with rows */
    int64_t last_ts_ms;
    double sum_ts_ms; /* over the rows */
};

/* The partition's state for what is committed; stopped where that can't be gone on from. */
bool portion_new(const struct portion_options *o, struct stage *s, struct partition *p,
                 int64_t committed, struct slice metadata, struct portion **out,
                 struct err *e) MUST_CHECK;
void portion_free(struct portion *p);
/* ERR_WAIT: not now. */
bool portion_take(struct portion *p, const struct record *r, struct record_rows rows,
                  struct err *e) MUST_CHECK;
/* Moves on what can be. */
bool portion_turn(struct portion *p, struct stage *s, bool is_ending, struct err *e) MUST_CHECK;
bool portion_committed(struct portion *p, struct stage *s, struct err *e) MUST_CHECK;
/* Between an intent and its end? */
bool portion_is_busy(const struct portion *p);
/* Is a range of so many rows and of such an age a file's? */
bool portion_is_full(const struct portion_options *o, const struct range *r, bool has_samples,
                     int64_t age_ms);
void portion_status(const struct portion *p, struct upload_status *out);
