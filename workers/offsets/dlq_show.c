/* `dlq show PARTITION/OFFSET`: a dead letter, and the record that it refers to, if that is still
 * the one. */
#include "dlq.h"

#include "base/buf.h"
#include "origin_points.h"
#include "record_json.h"
#include "run/show.h"
#include "scan.h"
#include "stage/message.h"
#include "stage/topics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 256 << 20, OUT_MAX_BYTES = 64 << 20 };

struct showing {
    const struct tool *tool;
    rd_kafka_t *rk;
    struct record_printer printer;
    struct arena arena;
    json_t *letter; /* owned; NULL = there is none */
    json_t *origin; /* owned: state, why, format, points… */
};

/* --- the letter --- */

static bool place_read(const char *word, int32_t *partition, int64_t *offset, struct err *e)
{
    char *end = NULL;
    errno = 0;
    long long p = strtoll(word, &end, 10);
    bool ok = end != word && *end == '/' && p >= 0 && p <= INT32_MAX;
    const char *rest = ok ? end + 1 : word;
    *partition = (int32_t)p;
    *offset = strtoll(rest, &end, 10);
    return (ok && errno == 0 && end != rest && *end == '\0' && *offset >= 0) ||
           err_set(e, ERR_CONFIG, "\"%.60s\" is not PARTITION/OFFSET, as dlq list shows it", word);
}

static bool take_letter(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct showing *s = ctx;
    *enough = true;
    return record_json(&s->printer, m, &s->letter, e);
}

/* The one record at an offset; nothing is called where none is. */
static bool read_one(struct showing *s, const char *topic, int32_t partition, int64_t offset,
                     scan_fn each, struct scan_stretch *where, struct err *e)
{
    struct scan scan;
    const struct scan_request r = {.topic = topic,
                                   .partition = partition,
                                   .from = {MOMENT_OFFSET, offset},
                                   .to = {MOMENT_OFFSET, offset + 1}};
    if (!scan_open(s->tool, s->rk, &r, &scan, e)) {
        return false;
    }
    *where = scan.stretches[0];
    bool ok = scan_run(&scan, each, s, e);
    scan_close(&scan);
    return ok;
}

static bool letter_read(struct showing *s, struct err *e)
{
    int32_t partition;
    int64_t offset;
    struct scan_stretch where;
    const char *topic = config_str(s->tool->config, "dlq_topic");
    if (!place_read(s->tool->command->words[0], &partition, &offset, e) ||
        !read_one(s, topic, partition, offset, take_letter, &where, e)) {
        return false;
    }
    const char *kind = json_string_value(json_object_get(s->letter, "kind"));
    return (kind != NULL && strcmp(kind, "dead_letter") == 0) ||
           err_set(e, ERR_BAD_INPUT,
                   "%s[%d]: offset %" PRId64 " holds no dead letter (the log is %" PRId64
                   " to %" PRId64 "); dlq list shows where they are",
                   topic, partition, offset, where.low, where.end);
}

/* --- the origin --- */

static void origin_state(struct showing *s, const char *state, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void origin_state(struct showing *s, const char *state, const char *fmt, ...)
{
    char why[240];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    (void)json_object_set_new(s->origin, "state", json_string(state));
    (void)json_object_set_new(s->origin, "why", json_string(why));
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The refused points' times, rising. */
static int64_t *times_of(const struct showing *s, size_t *n)
{
    const json_t *points = json_object_get(json_object_get(s->letter, "value"), "points");
    int64_t *times = calloc(json_array_size(points) + 1, sizeof *times);
    *n = times == NULL ? 0 : json_array_size(points);
    for (size_t i = 0; i < *n; i++) {
        times[i] = json_integer_value(json_object_get(json_array_get(points, i), "time_ms"));
    }
    if (*n > 0) {
        qsort(times, *n, sizeof *times, by_time);
    }
    return times;
}

static bool take_origin(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct showing *s = ctx;
    struct partition partition = {.topic = slice_str(rd_kafka_topic_name(m->rkt)),
                                  .number = m->partition};
    struct record r;
    const json_t *value = json_object_get(s->letter, "value");
    struct origin_wanted wanted = {
        .metric = slice_str(json_string_value(json_object_get(value, "metric"))),
        .shared_topic = config_str(s->tool->config, "shared_topic"),
        .mask_key = slice_str(config_str(s->tool->config, "mask_key"))};
    struct origin_points points;
    struct err why = ERR_INIT;
    int64_t *times = times_of(s, &wanted.n_times);
    wanted.times_ms = times;
    (void)e;
    *enough = true;
    message_record(m, &partition, &r);
    (void)json_object_set_new(s->origin, "bytes", json_integer((json_int_t)m->len));
    (void)json_object_set_new(s->origin, "timestamp_ms", json_integer(r.timestamp_ms));
    if (origin_points_read(&r, &wanted, &s->arena, &points, &why)) {
        origin_state(s, "there", "%zu of its %zu points fit the letter", points.n_wanted,
                     points.n_points);
        (void)json_object_set_new(s->origin, "format", json_string(points.format));
        (void)json_object_set_new(s->origin, "n_points", json_integer((json_int_t)points.n_points));
        (void)json_object_set_new(s->origin, "points", points.points);
    } else {
        origin_state(s, "unreadable", "%.200s", why.text);
        (void)json_object_set_new(s->origin, "format", json_string(points.format));
    }
    free(times);
    return true;
}

/* Is the topic still the one that the letter speaks of? */
static bool origin_is_reachable(struct showing *s, const json_t *origin, struct err *e)
{
    const char *topic = json_string_value(json_object_get(origin, "topic"));
    uint32_t n_partitions;
    uint8_t id[16];
    char text[TOPIC_ID_CHARS + 1];
    struct err why = ERR_INIT;
    if (!topic_describe(s->rk, topic, &n_partitions, id, &why)) {
        if (why.kind != ERR_CONFIG) {
            *e = why;
            return false;
        }
        origin_state(s, "gone", "the topic %.100s does not exist any more", topic);
        return true;
    }
    topic_id_text(id, text);
    if (strcmp(text, json_string_value(json_object_get(origin, "topic_id"))) != 0) {
        origin_state(s, "other_topic",
                     "%.100s was deleted and made anew since: what lies at that offset is another "
                     "record",
                     topic);
    }
    return true;
}

static bool origin_read(struct showing *s, struct err *e)
{
    const json_t *origin = json_object_get(json_object_get(s->letter, "value"), "origin");
    const char *topic = json_string_value(json_object_get(origin, "topic"));
    int32_t partition = (int32_t)json_integer_value(json_object_get(origin, "partition"));
    int64_t offset = json_integer_value(json_object_get(origin, "offset"));
    struct scan_stretch where;
    s->origin = json_object();
    if (topic == NULL || topic[0] == '\0') {
        origin_state(s, "unknown", "the letter names no record");
        return true;
    }
    if (!origin_is_reachable(s, origin, e) || json_object_get(s->origin, "state") != NULL) {
        return e->kind == ERR_NONE;
    }
    if (!read_one(s, topic, partition, offset, take_origin, &where, e)) {
        return err_wrap(e, "origin");
    }
    if (json_object_get(s->origin, "state") == NULL && offset < where.low) {
        origin_state(s, "past_retention",
                     "the record is past retention: the log begins at %" PRId64
                     ", it lay at %" PRId64,
                     where.low, offset);
    } else if (json_object_get(s->origin, "state") == NULL) {
        origin_state(s, "gone", "there is no record at that offset");
    }
    return true;
}

/* --- print --- */

static void put_text(struct buf *out, const char *name, const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    if (text != NULL && text[0] != '\0') {
        buf_printf(out, "%-10s ", name);
        show_text(out, slice_str(text));
        buf_u8(out, '\n');
    }
}

/* Other labels that were refused, too; masked as the first. */
static void put_more(struct buf *out, const json_t *labels)
{
    for (size_t i = 0; i < json_array_size(labels); i++) {
        const json_t *label = json_array_get(labels, i);
        const char *masked = json_string_value(json_object_get(label, "masked_value"));
        buf_printf(out, "%-10s ", "and label");
        show_text(out, slice_str(json_string_value(json_object_get(label, "label"))));
        buf_printf(out, "  ");
        show_text(out, slice_str(json_string_value(json_object_get(label, "reason"))));
        buf_printf(out, "  ");
        show_text(out, slice_str(masked == NULL ? "" : masked));
        buf_u8(out, '\n');
    }
}

static void put_points(struct buf *out, const json_t *points)
{
    for (size_t i = 0; i < json_array_size(points); i++) {
        char *line = json_dumps(json_array_get(points, i), JSON_COMPACT | JSON_ENSURE_ASCII);
        buf_printf(out, "  %s\n", line == NULL ? "" : line);
        free(line);
    }
}

static void put_all(struct buf *out, const struct showing *s)
{
    const json_t *value = json_object_get(s->letter, "value");
    const json_t *origin = json_object_get(value, "origin");
    put_text(out, "tenant", value, "tenant");
    put_text(out, "stage", value, "stage");
    put_text(out, "reason", value, "reason");
    put_text(out, "text", value, "text");
    put_text(out, "metric", value, "metric");
    put_text(out, "label", value, "label");
    put_text(out, "masked", value, "masked_value");
    put_more(out, json_object_get(value, "more_labels"));
    buf_printf(out, "samples    %" JSON_INTEGER_FORMAT "\nreceived   ",
               json_integer_value(json_object_get(value, "samples")));
    show_time(out, json_integer_value(json_object_get(value, "received_ms")));
    buf_printf(out, "\norigin     ");
    show_text(out, slice_str(json_string_value(json_object_get(origin, "topic"))));
    buf_printf(out, "/%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT ": ",
               json_integer_value(json_object_get(origin, "partition")),
               json_integer_value(json_object_get(origin, "offset")));
    show_text(out, slice_str(json_string_value(json_object_get(s->origin, "why"))));
    buf_u8(out, '\n');
    put_text(out, "format", s->origin, "format");
    put_points(out, json_object_get(s->origin, "points"));
}

static bool print(const struct showing *s, struct err *e)
{
    if (s->tool->command->values[OPTION_JSON] != NULL) {
        json_t *all = json_pack("{s:O, s:O}", "letter", s->letter, "origin", s->origin);
        bool ok =
            json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && puts("") != EOF;
        json_decref(all);
        return ok || err_set(e, ERR_FATAL, "it could not be written");
    }
    struct buf out;
    buf_init(&out, OUT_MAX_BYTES);
    put_all(&out, s);
    bool ok = buf_ok(&out) && fwrite(out.ptr, 1, out.len, stdout) == out.len;
    buf_fini(&out);
    return ok || err_set(e, ERR_FATAL, "it could not be written");
}

bool dlq_show(const struct tool *t, int *code, struct err *e)
{
    struct showing s = {.tool = t};
    arena_init(&s.arena, ARENA_BYTES);
    bool ok = record_printer_init(&s.printer, NULL, NULL, e) &&
              tool_connect(t, KAFKA_READER, &s.rk, e) && letter_read(&s, e) && origin_read(&s, e) &&
              print(&s, e);
    const char *state = json_string_value(json_object_get(s.origin, "state"));
    if (ok && (state == NULL || strcmp(state, "there") != 0)) {
        *code = TOOL_DIFFERS;
    }
    json_decref(s.letter);
    json_decref(s.origin);
    record_printer_fini(&s.printer);
    arena_fini(&s.arena);
    tool_disconnect(s.rk);
    return ok;
}
