/* `apply PLAN`: the plan's pieces, one after the other, into the sink, once. A piece is read whole
 * and held against its digest before any of it has an effect; its end is noted on sluice.replay.
 * Killed at any instant, the same call goes on at the piece at hand, which the sink takes again
 * without harm. No group is joined. */
#pragma once

#include "replay/arguments.h"
#include "replay/progress.h"
#include "stage/log_reader.h"

/* The sink's part. Its errors end the run; the plan can be taken up again. */
struct replay_applier {
    void *ctx;
    const char *sink;  /* must be the plan's */
    const char *stage; /* likewise */
    /* What has to hold before the first piece: ERR_CONFIG refuses the plan. May be NULL. */
    bool (*begin)(void *ctx, const struct replay_plan *plan, size_t n_pieces_done, struct log_reader *reader,
                  struct err *e);
    bool (*piece_begin)(void *ctx, const struct replay_plan *plan, const struct replay_piece *piece, struct err *e);
    /* A record of it; no effect yet. */
    bool (*take)(void *ctx, const struct record *r, struct err *e);
    /* The piece is what was planned: now. is_repeat: it may have been begun before. out adds up to
     * the piece's samples. */
    bool (*finish)(void *ctx, const struct replay_piece *piece, bool is_repeat, struct replay_counts *out,
                   struct err *e);
};

/* Prints what was done, or the error; returns the exit code. */
int replay_apply_run(const struct kafka_settings *settings, const struct replay_arguments *a,
                     const struct replay_applier *applier);
