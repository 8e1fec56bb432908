#include "unit/batch/oracle.h"

#include <avro.h>
#include <inttypes.h>
#include <stdlib.h>

#include "wire/avro_blocks.h"
#include "batch_avsc.h"
#include "shape_avsc.h"

enum { POOL_BYTES = 64 << 20, ARENA_BYTES = 64 << 20 };

/* ---- our side ---- */

static void put_text(struct buf *out, const char *name, struct slice s)
{
    buf_printf(out, "%s %zu:", name, s.len);
    buf_put_slice(out, s);
    buf_u8(out, '\n');
}

static void put_number(struct buf *out, const char *name, int64_t v)
{
    buf_printf(out, "%s %" PRId64 "\n", name, v);
}

static void put_double(struct buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_printf(out, " %016" PRIx64, bits);
}

static bool dump_times(struct buf *out, const char *name, const struct batch_times *t,
                       struct err *e)
{
    int64_t *times = malloc((t->n_deltas + 1) * sizeof *times);
    if (times == NULL || !batch_times_decode(t, t->n_deltas, times, e)) {
        free(times);
        return false;
    }
    buf_printf(out, "%s %" PRId64 ":", name, t->base_ms);
    for (uint32_t i = 0; i < t->n_deltas; i++) {
        buf_printf(out, " %" PRId64, times[i]);
    }
    buf_u8(out, '\n');
    free(times);
    return true;
}

bool batch_dump(struct slice bytes, const struct batch_caps *caps, struct buf *text, struct err *e)
{
    struct arena a;
    struct batch b;
    arena_init(&a, ARENA_BYTES);
    bool ok = batch_decode(bytes, caps, &a, &b, e);
    if (ok) {
        put_text(text, "tenant", b.tenant);
        put_number(text, "class", b.class);
        put_number(text, "source", (int64_t)b.source);
        put_number(text, "received_ms", b.received_ms);
        put_text(text, "topic", b.origin.topic);
        put_text(text, "topic_id", slice_of(b.origin.topic_id, TOPIC_ID_BYTES));
        put_number(text, "partition", b.origin.partition);
        put_number(text, "offset", b.origin.offset);
        put_number(text, "index", b.origin.index);
        put_number(text, "redriven", (int64_t)b.redriven);
        put_text(text, "shape", b.shape);
        ok = dump_times(text, "times", &b.times, e) && dump_times(text, "starts", &b.starts, e);
        put_text(text, "values", b.values);
        put_text(text, "exponential_histograms", b.exp);
        put_text(text, "classic_histograms", b.classic);
    }
    arena_fini(&a);
    return ok;
}

static void dump_series(struct buf *out, const struct series *s)
{
    put_text(out, "metric", s->metric);
    put_number(out, "kind", s->kind);
    put_number(out, "temporality", s->delta);
    put_text(out, "unit", s->unit);
    for (uint32_t i = 0; i < s->n_labels; i++) {
        put_text(out, "name", s->labels[i].name);
        put_text(out, "value", s->labels[i].value);
    }
    buf_printf(out, "bounds");
    for (uint32_t i = 0; i < s->n_bounds; i++) {
        put_double(out, s->bounds[i]);
    }
    buf_u8(out, '\n');
}

bool shape_dump(struct slice bytes, const struct shape_caps *caps, struct buf *text, struct err *e)
{
    struct arena a;
    struct shape s;
    arena_init(&a, ARENA_BYTES);
    bool ok = shape_decode(bytes, SLICE_LITERAL("tenant"), caps, &a, &s, e);
    if (ok) {
        put_text(text, "source", s.source_name);
        for (uint32_t i = 0; i < s.n_series; i++) {
            dump_series(text, &s.series[i]);
        }
    }
    arena_fini(&a);
    return ok;
}

/* ---- avro-c's side ---- */

static struct {
    uint8_t *bytes;
    size_t used;
    size_t mark; /* the schemas lie below */
    avro_value_iface_t *batch;
    avro_value_iface_t *shape;
} pool;

static void *pool_realloc(void *ctx, void *p, size_t old_bytes, size_t new_bytes)
{
    (void)ctx;
    if (new_bytes <= old_bytes) {
        return new_bytes == 0 ? NULL : p;
    }
    size_t want = (new_bytes + 15) & ~(size_t)15;
    if (want < new_bytes || want > POOL_BYTES - pool.used) {
        return NULL;
    }
    uint8_t *q = pool.bytes + pool.used;
    pool.used += want;
    if (old_bytes > 0) {
        memcpy(q, p, old_bytes);
    }
    return q;
}

static avro_value_iface_t *class_of(const char *avsc)
{
    avro_schema_t schema;
    if (avro_schema_from_json_length(avsc, strlen(avsc), &schema) != 0) {
        abort();
    }
    return avro_generic_class_from_schema(schema);
}

static void pool_open(void)
{
    avro_set_allocator(pool_realloc, NULL);
    if (pool.bytes == NULL) {
        pool.bytes = malloc(POOL_BYTES);
        if (pool.bytes == NULL) {
            abort();
        }
        pool.batch = class_of(batch_avsc);
        pool.shape = class_of(shape_avsc);
        pool.mark = pool.used;
    }
    pool.used = pool.mark;
}

static void *or_abort(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

/* Reads the record behind the head into a value in the pool; writes it again. */
static bool pass_through(avro_value_iface_t *class, struct slice bytes, const char *head,
                         avro_value_t *value, struct buf *again)
{
    if (bytes.len < AVRO_HEAD_BYTES || memcmp(bytes.ptr, head, AVRO_HEAD_BYTES) != 0 ||
        avro_generic_value_new(class, value) != 0) {
        return false;
    }
    int64_t n_bytes = (int64_t)bytes.len - AVRO_HEAD_BYTES;
    avro_reader_t reader =
        or_abort(avro_reader_memory((const char *)bytes.ptr + AVRO_HEAD_BYTES, n_bytes));
    char next;
    size_t n_again;
    if (avro_value_read(reader, value) != 0 || avro_read(reader, &next, 1) == 0 ||
        avro_value_sizeof(value, &n_again) != 0) {
        return false;
    }
    buf_put(again, head, AVRO_HEAD_BYTES);
    uint8_t *space = buf_extend(again, n_again);
    avro_writer_t writer = or_abort(avro_writer_memory((char *)space, (int64_t)n_again));
    return avro_value_write(writer, value) == 0;
}

static avro_value_t field_of(const avro_value_t *record, const char *name)
{
    avro_value_t field;
    if (avro_value_get_by_name(record, name, &field, NULL) != 0) {
        abort();
    }
    return field;
}

static struct slice bytes_of(const avro_value_t *record, const char *name)
{
    avro_value_t field = field_of(record, name);
    const void *bytes = NULL;
    const char *string = NULL;
    size_t len = 0;
    switch (avro_value_get_type(&field)) {
    case AVRO_STRING:
        (void)avro_value_get_string(&field, &string, &len);
        return slice_of(string, len - 1); /* its NUL is counted */
    case AVRO_FIXED:
        (void)avro_value_get_fixed(&field, &bytes, &len);
        return slice_of(bytes, len);
    default:
        (void)avro_value_get_bytes(&field, &bytes, &len);
        return slice_of(bytes, len);
    }
}

static int64_t number_of(const avro_value_t *field)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    int symbol = 0;
    switch (avro_value_get_type(field)) {
    case AVRO_INT32:
        (void)avro_value_get_int(field, &narrow);
        return narrow;
    case AVRO_ENUM:
        (void)avro_value_get_enum(field, &symbol);
        return symbol;
    default:
        (void)avro_value_get_long(field, &wide);
        return wide;
    }
}

static void oracle_text(struct buf *out, const avro_value_t *record, const char *name)
{
    put_text(out, name, bytes_of(record, name));
}

static void oracle_number(struct buf *out, const avro_value_t *record, const char *name)
{
    avro_value_t field = field_of(record, name);
    put_number(out, name, number_of(&field));
}

static size_t size_of(const avro_value_t *array)
{
    size_t n = 0;
    (void)avro_value_get_size(array, &n);
    return n;
}

static avro_value_t item_of(const avro_value_t *array, size_t i)
{
    avro_value_t item;
    if (avro_value_get_by_index(array, i, &item, NULL) != 0) {
        abort();
    }
    return item;
}

static void oracle_times(struct buf *out, const avro_value_t *record, const char *name)
{
    avro_value_t times = field_of(record, name);
    avro_value_t base = field_of(&times, "base");
    avro_value_t deltas = field_of(&times, "deltas");
    buf_printf(out, "%s %" PRId64 ":", name, number_of(&base));
    for (size_t i = 0; i < size_of(&deltas); i++) {
        avro_value_t delta = item_of(&deltas, i);
        uint64_t sum = (uint64_t)number_of(&base) + (uint64_t)number_of(&delta);
        buf_printf(out, " %" PRId64, (int64_t)sum);
    }
    buf_u8(out, '\n');
}

bool batch_dump_avro_c(struct slice bytes, struct buf *text, struct buf *again)
{
    avro_value_t batch;
    pool_open();
    if (!pass_through(pool.batch, bytes, BATCH_HEAD, &batch, again)) {
        return false;
    }
    oracle_text(text, &batch, "tenant");
    oracle_number(text, &batch, "class");
    oracle_number(text, &batch, "source");
    oracle_number(text, &batch, "received_ms");
    avro_value_t origin = field_of(&batch, "origin");
    oracle_text(text, &origin, "topic");
    oracle_text(text, &origin, "topic_id");
    oracle_number(text, &origin, "partition");
    oracle_number(text, &origin, "offset");
    oracle_number(text, &origin, "index");
    oracle_number(text, &batch, "redriven");
    oracle_text(text, &batch, "shape");
    oracle_times(text, &batch, "times");
    oracle_times(text, &batch, "starts");
    oracle_text(text, &batch, "values");
    oracle_text(text, &batch, "exponential_histograms");
    oracle_text(text, &batch, "classic_histograms");
    return buf_ok(text) && buf_ok(again);
}

/* False when the index points at no symbol. */
static bool oracle_symbol(struct buf *out, const char *name, const avro_value_t *symbols,
                          int64_t index)
{
    if (index < 0 || (uint64_t)index >= size_of(symbols)) {
        return false;
    }
    avro_value_t symbol = item_of(symbols, (size_t)index);
    const char *string = NULL;
    size_t len = 0;
    (void)avro_value_get_string(&symbol, &string, &len);
    put_text(out, name, slice_of(string, len - 1));
    return true;
}

static bool oracle_series(struct buf *out, const avro_value_t *s, const avro_value_t *symbols)
{
    avro_value_t metric = field_of(s, "metric");
    avro_value_t unit = field_of(s, "unit");
    avro_value_t labels = field_of(s, "labels");
    avro_value_t bounds = field_of(s, "bounds");
    if (!oracle_symbol(out, "metric", symbols, number_of(&metric))) {
        return false;
    }
    oracle_number(out, s, "kind");
    oracle_number(out, s, "temporality");
    if (!oracle_symbol(out, "unit", symbols, number_of(&unit))) {
        return false;
    }
    for (size_t i = 0; i < size_of(&labels); i++) {
        avro_value_t label = item_of(&labels, i);
        if (!oracle_symbol(out, i % 2 == 0 ? "name" : "value", symbols, number_of(&label))) {
            return false;
        }
    }
    buf_printf(out, "bounds");
    for (size_t i = 0; i < size_of(&bounds); i++) {
        avro_value_t bound = item_of(&bounds, i);
        double v = 0;
        (void)avro_value_get_double(&bound, &v);
        put_double(out, v);
    }
    buf_u8(out, '\n');
    return true;
}

bool shape_dump_avro_c(struct slice bytes, struct buf *text, struct buf *again)
{
    avro_value_t shape;
    pool_open();
    if (!pass_through(pool.shape, bytes, SHAPE_HEAD, &shape, again)) {
        return false;
    }
    oracle_text(text, &shape, "source");
    avro_value_t symbols = field_of(&shape, "symbols");
    avro_value_t series = field_of(&shape, "series");
    for (size_t i = 0; i < size_of(&series); i++) {
        avro_value_t one = item_of(&series, i);
        if (!oracle_series(text, &one, &symbols)) {
            return false;
        }
    }
    return buf_ok(text) && buf_ok(again);
}
