#include "parquet_repair.h"

#include "moves.h"
#include "newest_range.h"
#include "record_writer.h"
#include "stage/gap_record.h"
#include "stage_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP_MAX_BYTES = 4096 };

struct repair {
    const struct tool *tool;
    const char *group;
    rd_kafka_t *rk;
    struct store *store;
    struct scan scan;                           /* of the topic */
    rd_kafka_topic_partition_list_t *committed; /* owned */
    struct newest_range *ranges;                /* owned; by partition */
    int64_t *only;                              /* owned */
    struct gap_record *gaps;                    /* owned */
    size_t n_gaps;
    struct moves moves;
};

static bool open_all(struct repair *r, struct err *e)
{
    const struct scan_request request = {.topic = r->tool->command->values[OPTION_TOPIC],
                                         .partition = SCAN_ALL};
    if (!store_open(r->tool, &r->store, e) || !tool_connect(r->tool, KAFKA_READER, &r->rk, e) ||
        !group_is_idle(r->rk, r->group, e) || !scan_open(r->tool, r->rk, &request, &r->scan, e) ||
        !group_committed(r->rk, r->group, &r->committed, e)) {
        return false;
    }
    r->ranges = calloc(r->scan.n_partitions, sizeof *r->ranges);
    r->only = calloc(r->scan.n_partitions, sizeof *r->only);
    r->gaps = calloc(r->scan.n_partitions, sizeof *r->gaps);
    return (r->ranges != NULL && r->only != NULL && r->gaps != NULL) ||
           err_set(e, ERR_FATAL, "out of memory");
}

static void close_all(struct repair *r)
{
    moves_free(&r->moves);
    if (r->committed != NULL) {
        rd_kafka_topic_partition_list_destroy(r->committed);
    }
    scan_close(&r->scan);
    store_close(r->store);
    tool_disconnect(r->rk);
    free(r->ranges);
    free(r->only);
    free(r->gaps);
}

static const rd_kafka_topic_partition_t *commit_of(const struct repair *r, uint32_t partition)
{
    const rd_kafka_topic_partition_t *at =
        rd_kafka_topic_partition_list_find(r->committed, r->scan.topic, (int32_t)partition);
    return at == NULL || at->offset < 0 ? NULL : at;
}

static bool add_move(struct repair *r, uint32_t partition, int64_t offset, struct slice metadata,
                     struct err *e)
{
    const rd_kafka_topic_partition_t *at = commit_of(r, partition);
    return moves_add(&r->moves, r->scan.topic, (int32_t)partition, e) &&
           moves_set_old(&r->moves, at == NULL ? -1 : at->offset,
                         at == NULL ? SLICE_NONE : commit_metadata(at), e) &&
           moves_set_new(&r->moves, offset, metadata, e);
}

/* --- restore --- */

/* Behind a whole range, or at its beginning with its intent, which the worker then finishes. */
static bool restore_one(struct repair *r, uint32_t partition, struct err *e)
{
    const struct newest_range *range = &r->ranges[partition];
    struct buf text;
    if (range->is_bad) {
        return err_set(e, ERR_CONFIG, "%s[%u]: %s", r->scan.topic, partition, range->why);
    }
    if (range_is_whole(range)) {
        return add_move(r, partition, range->last + 1, SLICE_NONE, e);
    }
    buf_init(&text, INTENT_MAX_TEXT);
    intent_print(&range->intent, &text);
    bool ok = (buf_ok(&text) || err_set(e, ERR_FATAL, "out of memory")) &&
              add_move(r, partition, range->first, buf_slice(&text), e);
    buf_fini(&text);
    return ok;
}

static bool restore_all(struct repair *r, struct err *e)
{
    if (!newest_ranges(r->store, &r->scan, NULL, r->ranges, e)) {
        return false;
    }
    for (uint32_t p = 0; p < r->scan.n_partitions; p++) {
        const rd_kafka_topic_partition_t *at = commit_of(r, p);
        if (at != NULL) {
            (void)fprintf(tool_talk(r->tool), "%s[%u] has its offset, %" PRId64 ": it stays\n", r->scan.topic, p,
                         at->offset);
        } else if (!r->ranges[p].is_there) {
            (void)fprintf(tool_talk(r->tool), "%s[%u] has no objects: start=earliest begins at the log's start\n",
                         r->scan.topic, p);
        } else if (!restore_one(r, p, e)) {
            return false;
        }
    }
    return r->moves.n > 0 ||
           err_set(e, ERR_CONFIG,
                   "there is nothing to restore: each partition has its offset, or no objects");
}

bool parquet_restore(const struct tool *t, struct err *e)
{
    struct repair r = {.tool = t, .group = t->command->words[0]};
    bool ok = open_all(&r, e) && restore_all(&r, e) && moves_do(t, r.rk, r.group, &r.moves, e);
    close_all(&r);
    return ok;
}

/* --- skip --- */

static bool intent_of(const rd_kafka_topic_partition_t *at, struct intent *out)
{
    struct err ignored = ERR_INIT;
    struct slice text = commit_metadata(at);
    return text.len > 0 && intent_parse(text, out, &ignored);
}

/* What is open is skipped as a whole: its objects can't be made any more. */
static bool skip_one(struct repair *r, uint32_t partition, struct err *e)
{
    const rd_kafka_topic_partition_t *at = commit_of(r, partition);
    int64_t low = r->scan.stretches[partition].low;
    struct intent intent;
    bool is_open = intent_of(at, &intent);
    bool is_stored = is_open && range_is_whole(&r->ranges[partition]);
    int64_t first = is_stored ? intent.last + 1 : at->offset;
    int64_t next = is_open && intent.last + 1 > low ? intent.last + 1 : low;
    if (is_stored) {
        (void)fprintf(tool_talk(r->tool), "%s[%u] %" PRId64 " to %" PRId64 ": all objects of the open range are there\n",
                     r->scan.topic, partition, intent.first, intent.last);
    }
    if (next > first) {
        r->gaps[r->n_gaps++] =
            (struct gap_record){.sink = r->group,
                                .reason = "retention",
                                .n_samples = is_open && !is_stored ? (int64_t)intent.n_rows : 0,
                                .topic = slice_str(r->scan.topic),
                                .topic_id = r->scan.topic_id,
                                .partition = (int32_t)partition,
                                .first_offset = first,
                                .last_offset = next - 1};
        (void)fprintf(tool_talk(r->tool), "%s[%u] %" PRId64 " to %" PRId64 ": skipped, told on %s\n", r->scan.topic,
                     partition, first, next - 1, config_str(r->tool->config, "gaps_topic"));
    }
    return add_move(r, partition, next > first ? next : first, SLICE_NONE, e);
}

static bool skip_all(struct repair *r, struct err *e)
{
    for (uint32_t p = 0; p < r->scan.n_partitions; p++) {
        const rd_kafka_topic_partition_t *at = commit_of(r, p);
        r->only[p] = at == NULL ? 0 : at->offset;
    }
    if (!newest_ranges(r->store, &r->scan, r->only, r->ranges, e)) {
        return false;
    }
    for (uint32_t p = 0; p < r->scan.n_partitions; p++) {
        const rd_kafka_topic_partition_t *at = commit_of(r, p);
        if (at != NULL && at->offset < r->scan.stretches[p].low && !skip_one(r, p, e)) {
            return false;
        }
    }
    return r->moves.n > 0 ||
           err_set(
               e, ERR_CONFIG,
               "there is nothing to skip: the log of %.80s still has all that group %.80s has to "
               "read; start the workers",
               r->scan.topic, r->group);
}

static bool gaps_write(struct repair *r, struct err *e)
{
    struct buf *texts = calloc(r->n_gaps + 1, sizeof *texts);
    struct slice *values = calloc(r->n_gaps + 1, sizeof *values);
    bool ok = (texts != NULL && values != NULL) || err_set(e, ERR_FATAL, "out of memory");
    for (size_t i = 0; ok && i < r->n_gaps; i++) {
        buf_init(&texts[i], GAP_MAX_BYTES);
        gap_record_encode(&r->gaps[i], &texts[i]);
        values[i] = buf_slice(&texts[i]);
        ok = buf_ok(&texts[i]) || err_set(e, ERR_FATAL, "out of memory");
    }
    ok = ok && records_write(r->tool, config_str(r->tool->config, "gaps_topic"), NULL, values,
                             r->n_gaps, e);
    for (size_t i = 0; texts != NULL && i < r->n_gaps; i++) {
        buf_fini(&texts[i]);
    }
    free(texts);
    free(values);
    return ok;
}

/* The gaps are told before the offsets go. */
static bool skip_do(struct repair *r, struct err *e)
{
    const char *const *values = r->tool->command->values;
    if (values[OPTION_DRY_RUN] == NULL && values[OPTION_YES] == NULL) {
        return err_set(
            e, ERR_CONFIG,
            "what is skipped will never be stored: look at it with --dry-run, then say --yes");
    }
    return (values[OPTION_DRY_RUN] != NULL || gaps_write(r, e)) &&
           moves_do(r->tool, r->rk, r->group, &r->moves, e);
}

bool parquet_skip(const struct tool *t, struct err *e)
{
    struct repair r = {.tool = t, .group = t->command->words[0]};
    bool ok = open_all(&r, e) && skip_all(&r, e) && skip_do(&r, e);
    close_all(&r);
    return ok;
}
