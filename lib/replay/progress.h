/* How far plans have come, on sluice.replay: a value by plan, put when a piece is done. So whoever
 * takes a plan up again knows where to go on, and a second plan of the same stretch waits for it.
 *
 *   plan/<id> → {"state": "open", "stage", "sink", "topic_id", "pieces_done", "done", "skipped",
 *                "refused", "spans": [[partition, first, last] …]} */
#pragma once

#include "replay/plan.h"
#include "stage/journal.h"

enum replay_state { REPLAY_NEW, REPLAY_OPEN, REPLAY_DONE, REPLAY_ABANDONED };

/* They add up to the samples of the pieces that are done. */
struct replay_counts {
    uint64_t n_done;
    uint64_t n_skipped; /* there already, too old, not for this sink */
    uint64_t n_refused;
};

struct replay_progress {
    enum replay_state state;
    size_t n_pieces; /* done */
    struct replay_counts counts;
};

/* ERR_CONFIG: another plan that is not at its end has offsets of this one. */
bool replay_progress_read(const struct kafka_settings *s, const struct replay_plan *plan,
                          struct replay_progress *out, struct err *e) MUST_CHECK;
bool replay_progress_put(struct journal *j, const struct replay_plan *plan,
                         const struct replay_progress *p, struct err *e) MUST_CHECK;
/* One process at a time works on a topic's replays into a stage: whoever opens it fences the one
 * before. */
bool replay_progress_open(const struct kafka_settings *s, const struct replay_plan *plan,
                          struct journal **out, struct err *e) MUST_CHECK;
/* Gives up an unfinished plan of the same stage and topic by its id alone: its file may be lost, and would be in the way of
 * all others for ever. One that is at its end or given up stays so. ERR_CONFIG: there is no such plan. */
bool replay_progress_give_up(const struct kafka_settings *s, const struct replay_plan *plan, const char *other_id,
                             struct err *e) MUST_CHECK;
const char *replay_state_name(enum replay_state state);
