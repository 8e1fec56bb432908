#include <inttypes.h>
#include <stdio.h>

#include "replay.h"
#include "run/progress.h"
#include "stage/topics.h"

enum { ARENA_BYTES = 256 << 20 };

struct planning {
    struct replay_bucket bucket;
    struct stored stored;
    char topic_id[TOPIC_ID_CHARS + 1];
    struct arena arena; /* of one record */
    /* The piece at hand, and what of it reaches to its last row. */
    struct range *range;
    struct replay_piece piece;
    struct hash128 digest;
    uint64_t n_records;
    uint64_t n_bytes;
    bool has_samples;
    int64_t first_ts_ms;
    /* For the effect. */
    uint64_t n_ranges_there;
    uint64_t n_objects_there;
    uint64_t n_ranges_part;
    uint64_t n_ranges_untold; /* all objects are there, but not what they should say of themselves */
    uint64_t n_objects_missing;
    uint64_t n_silent; /* objects that don't tell their range */
    uint64_t n_unread; /* ranges of which none does */
    struct progress told;
};

static bool begin(void *ctx, struct replay_planning *p, struct err *e)
{
    struct planning *x = ctx;
    const struct replay_arguments *a = p->arguments;
    if (a->tenant[0] != '\0' || a->metric[0] != '\0') {
        return err_set(e, ERR_CONFIG, "--tenant and --metric are not for parquet: an object holds all rows of its "
                                      "offsets, and others of them could never be added; leave them out");
    }
    topic_id_text(log_reader_topic_id(p->reader), x->topic_id);
    return stored_list(x->bucket.s3, x->bucket.options->layout.prefix, a->topic, x->topic_id,
                       &x->stored, e);
}

/* --- the piece at hand --- */

static void piece_begin(struct planning *x, int32_t partition, int64_t first)
{
    range_close(x->range);
    x->range = NULL;
    x->piece = (struct replay_piece){.partition = partition, .first = first, .last = -1};
    x->digest = (struct hash128){0};
    x->n_records = 0;
    x->n_bytes = 0;
    x->has_samples = false;
    x->first_ts_ms = INT64_MIN;
}

/* A record that the worker passes over is in no range's rows. */
static bool piece_rows(struct planning *x, const struct replay_planning *p, const struct layout *layout,
                      const struct record *r, struct err *e)
{
    struct decoded d;
    struct record_rows rows = {NULL, NULL};
    arena_reset(&x->arena);
    if (r->value.ptr != NULL && !decoded_rows(r->value, &x->arena, &d, &rows, e)) {
        err_reset(e);
        return true;
    }
    if (rows.batch == NULL && rows.rollup == NULL) {
        return true;
    }
    if (x->range == NULL && !replay_range_open(&x->bucket, p->arguments->topic, x->topic_id,
                                               x->piece.partition, layout, &x->range, e)) {
        return false;
    }
    x->has_samples = x->has_samples || rows.batch != NULL;
    if (decoded_add(x->range, &rows, r->offset, e)) {
        return true;
    }
    bool is_bad = e->kind == ERR_BAD_INPUT;
    if (is_bad) {
        err_reset(e);
    }
    return is_bad;
}

static bool record_take(struct planning *x, struct replay_planning *p, const struct layout *layout,
                        const struct record *r, struct err *e)
{
    struct survey_record seen;
    uint64_t before = x->range == NULL ? 0 : range_n_rows(x->range);
    if (!survey_add(&p->survey, r, &seen, e) || !piece_rows(x, p, layout, r, e)) {
        return false;
    }
    replay_digest_add(&x->digest, r);
    x->n_records++;
    x->n_bytes += r->value.len;
    if (x->range == NULL || range_n_rows(x->range) == before) {
        return true;
    }
    x->first_ts_ms = x->first_ts_ms == INT64_MIN ? r->timestamp_ms : x->first_ts_ms;
    x->piece.last = r->offset;
    x->piece.digest = x->digest;
    x->piece.n_records = x->n_records;
    x->piece.n_bytes = x->n_bytes;
    x->piece.n_samples = range_n_rows(x->range);
    return true;
}

/* Puts it into the plan, if it has rows. */
static bool piece_end(struct planning *x, struct replay_planning *p, const char *layout_text,
                      uint32_t n_there, struct err *e)
{
    size_t n_objects;
    if (x->piece.n_samples == 0) {
        return true;
    }
    x->piece.note = layout_text;
    if (!range_plan(x->range, x->piece.first, x->piece.last, &n_objects, e)) {
        return false;
    }
    x->n_objects_missing += n_objects > n_there ? n_objects - n_there : 0;
    return replay_plan_add(&p->plan, &x->piece, e);
}

/* --- gaps, and ranges that lack something --- */

static bool gap_plan(struct planning *x, struct replay_planning *p, int32_t partition, int64_t first,
                     int64_t to, struct err *e)
{
    const struct portion_options *o = x->bucket.options;
    struct record r;
    bool any = true;
    piece_begin(x, partition, first);
    if (!log_reader_from(p->reader, partition, first, e)) {
        return false;
    }
    for (;;) {
        if (!log_reader_next(p->reader, to, &r, &any, e)) {
            return false;
        }
        if (!any) {
            return piece_end(x, p, o->layout_text, 0, e);
        }
        if (!record_take(x, p, &o->layout, &r, e)) {
            return false;
        }
        if (x->range != NULL && portion_is_full(o, x->range, x->has_samples, r.timestamp_ms - x->first_ts_ms)) {
            if (!piece_end(x, p, o->layout_text, 0, e)) {
                return false;
            }
            piece_begin(x, partition, r.offset + 1);
        }
    }
}

/* Read again as its intent says; what is missing of the log can't be made again. */
static bool part_plan(struct planning *x, struct replay_planning *p, const struct replay_span *span,
                      const struct stored_range *stored, const struct intent *intent, uint64_t *n_planned,
                      struct err *e)
{
    struct layout layout;
    struct record r;
    bool any = true;
    piece_begin(x, stored->partition, stored->first);
    if (!layout_parse(slice_str(intent->layout), &layout, e) ||
        !log_reader_from(p->reader, stored->partition, stored->first, e)) {
        return false;
    }
    while (any) {
        if (!log_reader_next(p->reader, stored->last + 1, &r, &any, e) ||
            (any && !record_take(x, p, &layout, &r, e))) {
            return false;
        }
    }
    if (x->piece.n_samples != intent->n_rows || x->piece.last != stored->last) {
        replay_risk(p, "partition %d: the range %" PRId64 " to %" PRId64 " lacks objects or what they say of themselves, "
                       "and the log has %" PRIu64 " of its %" PRIu64 " rows: it can't be made whole from here%s",
                    stored->partition, stored->first, stored->last, x->piece.n_samples, intent->n_rows,
                    stored->first < span->log_first ? " (retention has taken some)" : "");
        return true;
    }
    (*n_planned)++;
    return piece_end(x, p, intent->layout, stored->n_objects, e);
}

static bool stored_plan(struct planning *x, struct replay_planning *p, const struct replay_span *span,
                        const struct stored_range *stored, struct err *e)
{
    struct stored_ledger l;
    if (!stored_ledger(x->bucket.s3, stored, x->topic_id, &l, e)) {
        return false;
    }
    bool is_part = l.is_known && stored->n_objects < l.n_objects;
    bool is_whole = l.n_silent == 0 && l.n_rows == l.intent.n_rows;
    x->n_ranges_there++;
    x->n_objects_there += stored->n_objects;
    if (progress_due(&x->told)) {
        (void)fprintf(stderr, "%s[%d]: %" PRIu64 " objects seen\n", p->arguments->topic, span->partition,
                      x->n_objects_there);
    }
    x->n_unread += !l.is_known;
    x->n_silent += l.n_silent;
    if (!l.is_known || (!is_part && is_whole)) {
        return true;
    }
    uint64_t *n = is_part ? &x->n_ranges_part : &x->n_ranges_untold;
    return part_plan(x, p, span, stored, &l.intent, n, e);
}

static bool span_walk(struct planning *x, struct replay_planning *p, const struct replay_span *span, int64_t to,
                      struct err *e)
{
    size_t n;
    const struct stored_range *r = stored_of(&x->stored, span->partition, &n);
    int64_t at = span->from;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && r[i].first <= r[i - 1].last) {
            return err_set(e, ERR_CONFIG,
                           "partition %d: the ranges %" PRId64 "-%" PRId64 " and %" PRId64 "-%" PRId64
                           " overlap: rows are there twice, and no replay mends that; look at both objects first",
                           span->partition, r[i - 1].first, r[i - 1].last, r[i].first, r[i].last);
        }
        if (r[i].last < span->from || r[i].first >= to) {
            continue;
        }
        if (r[i].first > at && !gap_plan(x, p, span->partition, at, r[i].first, e)) {
            return false;
        }
        if (!stored_plan(x, p, span, &r[i], e)) {
            return false;
        }
        at = r[i].last + 1;
    }
    return at >= to || gap_plan(x, p, span->partition, at, to, e);
}

static bool span_plan(void *ctx, struct replay_planning *p, const struct replay_span *span, struct err *e)
{
    struct planning *x = ctx;
    int64_t bound;
    bool is_committed;
    if (!replay_bound(p->reader, &x->stored, span->partition, &bound, &is_committed, e)) {
        return false;
    }
    if (!is_committed) {
        replay_risk(p, "partition %d: the group has committed nothing; planned up to its newest object, restore the "
                       "group's offset before its workers start", span->partition);
    } else if (bound < span->to) {
        replay_risk(p, "partition %d: from offset %" PRId64 " on the live group stores by itself; planned up to there",
                    span->partition, bound);
    }
    int64_t to = span->to < bound ? span->to : bound;
    return span->from >= to || span_walk(x, p, span, to, e);
}

static bool finish(void *ctx, struct replay_planning *p, struct err *e)
{
    struct planning *x = ctx;
    (void)e;
    replay_effect(p, "ranges_there", x->n_ranges_there);
    replay_effect(p, "objects_there", x->n_objects_there);
    replay_effect(p, "ranges_lacking_objects", x->n_ranges_part);
    replay_effect(p, "ranges_to_store", p->plan.n_pieces);
    replay_effect(p, "objects_missing", x->n_objects_missing);
    replay_effect(p, "rows_to_store", replay_plan_n_samples(&p->plan));
    replay_effect(p, "objects_without_ledger", x->n_silent);
    replay_effect(p, "ranges_to_tell_again", x->n_ranges_untold);
    replay_effect(p, "ranges_without_ledger", x->n_unread);
    replay_risk(p, "objects below another prefix than \"%s\" are not seen: where it was ever changed, look there first",
                x->bucket.options->layout.prefix);
    if (x->n_unread > 0) {
        replay_risk(p, "%" PRIu64 " ranges have objects of which neither metadata nor footer tell anything: taken for "
                       "whole; look at them, and where they are no files, delete them and plan again", x->n_unread);
    }
    if (x->n_silent > 0) {
        replay_risk(p, "an object that tells its range wrongly is stored once more only where it has the very bytes that "
                       "the log gives; another is left alone, and apply stops there");
    }
    if (p->plan.n_pieces > 0) {
        replay_risk(p, "a gap that an operator has skipped on purpose is filled, too, if the log has it");
    }
    return true;
}

int parquet_replay_plan(const struct replay_call *call)
{
    struct err e = ERR_INIT;
    struct planning x = {0};
    if (!replay_bucket_open(call, &x.bucket, &e)) {
        (void)fprintf(stderr, "%s: %s\n", call->settings->instance, e.text);
        return err_exit_code(&e);
    }
    arena_init(&x.arena, ARENA_BYTES);
    const struct replay_planner planner = {
        .ctx = &x, .sink = x.bucket.sink, .begin = begin, .span = span_plan, .finish = finish};
    int code = replay_planning_run(call->settings, call->arguments, &planner);
    range_close(x.range);
    stored_free(&x.stored);
    arena_fini(&x.arena);
    replay_bucket_close(&x.bucket);
    return code;
}
