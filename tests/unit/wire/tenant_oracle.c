#include "unit/wire/tenant_oracle.h"

#include <avro.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tenant_metrics_avsc.h"

enum { SCRATCH_MAX_BYTES = 64 << 20, HEAD_BYTES = 10 };

/* Maps have no order in avro-c's interface that is promised: but it gives them as they came. */
static void put_label(struct buf *out, struct slice name, struct slice value)
{
    buf_printf(out, "%zu'", name.len);
    buf_put_slice(out, name);
    buf_printf(out, "'=%zu'", value.len);
    buf_put_slice(out, value);
    buf_put(out, "',", 2);
}

static bool walk_source(void *ctx, struct slice name, const struct tenant_label *labels,
                        uint32_t n_labels, struct err *e)
{
    struct buf *out = ctx;
    (void)e;
    put_label(out, SLICE_LITERAL("source"), name);
    for (uint32_t i = 0; i < n_labels; i++) {
        put_label(out, labels[i].name, labels[i].value);
    }
    buf_put(out, "\n", 1);
    return true;
}

static void put_numbers(struct buf *out, int kind, double value, int64_t time_ms, int64_t start_ms)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    buf_printf(out, " %d %016" PRIx64 " %" PRId64 " %" PRId64 "\n", kind, bits, time_ms, start_ms);
}

static bool walk_point(void *ctx, const struct tenant_point *p, struct err *e)
{
    struct buf *out = ctx;
    (void)e;
    put_label(out, p->metric, p->unit);
    for (uint32_t i = 0; i < p->n_labels; i++) {
        put_label(out, p->labels[i].name, p->labels[i].value);
    }
    put_numbers(out, (int)p->kind, p->value, p->time_ms, p->start_ms);
    return true;
}

bool tenant_dump_walk(struct slice message, const struct tenant_avro_caps *caps, struct buf *out,
                      struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MAX_BYTES);
    struct tenant_avro_sink sink = {.ctx = out, .source = walk_source, .point = walk_point};
    bool ok = tenant_avro_walk(message, caps, &scratch, &sink, e);
    arena_fini(&scratch);
    return ok;
}

static avro_value_t field(const avro_value_t *record, const char *name)
{
    avro_value_t v = {0};
    if (avro_value_get_by_name(record, name, &v, NULL) != 0) {
        abort();
    }
    return v;
}

static struct slice text(const avro_value_t *v)
{
    const char *s = NULL;
    size_t size = 0;
    if (avro_value_get_string(v, &s, &size) != 0 || size == 0) {
        abort();
    }
    return slice_of(s, size - 1);
}

static int64_t integer(const avro_value_t *record, const char *name)
{
    avro_value_t v = field(record, name);
    int64_t n = 0;
    if (avro_value_get_long(&v, &n) != 0) {
        abort();
    }
    return n;
}

static void tree_labels(struct buf *out, const avro_value_t *record)
{
    avro_value_t map = field(record, "labels");
    size_t n = 0;
    (void)avro_value_get_size(&map, &n);
    for (size_t i = 0; i < n; i++) {
        avro_value_t v;
        const char *name = NULL;
        (void)avro_value_get_by_index(&map, i, &v, &name);
        put_label(out, slice_str(name), text(&v));
    }
}

static void tree_point(struct buf *out, const avro_value_t *point)
{
    avro_value_t metric = field(point, "metric");
    avro_value_t unit = field(point, "unit");
    avro_value_t kind_value = field(point, "kind");
    avro_value_t value_value = field(point, "value");
    int kind = 0;
    double value = 0;
    (void)avro_value_get_enum(&kind_value, &kind);
    (void)avro_value_get_double(&value_value, &value);
    put_label(out, text(&metric), text(&unit));
    tree_labels(out, point);
    put_numbers(out, kind, value, integer(point, "time_ms"), integer(point, "start_ms"));
}

static void tree_dump(struct buf *out, const avro_value_t *record)
{
    avro_value_t source = field(record, "source");
    avro_value_t points = field(record, "points");
    size_t n = 0;
    put_label(out, SLICE_LITERAL("source"), text(&source));
    tree_labels(out, record);
    buf_put(out, "\n", 1);
    (void)avro_value_get_size(&points, &n);
    for (size_t i = 0; i < n; i++) {
        avro_value_t point;
        (void)avro_value_get_by_index(&points, i, &point, NULL);
        tree_point(out, &point);
    }
}

bool tenant_dump_avro_c(struct slice message, struct buf *out)
{
    avro_schema_t schema = NULL;
    if (message.len < HEAD_BYTES ||
        avro_schema_from_json_length(tenant_metrics_avsc, sizeof tenant_metrics_avsc - 1,
                                     &schema) != 0) {
        return false;
    }
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_value_t record;
    avro_generic_value_new(iface, &record);
    avro_reader_t reader = avro_reader_memory((const char *)message.ptr + HEAD_BYTES,
                                              (int64_t)(message.len - HEAD_BYTES));
    bool ok = avro_value_read(reader, &record) == 0;
    if (ok) {
        tree_dump(out, &record);
    }
    avro_reader_free(reader);
    avro_value_decref(&record);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    return ok;
}
