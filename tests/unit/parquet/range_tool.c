/* range-tool: batches and rollups from stdin into Parquet objects below a folder, as sluice-parquet
 * writes a range's.
 *
 *   32 bits: length of the JSON | JSON: what range_open and the plan take | records: 64 bits of
 *   offset, 32 of length, the batch or rollup
 *
 * {"dir", "scratch", "topic", "topic_id", "partition", "first", "last", "prefix", "hours",
 *  "tenant_level", "labels": […], "rows_bytes", "writer_bytes", "portable", "twice": write each
 * object twice and compare} or, without records, "load": {"servers", "metrics", "scrapes",
 * "per_group"}: game_load's.
 *
 * Prints the objects: [{"key", "rows", "min_ts_ms", "max_ts_ms", "tenant", "bytes"}]; {"error",
 * "kind"} and exit 1 when something fails. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cursor.h"
#include "game_load.h"
#include "range.h"
#include "tool_input.h"

struct output {
    FILE *f;
    int64_t n_bytes;
};

static const char *text(const json_t *json, const char *key, const char *fallback)
{
    const char *value = json_string_value(json_object_get(json, key));
    return value == NULL ? fallback : value;
}

static int64_t number(const json_t *json, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(json, key);
    return value == NULL ? fallback : json_integer_value(value);
}

static bool layout_read(const json_t *json, struct layout *l, struct err *e)
{
    const char *labels[LAYOUT_MAX_LABEL_COLUMNS + 1];
    const json_t *list = json_object_get(json, "labels");
    size_t n = 0;
    for (; n < json_array_size(list) && n <= LAYOUT_MAX_LABEL_COLUMNS; n++) {
        labels[n] = json_string_value(json_array_get(list, n));
    }
    return layout_init(l, text(json, "prefix", ""), (int)number(json, "hours", 1),
                       json_is_true(json_object_get(json, "tenant_level")), labels, n, e);
}

static bool record_add(struct range *r, struct slice bytes, int64_t offset, struct arena *a,
                       struct err *e)
{
    struct batch b;
    struct rollup rollup;
    if (rollup_is(bytes)) {
        return rollup_decode(bytes, a, &rollup, e) && range_add_rollup(r, &rollup, offset, e);
    }
    return batch_decode(bytes, &batch_default_caps, a, &b, e) && range_add(r, &b, offset, e);
}

static bool records_add(struct range *r, struct cursor *c, struct err *e)
{
    struct arena a;
    bool ok = true;
    arena_init(&a, 64 << 20);
    while (ok && cursor_more(c)) {
        int64_t offset = (int64_t)cursor_le64(c);
        struct slice bytes = cursor_take(c, cursor_le32(c));
        arena_reset(&a);
        ok = record_add(r, bytes, offset, &a, e);
    }
    arena_fini(&a);
    return ok;
}

static bool load_add(struct range *r, const json_t *json, struct err *e)
{
    const struct game_load_options o = {.histograms =
                                            json_is_true(json_object_get(json, "histograms")),
                                        .n_servers = (unsigned)number(json, "servers", 50),
                                        .n_metrics = (unsigned)number(json, "metrics", 300),
                                        .n_scrapes = (unsigned)number(json, "scrapes", 360),
                                        .base_ms = number(json, "base_ms", INT64_C(1780000000000))};
    struct game_load *load = or_die(game_load_new(&o));
    struct batch b;
    bool ok = true;
    while (ok && game_load_next(load, &b)) {
        ok = range_add(r, &b, game_load_offset(load), e);
    }
    game_load_free(load);
    return ok;
}

static bool output_write(void *context, struct slice bytes, struct err *e)
{
    struct output *out = context;
    out->n_bytes += (int64_t)bytes.len;
    return bytes.len == 0 || fwrite(bytes.ptr, bytes.len, 1, out->f) == 1 ||
           err_set(e, ERR_FATAL, "cannot write");
}

struct comparison {
    FILE *f;
    bool differs;
};

static bool output_compare(void *context, struct slice bytes, struct err *e)
{
    struct comparison *c = context;
    uint8_t *theirs = or_die(malloc(bytes.len + 1));
    c->differs = c->differs || fread(theirs, 1, bytes.len, c->f) != bytes.len ||
                 (bytes.len > 0 && memcmp(theirs, bytes.ptr, bytes.len) != 0);
    free(theirs);
    return !c->differs || err_set(e, ERR_FATAL, "written again, the object differs");
}

static void folders_make(char *path)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            if (mkdir(path, 0755) != 0 && errno != EEXIST) {
                die("no folder");
            }
            *p = '/';
        }
    }
}

static bool object_write(struct range *r, size_t i, const char *dir, bool twice, json_t *objects,
                         struct err *e)
{
    const struct parquet_pair pair = {"sluice", "range-tool"};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", dir, range_key(r, i));
    folders_make(path);
    struct output out = {.f = or_die(fopen(path, "w+b"))};
    bool ok = range_write(r, i, &pair, 1, output_write, &out, e);
    if (ok && twice) {
        struct comparison c = {.f = out.f};
        rewind(out.f);
        ok = range_write(r, i, &pair, 1, output_compare, &c, e);
    }
    ok = fclose(out.f) == 0 && ok;
    struct object_facts f = range_facts(r, i);
    (void)json_array_append_new(
        objects,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:s%, s:I}", "key", range_key(r, i), "table",
                  table_name(f.table), "rows", (json_int_t)f.n_rows, "min_ts_ms",
                  (json_int_t)f.min_ts_ms, "max_ts_ms", (json_int_t)f.max_ts_ms, "tenant",
                  (const char *)f.tenant.ptr, f.tenant.len, "bytes", (json_int_t)out.n_bytes));
    return ok;
}

static bool range_run(const json_t *json, struct cursor *c, json_t *objects, struct err *e)
{
    const struct range_options o = {.topic = text(json, "topic", "metrics.admitted"),
                                    .topic_id = text(json, "topic_id", "AAAAAAAAAAAAAAAAAAAAAA"),
                                    .partition = (int32_t)number(json, "partition", 0),
                                    .scratch_dir = text(json, "scratch", "/tmp"),
                                    .max_rows_bytes = (size_t)number(json, "rows_bytes", 0),
                                    .max_writer_bytes = (size_t)number(json, "writer_bytes", 0),
                                    .portable = json_is_true(json_object_get(json, "portable"))};
    const json_t *load = json_object_get(json, "load");
    struct layout l;
    struct range *r;
    size_t n;
    if (!layout_read(json, &l, e) || !range_open(&o, &l, &r, e)) {
        return false;
    }
    bool ok = (load == NULL ? records_add(r, c, e) : load_add(r, load, e)) &&
              range_plan(r, number(json, "first", 0), number(json, "last", 99), &n, e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = object_write(r, i, text(json, "dir", "."),
                          json_is_true(json_object_get(json, "twice")), objects, e);
    }
    range_close(r);
    return ok;
}

int main(void)
{
    struct slice input = read_all(stdin);
    struct cursor c = cursor_of(input);
    struct slice head = cursor_take(&c, cursor_le32(&c));
    json_error_t where;
    json_t *json = json_loadb((const char *)head.ptr, head.len, 0, &where);
    if (json == NULL) {
        die(where.text);
    }
    json_t *objects = or_die(json_array());
    struct err e = ERR_INIT;
    bool ok = range_run(json, &c, objects, &e);
    json_t *out = ok ? json_incref(objects)
                     : or_die(json_pack("{s:s, s:i}", "error", e.text, "kind", (int)e.kind));
    (void)json_dumpf(out, stdout, 0);
    json_decref(out);
    json_decref(objects);
    json_decref(json);
    free((void *)(uintptr_t)input.ptr);
    return ok ? 0 : 1;
}
