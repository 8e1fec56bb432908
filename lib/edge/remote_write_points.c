/* Points of Prometheus remote write. Names are taken as they are: nothing is translated. */
#include <math.h>

#include "batch/histogram.h"
#include "edge/pass.h"
#include "wire/otlp.h"

struct remote_write_points_walk {
    struct pass *pass;
    struct entry *entries[2]; /* of the series at hand: its samples, its histograms; NULL = not looked up yet */
};

static bool ends_with(struct slice s, const char *end)
{
    size_t n = strlen(end);
    return s.len > n && memcmp(s.ptr + s.len - n, end, n) == 0;
}

static bool is_part(struct slice metric)
{
    return ends_with(metric, "_bucket") || ends_with(metric, "_count") || ends_with(metric, "_sum");
}

/* What its samples are: by the metadata, else by the name's end, else a gauge. */
static enum series_kind kind_of(const struct remote_write_series *s)
{
    switch (s->type) {
    case REMOTE_WRITE_COUNTER:
        return SERIES_COUNTER;
    case REMOTE_WRITE_HISTOGRAM:
    case REMOTE_WRITE_SUMMARY:
        return is_part(s->metric) ? SERIES_COUNTER : SERIES_GAUGE;
    case REMOTE_WRITE_UNKNOWN:
        return is_part(s->metric) || ends_with(s->metric, "_total") ? SERIES_COUNTER : SERIES_GAUGE;
    default:
        return SERIES_GAUGE;
    }
}

static bool learn(const struct remote_write_points_walk *w, const struct remote_write_series *s,
                  enum series_kind kind, struct hash128 key, struct entry **out, struct err *e)
{
    arena_reset(w->pass->judge_arena);
    struct raw_label *labels = ARENA_ARRAY(w->pass->judge_arena, struct raw_label, (size_t)s->n_labels + 1);
    if (labels == NULL) {
        return pass_no_room(e);
    }
    for (uint32_t i = 0; i < s->n_labels; i++) {
        labels[i] = (struct raw_label){s->labels[i].name, s->labels[i].value, true};
    }
    const struct raw_series raw = {
        .metric = s->metric,
        .unit = s->unit,
        .kind = kind,
        .kind_is_guess = kind != SERIES_EXP_HISTOGRAM,
        .is_final = true,
        .labels = {s->n_labels, labels},
    };
    return pass_learn(w->pass, key, &raw, REASON_NONE, out, e);
}

static bool entry_for(struct remote_write_points_walk *w, const struct remote_write_series *s, bool is_histogram,
                      struct entry **out, struct err *e)
{
    struct entry **entry = &w->entries[is_histogram];
    if (*entry == NULL) {
        struct hash128 key = pass_key(w->pass, s->key);
        key.lo ^= is_histogram ? UINT64_C(0x9e3779b97f4a7c15) : 0;
        *entry = series_cache_find(w->pass->series, key);
        enum series_kind kind = is_histogram ? SERIES_EXP_HISTOGRAM : kind_of(s);
        if (*entry == NULL && !learn(w, s, kind, key, entry, e)) {
            return false;
        }
    }
    *out = *entry;
    return true;
}

static void on_begin(void *ctx, struct hash128 symbols, bool says_all)
{
    const struct remote_write_points_walk *w = ctx;
    lines_begin(w->pass->lines, symbols, says_all);
}

static bool on_known(void *ctx, struct slice raw)
{
    const struct remote_write_points_walk *w = ctx;
    line_keep(w->pass->lines);
    return line_take(w->pass->lines, w->pass, raw);
}

static bool on_series(void *ctx, const struct remote_write_series *s, struct err *e)
{
    struct remote_write_points_walk *w = ctx;
    (void)e;
    if (w->pass->lines != NULL) {
        line_keep(w->pass->lines); /* the one before it */
        line_learn(w->pass->lines, s);
    }
    w->entries[0] = w->entries[1] = NULL;
    return true;
}

/* Why it can't be stored; NULL: it can, and stands in h. */
static const char *histogram_read(struct pass *pass, const struct remote_write_point *p, struct exp_histogram *h,
                                  struct err *why)
{
    arena_reset(pass->judge_arena);
    if (p->is_gauge) {
        return "a gauge histogram; only such as count up are stored";
    }
    if (!exp_histogram_read(p->histogram, otlp_default_caps.max_buckets, pass->judge_arena, h, why)) {
        return why->text;
    }
    if (isnan(h->sum) && !double_is_stale(h->sum)) {
        return "the sum is NaN";
    }
    return exp_histogram_counts_agree(h) ? NULL : "the count is not that of all buckets";
}

static bool reject(const struct remote_write_points_walk *w, const struct remote_write_series *s,
                   const struct remote_write_point *p, const struct entry *entry, enum reason reason,
                   const char *detail, struct err *e)
{
    if (w->pass->lines != NULL) {
        line_spoil(w->pass->lines);
    }
    const struct pass_point point = {s->metric, p->time_ms, p->start_ms, {0, s->index, p->index}};
    return pass_reject(w->pass, &point, entry, reason, detail, e);
}

static bool on_point(void *ctx, const struct remote_write_series *s, const struct remote_write_point *p,
                     struct err *e)
{
    struct remote_write_points_walk *w = ctx;
    struct pass *pass = w->pass;
    bool is_histogram = p->histogram.ptr != NULL;
    struct entry *entry;
    pass->n_in++;
    if (!entry_for(w, s, is_histogram, &entry, e)) {
        return false;
    }
    if (entry->reason != REASON_NONE || !pass_times_ok(pass, p->time_ms, p->start_ms)) {
        enum reason reason = entry->reason != REASON_NONE ? (enum reason)entry->reason
                                                          : pass_check_times(pass, p->time_ms, p->start_ms);
        return reject(w, s, p, entry, reason, NULL, e);
    }
    if (w->pass->lines != NULL) {
        line_note(w->pass->lines, p, entry);
    }
    if (!is_histogram) {
        uint64_t value;
        memcpy(&value, &p->value, sizeof value);
        return pass_add(pass, entry, p->time_ms, p->start_ms, value, e);
    }
    struct exp_histogram h;
    struct err why = ERR_INIT;
    const char *detail = histogram_read(pass, p, &h, &why);
    if (detail != NULL) {
        return reject(w, s, p, entry, REASON_HISTOGRAM_INVALID, detail, e);
    }
    struct buf *packed = &pass->groups->packed;
    size_t start = packed->len;
    exp_histogram_encode(&h, packed);
    if (packed_undo_large(packed, start)) {
        return reject(w, s, p, entry, REASON_HISTOGRAM_INVALID, histogram_too_large, e);
    }
    return buf_ok(packed) ? pass_add(pass, entry, p->time_ms, p->start_ms, packed_place(packed, start), e)
                          : pass_no_room(e);
}

bool remote_write_points(struct pass *p, enum remote_write_version version, struct slice message, struct err *e)
{
    struct remote_write_points_walk w = {.pass = p};
    struct remote_write_caps caps = remote_write_default_caps;
    caps.max_points = MAX_RECORD_POINTS;
    struct remote_write_sink sink = {.ctx = &w, .series = on_series, .point = on_point};
    if (p->lines == NULL) {
        return remote_write_walk(version, message, &caps, p->walk_arena, &sink, e);
    }
    sink.begin = on_begin;
    sink.known = on_known;
    bool ok = remote_write_walk(version, message, &caps, p->walk_arena, &sink, e);
    if (ok) {
        line_keep(p->lines);
    }
    return ok;
}
