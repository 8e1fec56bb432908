#include "groups.h"

#include "admin_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

static bool add_name(struct groups *g, const char *name, struct err *e)
{
    struct group *items = realloc(g->items, (g->n + 1) * sizeof *items);
    if (items == NULL) {
        return no_memory(e);
    }
    g->items = items;
    items[g->n] = (struct group){.name = strdup(name), .state = RD_KAFKA_CONSUMER_GROUP_STATE_DEAD};
    return items[g->n++].name != NULL || no_memory(e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct group *)a)->name, ((const struct group *)b)->name);
}

bool groups_list(rd_kafka_t *rk, const char *prefix, struct groups *out, struct err *e)
{
    *out = (struct groups){0};
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_ListConsumerGroups(rk, c.options, c.queue);
    bool ok = admin_call_wait(&c, "list groups", e);
    size_t n = 0;
    const rd_kafka_ListConsumerGroups_result_t *result = ok ? rd_kafka_event_ListConsumerGroups_result(c.event) : NULL;
    const rd_kafka_error_t **errors = ok ? rd_kafka_ListConsumerGroups_result_errors(result, &n) : NULL;
    if (n > 0) { /* one broker that is away would hide its groups */
        ok = err_set(e, ERR_RETRY, "list groups: %s", rd_kafka_error_string(errors[0]));
    }
    const rd_kafka_ConsumerGroupListing_t **found = ok ? rd_kafka_ListConsumerGroups_result_valid(result, &n) : NULL;
    for (size_t i = 0; ok && i < n; i++) {
        const char *name = rd_kafka_ConsumerGroupListing_group_id(found[i]);
        ok = strncmp(name, prefix, strlen(prefix)) != 0 || add_name(out, name, e);
    }
    admin_call_end(&c);
    if (out->n > 0) {
        qsort(out->items, out->n, sizeof *out->items, by_name);
    }
    return ok;
}

bool groups_named(const char *const *names, size_t n, struct groups *out, struct err *e)
{
    *out = (struct groups){0};
    for (size_t i = 0; i < n; i++) {
        if (!add_name(out, names[i], e)) {
            return false;
        }
    }
    return true;
}

static bool add_owner(struct group *g, const rd_kafka_topic_partition_t *at, const char *client, struct err *e)
{
    struct group_owner *owners = realloc(g->owners, (g->n_owners + 1) * sizeof *owners);
    if (owners == NULL) {
        return no_memory(e);
    }
    g->owners = owners;
    struct group_owner *new = &owners[g->n_owners++];
    *new = (struct group_owner){strdup(at->topic), at->partition, strdup(client)};
    return (new->topic != NULL && new->client != NULL) || no_memory(e);
}

static bool take_member(struct group *g, const rd_kafka_MemberDescription_t *m, struct err *e)
{
    char client[400];
    (void)snprintf(client, sizeof client, "%.250s%.140s", rd_kafka_MemberDescription_client_id(m),
                   rd_kafka_MemberDescription_host(m));
    const rd_kafka_topic_partition_list_t *list =
        rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(m));
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        if (!add_owner(g, &list->elems[i], client, e)) {
            return false;
        }
    }
    return true;
}

static bool describe(rd_kafka_t *rk, struct group *g, struct err *e)
{
    const char *names[1] = {g->name};
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(rk, names, 1, c.options, c.queue);
    bool ok = admin_call_wait(&c, "describe", e);
    size_t n = 0;
    const rd_kafka_ConsumerGroupDescription_t **found =
        ok ? rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(c.event), &n)
           : NULL;
    const rd_kafka_error_t *error = n == 1 ? rd_kafka_ConsumerGroupDescription_error(found[0]) : NULL;
    bool is_unknown = error != NULL && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND;
    if (error != NULL && !is_unknown) {
        ok = err_set(e, ERR_RETRY, "describe: %s", rd_kafka_error_string(error));
    } else if (n == 1 && !is_unknown) {
        g->state = rd_kafka_ConsumerGroupDescription_state(found[0]);
        g->n_members = rd_kafka_ConsumerGroupDescription_member_count(found[0]);
        for (size_t i = 0; ok && i < g->n_members; i++) {
            ok = take_member(g, rd_kafka_ConsumerGroupDescription_member(found[0], i), e);
        }
    }
    admin_call_end(&c);
    return ok;
}

bool group_committed(rd_kafka_t *rk, const char *group, rd_kafka_topic_partition_list_t **out, struct err *e)
{
    rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_ListConsumerGroupOffsets(rk, &ask, 1, c.options, c.queue);
    bool ok = admin_call_wait(&c, "committed offsets", e);
    size_t n = 0;
    const rd_kafka_group_result_t **found =
        ok ? rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(c.event), &n)
           : NULL;
    const rd_kafka_error_t *error = n == 1 ? rd_kafka_group_result_error(found[0]) : NULL;
    if (error != NULL) {
        ok = err_set(e, ERR_RETRY, "committed offsets: %s", rd_kafka_error_string(error));
    }
    const rd_kafka_topic_partition_list_t *list = ok && n == 1 ? rd_kafka_group_result_partitions(found[0]) : NULL;
    *out = ok ? (list == NULL ? rd_kafka_topic_partition_list_new(1) : rd_kafka_topic_partition_list_copy(list)) : NULL;
    if (*out != NULL) {
        rd_kafka_topic_partition_list_sort(*out, NULL, NULL);
    }
    admin_call_end(&c);
    rd_kafka_ListConsumerGroupOffsets_destroy(ask);
    return ok;
}

bool groups_describe(rd_kafka_t *rk, struct groups *g, struct err *e)
{
    for (size_t i = 0; i < g->n; i++) {
        struct group *one = &g->items[i];
        if (!describe(rk, one, e) || !group_committed(rk, one->name, &one->committed, e)) {
            return err_wrap(e, "group %s", one->name);
        }
    }
    return true;
}

void groups_free(struct groups *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct group *one = &g->items[i];
        for (size_t k = 0; k < one->n_owners; k++) {
            free(one->owners[k].topic);
            free(one->owners[k].client);
        }
        free(one->owners);
        free(one->name);
        if (one->committed != NULL) {
            rd_kafka_topic_partition_list_destroy(one->committed);
        }
    }
    free(g->items);
    *g = (struct groups){0};
}

bool group_alter(rd_kafka_t *rk, const char *group, const rd_kafka_topic_partition_list_t *list, struct err *e)
{
    rd_kafka_AlterConsumerGroupOffsets_t *alter = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_AlterConsumerGroupOffsets(rk, &alter, 1, c.options, c.queue);
    bool ok = admin_call_wait(&c, "alter offsets", e);
    size_t n = 0;
    const rd_kafka_AlterConsumerGroupOffsets_result_t *result =
        ok ? rd_kafka_event_AlterConsumerGroupOffsets_result(c.event) : NULL;
    const rd_kafka_group_result_t **found =
        result == NULL ? NULL : rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &n);
    for (size_t i = 0; ok && i < n; i++) {
        const rd_kafka_error_t *error = rd_kafka_group_result_error(found[i]);
        const rd_kafka_topic_partition_list_t *done = rd_kafka_group_result_partitions(found[i]);
        const char *why = error != NULL ? rd_kafka_error_string(error) : NULL;
        for (int k = 0; why == NULL && done != NULL && k < done->cnt; k++) {
            why = done->elems[k].err != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(done->elems[k].err) : NULL;
        }
        ok = why == NULL || err_set(e, ERR_RETRY, "group %s: %s; stop its workers first", group, why);
    }
    admin_call_end(&c);
    rd_kafka_AlterConsumerGroupOffsets_destroy(alter);
    return ok;
}

const struct group_owner *group_owner_of(const struct group *g, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < g->n_owners; i++) {
        if (g->owners[i].partition == partition && strcmp(g->owners[i].topic, topic) == 0) {
            return &g->owners[i];
        }
    }
    return NULL;
}
