/* Which stage a group is of: what its commits must say with an offset, and what moving it does. */
#pragma once

#include "base/slice.h"
#include "groups.h"
#include "tool.h"

enum stage_kind_of { GROUP_VALIDATE, GROUP_LIMIT, GROUP_ROLLUP, GROUP_AMP, GROUP_PARQUET, N_GROUP_KINDS };
extern const char *const group_kind_names[N_GROUP_KINDS];

/* By --stage, its commits' metadata, or its name (sluice-amp, sluice-amp-…). ERR_CONFIG: none tells. */
bool group_kind(const struct tool *t, const char *group, const rd_kafka_topic_partition_list_t *committed,
                enum stage_kind_of *out, struct err *e) MUST_CHECK;
/* What a move back of such a group does, for people. */
const char *group_kind_effect(enum stage_kind_of kind);
/* An element's metadata as text, without what clients put behind it. */
struct slice commit_metadata(const rd_kafka_topic_partition_t *at);
