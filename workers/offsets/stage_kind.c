#include "stage_kind.h"

#include "batch/rollup_commit.h"

#include <string.h>

const char *const group_kind_names[N_GROUP_KINDS] = {"validate", "limit", "rollup", "amp",
                                                     "parquet"};

struct slice commit_metadata(const rd_kafka_topic_partition_t *at)
{
    return slice_of(at->metadata,
                    at->metadata == NULL ? 0 : strnlen(at->metadata, at->metadata_size));
}

static bool by_metadata(const rd_kafka_topic_partition_list_t *committed, enum stage_kind_of *out)
{
    struct rollup_commit c;
    for (int i = 0; i < committed->cnt; i++) {
        struct slice metadata = commit_metadata(&committed->elems[i]);
        if (rollup_commit_read(metadata, &c)) {
            *out = GROUP_ROLLUP;
            return true;
        }
        if (slice_starts_with(metadata, SLICE_LITERAL("{\"first\":"))) {
            *out = GROUP_PARQUET;
            return true;
        }
    }
    return false;
}

static bool by_name(const char *name, const char *prefix, enum stage_kind_of *out)
{
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0) {
        return false;
    }
    for (int i = 0; i < N_GROUP_KINDS; i++) {
        size_t len = strlen(group_kind_names[i]);
        if (strncmp(name + n, group_kind_names[i], len) == 0 &&
            (name[n + len] == '\0' || name[n + len] == '-')) {
            *out = (enum stage_kind_of)i;
            return true;
        }
    }
    return false;
}

bool group_kind(const struct tool *t, const char *group,
                const rd_kafka_topic_partition_list_t *committed, enum stage_kind_of *out,
                struct err *e)
{
    const char *said = t->command->values[OPTION_STAGE];
    if (said == NULL) {
        return by_metadata(committed, out) ||
               by_name(group, config_str(t->config, "group_prefix"), out) ||
               err_set(e, ERR_CONFIG,
                       "neither its name nor its commits tell which stage group %.80s is of; say "
                       "it with --stage "
                       "validate|limit|rollup|amp|parquet",
                       group);
    }
    for (int i = 0; i < N_GROUP_KINDS; i++) {
        if (strcmp(said, group_kind_names[i]) == 0) {
            *out = (enum stage_kind_of)i;
            return true;
        }
    }
    return err_set(e, ERR_CONFIG, "--stage %.40s is none of validate, limit, rollup, amp, parquet",
                   said);
}

const char *group_kind_effect(enum stage_kind_of kind)
{
    static const char *const effects[N_GROUP_KINDS] = {
        [GROUP_VALIDATE] = "validate reads its input again: harmless, and for series of no use, "
                           "since limit drops what it "
                           "has seen; dead letters repeat. Mind a policy whose classes were split since: of the "
                           "last record of a partition a part may come twice",
        [GROUP_LIMIT] =
            "limit reads its input again: harmless and of no use, since it drops what it has seen",
        [GROUP_ROLLUP] = "rollup reads its input again: no row changes, none comes twice",
        [GROUP_AMP] = "amp sends again: the store has these samples already; what is older than "
                      "max_sample_age_ms is "
                      "skipped and told as gaps",
        [GROUP_PARQUET] = "parquet stores again what has no objects",
    };
    return effects[kind];
}
