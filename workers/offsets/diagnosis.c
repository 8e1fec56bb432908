#include "diagnosis.h"

#include "batch/rollup_commit.h"
#include "run/show.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const trouble_names[N_TROUBLES] = {
    [TROUBLE_NONE] = "fine",
    [TROUBLE_BEHIND] = "behind",
    [TROUBLE_PAUSED] = "paused",
    [TROUBLE_NO_MEMBER] = "no_member",
    [TROUBLE_UNASSIGNED] = "unassigned",
    [TROUBLE_REBALANCING] = "rebalancing",
    [TROUBLE_OUT_OF_RANGE] = "out_of_range",
    [TROUBLE_NO_TOPIC] = "no_topic",
    [TROUBLE_NO_LEADER] = "no_leader",
    [TROUBLE_NO_OFFSET] = "no_offset",
    [TROUBLE_FOREIGN_OFFSET] = "foreign_offset",
    [TROUBLE_OPEN_TRANSACTION] = "open_transaction",
    [TROUBLE_STILL] = "still",
};

static bool name_has(const struct progress *p, const char *part)
{
    return strstr(p->group->name, part) != NULL;
}

static const rd_kafka_topic_partition_t *commit_of(const rd_kafka_topic_partition_list_t *list,
                                                   const struct progress *p)
{
    return rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)list,
                                              p->topic, p->partition);
}

static void set(struct progress *p, enum trouble trouble, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void set(struct progress *p, enum trouble trouble, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p->why, sizeof p->why, fmt, ap);
    va_end(ap);
    p->trouble = trouble;
}

static bool is_rollup_without_metadata(const struct progress *p)
{
    struct rollup_commit c;
    const rd_kafka_topic_partition_t *at = commit_of(p->group->committed, p);
    return name_has(p, "rollup") && !name_has(p, "amp") && at != NULL && at->offset > 0 &&
           !rollup_commit_read(
               slice_of(at->metadata,
                        at->metadata == NULL ? 0 : strnlen(at->metadata, at->metadata_size)),
               &c);
}

/* Wrong whatever anybody does. */
static bool has_wrong_offset(struct progress *p)
{
    bool is_gone = p->unreachable == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                   p->unreachable == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                   p->unreachable == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    if (is_gone) {
        set(p, TROUBLE_NO_TOPIC, "there is no such topic or partition any more");
    } else if (p->low < 0 || p->stable < 0) {
        set(p, TROUBLE_NO_LEADER, "no broker has it at the moment: %.100s",
            rd_kafka_err2str(p->unreachable));
    } else if (p->committed >= 0 && p->committed < p->low) {
        set(p, TROUBLE_OUT_OF_RANGE,
            "retention has passed the committed offset: %" PRId64
            " offsets are gone, the log begins at %" PRId64
            "; workers stop there and skip nothing: see help reset%s",
            p->low - p->committed, p->low, name_has(p, "parquet") ? ", help parquet" : "");
    } else if (p->committed > p->high) {
        set(p, TROUBLE_OUT_OF_RANGE,
            "the committed offset lies behind the log's end, %" PRId64
            ": the topic was deleted and made anew, or the offset set by hand; see help reset",
            p->high);
    } else if (is_rollup_without_metadata(p)) {
        set(p, TROUBLE_FOREIGN_OFFSET,
            "another tool has set the offset, without what rollup needs with it: rollup refuses to "
            "start; see help "
            "reset");
    }
    return p->trouble != TROUBLE_NONE;
}

static void diagnose_open(struct progress *p, const struct tool *t)
{
    int64_t age_ms = p->open_since_ms > 0 ? t->now_ms - p->open_since_ms : 0;
    if (p->stable < p->high && p->position >= p->stable &&
        age_ms >= config_int(t->config, "open_transaction_ms")) {
        set(p, TROUBLE_OPEN_TRANSACTION,
            "a transaction is open since offset %" PRId64 ", for %" PRId64
            " s, and hides what lies behind it; kafka-transactions.sh find-hanging tells whose it "
            "is",
            p->stable, age_ms / 1000);
    }
}

/* By an operator's rule. */
static bool is_paused(struct progress *p, const struct controls *rules)
{
    struct buf until;
    const struct control_rule *r =
        controls_pause_of(rules, slice_str(p->group->name), slice_str(p->topic), p->partition);
    bool is_dead = r != NULL && !r->leaves && p->group->n_members == 0 && p->lag_records > 0;
    if (r == NULL || is_dead) { /* worse than paused */
        return false;
    }
    buf_init(&until, 64);
    show_time(&until, r->expires_ms);
    set(p, TROUBLE_PAUSED, "%s by %.*s until %s (%.*s): %.*s", r->leaves ? "drained" : "paused", SLICE_ARG(r->who),
        buf_c_str(&until), SLICE_ARG(r->id), SLICE_ARG(r->reason));
    buf_fini(&until);
    return true;
}

static void diagnose_member(struct progress *p)
{
    const struct group *g = p->group;
    bool is_rebalancing = g->state == RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE ||
                          g->state == RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE;
    if (g->n_members == 0 && p->lag_records > 0) {
        set(p, TROUBLE_NO_MEMBER, "the group has no member: nobody reads it; start its workers");
    } else if (is_rebalancing) {
        set(p, TROUBLE_REBALANCING, "the group is rebalancing");
    } else if (g->n_members > 0 && p->client == NULL) {
        set(p, TROUBLE_UNASSIGNED,
            "the group has members, and none has this partition: do they read %.100s?", p->topic);
    } else if (p->committed < 0 && name_has(p, "parquet") && p->high > p->low) {
        set(p, TROUBLE_NO_OFFSET,
            "nothing is committed: without start=earliest parquet waits; if it has lost its "
            "offsets, see help parquet");
    }
}

/* How old records may be while all is well: a sink that gathers commits late. */
static int64_t patience_ms(const struct tool *t, const struct progress *p)
{
    return config_int(t->config, name_has(p, "parquet") ? "stuck_parquet_ms" : "stuck_after_ms");
}

static bool needs_second_look(const struct tool *t, const struct status *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct progress *p = &s->partitions[i];
        if (p->trouble == TROUBLE_REBALANCING ||
            (p->trouble == TROUBLE_NONE && p->lag_ms > patience_ms(t, p))) {
            return true;
        }
    }
    return false;
}

static bool has_moved(const rd_kafka_topic_partition_t *before,
                      const rd_kafka_topic_partition_t *now)
{
    if (before == NULL || now == NULL) {
        return now != NULL;
    }
    return before->offset != now->offset || before->metadata_size != now->metadata_size ||
           (now->metadata_size > 0 &&
            memcmp(before->metadata, now->metadata, now->metadata_size) != 0);
}

/* What was old, or rebalancing, at both looks. */
static void compare(const struct tool *t, struct progress *p, const struct group *later)
{
    bool moved = has_moved(commit_of(p->group->committed, p), commit_of(later->committed, p));
    bool is_rebalancing = later->state == RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE ||
                          later->state == RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE;
    if (p->trouble == TROUBLE_REBALANCING && (!is_rebalancing || moved)) {
        p->trouble = TROUBLE_NONE;
    }
    if (p->trouble != TROUBLE_NONE || p->lag_ms <= patience_ms(t, p)) {
        return;
    }
    if (moved) {
        set(p, TROUBLE_BEHIND, "old, but it moves");
    } else {
        set(p, TROUBLE_STILL,
            "%.100s has it and does not move: see its /ready and its log (a stopped partition, or "
            "a destination that is "
            "away)",
            p->client == NULL ? "a member" : p->client);
    }
}

static bool look_again(const struct tool *t, rd_kafka_t *rk, struct status *s, struct err *e)
{
    struct groups later = {0};
    size_t at = 0;
    bool ok = true;
    (void)usleep((useconds_t)config_int(t->config, "watch_ms") * 1000);
    for (size_t i = 0; ok && i < s->groups.n; i++) {
        const char *name = s->groups.items[i].name;
        ok = groups_named(&name, 1, &later, e) && groups_describe(rk, &later, e);
        for (; ok && at < s->n && s->partitions[at].group == &s->groups.items[i]; at++) {
            compare(t, &s->partitions[at], &later.items[0]);
        }
        groups_free(&later);
    }
    return ok;
}

bool diagnose(const struct tool *t, rd_kafka_t *rk, struct status *s, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        struct progress *p = &s->partitions[i];
        if (!has_wrong_offset(p) && !is_paused(p, &s->rules)) {
            diagnose_member(p);
        }
        if (p->trouble == TROUBLE_NONE) {
            diagnose_open(p, t);
        }
    }
    return !needs_second_look(t, s) || look_again(t, rk, s, e);
}
