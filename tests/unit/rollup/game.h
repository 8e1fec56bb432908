/* Logs of batches as a game's servers would make them on a bad day: resets, new starts, stale
 * markers, NaN, late, very late and future samples, silences beyond every horizon, batches that are
 * split at random, sources of two classes, times that differ within a batch. The same seed gives
 * the same log. */
#pragma once

#include "batch/batch.h"

enum { N_SERVERS = 6, N_SERIES = 9 };

struct game_record {
    int64_t offset;
    int64_t received_ms;
    size_t n_bytes;
    uint8_t *bytes; /* owned: the encoded batch */
};

struct game_log {
    struct game_record *records; /* owned */
    size_t n;
};

/* 0 … 2^64 - 1; *seed moves on. */
uint64_t game_draw(uint64_t *seed);
double game_chance(uint64_t *seed);

void game_make(uint64_t seed, size_t n, struct game_log *out);
void game_free(struct game_log *g);
