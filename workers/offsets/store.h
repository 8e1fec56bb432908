/* The objects that sluice-parquet has stored, as their keys tell: <prefix>/<table>/…/<topic>-<topic
 * id>-<partition>-<first>-<last>.parquet. */
#pragma once

#include "aws/s3_object.h"
#include "ledger/table.h"
#include "tool.h"

#define STORE_CONFIG(KEY)                                                                          \
    KEY("bucket", STRING, "", 0, 0, "parquet, audit: as sluice-parquet has it; so the next keys")  \
    KEY("prefix", STRING, "", 0, 0, "of all keys, without a slash at either end")                  \
    KEY("endpoint", STRING, "", 0, 0, "http(s)://…, in the place of AWS's S3")                     \
    KEY("path_style", BOOL, "false", 0, 0, "the bucket in the path, not in the host's name")       \
    KEY("aws.region", STRING, "", 0, 0,                                                            \
        "of the bucket; empty = AWS_REGION, AWS_DEFAULT_REGION, profile")                          \
    KEY("fips", BOOL, "false", 0, 0, "AWS's FIPS endpoint")                                        \
    KEY("dual_stack", BOOL, "false", 0, 0, "AWS's dual-stack endpoint")                            \
    KEY("ca_file", STRING, "", 0, 0, "certificates of authorities, PEM; empty = the system's")     \
    KEY("request_timeout_ms", INT, "30000", 10, 3600000, "S3: no answer within this is an error, ms")

struct store;

/* ERR_CONFIG: no bucket is named, or what is named can't be. */
bool store_open(const struct tool *t, struct store **out, struct err *e) MUST_CHECK;
void store_close(struct store *s);

/* One object, by its key. Texts are borrowed for the call. */
struct stored {
    struct slice key;
    enum table_id table;
    struct slice topic;
    struct slice topic_id;
    int32_t partition;
    int64_t first;
    int64_t last;
    int64_t n_bytes;
    bool is_ours; /* false: a key that is none of sluice's; only key, table and n_bytes are set */
};
typedef bool (*stored_fn)(void *ctx, const struct stored *o, struct err *e);
bool store_list(struct store *s, enum table_id table, stored_fn each, void *ctx, struct err *e) MUST_CHECK;

/* Some of an object's metadata; values live in a, NULL = it has none such. */
bool store_metadata(struct store *s, struct slice key, const char *const *names, size_t n, const char **values,
                    struct arena *a, struct err *e) MUST_CHECK;
