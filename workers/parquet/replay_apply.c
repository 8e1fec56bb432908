#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "replay.h"
#include "run/signals.h"

/* A person waits, and can apply the plan again. */
enum { ARENA_BYTES = 256 << 20, GIVE_UP_MS = 30000, NAP_MS = 5 };

struct applying {
    struct replay_bucket bucket;
    struct arena arena; /* of one record */
    struct range *range;
    struct intent intent;
    const char *topic; /* the plan's */
};

/* Offsets that the live group may still store, or that are in other objects by now, are not ours. */
static bool piece_check(const struct stored *stored, struct log_reader *reader, const struct replay_plan *plan,
                        const struct replay_piece *piece, struct err *e)
{
    int64_t bound;
    bool is_committed;
    const struct stored_range *other = stored_crossing(stored, piece->partition, piece->first, piece->last);
    if (other != NULL) {
        return err_set(e, ERR_CONFIG,
                       "%s[%d]: offsets of %" PRId64 " to %" PRId64 " are in objects of the range %" PRId64 " to %" PRId64
                       " by now: make a new plan",
                       plan->topic, piece->partition, piece->first, piece->last, other->first, other->last);
    }
    if (!replay_bound(reader, stored, piece->partition, &bound, &is_committed, e)) {
        return false;
    }
    return !is_committed || piece->last < bound ||
           err_set(e, ERR_CONFIG,
                   "%s[%d]: group %s has gone back to offset %" PRId64 " and will store %" PRId64 " to %" PRId64
                   " itself: make a new plan when it is past them",
                   plan->topic, piece->partition, plan->group, bound, piece->first, piece->last);
}

static bool begin(void *ctx, const struct replay_plan *plan, size_t n_pieces_done, struct log_reader *reader,
                  struct err *e)
{
    struct applying *x = ctx;
    struct stored stored;
    x->topic = plan->topic;
    if (!stored_list(x->bucket.s3, x->bucket.options->layout.prefix, plan->topic, plan->topic_id, &stored, e)) {
        return false;
    }
    bool ok = true;
    for (size_t i = n_pieces_done; ok && i < plan->n_pieces; i++) {
        ok = piece_check(&stored, reader, plan, &plan->pieces[i], e);
    }
    stored_free(&stored);
    return ok;
}

static bool piece_begin(void *ctx, const struct replay_plan *plan, const struct replay_piece *piece, struct err *e)
{
    struct applying *x = ctx;
    struct layout layout;
    x->intent = (struct intent){.first = piece->first, .last = piece->last, .n_rows = piece->n_samples};
    if (strlen(plan->topic_id) >= sizeof x->intent.topic_id || strlen(piece->note) >= sizeof x->intent.layout ||
        !layout_parse(slice_str(piece->note), &layout, e)) {
        return err_set(e, ERR_CONFIG, "the piece's layout is none; make a new plan");
    }
    memcpy(x->intent.topic_id, plan->topic_id, strlen(plan->topic_id) + 1);
    memcpy(x->intent.layout, piece->note, strlen(piece->note) + 1);
    range_close(x->range);
    x->range = NULL;
    return replay_range_open(&x->bucket, plan->topic, plan->topic_id, piece->partition, &layout, &x->range, e);
}

static bool take(void *ctx, const struct record *r, struct err *e)
{
    struct applying *x = ctx;
    struct decoded d;
    struct record_rows rows = {NULL, NULL};
    arena_reset(&x->arena);
    bool ok = r->value.ptr == NULL || decoded_rows(r->value, &x->arena, &d, &rows, e);
    bool any = rows.batch != NULL || rows.rollup != NULL;
    ok = ok && (!any || decoded_add(x->range, &rows, r->offset, e));
    if (!ok && e->kind == ERR_BAD_INPUT) { /* as the worker passes it over */
        err_reset(e);
        return true;
    }
    return ok;
}

/* Until all objects are there. */
static bool upload_wait(struct upload *job, struct upload_status *out, struct err *e)
{
    int64_t well_ms = clock_mono_ms();
    uint64_t n_failures = 0;
    for (;;) {
        upload_status(job, out);
        if (out->state == UPLOAD_DONE) {
            return true;
        }
        if (out->state == UPLOAD_CONFLICT) {
            return err_set(e, ERR_CONFIG, "%s: it is left alone; look at it, and make a new plan", out->trouble);
        }
        if (!out->is_failing) {
            well_ms = clock_mono_ms();
        }
        if (out->n_failures > n_failures && out->is_denied) {
            return err_set(e, ERR_RETRY, "%s; apply the plan again when that is mended", out->trouble);
        }
        n_failures = out->n_failures;
        if (clock_mono_ms() - well_ms > GIVE_UP_MS) {
            return err_set(e, ERR_RETRY, "given up after %d s: %s; apply the plan again, and it goes on",
                           GIVE_UP_MS / 1000, out->trouble);
        }
        if (signals_stop_requested()) {
            return err_set(e, ERR_RETRY, "stopped before its end; apply the plan again, and it goes on");
        }
        (void)poll(NULL, 0, NAP_MS);
    }
}

static bool finish(void *ctx, const struct replay_piece *piece, bool is_repeat, struct replay_counts *out,
                   struct err *e)
{
    struct applying *x = ctx;
    struct upload *job;
    struct upload_status status;
    if (range_n_rows(x->range) != piece->n_samples) {
        return err_set(e, ERR_CONFIG, "the log has %" PRIu64 " rows there, the plan %" PRIu64 ": make a new plan",
                       range_n_rows(x->range), piece->n_samples);
    }
    const struct upload_order order = {.range = x->range,
                                       .intent = x->intent,
                                       .topic = x->topic,
                                       .partition = piece->partition,
                                       .is_redo = is_repeat,
                                       .mends = true};
    x->range = NULL;
    if (!upload_store(x->bucket.options->uploader, &order, &job, e)) {
        return false;
    }
    bool ok = upload_wait(job, &status, e);
    upload_release(job);
    for (unsigned i = 0; i < N_TABLES; i++) {
        out->n_skipped += status.tables[i].n_rows_existed;
        out->n_done += status.tables[i].n_rows - status.tables[i].n_rows_existed;
    }
    return ok;
}

int parquet_replay_apply(const struct replay_call *call)
{
    struct err e = ERR_INIT;
    struct applying x = {0};
    if (!replay_bucket_open(call, &x.bucket, &e)) {
        (void)fprintf(stderr, "%s: %s\n", call->settings->instance, e.text);
        return err_exit_code(&e);
    }
    arena_init(&x.arena, ARENA_BYTES);
    const struct replay_applier applier = {.ctx = &x,
                                           .sink = x.bucket.sink,
                                           .stage = "parquet",
                                           .begin = begin,
                                           .piece_begin = piece_begin,
                                           .take = take,
                                           .finish = finish};
    int code = replay_apply_run(call->settings, call->arguments, &applier);
    range_close(x.range);
    arena_fini(&x.arena);
    replay_bucket_close(&x.bucket);
    return code;
}
