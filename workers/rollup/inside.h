/* The inside of minute; private to its own files:
 *
 *   minute.c  set-up, deadlines            intake.c  a batch into its windows
 *   close.c   a window becomes rows
 *   plan.c    which series a row has       amend.c   late amounts
 *   restore.c rows read back */
#pragma once

#include "minute.h"

/* The series of a row, in canonical order; in m->plan. */
struct row_plan {
    const uint32_t *slots;
    uint32_t n;
    struct slice shape;        /* empty without series */
    struct known_shape *known; /* NULL without series */
    const struct layout *layouts;
    bool is_plain; /* all scrapes have this shape and all their points count */
};

/* The series with an effect: a point in the window w (may be NULL) or a fold. */
bool plan_window(struct minute *m, struct stream *s, const struct window *w, const bool *has_fold,
                 struct row_plan *out, struct err *e) MUST_CHECK;
/* Those that are marked, by slot. */
bool plan_slots(struct minute *m, struct stream *s, const bool *is_in, struct row_plan *out,
                struct err *e) MUST_CHECK;

/* Where a window's points are, by slot, in the order they came. In m->plan. */
struct point_ref {
    uint32_t scrape;
    uint32_t series;
};
struct point_index {
    const uint32_t *first; /* n_slots + 1 */
    const struct point_ref *refs;
};
bool points_index(struct minute *m, const struct stream *s, const struct window *w,
                  struct point_index *out, struct err *e) MUST_CHECK;
/* Into m->points: of a slot; of a series of the one shape that all scrapes have, when all count. */
bool points_of_slot(struct minute *m, const struct stream *s, const struct window *w,
                    const struct point_index *index, uint32_t slot, struct err *e) MUST_CHECK;
bool points_of_series(struct minute *m, const struct window *w, uint32_t series,
                      enum series_kind kind, struct err *e) MUST_CHECK;

/* Late points, ordered: delta kinds by slot, all by window and slot. In m->plan. */
struct late_order {
    const struct late_point **by_slot; /* of temporality delta alone */
    uint32_t n_by_slot;
    uint32_t *first; /* by slot: where its points begin; n_slots + 1 */
    bool *has_fold;  /* by slot */
};
bool late_sort(struct minute *m, const struct stream *s, struct late_order *out,
               struct err *e) MUST_CHECK;
struct fold_list late_folds(const struct late_order *o, uint32_t slot);
/* The stream's late amounts as amends of the row, in m->plan. */
bool amends_make(struct minute *m, struct stream *s, struct rollup *row, struct err *e) MUST_CHECK;

/* Closes the stream's window that ends then (one without samples, too). */
bool minute_close(struct minute *m, struct stream *s, int64_t end_ms, int64_t closed_at,
                  struct err *e) MUST_CHECK;
/* Late amounts leave on their own. */
bool minute_amend(struct minute *m, struct stream *s, int64_t closed_at, struct err *e) MUST_CHECK;

/* State, and the 5 m row so far, become what the row says. */
bool row_apply(struct minute *m, struct stream *s, const struct row_plan *plan,
               const struct rollup *row, struct err *e) MUST_CHECK;
bool five_apply(struct minute *m, struct stream *s, const struct row_plan *plan,
                const struct rollup *row, struct err *e) MUST_CHECK;

struct stream *minute_stream_add(struct minute *m, struct hash128 key, struct slice tenant,
                                 enum batch_class class, uint64_t source, struct slice source_name);
/* Log time moves on to a record's: what it was the deadline of happens before the record. */
bool minute_time_passes(struct minute *m, int64_t offset, int64_t received_ms,
                        struct err *e) MUST_CHECK;
/* Closes the windows that end by until_ms, oldest first; *count of them. */
bool minute_close_until(struct minute *m, struct stream *s, int64_t until_ms, int64_t closed_at,
                        uint64_t *count, struct err *e) MUST_CHECK;
/* The time that must be exceeded for something to happen to the stream. */
int64_t minute_next_due(const struct minute *m, const struct stream *s);
/* Its deadline, as things are. */
bool minute_due(struct minute *m, struct stream *s, struct err *e) MUST_CHECK;

static inline bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}
