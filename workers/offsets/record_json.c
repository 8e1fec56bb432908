#include "record_json.h"

#include "avro_json.h"
#include "batch/batch.h"
#include "batch/rollup.h"
#include "points_json.h"
#include "policy/glob.h"
#include "stage/topics.h"
#include "wire/avro_blocks.h"

#include "dlq_avsc.h"
#include "gap_avsc.h"
#include "limit_grants_avsc.h"
#include "limit_lease_avsc.h"
#include "limit_partition_avsc.h"
#include "limit_source_avsc.h"
#include "limit_tick_avsc.h"

#include <string.h>

enum { ARENA_BYTES = 256 << 20, SHAPES_BYTES = 64 << 20, MAX_HEADERS = 16 };
static const char ingest_prefix[] = "metrics.ingest";

static const struct {
    const char *kind;
    const char *head;
    const char *avsc;
} schemas[RECORD_SCHEMAS] = {
    {"dead_letter", DLQ_HEAD, dlq_avsc},
    {"gap", GAP_HEAD, gap_avsc},
    {"limit_source", LIMIT_SOURCE_HEAD, limit_source_avsc},
    {"limit_partition", LIMIT_PARTITION_HEAD, limit_partition_avsc},
    {"lease", LIMIT_LEASE_HEAD, limit_lease_avsc},
    {"grants", LIMIT_GRANTS_HEAD, limit_grants_avsc},
    {"tick", LIMIT_TICK_HEAD, limit_tick_avsc},
};

bool record_printer_init(struct record_printer *p, const char *tenant, const char *metric, struct err *e)
{
    *p = (struct record_printer){.tenant = tenant,
                                 .metric_glob = metric == NULL ? SLICE_NONE : slice_str(metric)};
    arena_init(&p->arena, ARENA_BYTES);
    shape_cache_init(&p->shapes, SHAPES_BYTES, &shape_default_caps, NULL);
    for (int i = 0; i < RECORD_SCHEMAS; i++) {
        p->schemas[i] = json_loads(schemas[i].avsc, 0, NULL);
        if (p->schemas[i] == NULL) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    return true;
}

void record_printer_fini(struct record_printer *p)
{
    for (int i = 0; i < RECORD_SCHEMAS; i++) {
        json_decref(p->schemas[i]);
    }
    shape_cache_fini(&p->shapes);
    arena_fini(&p->arena);
}

static json_t *source_json(uint64_t source)
{
    return json_sprintf("%016llx", (unsigned long long)source);
}

static json_t *origin_json(const struct origin *o)
{
    char id[TOPIC_ID_CHARS + 1];
    topic_id_text(o->topic_id, id);
    return json_pack("{s:o, s:s, s:i, s:I, s:i}", "topic", json_of_text(o->topic), "topic_id", id, "partition",
                     (int)o->partition, "offset", (json_int_t)o->offset, "index", (int)o->index);
}

static bool batch_read(struct record_printer *p, struct slice value, const char **kind, json_t **out, struct err *e)
{
    struct batch b;
    struct cached_shape *cached;
    json_t *points = NULL;
    if (!batch_decode(value, &batch_default_caps, &p->arena, &b, e)) {
        return false;
    }
    *kind = b.shape.len == 0 ? "heartbeat" : "batch";
    if (b.shape.len > 0 &&
        (!shape_cache_get(&p->shapes, b.tenant, b.shape, &cached, e) ||
         !points_of_batch(&b, &cached->shape, p->metric_glob, &p->arena, &points, e))) {
        return false;
    }
    *out = json_pack("{s:o, s:s, s:o, s:I}", "tenant", json_of_text(b.tenant), "class", batch_class_name(b.class),
                     "source", source_json(b.source), "received_ms", (json_int_t)b.received_ms);
    if (points != NULL) {
        (void)json_object_set_new(*out, "source_name", json_of_text(cached->shape.source_name));
        (void)json_object_set_new(*out, "origin", origin_json(&b.origin));
        (void)json_object_set_new(*out, "redriven", json_integer((json_int_t)b.redriven));
        (void)json_object_set_new(*out, "points", points);
    }
    return true;
}

static const char *rollup_kind_name(enum rollup_kind kind)
{
    return kind == ROLLUP_ROW ? "rollup" : kind == ROLLUP_AMEND ? "amend" : "heartbeat";
}

static json_t *amends_json(const struct rollup *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->n_amends; i++) {
        (void)json_array_append_new(list, json_pack("{s:I}", "end_ms", (json_int_t)r->amends[i].end_ms));
    }
    return list;
}

static bool rollup_read(struct record_printer *p, struct slice value, const char **kind, json_t **out, struct err *e)
{
    struct rollup r;
    struct cached_shape *cached;
    json_t *points = NULL;
    if (!rollup_decode(value, &p->arena, &r, e)) {
        return false;
    }
    *kind = rollup_kind_name(r.kind);
    if (r.shape.len > 0 && (!shape_cache_get(&p->shapes, r.tenant, r.shape, &cached, e) ||
                            !points_of_rollup(&r, &cached->shape, p->metric_glob, &p->arena, &points, e))) {
        return false;
    }
    *out = json_pack("{s:o, s:s, s:o, s:I, s:I, s:I, s:i}", "tenant", json_of_text(r.tenant), "class",
                     batch_class_name(r.class), "source", source_json(r.source), "window_ms",
                     (json_int_t)r.window_ms, "end_ms", (json_int_t)r.end_ms, "closed_at", (json_int_t)r.closed_at,
                     "part", (int)r.part);
    if (points != NULL) {
        (void)json_object_set_new(*out, "source_name", json_of_text(cached->shape.source_name));
        (void)json_object_set_new(*out, "points", points);
    }
    if (r.n_amends > 0) {
        (void)json_object_set_new(*out, "amends", amends_json(&r));
    }
    return true;
}

static bool is_ingest(const char *topic)
{
    return strncmp(topic, ingest_prefix, sizeof ingest_prefix - 1) == 0;
}

static void other_read(const char *topic, struct slice value, const char **kind, json_t **out)
{
    *kind = "json";
    *out = is_ingest(topic) || value.len == 0 || value.ptr[0] != '{'
               ? NULL
               : json_loadb((const char *)value.ptr, value.len, JSON_REJECT_DUPLICATES, NULL);
    if (*out == NULL) {
        *kind = "payload";
        *out = json_pack("{s:I}", "bytes", (json_int_t)value.len);
    }
}

bool record_value_json(struct record_printer *p, const char *topic, struct slice value, const char **kind,
                       json_t **out, struct err *e)
{
    arena_reset(&p->arena);
    *out = NULL;
    if (value.ptr == NULL) {
        *kind = "tombstone";
        *out = json_null();
        return true;
    }
    if (versions_have(&batch_versions, value)) {
        return batch_read(p, value, kind, out, e);
    }
    if (rollup_is(value)) {
        return rollup_read(p, value, kind, out, e);
    }
    for (int i = 0; value.len >= AVRO_HEAD_BYTES && i < RECORD_SCHEMAS; i++) {
        if (memcmp(value.ptr, schemas[i].head, AVRO_HEAD_BYTES) == 0) {
            *kind = schemas[i].kind;
            return avro_json(p->schemas[i], slice_of(value.ptr + AVRO_HEAD_BYTES, value.len - AVRO_HEAD_BYTES), out,
                             e);
        }
    }
    other_read(topic, value, kind, out);
    return true;
}

/* By the value's own fields; points were filtered while they were read. */
static bool is_wanted(const struct record_printer *p, const json_t *value)
{
    const char *tenant = json_string_value(json_object_get(value, "tenant"));
    if (p->tenant != NULL && (tenant == NULL || strcmp(tenant, p->tenant) != 0)) {
        return false;
    }
    if (p->metric_glob.len == 0) {
        return true;
    }
    json_t *points = json_object_get(value, "points");
    const char *metric = json_string_value(json_object_get(value, "metric"));
    return json_is_array(points) && metric == NULL ? json_array_size(points) > 0
                                                   : metric != NULL && glob_match(p->metric_glob, slice_str(metric));
}

/* Binary keys (a source's hash) in hexadecimal. */
static json_t *key_json(const rd_kafka_message_t *m)
{
    struct slice key = slice_of(m->key, m->key_len);
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < 0x20 || key.ptr[i] > 0x7e) {
            json_t *hex = json_of_hex(key);
            json_t *out = json_sprintf("hex:%s", json_string_value(hex));
            json_decref(hex);
            return out;
        }
    }
    return key.ptr == NULL ? json_null() : json_of_text(key);
}

static void headers_put(json_t *out, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    json_t *all = json_object();
    for (size_t i = 0; i < MAX_HEADERS && rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                                              RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        (void)json_object_set_new(all, name, json_of_text(slice_of(value, size)));
    }
    (void)json_object_set_new(out, "headers", all);
}

bool record_json(struct record_printer *p, const rd_kafka_message_t *m, json_t **out, struct err *e)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    const char *kind = "";
    json_t *value = NULL;
    struct err why = ERR_INIT;
    *out = NULL;
    if (!record_value_json(p, topic, slice_of(m->payload, m->len), &kind, &value, &why)) {
        kind = "unreadable";
        value = json_pack("{s:s, s:I}", "error", why.text, "bytes", (json_int_t)m->len);
    }
    if (!is_wanted(p, value)) {
        json_decref(value);
        return true;
    }
    *out = json_pack("{s:s, s:i, s:I, s:I, s:o, s:s}", "topic", topic, "partition", (int)m->partition, "offset",
                     (json_int_t)m->offset, "timestamp_ms", (json_int_t)rd_kafka_message_timestamp(m, NULL), "key",
                     key_json(m), "kind", kind);
    if (*out == NULL) {
        json_decref(value);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    headers_put(*out, m);
    (void)json_object_set_new(*out, "value", value);
    return true;
}
