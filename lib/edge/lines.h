/* Lines: what skeletons are for OTLP (skeleton.h), for remote write. A sender's next message differs in
 * values and times alone, which have their fixed places; so of each series with one sample, which was
 * accepted, the bytes are kept, and which series came behind it:
 *
 *   TimeSeries { 0a len labels … | 0a len refs 12 len { [09 value] 10 time } … }
 *   mould      0a len labels … 12 len 09: the head of a series, of which the same one of another source has all but some bytes
 *   line       its mould and those bytes, its entry, and the line that came behind it
 *
 * What has the same bytes but for value and time is the same series with the same verdict. References mean
 * nothing without their symbols: a line is of one table of them. It never changes a result. Emptied as a
 * whole beyond its ceiling (fullness.h), and with the series' cache, whose entries it has. */
#pragma once

#include "edge/fullness.h"
#include "edge/series_cache.h"
#include "wire/remote_write.h"

struct line;

/* The series that is being walked. */
struct line_lesson {
    struct slice raw;    /* ptr NULL = nothing to learn */
    struct slice sample; /* within raw; ptr NULL = none yet */
    struct slice metric;
    const struct entry *entry;
    int64_t start_ms;
};

struct lines {
    struct line **by_entry; /* owned; by the entries' index */
    uint32_t n_by_entry;
    struct table moulds; /* by metric, the newest */
    struct arena arena;
    size_t max_bytes;
    struct fullness fullness;
    uint64_t n_hits;   /* samples */
    uint64_t n_misses; /* accepted ones that were walked */
    /* the message's */
    struct hash128 symbols;
    bool is_off;
    struct line *last; /* taken or learned last */
    struct line_lesson lesson;
};

struct pass;

void lines_init(struct lines *l, size_t max_bytes);
void lines_fini(struct lines *l);
void lines_clear(struct lines *l);
size_t lines_bytes(const struct lines *l);
/* A new message. says_all: what a series is stands in its own bytes and the
 * symbols, not elsewhere in the message. */
void lines_begin(struct lines *l, struct hash128 symbols, bool says_all);

/* Is it what came last time behind the line before it? Then its sample is in p's groups. */
bool line_take(struct lines *l, struct pass *p, struct slice raw);

/* Learning: the series begins; its sample was accepted, or something else is the matter with it. */
void line_learn(struct lines *l, const struct remote_write_series *s);
void line_note(struct lines *l, const struct remote_write_point *p, const struct entry *entry);
static inline void line_spoil(struct lines *l)
{
    l->lesson.raw = SLICE_NONE;
}
void line_keep_lesson(struct lines *l);
/* The series' end. What there is no memory for is not learned. */
static inline void line_keep(struct lines *l)
{
    if (l->lesson.raw.ptr != NULL) {
        line_keep_lesson(l);
    }
}
