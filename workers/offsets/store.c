#include "store.h"

#include "aws/credentials.h"
#include "aws/region.h"
#include "ledger/object_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ANSWER_BYTES = 16 << 20,
    MIN_REFRESH_MS = 5000,
    MIN_BACKOFF_MS = 200,
    MAX_BACKOFF_MS = 3000,
    MAX_ATTEMPTS = 4,
    LIST_MAX_BYTES = 512 << 20
};

static const char user_agent[] = "sluice/" SLUICE_VERSION;

struct store {
    struct credentials *credentials;
    struct s3 *s3;
    char region[REGION_MAX_CHARS + 1];
    const char *prefix;
};

static bool open_s3(struct store *s, const struct config *c, struct err *e)
{
    const struct credentials_options credentials = {.user_agent = user_agent,
                                                    .min_refresh_ms = MIN_REFRESH_MS};
    if (!credentials_choose_region(config_str(c, "aws.region"), "aws.region", s->region,
                                   sizeof s->region, e) ||
        !credentials_open(&credentials, &s->credentials, e)) {
        return false;
    }
    const struct s3_options options = {
        .bucket = config_str(c, "bucket"),
        .region = s->region,
        .endpoint = config_str(c, "endpoint"),
        .path_style = config_bool(c, "path_style"),
        .fips = config_bool(c, "fips"),
        .dual_stack = config_bool(c, "dual_stack"),
        .ca_file = config_str(c, "ca_file"),
        .user_agent = user_agent,
        .timeout_ms = config_int(c, "request_timeout_ms"),
        .max_attempts = MAX_ATTEMPTS,
        .min_backoff_ms = MIN_BACKOFF_MS,
        .max_backoff_ms = MAX_BACKOFF_MS,
        .max_connections = 4,
        .max_answer_bytes = MAX_ANSWER_BYTES,
        .credentials = s->credentials,
    };
    return s3_open(&options, &s->s3, e);
}

bool store_open(const struct tool *t, struct store **out, struct err *e)
{
    if (config_str(t->config, "bucket")[0] == '\0') {
        return err_set(e, ERR_CONFIG,
                       "bucket is not set: what the bucket holds must be seen first; take "
                       "sluice-parquet's bucket, prefix, "
                       "endpoint and aws.region");
    }
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    s->prefix = config_str(t->config, "prefix");
    if (!open_s3(s, t->config, e)) {
        store_close(s);
        return false;
    }
    *out = s;
    return true;
}

void store_close(struct store *s)
{
    if (s != NULL) {
        s3_close(s->s3);
        credentials_close(s->credentials);
        free(s);
    }
}

/* All keys first: a list's page does not outlive another request, and whoever is told of an object
 * may ask for more. */
struct listing {
    struct arena arena;
    struct listed *first;
    struct listed **last;
};

struct listed {
    struct listed *next;
    struct slice key;
    int64_t n_bytes;
};

static bool keep_key(void *ctx, struct slice key, int64_t n_bytes, struct err *e)
{
    struct listing *l = ctx;
    struct listed *one = ARENA_ARRAY(&l->arena, struct listed, 1);
    struct slice copy = arena_copy(&l->arena, key);
    if (one == NULL || copy.ptr == NULL) {
        return err_set(e, ERR_FATAL, "too many objects for one look (%d MiB of keys)",
                       LIST_MAX_BYTES >> 20);
    }
    *one = (struct listed){.key = copy, .n_bytes = n_bytes};
    *l->last = one;
    l->last = &one->next;
    return true;
}

static bool tell_all(const struct listing *l, enum table_id table, stored_fn each, void *ctx,
                     struct err *e)
{
    for (const struct listed *one = l->first; one != NULL; one = one->next) {
        struct stored o = {.key = one->key, .table = table, .n_bytes = one->n_bytes};
        struct object_name name;
        o.is_ours = object_name_read(o.key, &name);
        if (o.is_ours) {
            o.topic = name.topic;
            o.topic_id = name.topic_id;
            o.partition = name.partition;
            o.first = name.first;
            o.last = name.last;
        }
        if (!each(ctx, &o, e)) {
            return false;
        }
    }
    return true;
}

bool store_list(struct store *s, enum table_id table, stored_fn each, void *ctx, struct err *e)
{
    char folder[400];
    struct listing l = {.first = NULL};
    l.last = &l.first;
    (void)snprintf(folder, sizeof folder, "%.300s%s%s/", s->prefix, s->prefix[0] == '\0' ? "" : "/",
                   table_name(table));
    arena_init(&l.arena, LIST_MAX_BYTES);
    bool ok =
        (s3_list(s->s3, slice_str(folder), keep_key, &l, e) || err_wrap(e, "list %s", folder)) &&
        tell_all(&l, table, each, ctx, e);
    arena_fini(&l.arena);
    return ok;
}

bool store_metadata(struct store *s, struct slice key, const char *const *names, size_t n,
                    const char **values, struct arena *a, struct err *e)
{
    struct s3_head head;
    return (s3_head(s->s3, key, names, n, values, a, &head, e) &&
            (head.found || err_set(e, ERR_RETRY, "it was there and is gone"))) ||
           err_wrap(e, "%.*s", key.len < 150 ? (int)key.len : 150, (const char *)key.ptr);
}
