/* amp's step and the store behind it, wired as the configuration says: for the stage (worker.c) and
 * for replays (replay_apply.c). What becomes of offsets and dead letters is theirs to say. */
#pragma once

#include "amp.h"
#include "run/config.h"
#include "store.h"

/* Begins what the hooks get as ctx. */
struct delivery {
    struct amp *amp;
    struct auth *auth;
    struct store *store;
    struct err failed; /* in a callback of the store */
};

struct moment delivery_now(void);

/* Of the worker's keys. ERR_CONFIG. Strings live as long as c. */
bool delivery_options(const struct config *c, struct amp_options *out, struct err *e) MUST_CHECK;
/* d is cleared, and the first member of hooks' context; send and notice are filled in here. On failure
 * delivery_close is still the caller's to call. */
bool delivery_open(struct delivery *d, const struct config *c, struct metrics *m,
                   const struct amp_options *o, const struct sender_hooks *hooks,
                   amp_reject_fn reject, struct err *e) MUST_CHECK;
void delivery_close(struct delivery *d);
/* Sends, and takes answers, for at most timeout_ms. */
bool delivery_drive(struct delivery *d, int wake_fd, int timeout_ms, struct err *e) MUST_CHECK;
