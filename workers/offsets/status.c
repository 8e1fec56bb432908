#include "status.h"

#include "batch/rollup_commit.h"
#include "diagnosis.h"
#include "pauses.h"
#include "places.h"
#include "stage/topics.h"
#include "status_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_MS = 8000 };

/* What the partitions of all groups have in common: a topic's partition once. */
struct cluster {
    rd_kafka_topic_partition_list_t *low;
    rd_kafka_topic_partition_list_t *stable;
    rd_kafka_topic_partition_list_t *high;
};

/* --- which partitions --- */

static bool add(struct status *s, const struct group *g, const char *topic, int32_t partition,
                struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct progress *p = &s->partitions[i];
        if (p->group == g && p->partition == partition && strcmp(p->topic, topic) == 0) {
            return true;
        }
    }
    struct progress *partitions = realloc(s->partitions, (s->n + 1) * sizeof *partitions);
    if (partitions == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    s->partitions = partitions;
    partitions[s->n++] = (struct progress){.group = g,
                                           .topic = topic,
                                           .partition = partition,
                                           .committed = -1,
                                           .position = -1,
                                           .lag_ms = -1,
                                           .intent_last = -1};
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct progress *x = a;
    const struct progress *y = b;
    int order = (x->group > y->group) - (x->group < y->group); /* as the groups stand */
    order = order != 0 ? order : strcmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* What is committed, and what a member has. */
static bool find_partitions(struct status *s, struct err *e)
{
    for (size_t i = 0; i < s->groups.n; i++) {
        const struct group *g = &s->groups.items[i];
        for (int k = 0; k < g->committed->cnt; k++) {
            if (!add(s, g, g->committed->elems[k].topic, g->committed->elems[k].partition, e)) {
                return false;
            }
        }
        for (size_t k = 0; k < g->n_owners; k++) {
            if (!add(s, g, g->owners[k].topic, g->owners[k].partition, e)) {
                return false;
            }
        }
    }
    return true;
}

static void topic_is_gone(struct status *s, const char *topic)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->partitions[i].topic, topic) == 0) {
            s->partitions[i].unreachable = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        }
    }
}

/* Also what was never committed, of the topics that a group reads: a partition whose first records
 * nobody takes. A topic that is gone is told later. */
static bool add_whole_topics(rd_kafka_t *rk, struct status *s, struct err *e)
{
    size_t n = s->n;
    for (size_t i = 0; i < n; i++) {
        const struct group *g = s->partitions[i].group;
        const char *topic = s->partitions[i].topic;
        bool is_first = true;
        for (size_t k = 0; k < i; k++) {
            is_first &= s->partitions[k].group != g || strcmp(s->partitions[k].topic, topic) != 0;
        }
        uint32_t n_partitions = 0;
        uint8_t id[16];
        if (is_first && !topic_describe(rk, topic, &n_partitions, id, e)) {
            if (e->kind != ERR_CONFIG) {
                return false;
            }
            topic_is_gone(s, topic);
        }
        for (uint32_t p = 0; p < n_partitions; p++) {
            if (!add(s, g, topic, (int32_t)p, e)) {
                return false;
            }
        }
    }
    err_reset(e);
    if (s->n > 0) {
        qsort(s->partitions, s->n, sizeof *s->partitions, by_place);
    }
    return true;
}

/* --- where they stand --- */

static int64_t intent_last_of(struct slice metadata)
{
    json_t *intent = metadata.len > 0 && metadata.ptr[0] == '{'
                         ? json_loadb((const char *)metadata.ptr, metadata.len, 0, NULL)
                         : NULL;
    json_t *last = json_object_get(intent, "last");
    int64_t out = json_is_integer(last) ? json_integer_value(last) : -1;
    json_decref(intent);
    return out;
}

static void take_commit(struct progress *p)
{
    const rd_kafka_topic_partition_t *at =
        rd_kafka_topic_partition_list_find(p->group->committed, p->topic, p->partition);
    const struct group_owner *owner = group_owner_of(p->group, p->topic, p->partition);
    struct rollup_commit rollup;
    p->client = owner == NULL ? NULL : owner->client;
    if (at == NULL || at->offset < 0) {
        return;
    }
    struct slice metadata =
        slice_of(at->metadata, at->metadata == NULL ? 0 : strnlen(at->metadata, at->metadata_size));
    p->committed = p->position = at->offset;
    p->intent_last = intent_last_of(metadata);
    if (rollup_commit_read(metadata, &rollup)) {
        p->position = rollup.position > p->position ? rollup.position : p->position;
    }
}

static void cluster_free(struct cluster *c)
{
    rd_kafka_topic_partition_list_t *lists[3] = {c->low, c->stable, c->high};
    for (int i = 0; i < 3; i++) {
        if (lists[i] != NULL) {
            rd_kafka_topic_partition_list_destroy(lists[i]);
        }
    }
}

static bool cluster_read(rd_kafka_t *rk, const struct status *s, struct cluster *c, struct err *e)
{
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; i < s->n; i++) {
        const struct progress *p = &s->partitions[i];
        if (p->unreachable == RD_KAFKA_RESP_ERR_NO_ERROR &&
            rd_kafka_topic_partition_list_find(all, p->topic, p->partition) == NULL) {
            (void)rd_kafka_topic_partition_list_add(all, p->topic, p->partition);
        }
    }
    *c = (struct cluster){rd_kafka_topic_partition_list_copy(all),
                          rd_kafka_topic_partition_list_copy(all),
                          rd_kafka_topic_partition_list_copy(all)};
    rd_kafka_topic_partition_list_destroy(all);
    return places_find(rk, PLACE_LOW, c->low, e) && places_find(rk, PLACE_STABLE, c->stable, e) &&
           places_find(rk, PLACE_HIGH, c->high, e);
}

static void take_cluster(struct progress *p, const struct cluster *c)
{
    if (p->unreachable != RD_KAFKA_RESP_ERR_NO_ERROR) {
        p->low = p->stable = p->high = -1;
        return;
    }
    p->low = rd_kafka_topic_partition_list_find(c->low, p->topic, p->partition)->offset;
    p->stable = rd_kafka_topic_partition_list_find(c->stable, p->topic, p->partition)->offset;
    p->high = rd_kafka_topic_partition_list_find(c->high, p->topic, p->partition)->offset;
    p->high = p->high < p->stable ? p->stable : p->high; /* it was asked for a moment later */
    p->position = p->position < 0 && p->committed < 0 ? p->low : p->position;
    const rd_kafka_topic_partition_list_t *lists[3] = {c->low, c->stable, c->high};
    for (int i = 0; i < 3 && p->unreachable == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        p->unreachable =
            rd_kafka_topic_partition_list_find(
                (rd_kafka_topic_partition_list_t *)(uintptr_t)lists[i], p->topic, p->partition)
                ->err;
    }
}

/* --- how old what is left is --- */

static bool is_readable(const struct progress *p)
{
    return p->low >= 0 && p->position >= p->low && p->position < p->stable;
}

/* The partitions of one group, from `first` to before `end`. */
static bool read_ages(const struct tool *t, rd_kafka_t *rk, struct progress *first,
                      const struct progress *end, struct err *e)
{
    size_t n = (size_t)(end - first);
    int64_t *found = calloc(2 * n + 1, sizeof *found);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (struct progress *p = first; p < end; p++) {
        if (is_readable(p)) {
            rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->position;
        }
    }
    bool ok = found != NULL ? places_read(rk, list, READ_MS, found, found + n, e)
                            : err_set(e, ERR_FATAL, "out of memory");
    int i = 0;
    for (struct progress *p = first; ok && p < end; p++) {
        bool was_read = is_readable(p);
        bool is_empty = p->position >= p->stable || (was_read && found[i] == PLACE_NONE);
        bool is_open = p->stable < p->high;
        bool is_known = was_read && found[i] >= 0;
        p->lag_ms = is_known
                        ? (t->now_ms > found[n + (size_t)i] ? t->now_ms - found[n + (size_t)i] : 0)
                    : is_empty && !is_open ? 0
                                           : -1;
        p->lag_records = is_known || is_open || !is_empty ? p->high - p->position : 0;
        i += was_read;
    }
    rd_kafka_topic_partition_list_destroy(list);
    free(found);
    return ok;
}

static bool read_all_ages(const struct tool *t, rd_kafka_t *rk, struct status *s, struct err *e)
{
    for (size_t i = 0; i < s->n;) {
        size_t end = i;
        while (end < s->n && s->partitions[end].group == s->partitions[i].group) {
            end++;
        }
        if (!read_ages(t, rk, &s->partitions[i], &s->partitions[end], e)) {
            return false;
        }
        i = end;
    }
    return true;
}

/* Since when what is open is open: its first record's time. */
static bool read_open(const struct tool *t, struct status *s, struct err *e)
{
    rd_kafka_t *rk = NULL;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < s->n; i++) {
        const struct progress *p = &s->partitions[i];
        if (p->stable >= 0 && p->stable < p->high &&
            rd_kafka_topic_partition_list_find(list, p->topic, p->partition) == NULL) {
            rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->stable;
        }
    }
    size_t n = (size_t)list->cnt;
    int64_t *found = calloc(2 * n + 1, sizeof *found);
    bool ok = n == 0 || ((found != NULL || err_set(e, ERR_FATAL, "out of memory")) &&
                         kafka_open(KAFKA_READER_UNCOMMITTED, &t->kafka, NULL, &rk, e) &&
                         places_read(rk, list, READ_MS, found, found + n, e));
    for (size_t i = 0; ok && i < s->n; i++) {
        struct progress *p = &s->partitions[i];
        for (size_t k = 0; k < n; k++) {
            bool is_it = list->elems[k].partition == p->partition &&
                         strcmp(list->elems[k].topic, p->topic) == 0;
            p->open_since_ms = is_it && found[k] >= 0 ? found[n + k] : p->open_since_ms;
        }
    }
    tool_disconnect(rk);
    free(found);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static bool find_groups(const struct tool *t, rd_kafka_t *rk, struct groups *out, struct err *e)
{
    const char *one = t->command->values[OPTION_GROUP];
    const char *const *names;
    size_t n = config_list(t->config, "groups", &names);
    if (one != NULL) {
        return groups_named(&one, 1, out, e);
    }
    return n > 0 ? groups_named(names, n, out, e)
                 : groups_list(rk, config_str(t->config, "group_prefix"), out, e);
}

/* Without the topic, or before its end could be read, there are none to be told. */
static bool read_rules(const struct tool *t, rd_kafka_t *rk, struct status *s, struct err *e)
{
    struct err why = ERR_INIT;
    uint32_t n_partitions;
    uint8_t id[16];
    bool ok = topic_describe(rk, config_str(t->config, "control_topic"), &n_partitions, id, &why) &&
              pauses_read(t, &s->rules, &why);
    return ok || why.kind == ERR_CONFIG || why.kind == ERR_RETRY || err_set(e, why.kind, "%s", why.text);
}

static bool read_with(const struct tool *t, rd_kafka_t *rk, struct status *s, struct err *e)
{
    struct cluster c = {0};
    if (!find_groups(t, rk, &s->groups, e) || !groups_describe(rk, &s->groups, e) ||
        !find_partitions(s, e) || !add_whole_topics(rk, s, e)) {
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        take_commit(&s->partitions[i]);
    }
    bool ok = cluster_read(rk, s, &c, e);
    for (size_t i = 0; ok && i < s->n; i++) {
        take_cluster(&s->partitions[i], &c);
    }
    ok = ok && read_rules(t, rk, s, e);
    ok = ok && read_all_ages(t, rk, s, e) && read_open(t, s, e) && diagnose(t, rk, s, e);
    cluster_free(&c);
    return ok;
}

static bool status_read(const struct tool *t, struct status *out, struct err *e)
{
    rd_kafka_t *rk = NULL;
    *out = (struct status){0};
    controls_init(&out->rules, &out->draw);
    bool ok = tool_connect(t, KAFKA_READER, &rk, e);
    ok = ok && read_with(t, rk, out, e);
    tool_disconnect(rk);
    return ok;
}

static void status_free(struct status *s)
{
    free(s->partitions);
    controls_fini(&s->rules);
    groups_free(&s->groups);
}

static bool print_as_asked(const struct tool *t, const struct status *s, struct err *e)
{
    if (t->command->values[OPTION_JSON] == NULL) {
        return status_print(s, t->command->values[OPTION_ALL] != NULL, isatty(STDOUT_FILENO) == 1,
                            e);
    }
    json_t *out = status_json(s);
    bool ok = out != NULL && json_dumpf(out, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
              puts("") != EOF;
    json_decref(out);
    return ok || err_set(e, ERR_FATAL, "it could not be written");
}

bool status_verb(const struct tool *t, int *code, struct err *e)
{
    struct status s;
    bool ok = status_read(t, &s, e) && print_as_asked(t, &s, e);
    if (!ok && e->kind == ERR_RETRY) {
        *code = TOOL_AWAY;
    }
    for (size_t i = 0; ok && i < s.n; i++) {
        if (trouble_is_stuck(s.partitions[i].trouble)) {
            *code = TOOL_DIFFERS;
        }
    }
    status_free(&s);
    return ok;
}
