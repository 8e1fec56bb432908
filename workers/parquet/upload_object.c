#include "upload_object.h"

#include "aws/s3_object.h"
#include "aws/s3_uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_PAIRS = 12, MAX_NUMBER = 24, HEAD_ARENA_BYTES = 1 << 20, PIECE_BYTES = 8 << 20 };

void object_job_init(struct object_job *j, const struct upload_order *order)
{
    struct buf text;
    *j = (struct object_job){.range = order->range,
                             .intent = order->intent,
                             .partition = order->partition,
                             .has_leftovers = order->is_redo,
                             .mends = order->mends,
                             .body_fd = -1};
    (void)snprintf(j->topic, sizeof j->topic, "%s", order->topic);
    buf_init(&text, sizeof j->intent_text - 1);
    intent_print(&order->intent, &text);
    if (buf_ok(&text) && text.len < sizeof j->intent_text) {
        memcpy(j->intent_text, text.ptr, text.len);
    }
    buf_fini(&text);
}

void object_job_fini(struct object_job *j)
{
    if (j->body_fd >= 0) {
        (void)close(j->body_fd);
    }
    range_close(j->range);
    j->range = NULL;
    j->body_fd = -1;
}

void object_job_count(const struct object_job *j, struct upload_status *out)
{
    memcpy(out->tables, j->tables, sizeof out->tables);
    out->n_parts_aborted = j->n_parts_aborted;
}

/* --- the ledger: what an object says of itself and of its range --- */

struct ledger {
    struct parquet_pair pairs[MAX_PAIRS];
    size_t n;
    char numbers[MAX_PAIRS][MAX_NUMBER];
};

static void add(struct ledger *l, const char *key, const char *value)
{
    l->pairs[l->n++] = (struct parquet_pair){key, value};
}

static void add_number(struct ledger *l, const char *key, int64_t value)
{
    (void)snprintf(l->numbers[l->n], MAX_NUMBER, "%" PRId64, value);
    add(l, key, l->numbers[l->n]);
}

/* The first three tell a range from another: an object that is there already has to have them. */
enum { N_COMPARED = 3 };

static void ledger_fill(struct ledger *l, const struct object_job *j)
{
    struct object_facts f = range_facts(j->range, j->n_done);
    l->n = 0;
    add(l, "intent", j->intent_text);
    add_number(l, "rows", (int64_t)f.n_rows);
    add_number(l, "objects", (int64_t)j->n_objects);
    add(l, "topic", j->topic);
    add_number(l, "partition", j->partition);
    add(l, "table", table_name(f.table));
    add_number(l, "first", f.first_offset);
    add_number(l, "last", f.last_offset);
    add_number(l, "min-ts-ms", f.min_ts_ms);
    add_number(l, "max-ts-ms", f.max_ts_ms);
}

/* --- the body --- */

static bool write_all(void *ctx, struct slice bytes, struct err *e)
{
    struct object_job *j = ctx;
    while (bytes.len > 0) {
        ssize_t n = write(j->body_fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set_code(e, ERR_RETRY, errno, "scratch file: %s", strerror(errno));
        }
        bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
        j->n_body_bytes += (size_t)n;
    }
    return true;
}

static void body_drop(struct object_job *j)
{
    if (j->body_fd >= 0) {
        (void)close(j->body_fd);
    }
    j->body_fd = -1;
}

/* Kept over retries of the request. */
static bool body_write(struct object_job *j, const char *scratch_dir, const struct ledger *l,
                       struct err *e)
{
    char path[512];
    if (j->body_fd >= 0) {
        return true;
    }
    (void)snprintf(path, sizeof path, "%s/sluice-object-XXXXXX", scratch_dir);
    j->body_fd = mkostemp(path, O_CLOEXEC);
    if (j->body_fd < 0) {
        return err_set_code(e, ERR_RETRY, errno, "scratch file %.100s: %s", path, strerror(errno));
    }
    (void)unlink(path); /* nothing stays behind, however the process ends */
    j->n_body_bytes = 0;
    if (!range_write(j->range, j->n_done, l->pairs, l->n, write_all, j, e)) {
        body_drop(j);
        return false;
    }
    return true;
}

/* --- the request --- */

static const char *kms_key_of(const struct uploader_options *o, struct slice tenant)
{
    for (size_t i = 0; i < o->n_kms_keys; i++) {
        const char *equals = strchr(o->kms_keys[i], '=');
        if (equals != NULL &&
            slice_eq(tenant, slice_of(o->kms_keys[i], (size_t)(equals - o->kms_keys[i])))) {
            return equals + 1;
        }
    }
    return o->kms_key;
}

static bool put(struct object_job *j, const struct uploader_options *o, struct s3 *s3,
                const struct ledger *l, bool only_if_absent, struct s3_put_result *out,
                struct err *e)
{
    struct s3_pair metadata[MAX_PAIRS];
    struct s3_put_options options = {.only_if_absent = only_if_absent,
                                     .kms_key =
                                         kms_key_of(o, range_facts(j->range, j->n_done).tenant),
                                     .tagging = o->tagging,
                                     .metadata = metadata,
                                     .n_metadata = l->n};
    for (size_t i = 0; i < l->n; i++) {
        metadata[i] = (struct s3_pair){l->pairs[i].key, l->pairs[i].value};
    }
    void *bytes = mmap(NULL, j->n_body_bytes, PROT_READ, MAP_PRIVATE, j->body_fd, 0);
    if (bytes == MAP_FAILED) {
        return err_set_code(e, ERR_RETRY, errno, "scratch file: cannot be mapped: %s",
                            strerror(errno));
    }
    struct slice key = slice_str(range_key(j->range, j->n_done));
    struct slice body = slice_of(bytes, j->n_body_bytes);
    bool in_parts = body.len >= o->multipart_bytes;
    bool ok = in_parts ? s3_put_parts(s3, key, body, o->part_bytes, &options, out, e)
                       : s3_put(s3, key, body, &options, out, e);
    j->has_leftovers = in_parts && !ok; /* aborting it may have failed, too */
    (void)munmap(bytes, j->n_body_bytes);
    return ok;
}

/* What is there must be of this very range: whoever stored it had the same intent. */
static enum object_result compare(struct object_job *j, struct s3 *s3, const struct ledger *l,
                                  struct err *e)
{
    struct arena a;
    struct s3_head head;
    const char *names[N_COMPARED];
    const char *values[N_COMPARED];
    enum object_result result = OBJECT_STEP_DONE;
    const char *key = range_key(j->range, j->n_done);
    for (size_t i = 0; i < N_COMPARED; i++) {
        names[i] = l->pairs[i].key;
    }
    arena_init(&a, HEAD_ARENA_BYTES);
    if (!s3_head(s3, slice_str(key), names, N_COMPARED, values, &a, &head, e)) {
        result = OBJECT_FAILED;
    } else if (!head.found) {
        (void)err_set(e, ERR_RETRY, "S3: %.120s was there and is gone", key);
        result = OBJECT_FAILED;
    }
    for (size_t i = 0; result == OBJECT_STEP_DONE && i < N_COMPARED; i++) {
        if (values[i] == NULL || strcmp(values[i], l->pairs[i].value) != 0) {
            (void)err_set(e, ERR_BAD_INPUT,
                          "%.100s is another object: its \"%s\" is %.50s, not %.50s", key, names[i],
                          values[i] == NULL ? "missing" : values[i], l->pairs[i].value);
            result = OBJECT_CONFLICT;
        }
    }
    arena_fini(&a);
    return result;
}

/* A piece at a time; both are of that length. */
static bool bytes_compare(struct s3 *s3, struct slice key, struct slice ours, bool *same,
                          struct err *e)
{
    struct buf piece;
    bool found = true;
    bool ok = true;
    buf_init(&piece, PIECE_BYTES);
    *same = true;
    for (size_t at = 0; ok && *same && at < ours.len; at += PIECE_BYTES) {
        size_t n = ours.len - at < PIECE_BYTES ? ours.len - at : PIECE_BYTES;
        buf_reset(&piece);
        ok = s3_get(s3, key, (int64_t)at, (int64_t)n, &piece, &found, e);
        *same = ok && found && slice_eq(buf_slice(&piece), slice_of(ours.ptr + at, n));
    }
    buf_fini(&piece);
    return ok;
}

/* Has the object that is there the very bytes of ours? */
static bool is_same_body(const struct object_job *j, struct s3 *s3, bool *same, struct err *e)
{
    struct arena a;
    struct s3_head head;
    struct slice key = slice_str(range_key(j->range, j->n_done));
    arena_init(&a, HEAD_ARENA_BYTES);
    bool ok = s3_head(s3, key, NULL, 0, NULL, &a, &head, e);
    *same = ok && head.found && head.n_bytes == (int64_t)j->n_body_bytes;
    arena_fini(&a);
    if (!*same) {
        return ok;
    }
    void *ours = mmap(NULL, j->n_body_bytes, PROT_READ, MAP_PRIVATE, j->body_fd, 0);
    if (ours == MAP_FAILED) {
        return err_set_code(e, ERR_RETRY, errno, "scratch file: cannot be mapped: %s",
                            strerror(errno));
    }
    ok = bytes_compare(s3, key, slice_of(ours, j->n_body_bytes), same, e);
    (void)munmap(ours, j->n_body_bytes);
    return ok;
}

/* Another's metadata on our very bytes: the object is stored again, with what it should say. */
static enum object_result mend(struct object_job *j, const struct uploader_options *o,
                               struct s3 *s3, const struct ledger *l, struct s3_put_result *out,
                               struct err *e)
{
    bool same;
    struct err why = ERR_INIT;
    if (!is_same_body(j, s3, &same, &why)) {
        *e = why;
        return OBJECT_FAILED;
    }
    if (!same) {
        return OBJECT_CONFLICT; /* e says so already */
    }
    err_reset(e);
    return put(j, o, s3, l, false, out, e) ? OBJECT_STEP_DONE : OBJECT_FAILED;
}

/* Unfinished uploads of the partition, by those before us or by an earlier try. */
static bool leftovers_abort(struct object_job *j, struct s3 *s3, struct err *e)
{
    char within[400];
    struct layout layout;
    size_t n_aborted = 0;
    (void)snprintf(within, sizeof within, "/%s-%s-%d-", j->topic, j->intent.topic_id, j->partition);
    bool ok = layout_parse(slice_str(j->intent.layout), &layout, e) &&
              s3_abort_uploads(s3, slice_str(layout.prefix), within, &n_aborted, e);
    j->n_parts_aborted += n_aborted;
    j->has_leftovers = !ok;
    return ok;
}

static bool prepare(struct object_job *j, struct s3 *s3, struct err *e)
{
    j->is_planned = j->is_planned ||
                    range_plan(j->range, j->intent.first, j->intent.last, &j->n_objects, e);
    return j->is_planned && (!j->has_leftovers || leftovers_abort(j, s3, e));
}

enum object_result object_job_step(struct object_job *j, const struct uploader_options *o,
                                   struct s3 *s3, struct err *e)
{
    struct ledger l;
    struct s3_put_result put_result = {.existed = false};
    j->is_scratch_trouble = false;
    if (!prepare(j, s3, e)) {
        return OBJECT_FAILED;
    }
    if (j->n_done == j->n_objects) {
        return OBJECT_ALL_DONE;
    }
    ledger_fill(&l, j);
    if (!body_write(j, o->scratch_dir, &l, e)) {
        j->is_scratch_trouble = true;
        return OBJECT_FAILED;
    }
    if (!put(j, o, s3, &l, true, &put_result, e)) {
        return OBJECT_FAILED;
    }
    enum object_result result = put_result.existed ? compare(j, s3, &l, e) : OBJECT_STEP_DONE;
    if (result == OBJECT_CONFLICT && j->mends) {
        result = mend(j, o, s3, &l, &put_result, e);
    }
    if (result == OBJECT_STEP_DONE) {
        struct object_facts f = range_facts(j->range, j->n_done);
        struct upload_counts *counts = &j->tables[f.table];
        counts->n_rows += f.n_rows;
        counts->n_rows_existed += put_result.existed ? f.n_rows : 0;
        counts->n_bytes += j->n_body_bytes;
        counts->n_stored += !put_result.existed;
        counts->n_existed += put_result.existed;
        j->n_done++;
        body_drop(j);
    }
    return result == OBJECT_STEP_DONE && j->n_done == j->n_objects ? OBJECT_ALL_DONE : result;
}

/* --- is there any? --- */

struct look {
    const char *name;
    char found[300];
};

static bool look_at(void *ctx, struct slice key, int64_t n_bytes, struct err *e)
{
    struct look *l = ctx;
    (void)n_bytes;
    const uint8_t *slash = key.len == 0 ? NULL : memrchr(key.ptr, '/', key.len);
    struct slice file =
        slash == NULL ? key : slice_of(slash + 1, (size_t)(key.ptr + key.len - slash - 1));
    if (!slice_starts_with(file, slice_str(l->name))) {
        return true;
    }
    (void)snprintf(l->found, sizeof l->found, "%.*s", key.len < 250 ? (int)key.len : 250,
                   (const char *)key.ptr);
    return err_set(e, ERR_BAD_INPUT, "there is %.200s", l->found);
}

enum object_result object_look(struct s3 *s3, const char *prefix, const char *name, struct err *e)
{
    struct look l = {.name = name};
    char folder[LAYOUT_MAX_PREFIX + 64];
    for (unsigned i = 0; i < N_TABLES; i++) {
        (void)snprintf(folder, sizeof folder, "%s%s%s/", prefix, prefix[0] == '\0' ? "" : "/",
                       table_name((enum table_id)i));
        if (!s3_list(s3, slice_str(folder), look_at, &l, e)) {
            return l.found[0] != '\0' ? OBJECT_CONFLICT : OBJECT_FAILED;
        }
    }
    return OBJECT_ALL_DONE;
}
