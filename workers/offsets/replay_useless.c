#include "replay_useless.h"

#include "batch/rollup_commit.h"
#include "origin_points.h"
#include "replay/command.h"
#include "replay_words.h"
#include "stage/ingest.h"
#include "stage/stage_config.h"

#include <inttypes.h>
#include <string.h>

enum {
    ARENA_BYTES = 256 << 20,
    MAX_METADATA = 4096,
    HOUR_MS = 3600000,
    /* Rollup remembers a stream for the horizon, the largest clock lead that is accepted and a 5 m row. */
    FORGET_MORE_MS = 15 * 60000
};

enum stage_of { OF_VALIDATE, OF_LIMIT, OF_ROLLUP };

static const struct verdict {
    const char *stage;
    enum stage_of of;
    const char *topics; /* that it reads; ^… */
    const char *why;
    const char *instead;
} verdicts[] = {
    {"validate", OF_VALIDATE, "^metrics\\.ingest(\\.[A-Za-z0-9_-]+)?$",
     "harmless and useless: every series that passes again is dropped by limit, which keeps the highest origin that it "
     "has seen of each ingest partition; only references to rejects would be repeated on metrics.dlq",
     "rejected points that a new policy takes: sluice-offsets dlq redrive"},
    {"limit", OF_LIMIT, "metrics.valid",
     "harmless and useless: what limit has seen before (by origin) it drops, whatever the budgets are by now",
     "points that a budget has refused: raise it (sluice-control limit set), then sluice-offsets dlq redrive --stage limit"},
    {"rollup", OF_ROLLUP, "^metrics\\.(admitted|rollup\\.5m)$",
     "useless: the same log gives the same rows, byte for byte, and rows that are out are not repeated; nothing that was "
     "right changes",
     "to go over old input after a fault was mended: stop its workers, sluice-offsets reset sluice-rollup --to …; to compare "
     "rows: a sluice-rollup with a group and topics of its own (group, rollup_1m_topic, rollup_5m_topic)"},
};

#define USELESS_CONFIG(KEY)                                                                        \
    KEY("shared_topic", STRING, "metrics.ingest", 0, 0, "validate: the topic that the gateway writes") \
    KEY("window", STRING, "1m", 0, 0, "rollup: 1m or 1h")                                          \
    KEY("rollup_1m_topic", STRING, "metrics.rollup.1m", 0, 0, "rollup: its rows")                  \
    KEY("rollup_1h_topic", STRING, "metrics.rollup.1h", 0, 0, "rollup: its rows, of window=1h")    \
    KEY("horizon_ms", INT, "0", 0, 604800000, "rollup: 0 = 2 h, for 1h 6 h")

struct useless {
    const struct verdict *verdict;
    const struct replay_call *call;
    struct log_reader *rows; /* rollup's output; NULL for others, or if there is none */
    int64_t horizon_ms;
    struct arena arena; /* of one record */
    uint64_t n_had;
    uint64_t n_to_come;
    uint64_t n_old;     /* samples that rollup would find too old */
    uint64_t n_rowless; /* partitions whose older rows are gone */
};

static const struct verdict *verdict_find(const char *stage)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (strcmp(verdicts[i].stage, stage) == 0) {
            return &verdicts[i];
        }
    }
    return NULL;
}

static bool begin(void *ctx, struct replay_planning *p, struct err *e)
{
    struct useless *x = ctx;
    const struct config *c = x->call->config;
    bool is_hourly = strcmp(config_str(c, "window"), "1h") == 0;
    if (x->verdict->of != OF_ROLLUP) {
        return true;
    }
    int64_t said_ms = config_int(c, "horizon_ms");
    x->horizon_ms = said_ms > 0 ? said_ms : is_hourly ? 6 * HOUR_MS : 2 * HOUR_MS;
    const char *topic = config_str(c, is_hourly ? "rollup_1h_topic" : "rollup_1m_topic");
    if (!log_reader_open(x->call->settings, &x->rows, e)) {
        return false;
    }
    if (!log_reader_topic(x->rows, topic, e)) {
        if (e->kind != ERR_CONFIG) {
            return false;
        }
        replay_risk(p, "rollup's own rows were not looked at: %s", e->text); /* no such topic */
        err_reset(e);
        log_reader_close(x->rows);
        x->rows = NULL;
    }
    return true;
}

/* Where the live group really is: rollup commits what it still needs, and tells its position beside it. */
static bool position_of(struct useless *x, struct replay_planning *p, int32_t partition, int64_t *position, struct err *e)
{
    struct buf metadata;
    struct rollup_commit commit;
    buf_init(&metadata, MAX_METADATA);
    bool ok = log_reader_committed(p->reader, partition, position, &metadata, e);
    if (ok && x->verdict->of == OF_ROLLUP && rollup_commit_read(buf_slice(&metadata), &commit)) {
        *position = commit.position;
    }
    buf_fini(&metadata);
    return ok;
}

/* --- a record --- */

static bool ingest_add(struct useless *x, struct replay_planning *p, const struct record *r, struct err *e)
{
    struct origin_points points = {.n_points = 0};
    struct err why = ERR_INIT;
    const struct origin_wanted wanted = {.metric = SLICE_LITERAL("\n"), /* none is named so: they are counted */
                                         .shared_topic = config_str(x->call->config, "shared_topic")};
    struct ingest ingest = ingest_look(r, slice_str(wanted.shared_topic));
    arena_reset(&x->arena);
    if (origin_points_read(r, &wanted, &x->arena, &points, &why)) {
        json_decref(points.points);
    } else {
        p->survey.n_other++;
    }
    return survey_add_ingest(&p->survey, r, ingest.tenant_name, (uint32_t)points.n_points, e);
}

/* Samples of the batch that log time has left behind. */
static bool old_count(struct useless *x, const struct batch *b, uint32_t n, int64_t log_ms, struct err *e)
{
    arena_reset(&x->arena);
    int64_t *times = ARENA_ARRAY(&x->arena, int64_t, n);
    if (times == NULL || !batch_times_decode(&b->times, n, times, e)) {
        return times != NULL || err_set(e, ERR_RETRY, "out of memory for a batch's times");
    }
    for (uint32_t i = 0; i < n; i++) {
        x->n_old += times[i] < log_ms - x->horizon_ms;
    }
    return true;
}

static bool series_add(struct useless *x, struct replay_planning *p, const struct record *r, int64_t *log_ms,
                       struct err *e)
{
    struct survey_record seen;
    if (!survey_add(&p->survey, r, &seen, e)) {
        return false;
    }
    if (x->verdict->of != OF_ROLLUP || (seen.batch == NULL && seen.rollup == NULL)) {
        return true;
    }
    int64_t time_ms = seen.batch != NULL ? seen.batch->received_ms : r->timestamp_ms;
    *log_ms = time_ms > *log_ms ? time_ms : *log_ms;
    return seen.batch == NULL || old_count(x, seen.batch, seen.n_samples, *log_ms, e);
}

/* --- a span --- */

/* Does the output reach back to what a rollup that begins at that log time would read of its own? */
static bool rows_check(struct useless *x, struct replay_planning *p, int32_t partition, int64_t log_ms, struct err *e)
{
    struct record r;
    int64_t first;
    int64_t end;
    bool any = false;
    if (log_ms == 0 || (uint32_t)partition >= log_reader_n_partitions(x->rows)) {
        return true;
    }
    if (!log_reader_bounds(x->rows, partition, &first, &end, e)) {
        return false;
    }
    if (first == 0 || first == end) {
        any = false;
    } else if (!log_reader_from(x->rows, partition, first, e) || !log_reader_next(x->rows, end, &r, &any, e)) {
        return false;
    }
    if (first > 0 && (!any || r.timestamp_ms > log_ms - x->horizon_ms - FORGET_MORE_MS)) {
        x->n_rowless++;
        replay_risk(p, "partition %d: retention has taken rows that rollup would need to begin there: rows that sinks have had "
                       "would be made anew; begin later", partition);
    }
    return true;
}

static bool span(void *ctx, struct replay_planning *p, const struct replay_span *span, struct err *e)
{
    struct useless *x = ctx;
    struct record r;
    bool any = true;
    int64_t position;
    int64_t log_ms = 0;
    int64_t begun_ms = 0;
    if (!position_of(x, p, span->partition, &position, e) ||
        !log_reader_from(p->reader, span->partition, span->from, e)) {
        return false;
    }
    for (;;) {
        if (!log_reader_next(p->reader, span->to, &r, &any, e)) {
            return false;
        }
        if (!any) {
            break;
        }
        *(r.offset < position ? &x->n_had : &x->n_to_come) += 1;
        if (!(x->verdict->of == OF_VALIDATE ? ingest_add(x, p, &r, e) : series_add(x, p, &r, &log_ms, e))) {
            return false;
        }
        begun_ms = begun_ms == 0 ? log_ms : begun_ms;
    }
    return x->rows == NULL || rows_check(x, p, span->partition, begun_ms, e);
}

static bool finish(void *ctx, struct replay_planning *p, struct err *e)
{
    struct useless *x = ctx;
    const struct verdict *v = x->verdict;
    (void)e;
    replay_effect(p, "records_that_it_has_had", x->n_had);
    replay_effect(p, "records_that_it_reads_by_itself", x->n_to_come);
    if (v->of == OF_ROLLUP) {
        replay_effect(p, "samples_beyond_the_horizon", x->n_old);
        replay_effect(p, "partitions_whose_older_rows_are_gone", x->n_rowless);
    }
    if (x->n_rowless == 0) {
        replay_effect(p, "samples_that_would_change", 0);
    }
    replay_risk(p, "%s: %s", v->stage, v->why);
    replay_risk(p, "instead: %s", v->instead);
    if (v->of == OF_VALIDATE) {
        replay_risk(p, "sources are counted by the records' keys here");
    }
    return true;
}

static int plan(const struct replay_call *call)
{
    struct useless x = {.verdict = verdict_find(call->arguments->stage), .call = call};
    const struct replay_planner planner = {
        .ctx = &x, .sink = "", .begin = begin, .span = span, .finish = finish, .is_useless = true};
    arena_init(&x.arena, ARENA_BYTES);
    int code = replay_planning_run(call->settings, call->arguments, &planner);
    log_reader_close(x.rows);
    arena_fini(&x.arena);
    return code;
}

bool replay_is_useless(const char *stage)
{
    return verdict_find(stage) != NULL;
}

int replay_useless_main(const char *stage, int argc, char **argv)
{
    const struct verdict *v = verdict_find(stage);
    const struct config_key keys[] = {STAGE_CONFIG(CONFIG_ROW) USELESS_CONFIG(CONFIG_ROW){
        "topics", CONFIG_LIST, v->topics, 0, 0, "what the stage reads"}};
    const struct config_program program = {.name = "sluice-offsets",
                                           .summary = replay_usage,
                                           .version = kafka_version_line(),
                                           .keys = keys,
                                           .n_keys = sizeof keys / sizeof keys[0],
                                           .shares_file = true}; /* the worker's */
    const struct replay_command command = {.program = &program, .stage = v->stage, .plan = plan};
    return replay_main(&command, argc, argv);
}
