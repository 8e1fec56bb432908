/* A stream (one source and class) as rollup knows it: its series' state, the shapes that its
 * records came in, its open windows.
 *
 *   record's shape ── known_shape.slots[i] ──► slot: the series' state
 *
 * A shape that was seen before costs one comparison of its bytes; everything else is arrays. */
#pragma once

#include "batch/rollup.h"
#include "batch/rollup_commit.h"
#include "deadlines.h"
#include "history.h"
#include "late.h"
#include "row.h"

#define NEVER ROLLUP_NEVER /* a time before all others */

enum { MAX_RECENT_SHAPES = 8, NO_SLOT = -1 };

/* A series. What state says is the last row's, exactly: recovery reads the same from there. */
struct slot {
    struct hash128 key; /* of all that a shape says of it */
    union {
        struct {
            double total;
            double last; /* NaN = none */
        };
        struct {
            uint8_t *packed; /* owned: total, then last, as in the row */
            uint32_t n_total_bytes;
            uint32_t n_last_bytes;
        };
    };
    int64_t last_ms;
    int64_t row_ms;            /* log time of the row; NEVER = nothing is known */
    struct known_shape *shape; /* what names it: series `index` of this shape */
    uint32_t index;
    uint8_t kind; /* enum series_kind */
    bool delta;
    uint16_t n_bounds;
};

static inline bool slot_is_packed(const struct slot *s)
{
    return kind_is_packed(s->kind);
}

/* Of one stream. Lives while anything refers to it. */
struct known_shape {
    struct slice bytes; /* owned */
    uint32_t n_series;
    uint32_t n_scalars;
    uint32_t n_exp;
    uint32_t n_classic;
    uint32_t *slots;    /* owned, per series */
    uint32_t *ordinals; /* per series: which of its column; NULL: all are scalars */
    uint32_t n_refs;
    bool is_stale;               /* a slot of its map is gone: only its bytes may be used */
    bool is_listed;              /* while shapes are listed */
    const struct shape *decoded; /* while a row's shape is made */
};

/* The points of one record, as they came. Shared by the windows that they lie in. */
struct scrape {
    struct known_shape *shape; /* a reference */
    int64_t offset;            /* of the record */
    int64_t min_ms;            /* older points were too old when it came */
    int64_t time_ms;
    int64_t start_ms;
    const int64_t *times;  /* NULL: all have time_ms */
    const int64_t *starts; /* NULL: all have start_ms */
    const double *values;
    const uint8_t *packed;
    const uint32_t
        *at; /* where in packed each exponential, then classic histogram begins; one more */
    uint32_t n_refs;
    bool is_partial; /* not every point counts in its window: NaN, or several times */
    _Alignas(8) uint8_t data[];
};

struct window {
    int64_t start_ms;
    int64_t offset;          /* of its first record */
    int64_t since_ms;        /* log time at that record */
    int64_t log_before_ms;   /* and before it: goes with the offset into the commit */
    struct scrape **scrapes; /* owned */
    uint32_t n_scrapes;
    uint32_t cap;
};

struct stream {
    struct deadline deadline; /* first: nothing happens to it by log time before */
    struct hash128 key;
    struct slice tenant; /* owned, as source_name */
    struct slice source_name;
    enum batch_class class;
    uint64_t source;
    int64_t closed_end_ms;  /* of the last row */
    int64_t closed_at;      /* of the last record emitted */
    int64_t row_ms;         /* its log time */
    struct history history; /* rows with series */
    int64_t watermark_ms;
    int64_t last_log_ms;    /* log time at its last record */
    struct window *windows; /* owned, by start */
    uint32_t n_windows;
    uint32_t cap_windows;
    struct slot *slots; /* owned */
    uint32_t n_slots;
    uint32_t cap_slots;
    uint32_t *index; /* owned: slot + 1 by key, 0 = empty; a power of two */
    uint32_t n_index;
    struct known_shape *recent[MAX_RECENT_SHAPES]; /* references, newest first */
    uint32_t n_recent;
    struct late_list late;
    struct rollup *five; /* owned: the rows of the 5 m window so far, merged; NULL = none */
    struct known_shape *five_shape; /* a reference: five's; NULL = no series */
    size_t n_five_bytes;
    int64_t five_end_ms;
    int64_t five_since_ms;
    size_t n_bytes; /* that it holds, itself included */
};

/* NULL: no memory. */
struct stream *stream_new(struct hash128 key, struct slice tenant, enum batch_class class,
                          uint64_t source, struct slice source_name);
void stream_free(struct stream *s);
/* Its name becomes known; without memory it stays empty. */
void stream_name(struct stream *s, struct slice source_name);
struct hash128 stream_key(struct slice tenant, enum batch_class class, uint64_t source);
/* What a source's streams, and all others, are ordered by. */
static inline int stream_cmp(uint64_t source, enum batch_class class, struct slice tenant,
                             uint64_t other_source, enum batch_class other_class,
                             struct slice other_tenant)
{
    if (source != other_source) {
        return source < other_source ? -1 : 1;
    }
    return class != other_class ? (class < other_class ? -1 : 1) : slice_cmp(tenant, other_tenant);
}

/* The shape, if it came lately; it is then the newest. */
struct known_shape *stream_shape_find(struct stream *s, struct slice bytes);
/* Learns a decoded shape: slots for its series. The result is among the recent ones. NULL: no
 * memory. */
struct known_shape *stream_shape_add(struct stream *s, const struct shape *shape);
void shape_ref(struct known_shape *k);
void shape_unref(struct stream *s, struct known_shape *k);

/* Takes the batch's columns in. times, starts: NULL when all are the base; at: where in the packed
 * columns each histogram begins. The scrape has one reference, for the caller. NULL: no memory;
 * columns were checked. */
struct scrape *scrape_new(struct stream *s, struct known_shape *k, const struct batch *b,
                          const int64_t *times, const int64_t *starts, const uint32_t *at);
void scrape_unref(struct stream *s, struct scrape *x);

/* The window of start_ms, opened if need be. NULL: no memory. */
struct window *stream_window(struct stream *s, int64_t start_ms, bool *is_new);
bool window_add(struct window *w, struct scrape *x);
/* The first window leaves. */
void stream_window_drop(struct stream *s);

/* The slot's state becomes what a row says. False: no memory. */
bool slot_set_packed(struct stream *s, struct slot *slot, struct slice total, struct slice last);

/* The slot is found by its key from now on; there is room. */
void stream_index_put(struct stream *s, uint32_t slot);
/* Drops the state of series whose last row is older than min_row_ms and that no open window names.
 */
void stream_sweep(struct stream *s, int64_t min_row_ms);
