#include "range.h"

#include <stdio.h>
#include <stdlib.h>

#include <errno.h>
#include <unistd.h>

#include "key.h"
#include "merge.h"
#include "run.h"
#include "sorted_rows.h"
#include "table_file.h"

enum {
    DEFAULT_ROWS_BYTES = 64 << 20,
    DEFAULT_WRITER_BYTES = 128 << 20,
    DEFAULT_ZSTD_LEVEL = 3,
    MAX_KEY = 2048,
    MAX_RUNS = MERGE_MAX_SOURCES - 1,
    ROW_FILE_BYTES = 4 /* a row takes in a file, about */
};

struct range {
    struct range_options options; /* the strings are its own */
    char *topic;
    char *topic_id;
    char *scratch_dir;
    struct layout layout;
    struct objects objects;
    struct rows rows;          /* the last ones */
    struct sorted_rows sorted; /* these, since the first write after the last add */
    bool is_sorted;
    struct run runs[MAX_RUNS]; /* those before, each sorted */
    size_t n_runs;
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
    if (access(o->scratch_dir, W_OK | X_OK) != 0) {
        return err_set_code(e, ERR_CONFIG, errno, "scratch directory %.120s: %s", o->scratch_dir,
                            strerror(errno));
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

static void unsort(struct range *r)
{
    if (r->is_sorted) {
        sorted_rows_fini(&r->sorted);
    }
    r->is_sorted = false;
}

void range_close(struct range *r)
{
    if (r == NULL) {
        return;
    }
    plan_free(r);
    unsort(r);
    for (size_t i = 0; i < r->n_runs; i++) {
        run_free(&r->runs[i]);
    }
    rows_fini(&r->rows);
    objects_fini(&r->objects);
    free(r->topic);
    free(r->topic_id);
    free(r->scratch_dir);
    free(r);
}

/* --- scratch files --- */

static bool spill(struct range *r, struct err *e)
{
    struct sorted_rows sorted;
    bool ok =
        sorted_rows_init(&sorted, &r->rows, e) &&
        run_write(&r->runs[r->n_runs], r->scratch_dir, sorted_rows_stream(&sorted), &r->objects, e);
    sorted_rows_fini(&sorted);
    if (ok) {
        r->n_runs++;
        rows_reset(&r->rows);
    }
    return ok;
}

struct readers {
    struct run_reader of_run[MAX_RUNS];
    size_t n;
};

static void readers_fini(struct readers *readers)
{
    for (size_t i = 0; i < readers->n; i++) {
        run_reader_fini(&readers->of_run[i]);
    }
    free(readers);
}

/* The runs' rows of an object. */
static bool runs_merge(struct range *r, const struct object *o, struct merge *m,
                       struct readers **out, struct err *e)
{
    struct readers *readers = *out = calloc(1, sizeof *readers);
    if (readers == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for reading scratch files");
    }
    merge_init(m, &r->objects, o);
    for (size_t i = 0; i < r->n_runs; i++) {
        struct run_reader *reader = &readers->of_run[readers->n++];
        if (run_reader_init(reader, &r->runs[i], o) &&
            !merge_add(m, run_reader_stream(reader), e)) {
            return false;
        }
    }
    return true;
}

/* All rows of all runs, object by object. */
struct whole {
    struct range *range;
    const struct object **objects;
    size_t n_objects;
    size_t at;
    struct merge merge;
    struct readers *readers; /* of the object before at; NULL: none is open */
    const struct head *seen; /* the readers' */
    struct head heads[2];    /* the same: the next readers' may come to lie where the last's were */
    unsigned which;
};

static void whole_head(struct whole *w, struct row *row)
{
    if (row->head != w->seen) {
        w->seen = row->head;
        w->which = !w->which;
        w->heads[w->which] = *row->head;
    }
    row->head = &w->heads[w->which];
}

static bool whole_next(void *context, struct row *out, struct err *e)
{
    struct whole *w = context;
    for (;;) {
        if (w->readers != NULL) {
            struct row_stream rows = merge_stream(&w->merge);
            if (rows.next(rows.context, out, e)) {
                whole_head(w, out);
                return true;
            }
            if (e->kind != ERR_NONE) {
                return false;
            }
            readers_fini(w->readers);
            w->readers = NULL;
            w->seen = NULL;
        }
        e->kind = ERR_NONE;
        if (w->at == w->n_objects ||
            !runs_merge(w->range, w->objects[w->at++], &w->merge, &w->readers, e)) {
            return false;
        }
    }
}

/* Makes one run of all, so that there is room for more of them. */
static bool runs_join(struct range *r, struct err *e)
{
    struct run joined;
    struct whole w = {.range = r, .objects = calloc(objects_n(&r->objects) + 1, sizeof(void *))};
    if (w.objects == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for joining scratch files");
    }
    w.n_objects = objects_sort(&r->objects, w.objects);
    bool ok =
        run_write(&joined, r->scratch_dir, (struct row_stream){whole_next, &w}, &r->objects, e);
    if (w.readers != NULL) {
        readers_fini(w.readers);
    }
    free(w.objects);
    if (!ok) {
        return false;
    }
    for (size_t i = 0; i < r->n_runs; i++) {
        run_free(&r->runs[i]);
    }
    r->runs[0] = joined;
    r->n_runs = 1;
    return true;
}

/* One of the two. */
struct addition {
    const struct batch *batch;
    const struct rollup *rollup;
    int64_t offset;
};

static bool addition_take(struct range *r, const struct addition *a, bool *full, struct err *e)
{
    return a->batch != NULL ? rows_add(&r->rows, a->batch, a->offset, &r->objects, full, e)
                            : rows_add_rollup(&r->rows, a->rollup, a->offset, &r->objects, full, e);
}

static bool take(struct range *r, const struct addition *a, struct err *e)
{
    bool full;
    uint64_t before = r->rows.n_rows;
    unsort(r);
    if (!addition_take(r, a, &full, e)) {
        return false;
    }
    if (full) {
        if ((r->n_runs == MAX_RUNS && !runs_join(r, e)) || !spill(r, e)) {
            return false;
        }
        before = 0;
        if (!addition_take(r, a, &full, e)) {
            return false;
        }
    }
    r->n_rows += r->rows.n_rows - before;
    return true;
}

bool range_add(struct range *r, const struct batch *b, int64_t offset, struct err *e)
{
    return take(r, &(struct addition){.batch = b, .offset = offset}, e);
}

bool range_add_rollup(struct range *r, const struct rollup *rollup, int64_t offset, struct err *e)
{
    return take(r, &(struct addition){.rollup = rollup, .offset = offset}, e);
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
    size_t n_bytes = rows_held_bytes(&r->rows) + r->objects.held_bytes + sizeof *r;
    for (size_t i = 0; i < r->n_runs; i++) {
        n_bytes += run_held_bytes(&r->runs[i]);
    }
    return n_bytes;
}

uint64_t range_scratch_bytes(const struct range *r)
{
    uint64_t n_bytes = 0;
    for (size_t i = 0; i < r->n_runs; i++) {
        n_bytes += (uint64_t)r->runs[i].n_bytes;
    }
    return n_bytes;
}

static char *key_of(const struct range *r, const struct object *o)
{
    const struct key_range range = {r->topic, r->topic_id, r->options.partition, r->first, r->last};
    struct buf key;
    size_t len;
    buf_init(&key, MAX_KEY);
    key_put(&r->layout, o->table, &range, o->slot, o->tenant, &key);
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
    return (struct object_facts){.table = o->table,
                                 .tenant = o->tenant,
                                 .first_offset = r->first,
                                 .last_offset = r->last,
                                 .n_rows = o->n_rows,
                                 .min_ts_ms = o->min_ts_ms,
                                 .max_ts_ms = o->max_ts_ms};
}

/* The last rows go into the merge, too. */
static bool memory_merge(struct range *r, const struct object *o, struct merge *m, struct err *e)
{
    if (!r->is_sorted) {
        r->is_sorted = sorted_rows_init(&r->sorted, &r->rows, e);
        if (!r->is_sorted) {
            return false;
        }
    }
    sorted_rows_seek(&r->sorted, o);
    return merge_add(m, sorted_rows_stream(&r->sorted), e);
}

static bool object_rows(struct range *r, const struct object *o, struct table_file *w,
                        struct err *e)
{
    struct merge m;
    struct readers *readers;
    struct row row;
    uint64_t n_rows = 0;
    bool ok = runs_merge(r, o, &m, &readers, e) && memory_merge(r, o, &m, e);
    struct row_stream rows = merge_stream(&m);
    while (ok && rows.next(rows.context, &row, e)) {
        ok = table_file_put(w, &row, e);
        n_rows++;
    }
    ok = ok && e->kind == ERR_NONE;
    if (readers != NULL) {
        readers_fini(readers);
    }
    if (ok && n_rows != o->n_rows) {
        return err_set(e, ERR_FATAL, "%llu rows came back of %llu", (unsigned long long)n_rows,
                       (unsigned long long)o->n_rows);
    }
    return ok;
}

bool range_write(struct range *r, size_t i, const struct parquet_pair *pairs, size_t n_pairs,
                 parquet_sink sink, void *sink_context, struct err *e)
{
    const struct object *o = r->planned[i];
    const struct table_file_options options = {.table = o->table,
                                               .layout = &r->layout,
                                               .partition = r->options.partition,
                                               .codec = PARQUET_ZSTD,
                                               .zstd_level = r->options.zstd_level,
                                               .portable = r->options.portable,
                                               .max_bytes = r->options.max_writer_bytes,
                                               .pairs = pairs,
                                               .n_pairs = n_pairs};
    struct table_file *w;
    bool ok = table_file_open(&options, sink, sink_context, &w, e) && object_rows(r, o, w, e) &&
              table_file_close(w, e);
    table_file_free(w);
    return ok || err_wrap(e, "%s", r->keys[i]);
}
