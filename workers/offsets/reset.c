#include "reset.h"

#include "drain.h"
#include "parquet_guard.h"
#include "replay/arguments.h"
#include "rollup_place.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 256 };

struct reset {
    const struct tool *tool;
    const char *group;
    enum stage_kind_of kind;
    struct moment to;
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *committed; /* owned */
    struct moves moves;
};

static bool is_asked(const struct tool *t, const char *topic, int32_t partition)
{
    const char *only = t->command->values[OPTION_TOPIC];
    const char *list = t->command->values[OPTION_PARTITIONS];
    return (only == NULL || strcmp(only, topic) == 0) &&
           (list == NULL || replay_partition_wanted(list, partition));
}

/* What has no metadata: by the log's own offsets and times. */
static bool place_plain(struct reset *r, const rd_kafka_topic_partition_t *at, int64_t *offset,
                        struct err *e)
{
    struct scan scan;
    const struct scan_request request = {
        .topic = at->topic, .partition = at->partition, .from = r->to};
    if (!scan_open(r->tool, r->rk, &request, &scan, e)) {
        return false;
    }
    const struct scan_stretch *p = &scan.stretches[0];
    bool is_out = r->to.kind == MOMENT_OFFSET &&
                  (r->to.value < p->low || (r->to.value > p->end && r->to.value > p->hidden));
    *offset = p->from;
    if (is_out) {
        (void)err_set(e, ERR_CONFIG,
                      "there is no offset %" PRId64 ": the log is %" PRId64 " to %" PRId64,
                      r->to.value, p->low, p->end);
    }
    scan_close(&scan);
    return !is_out;
}

static bool add_move(struct reset *r, const rd_kafka_topic_partition_t *at, struct err *e)
{
    struct buf text;
    int64_t offset = -1;
    const struct rollup_request rollup = {.topic = at->topic,
                                          .partition = at->partition,
                                          .committed = at->offset,
                                          .metadata = commit_metadata(at),
                                          .to = r->to};
    buf_init(&text, MAX_TEXT);
    bool ok = r->kind == GROUP_ROLLUP ? rollup_place(r->tool, r->rk, &rollup, &offset, &text, e)
                                      : place_plain(r, at, &offset, e);
    ok = (ok || err_wrap(e, "%s[%d]", at->topic, at->partition)) &&
         moves_add(&r->moves, at->topic, at->partition, e) &&
         moves_set_old(&r->moves, at->offset, commit_metadata(at), e) &&
         moves_set_new(&r->moves, offset, buf_slice(&text), e);
    buf_fini(&text);
    return ok;
}

static bool find_moves(struct reset *r, struct err *e)
{
    for (int i = 0; i < r->committed->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &r->committed->elems[i];
        if (at->offset >= 0 && is_asked(r->tool, at->topic, at->partition) && !add_move(r, at, e)) {
            return false;
        }
    }
    return r->moves.n > 0 ||
           err_set(e, ERR_CONFIG,
                   "group %.80s has committed nothing of what --topic and --partitions name",
                   r->group);
}

static void forget(struct reset *r)
{
    moves_free(&r->moves);
    if (r->committed != NULL) {
        rd_kafka_topic_partition_list_destroy(r->committed);
        r->committed = NULL;
    }
}

/* What is to become of the commits as they are now; all that can be refused is. */
static bool look(struct reset *r, struct err *e)
{
    forget(r);
    return group_committed(r->rk, r->group, &r->committed, e) &&
           group_kind(r->tool, r->group, r->committed, &r->kind, e) && find_moves(r, e) &&
           moves_check_forward(r->tool, &r->moves, e) &&
           (r->kind != GROUP_PARQUET || parquet_check(r->tool, r->rk, &r->moves, e));
}

static void tell_effect(const struct reset *r)
{
    (void)fprintf(tool_talk(r->tool), "%s\n", group_kind_effect(r->kind));
}

static bool run(struct reset *r, struct err *e)
{
    if (!look(r, e)) {
        return false;
    }
    tell_effect(r);
    return moves_do(r->tool, r->rk, r->group, &r->moves, e);
}

/* All is looked at and asked before the workers are sent away; then once more, since they have moved on. */
static bool run_drained(struct reset *r, struct err *e)
{
    if (!look(r, e)) {
        return false;
    }
    tell_effect(r);
    if (!moves_ask(r->tool, r->group, &r->moves, e)) {
        return false;
    }
    struct drain d;
    bool ok = drain_begin(r->tool, r->rk, r->group, &d, e) && look(r, e) && drain_renew(&d, e) &&
              moves_set(r->tool, r->rk, r->group, &r->moves, e);
    return drain_end(&d, ok, e);
}

/* The group as a word, or as reset had it first, by --group. */
static bool group_name(const struct tool *t, const char **out, struct err *e)
{
    const char *word = t->command->words[0];
    const char *option = t->command->values[OPTION_GROUP];
    *out = word == NULL ? option : word;
    return ((word == NULL) != (option == NULL)) ||
           err_set(e, ERR_CONFIG, "reset: of which group? reset GROUP --to PLACE");
}

/* A dry run only looks, members or not. */
static bool run_as_asked(struct reset *r, struct err *e)
{
    const char *const *given = r->tool->command->values;
    if (given[OPTION_DRAIN] == NULL) {
        return group_is_stopped(r->rk, r->group, e) && run(r, e);
    }
    return given[OPTION_DRY_RUN] != NULL ? run(r, e) : run_drained(r, e);
}

bool reset_verb(const struct tool *t, struct err *e)
{
    struct reset r = {.tool = t};
    const char *list = t->command->values[OPTION_PARTITIONS];
    if (!group_name(t, &r.group, e) ||
        !moment_read("--to", t->command->values[OPTION_TO], &r.to, e) ||
        (list != NULL && !replay_partitions_check(list, e)) || !tool_connect(t, KAFKA_READER, &r.rk, e)) {
        return false;
    }
    bool ok = run_as_asked(&r, e);
    forget(&r);
    tool_disconnect(r.rk);
    return ok;
}
