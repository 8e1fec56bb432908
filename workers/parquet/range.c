#include "range.h"

#include <stdio.h>
#include <stdlib.h>

#include "key.h"
#include "objects.h"
#include "sorted_rows.h"
#include "table_def.h"

enum {
    DEFAULT_ROWS_BYTES = 64 << 20,
    DEFAULT_WRITER_BYTES = 64 << 20,
    DEFAULT_ZSTD_LEVEL = 3,
    MAX_KEY = 2048,
    ROW_FILE_BYTES = 4 /* a row takes in a file, about */
};

struct range {
    struct range_options options; /* the strings are its own */
    char *topic;
    char *topic_id;
    char *scratch_dir;
    struct layout layout;
    struct objects objects;
    struct rows rows;
    uint64_t n_rows;
    /* The plan. */
    int64_t first;
    int64_t last;
    const struct object **planned;
    char **keys;
    size_t n_planned;
};

static bool options_check(struct range_options *o, struct err *e)
{
    o->max_rows_bytes = o->max_rows_bytes == 0 ? DEFAULT_ROWS_BYTES : o->max_rows_bytes;
    o->max_writer_bytes = o->max_writer_bytes == 0 ? DEFAULT_WRITER_BYTES : o->max_writer_bytes;
    o->zstd_level = o->zstd_level == 0 ? DEFAULT_ZSTD_LEVEL : o->zstd_level;
    if (o->max_rows_bytes < RANGE_LEAST_ROWS_BYTES) {
        return err_set(e, ERR_CONFIG, "memory for rows is %zu bytes and must be %d at least",
                       o->max_rows_bytes, RANGE_LEAST_ROWS_BYTES);
    }
    if (o->max_writer_bytes < RANGE_LEAST_WRITER_BYTES) {
        return err_set(e, ERR_CONFIG, "memory for the writer is %zu bytes and must be %d at least",
                       o->max_writer_bytes, RANGE_LEAST_WRITER_BYTES);
    }
    return true;
}

bool range_open(const struct range_options *o, const struct layout *l, struct range **out,
                struct err *e)
{
    struct range_options options = *o;
    *out = NULL;
    if (!options_check(&options, e)) {
        return false;
    }
    struct range *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a range");
    }
    r->options = options;
    r->layout = *l;
    objects_init(&r->objects, l->tenant_level);
    rows_init(&r->rows, l->hours, options.max_rows_bytes);
    r->topic = strdup(o->topic);
    r->topic_id = strdup(o->topic_id);
    r->scratch_dir = strdup(o->scratch_dir);
    if (r->topic == NULL || r->topic_id == NULL || r->scratch_dir == NULL) {
        range_close(r);
        return err_set(e, ERR_RETRY, "out of memory for a range");
    }
    *out = r;
    return true;
}

static void plan_free(struct range *r)
{
    for (size_t i = 0; i < r->n_planned && r->keys != NULL; i++) {
        free(r->keys[i]);
    }
    free(r->keys);
    free(r->planned);
    r->keys = NULL;
    r->planned = NULL;
    r->n_planned = 0;
}

void range_close(struct range *r)
{
    if (r == NULL) {
        return;
    }
    plan_free(r);
    rows_fini(&r->rows);
    objects_fini(&r->objects);
    free(r->topic);
    free(r->topic_id);
    free(r->scratch_dir);
    free(r);
}

bool range_add(struct range *r, const struct batch *b, int64_t offset, struct err *e)
{
    bool full;
    uint64_t before = r->rows.n_rows;
    if (!rows_add(&r->rows, b, offset, &r->objects, &full, e)) {
        return false;
    }
    r->n_rows += r->rows.n_rows - before;
    return true;
}

uint64_t range_n_rows(const struct range *r)
{
    return r->n_rows;
}

size_t range_n_bytes(const struct range *r)
{
    return r->n_rows * ROW_FILE_BYTES + r->rows.n_packed_bytes / 2;
}

size_t range_held_bytes(const struct range *r)
{
    return rows_held_bytes(&r->rows) + r->objects.held_bytes;
}

static char *key_of(const struct range *r, const struct object *o)
{
    const struct key_range range = {r->topic, r->topic_id, r->options.partition, r->first, r->last};
    struct buf key;
    size_t len;
    buf_init(&key, MAX_KEY);
    key_put(&r->layout, &range, o->slot, o->tenant, &key);
    buf_u8(&key, '\0');
    if (!buf_ok(&key)) {
        buf_fini(&key);
        return NULL;
    }
    return (char *)buf_take(&key, &len);
}

bool range_plan(struct range *r, int64_t first, int64_t last, size_t *n_objects, struct err *e)
{
    size_t n = objects_n(&r->objects);
    *n_objects = 0;
    plan_free(r);
    r->first = first;
    r->last = last;
    r->planned = calloc(n + 1, sizeof *r->planned);
    r->keys = calloc(n + 1, sizeof *r->keys);
    if (r->planned == NULL || r->keys == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for the objects of a range");
    }
    n = objects_sort(&r->objects, r->planned);
    for (size_t i = 0; i < n; i++) {
        r->keys[i] = key_of(r, r->planned[i]);
        r->n_planned += r->keys[i] != NULL;
        if (r->keys[i] == NULL) {
            return err_set(e, ERR_RETRY, "out of memory for the objects of a range");
        }
    }
    *n_objects = n;
    return true;
}

const char *range_key(const struct range *r, size_t i)
{
    return r->keys[i];
}

struct object_facts range_facts(const struct range *r, size_t i)
{
    const struct object *o = r->planned[i];
    return (struct object_facts){.table = r->layout.table->name,
                                 .tenant = o->tenant,
                                 .first_offset = r->first,
                                 .last_offset = r->last,
                                 .n_rows = o->n_rows,
                                 .min_ts_ms = o->min_ts_ms,
                                 .max_ts_ms = o->max_ts_ms};
}

static bool object_rows(const struct range *r, const struct object *o, struct table_writer *w,
                        struct err *e)
{
    struct sorted_rows sorted;
    struct row row;
    if (!sorted_rows_init(&sorted, &r->rows, e)) {
        sorted_rows_fini(&sorted);
        return false;
    }
    sorted_rows_seek(&sorted, o->slot, o->tenant);
    struct row_stream stream = sorted_rows_stream(&sorted);
    bool ok = true;
    e->kind = ERR_NONE;
    while (ok && stream.next(stream.context, &row, e) && object_has(o, &r->objects, row.head)) {
        ok = r->layout.table->put(w, &row, e);
    }
    sorted_rows_fini(&sorted);
    return ok && e->kind == ERR_NONE;
}

bool range_write(struct range *r, size_t i, const struct parquet_pair *pairs, size_t n_pairs,
                 parquet_sink sink, void *sink_context, struct err *e)
{
    const struct table_def *table = r->layout.table;
    const struct table_options options = {.layout = &r->layout,
                                          .partition = r->options.partition,
                                          .codec = PARQUET_ZSTD,
                                          .zstd_level = r->options.zstd_level,
                                          .portable = r->options.portable,
                                          .max_bytes = r->options.max_writer_bytes,
                                          .pairs = pairs,
                                          .n_pairs = n_pairs};
    struct table_writer *w;
    bool ok = table->open(&options, sink, sink_context, &w, e) &&
              object_rows(r, r->planned[i], w, e) && table->close(w, e);
    table->free(w);
    return ok || err_wrap(e, "%s", r->keys[i]);
}
