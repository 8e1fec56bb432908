/* Where an object lies. A slot is the time from which an object's hours count, ms since the epoch:
 *
 *   <prefix>/<table>/[tenant=T/]dt=YYYY-MM-DD/hour=HH/<topic>-<topic
 * id>-<partition>-<first>-<last>.parquet */
#pragma once

#include "layout.h"

/* The topic's part of a key. */
struct key_range {
    const char *topic;
    const char *topic_id;
    int32_t partition;
    int64_t first;
    int64_t last;
};

/* Times before year 1 and after 9999 lie in the first and the last slot. */
int64_t key_slot(int64_t ts_ms, int hours);
/* Tenants are written with %XX but for letters, digits, "-", "_" and "."; long ones end in a hash.
 */
void key_put(const struct layout *l, enum table_id table, const struct key_range *range,
             int64_t slot, struct slice tenant, struct buf *out);
