#include "pause.h"

#include "base/duration.h"
#include "groups.h"
#include "pauses.h"
#include "policy/control_show.h"
#include "replay/arguments.h"
#include "run/show.h"
#include "stage/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 16 };

/* What the command line names. */
struct place {
    struct slice topic; /* empty: not given */
    uint32_t n_of_topic;
    int32_t partitions[CONTROL_MAX_PARTITIONS];
    uint32_t n_partitions; /* 0: not given */
};

/* A list is short where it has fewer than all of the topic's. */
static bool place_find(const struct tool *t, rd_kafka_t *rk, struct place *out, struct err *e)
{
    const char *topic = t->command->values[OPTION_TOPIC];
    const char *list = t->command->values[OPTION_PARTITIONS];
    uint8_t id[16];
    *out = (struct place){.topic = topic == NULL ? SLICE_NONE : slice_str(topic)};
    if (topic != NULL && !topic_describe(rk, topic, &out->n_of_topic, id, e)) {
        return false;
    }
    if (list != NULL && replay_partition_highest(list) >= (int64_t)out->n_of_topic) {
        return err_set(e, ERR_CONFIG, "--partitions %.60s: %.80s has 0 to %u", list, topic, out->n_of_topic - 1);
    }
    for (uint32_t i = 0; list != NULL && i < out->n_of_topic; i++) {
        if (!replay_partition_wanted(list, (int32_t)i)) {
            continue;
        }
        if (out->n_partitions == CONTROL_MAX_PARTITIONS) {
            return err_set(e, ERR_CONFIG, "--partitions: more than %d; a rule holds no more", CONTROL_MAX_PARTITIONS);
        }
        out->partitions[out->n_partitions++] = (int32_t)i;
    }
    return true;
}

static bool place_words_check(const struct tool *t, struct err *e)
{
    const char *list = t->command->values[OPTION_PARTITIONS];
    if (list != NULL && t->command->values[OPTION_TOPIC] == NULL) {
        return err_set(e, ERR_CONFIG, "--partitions: of which --topic?");
    }
    return list == NULL || replay_partitions_check(list, e);
}

static bool length_read(const struct tool *t, int64_t *out_ms, struct err *e)
{
    const char *text = t->command->values[OPTION_FOR];
    bool ok = duration_read(text, out_ms) && *out_ms > 0 && *out_ms <= CONTROL_MAX_TTL_MS;
    return ok || err_set(e, ERR_CONFIG, "--for %.30s: a time like 90s, 15m, 2h or 1d, 30d at most: the pause ends then "
                                        "by itself", text);
}

static bool reads_topic(const struct group *g, const char *topic)
{
    for (size_t i = 0; i < g->n_owners; i++) {
        if (strcmp(g->owners[i].topic, topic) == 0) {
            return true;
        }
    }
    for (int i = 0; i < g->committed->cnt; i++) {
        if (strcmp(g->committed->elems[i].topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

/* Is there such a group, and does it read that? A misspelt name would pause nothing, and say nothing. */
static bool group_check(rd_kafka_t *rk, const char *group, const char *topic, struct err *e)
{
    struct groups g = {0};
    bool ok = groups_named(&group, 1, &g, e) && groups_describe(rk, &g, e);
    if (ok && g.items[0].n_members == 0 && g.items[0].committed->cnt == 0) {
        ok = err_set(e, ERR_CONFIG, "group %.100s has no member and has committed nothing: is that its name? "
                                    "sluice-offsets status lists them", group);
    } else if (ok && topic != NULL && !reads_topic(&g.items[0], topic)) {
        ok = err_set(e, ERR_CONFIG, "group %.80s does not read %.80s; sluice-offsets status --group %.60s shows what it "
                                    "reads", group, topic, group);
    }
    groups_free(&g);
    return ok;
}

static bool print_json(const struct control_rule *r, const char *state)
{
    struct buf out;
    struct err e = ERR_INIT;
    buf_init(&out, MAX_TEXT);
    bool ok = control_write(r, &out, &e);
    (void)printf("{\"state\":\"%s\",\"rule\":%s}\n", state, ok ? buf_c_str(&out) : "null");
    buf_fini(&out);
    return ok;
}

static void print_paused(const struct tool *t, const struct control_rule *r)
{
    struct buf out;
    buf_init(&out, MAX_TEXT);
    buf_printf(&out, "%.*s ", SLICE_ARG(r->id));
    control_show(&out, r);
    buf_printf(&out, " until ");
    show_time(&out, r->expires_ms);
    buf_printf(&out, ", for ");
    show_duration(&out, r->expires_ms - r->created_ms);
    buf_printf(&out,
               "\nworkers obey within two seconds; their /ready and sluice_partitions_paused{reason=\"operator\"} show it"
               "\ntake it back: sluice-offsets resume %.*s\n", SLICE_ARG(r->id));
    (void)fputs(buf_c_str(&out), tool_talk(t));
    buf_fini(&out);
}

bool pause_verb(const struct tool *t, struct err *e)
{
    const char *group = t->command->words[0];
    struct place p;
    rd_kafka_t *rk = NULL;
    int64_t for_ms;
    if (!place_words_check(t, e) || !length_read(t, &for_ms, e) || !tool_connect(t, KAFKA_READER, &rk, e)) {
        return false;
    }
    bool ok = group_check(rk, group, t->command->values[OPTION_TOPIC], e) && place_find(t, rk, &p, e);
    tool_disconnect(rk);
    if (!ok) {
        return false;
    }
    struct control_rule rule = {.group = slice_str(group),
                                .topic = p.topic,
                                .n_partitions = p.n_partitions,
                                .partitions = p.partitions,
                                .created_ms = t->now_ms,
                                .expires_ms = t->now_ms + for_ms};
    char id[PAUSE_ID_BYTES];
    if (!pause_put(t, "pause", &rule, id, SLICE_NONE, e)) {
        return false;
    }
    if (t->command->values[OPTION_JSON] != NULL) {
        return print_json(&rule, "paused") || err_set(e, ERR_FATAL, "it could not be written");
    }
    print_paused(t, &rule);
    return true;
}

/* --- resume --- */

/* What of the rule stays paused; its partitions are in *left. All of it goes: n_partitions 0. */
static bool rest_of(const struct control_rule *r, const struct place *p, struct control_rule *rest,
                    int32_t left[CONTROL_MAX_PARTITIONS], struct err *e)
{
    if (p->topic.len > 0 && r->topic.len == 0) {
        return err_set(e, ERR_CONFIG, "%.*s pauses all that group %.*s reads: resume it whole, and pause by name what is "
                                      "to stand still", SLICE_ARG(r->id), SLICE_ARG(r->group));
    }
    *rest = *r;
    rest->n_partitions = 0;
    rest->partitions = left;
    if (p->n_partitions == 0) {
        return true;
    }
    uint32_t n = r->n_partitions > 0 ? r->n_partitions : p->n_of_topic;
    for (uint32_t i = 0; i < n; i++) {
        int32_t partition = r->n_partitions > 0 ? r->partitions[i] : (int32_t)i;
        if (control_partition_listed(p->partitions, p->n_partitions, partition)) {
            continue;
        }
        if (rest->n_partitions == CONTROL_MAX_PARTITIONS) {
            return err_set(e, ERR_CONFIG, "more than %d partitions would be left: resume it whole, and pause the others "
                                          "anew", CONTROL_MAX_PARTITIONS);
        }
        left[rest->n_partitions++] = partition;
    }
    return true;
}

static bool touches(const struct control_rule *r, const struct place *p)
{
    if (p->topic.len == 0 || r->topic.len == 0) {
        return true;
    }
    bool has_one = p->n_partitions == 0 || r->n_partitions == 0;
    for (uint32_t i = 0; i < p->n_partitions && !has_one; i++) {
        has_one = control_partition_listed(r->partitions, r->n_partitions, p->partitions[i]);
    }
    return slice_eq(r->topic, p->topic) && has_one;
}

static bool resume_one(const struct tool *t, const struct control_rule *r, const struct place *p,
                       struct err *e)
{
    struct control_rule rest;
    int32_t left[CONTROL_MAX_PARTITIONS];
    char id[PAUSE_ID_BYTES];
    if (!rest_of(r, p, &rest, left, e) ||
        !(rest.n_partitions > 0 ? pause_put(t, "resume", &rest, id, r->id, e) : pause_drop(t, "resume", r->id, e))) {
        return false;
    }
    if (t->command->values[OPTION_JSON] != NULL) {
        return print_json(r, "resumed") || err_set(e, ERR_FATAL, "it could not be written");
    }
    struct buf out;
    buf_init(&out, MAX_TEXT);
    buf_printf(&out, "%.*s is taken back: ", SLICE_ARG(r->id));
    control_show(&out, r);
    if (rest.n_partitions > 0) {
        buf_printf(&out, "; left: %s ", id);
        control_show(&out, &rest);
    }
    (void)printf("%s\n", buf_c_str(&out));
    buf_fini(&out);
    return true;
}

/* Those that are meant go to the front of *chosen, the caller's. */
static bool choose(const struct tool *t, const struct controls *c, const struct place *p,
                   const struct control_rule ***chosen, size_t *n, struct err *e)
{
    const char *word = t->command->words[0];
    const struct control_rule *drained = NULL;
    *n = 0;
    *chosen = calloc(c->n_rules + 1, sizeof **chosen);
    if (*chosen == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (const struct control_rule *r = controls_pauses(c); r != NULL; r = r->next) {
        bool is_meant = slice_eq_str(r->id, word) || (slice_eq_str(r->group, word) && !r->leaves);
        drained = r->leaves && slice_eq_str(r->group, word) ? r : drained;
        if (is_meant && touches(r, p)) {
            (*chosen)[(*n)++] = r;
        }
    }
    if (*n == 0 && drained != NULL) { /* it may be at work: by its id only */
        return err_set(e, ERR_CONFIG, "group %.80s is drained for a reset by %.*s; should that have been cut off: "
                                      "sluice-offsets resume %.*s", word, SLICE_ARG(drained->who),
                       SLICE_ARG(drained->id));
    }
    return *n > 0 || err_set(e, ERR_CONFIG, "no pause is in force for %.100s; sluice-control list shows what is", word);
}

bool resume_verb(const struct tool *t, struct err *e)
{
    struct place p;
    struct controls c;
    uint64_t draw = 0;
    rd_kafka_t *rk = NULL;
    const struct control_rule **chosen = NULL;
    size_t n = 0;
    if (!place_words_check(t, e) || !tool_connect(t, KAFKA_READER, &rk, e)) {
        return false;
    }
    controls_init(&c, &draw);
    bool ok = place_find(t, rk, &p, e) && pauses_read(t, &c, e) && choose(t, &c, &p, &chosen, &n, e);
    struct control_rule rest;
    int32_t left[CONTROL_MAX_PARTITIONS];
    for (size_t i = 0; ok && i < n; i++) {
        ok = rest_of(chosen[i], &p, &rest, left, e); /* all or none */
    }
    for (size_t i = 0; ok && i < n; i++) {
        ok = resume_one(t, chosen[i], &p, e);
    }
    free(chosen);
    controls_fini(&c);
    tool_disconnect(rk);
    return ok;
}
