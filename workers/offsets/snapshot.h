/* A group's commits in a file, to go back to:
 *
 *   {"group": …, "cluster_id": …, "taken_ms": …, "topics": {name: id}, "partitions": [{"topic": …, "partition": …,
 *    "offset": …, "metadata": …}]} */
#pragma once

#include "moves.h"

#include <jansson.h>

enum { SNAPSHOT_MAX_PATH = 4096 };

/* out NULL: a name by group and time, in snapshot_dir. The file is new, and on disk when it returns; path gets its
 * name. */
bool snapshot_write(const struct tool *t, rd_kafka_t *rk, const char *group, const char *out,
                    char path[SNAPSHOT_MAX_PATH], struct err *e) MUST_CHECK;
bool snapshot_verb(const struct tool *t, struct err *e) MUST_CHECK;
/* `restore FILE`. */
bool restore_verb(const struct tool *t, struct err *e) MUST_CHECK;
