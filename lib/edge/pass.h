/* One message's way to its batches: what its points are checked against, and where they go. Each
 * format feeds it points; the rest is common. */
#pragma once

#include "edge/group.h"
#include "edge/rejects.h"
#include "edge/series_cache.h"
#include "edge/skeleton.h"
#include "edge/tenants.h"
#include "policy/judge.h"
#include "wire/remote_write.h"

/* 20,000 series of one source, ten times over. */
enum { MAX_RECORD_POINTS = 200000, NS_PER_MS = 1000000 };

/* Told of each series that is judged, for explanations; what it is given is borrowed for the call. */
struct pass_watch {
    void *ctx;
    void (*series)(void *ctx, const struct raw_series *raw, const struct verdict *v);
};

struct pass {
    /* the message's */
    const struct tenant *tenant;
    int64_t min_ms; /* bounds of the points' times */
    int64_t max_ms;
    uint64_t n_in;         /* samples */
    uint64_t time_ns_last; /* OTLP: pass_ms_of's last */
    int64_t time_ms_last;
    /* kept from message to message */
    struct slice mask_key;
    const struct pass_watch *watch; /* NULL = nobody */
    struct series_cache *series;
    struct groups *groups;
    struct rejects *rejects;
    struct skeletons *skeletons; /* NULL = none */
    struct arena *walk_arena;  /* the decoder's */
    struct arena *judge_arena; /* one series' judgement; then one histogram */
};

/* A point of a known series: its time is checked, then it joins its group. */
struct pass_point {
    struct slice metric; /* as the tenant named it */
    int64_t time_ms;
    int64_t start_ms; /* 0 = unknown */
    struct point_place place;
};

/* Why its times are wrong, or REASON_NONE. */
enum reason pass_check_times(const struct pass *p, int64_t time_ms, int64_t start_ms);
bool pass_reject(struct pass *p, const struct pass_point *point, const struct entry *entry,
                 enum reason reason, const char *detail, struct err *e) MUST_CHECK;
/* Judges a series that was never seen, and keeps the verdict. reason: a refusal that the format
 * found itself, or REASON_NONE. */
bool pass_learn(struct pass *p, struct hash128 key, const struct raw_series *raw,
                enum reason reason, struct entry **out, struct err *e) MUST_CHECK;

static inline bool pass_times_ok(const struct pass *p, int64_t time_ms, int64_t start_ms)
{
    return time_ms >= p->min_ms && time_ms <= p->max_ms && start_ms <= time_ms && time_ms != 0;
}

/* The points of a message mostly have one time. */
static inline int64_t pass_ms_of(struct pass *p, uint64_t ns)
{
    if (ns != p->time_ns_last) {
        p->time_ns_last = ns;
        p->time_ms_last = (int64_t)(ns / NS_PER_MS);
    }
    return p->time_ms_last;
}

bool pass_no_room(struct err *e);

/* Adds a value (bits) to the group of an accepted entry. */
static inline bool pass_add(struct pass *p, const struct entry *entry, int64_t time_ms,
                            int64_t start_ms, uint64_t value, struct err *e)
{
    struct group *group = group_of(p->groups, entry->stream);
    if (group == NULL) {
        return pass_no_room(e);
    }
    group_add(group, entry, time_ms, start_ms, value);
    return true;
}

/* Keys of two tenants never meet. */
static inline struct hash128 pass_key(const struct pass *p, struct hash128 key)
{
    return (struct hash128){key.lo ^ p->tenant->salt.lo, key.hi ^ p->tenant->salt.hi};
}

/* The formats: false (ERR_BAD_INPUT) when the message can't be read, whatever it added so far. */
bool otlp_points(struct pass *p, struct slice message, struct err *e) MUST_CHECK;
bool tenant_points(struct pass *p, struct slice message, struct err *e) MUST_CHECK;
bool remote_write_points(struct pass *p, enum remote_write_version version, struct slice message,
                         struct err *e) MUST_CHECK; /* unpacked */
