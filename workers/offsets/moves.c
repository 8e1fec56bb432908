#include "moves.h"

#include "record_writer.h"
#include "snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

bool moves_add(struct moves *m, const char *topic, int32_t partition, struct err *e)
{
    struct move *items = realloc(m->items, (m->n + 1) * sizeof *items);
    if (items == NULL) {
        return no_memory(e);
    }
    m->items = items;
    items[m->n] = (struct move){
        .topic = strdup(topic), .partition = partition, .old_offset = -1, .new_offset = -1};
    return items[m->n++].topic != NULL || no_memory(e);
}

static bool set(int64_t *offset, char **metadata, int64_t to, struct slice text, struct err *e)
{
    free(*metadata);
    *offset = to;
    *metadata = strndup(text.len == 0 ? "" : (const char *)text.ptr,
                        text.len); /* ends at a NUL, as librdkafka does */
    return *metadata != NULL || no_memory(e);
}

bool moves_set_old(struct moves *m, int64_t offset, struct slice metadata, struct err *e)
{
    struct move *last = &m->items[m->n - 1];
    return set(&last->old_offset, &last->old_metadata, offset, metadata, e);
}

bool moves_set_new(struct moves *m, int64_t offset, struct slice metadata, struct err *e)
{
    struct move *last = &m->items[m->n - 1];
    return set(&last->new_offset, &last->new_metadata, offset, metadata, e);
}

void moves_free(struct moves *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->items[i].topic);
        free(m->items[i].old_metadata);
        free(m->items[i].new_metadata);
    }
    free(m->items);
    *m = (struct moves){0};
}

static bool check_group(rd_kafka_t *rk, const char *group, bool needs_commits, struct err *e)
{
    struct groups g = {0};
    bool ok = groups_named(&group, 1, &g, e) && groups_describe(rk, &g, e);
    if (ok && g.items[0].n_members > 0) {
        ok = err_set(e, ERR_CONFIG,
                     "group %.80s has %zu members (%.80s): stop its workers first (reset: or --drain), "
                     "or their next commit undoes it",
                     group, g.items[0].n_members,
                     g.items[0].n_owners > 0 ? g.items[0].owners[0].client : "one is joining");
    } else if (ok && needs_commits && g.items[0].committed->cnt == 0) {
        ok = err_set(e, ERR_CONFIG,
                     "group %.100s has committed nothing: is that its name? sluice-offsets status "
                     "lists them",
                     group);
    }
    groups_free(&g);
    return ok;
}

bool group_is_idle(rd_kafka_t *rk, const char *group, struct err *e)
{
    return check_group(rk, group, false, e);
}

bool group_is_stopped(rd_kafka_t *rk, const char *group, struct err *e)
{
    return check_group(rk, group, true, e);
}

bool moves_check_forward(const struct tool *t, const struct moves *m, struct err *e)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct move *one = &m->items[i];
        if (one->new_offset > one->old_offset && one->old_offset >= 0 &&
            t->command->values[OPTION_FORCE] == NULL) {
            return err_set(
                e, ERR_CONFIG,
                "%s[%d]: offset %" PRId64 " lies behind the committed one, %" PRId64
                ": what is between would be read by nobody; --force does it all the same",
                one->topic, one->partition, one->new_offset, one->old_offset);
        }
    }
    return true;
}

static void print(const struct tool *t, const struct moves *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct move *one = &m->items[i];
        (void)fprintf(tool_talk(t), "%s[%d] %" PRId64 " -> %" PRId64 "%s%s\n", one->topic,
                      one->partition, one->old_offset, one->new_offset,
                      one->new_metadata[0] == '\0' ? "" : "  ", one->new_metadata);
    }
}

/* [{"topic", "partition", "from", "to"}] */
static json_t *moves_json(const struct moves *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n; i++) {
        const struct move *one = &m->items[i];
        (void)json_array_append_new(list, json_pack("{s:s, s:i, s:I, s:I}", "topic", one->topic,
                                                    "partition", (int)one->partition, "from",
                                                    (json_int_t)one->old_offset, "to",
                                                    (json_int_t)one->new_offset));
    }
    return list;
}

/* path: the snapshot's; NULL = there is none. */
static bool report(const struct tool *t, const char *group, const struct moves *m, const char *path,
                   struct err *e)
{
    bool is_done = t->command->values[OPTION_DRY_RUN] == NULL;
    if (t->command->values[OPTION_JSON] == NULL) {
        (void)printf(!is_done       ? "dry run: nothing was changed\n"
                     : path == NULL ? "done\n" /* there was nothing to go back to */
                                    : "done; as it was before: %s (sluice-offsets restore)\n",
                     path);
        return true;
    }
    json_t *out = json_pack("{s:s, s:b, s:s?, s:o}", "group", group, "done", is_done, "snapshot", path,
                            "moves", moves_json(m));
    bool ok = out != NULL && json_dumpf(out, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
              puts("") != EOF;
    json_decref(out);
    return ok || err_set(e, ERR_FATAL, "it could not be written");
}

static bool is_confirmed(const struct tool *t, const char *group, size_t n, struct err *e)
{
    char question[320];
    (void)snprintf(question, sizeof question, "set these %zu offsets of group %s?", n, group);
    return tool_confirm(t, question, e);
}

/* Who did it, and what was there before: the topic's memory is longer than a file's. */
static bool note(const struct tool *t, const char *group, const struct moves *m, struct err *e)
{
    static const char *const acts[N_VERBS] = {[VERB_RESET] = "reset",
                                              [VERB_RESTORE] = "restore",
                                              [VERB_PARQUET_SKIP] = "parquet skip",
                                              [VERB_PARQUET_RESTORE] = "parquet restore"};
    json_t *list = moves_json(m);
    char *text = json_dumps(list, JSON_COMPACT);
    bool ok = text != NULL ? act_note(t, acts[t->command->verb], group, text, e) : no_memory(e);
    free(text);
    json_decref(list);
    return ok;
}

static bool alter(rd_kafka_t *rk, const char *group, const struct moves *m, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)m->n);
    bool ok = true;
    for (size_t i = 0; ok && i < m->n; i++) {
        rd_kafka_topic_partition_t *at =
            rd_kafka_topic_partition_list_add(list, m->items[i].topic, m->items[i].partition);
        at->offset = m->items[i].new_offset;
        if (m->items[i].new_metadata[0] != '\0') {
            at->metadata = strdup(m->items[i].new_metadata); /* the list frees it */
            at->metadata_size = at->metadata == NULL ? 0 : strlen(m->items[i].new_metadata);
            ok = at->metadata != NULL || no_memory(e);
        }
    }
    ok = ok && group_alter(rk, group, list, e);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static bool has_any(const struct moves *m, struct err *e)
{
    return m->n > 0 || err_set(e, ERR_CONFIG, "there is nothing to set");
}

bool moves_ask(const struct tool *t, const char *group, const struct moves *m, struct err *e)
{
    print(t, m);
    return has_any(m, e) && is_confirmed(t, group, m->n, e);
}

/* Without a word before it. */
static bool set_all(const struct tool *t, rd_kafka_t *rk, const char *group, const struct moves *m, struct err *e)
{
    char path[SNAPSHOT_MAX_PATH];
    bool had_any = false;
    for (size_t i = 0; i < m->n; i++) {
        had_any |= m->items[i].old_offset >= 0;
    }
    return (!had_any || snapshot_write(t, rk, group, t->command->values[OPTION_OUT], path, e)) && note(t, group, m, e) &&
           alter(rk, group, m, e) && report(t, group, m, had_any ? path : NULL, e);
}

bool moves_set(const struct tool *t, rd_kafka_t *rk, const char *group, const struct moves *m, struct err *e)
{
    print(t, m);
    return has_any(m, e) && set_all(t, rk, group, m, e);
}

bool moves_do(const struct tool *t, rd_kafka_t *rk, const char *group, const struct moves *m, struct err *e)
{
    if (t->command->values[OPTION_DRY_RUN] != NULL) {
        print(t, m);
        return has_any(m, e) && report(t, group, m, NULL, e);
    }
    return moves_ask(t, group, m, e) && set_all(t, rk, group, m, e);
}
