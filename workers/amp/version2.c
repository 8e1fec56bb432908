#include "version2.h"

#include "base/cursor.h"

enum { V1_SERIES = 0x0a, V1_LABEL = 0x0a, V1_SAMPLE = 0x12 };
enum {
    SYMBOL = 0x22,
    SERIES = 0x2a,
    REFS = 0x0a,
    SAMPLE = 0x12,
    HISTOGRAM = 0x1a,
    METADATA = 0x2a
};
enum { METADATA_TYPE = 0x08, METADATA_UNIT_REF = 0x20 };

void version2_init(struct version2 *v, size_t max_bytes)
{
    *v = (struct version2){.n_symbols = 0};
    buf_init(&v->series, max_bytes);
    buf_init(&v->symbols, max_bytes);
    buf_init(&v->one, max_bytes);
    buf_init(&v->refs, max_bytes);
    table_init(&v->seen, 0, NULL);
}

void version2_fini(struct version2 *v)
{
    buf_fini(&v->series);
    buf_fini(&v->symbols);
    buf_fini(&v->one);
    buf_fini(&v->refs);
    table_fini(&v->seen);
}

static void field_put(struct buf *out, uint8_t tag, struct slice bytes)
{
    buf_u8(out, tag);
    buf_varint_bytes(out, bytes);
}

static uint32_t symbol_ref(struct version2 *v, struct slice text)
{
    struct hash128 key = hash128(text);
    void *found = table_find(&v->seen, key);
    if (found != NULL) {
        return (uint32_t)((uintptr_t)found - 1);
    }
    uint32_t ref = v->n_symbols++;
    field_put(&v->symbols, SYMBOL, text);
    if (!table_put(&v->seen, key, (void *)((uintptr_t)ref + 1), 0)) {
        v->symbols.failed = true;
    }
    return ref;
}

/* name and value: of the label fields { 0A name 12 value }. */
static void label_read(struct slice label, struct slice *name, struct slice *value)
{
    struct cursor c = cursor_of(label);
    (void)cursor_u8(&c);
    *name = cursor_varint_bytes(&c);
    (void)cursor_u8(&c);
    *value = cursor_varint_bytes(&c);
}

static void metadata_add(struct version2 *v, const struct metadata *m, struct slice metric)
{
    struct metadata_facts facts;
    if (!metadata_find(m, metric, &facts)) {
        return;
    }
    struct buf *out = &v->refs; /* free again by then */
    buf_reset(out);
    buf_u8(out, METADATA_TYPE);
    buf_u8(out, facts.type);
    if (facts.unit.len > 0) {
        buf_u8(out, METADATA_UNIT_REF);
        buf_varint(out, symbol_ref(v, facts.unit));
    }
    field_put(&v->one, METADATA, buf_slice(out));
}

static void series_convert(struct version2 *v, const struct metadata *m, struct slice series)
{
    struct slice metric = SLICE_NONE;
    buf_reset(&v->one);
    buf_reset(&v->refs);
    struct cursor c = cursor_of(series);
    uint8_t tag = 0;
    struct slice value;
    while (cursor_more(&c)) {
        tag = cursor_u8(&c);
        struct slice bytes = cursor_varint_bytes(&c);
        if (tag != V1_LABEL) {
            if (v->one.len == 0) {
                field_put(&v->one, REFS, buf_slice(&v->refs));
            }
            field_put(&v->one, tag == V1_SAMPLE ? SAMPLE : HISTOGRAM, bytes);
            continue;
        }
        struct slice name;
        label_read(bytes, &name, &value);
        metric = slice_eq_str(name, "__name__") ? value : metric;
        buf_varint(&v->refs, symbol_ref(v, name));
        buf_varint(&v->refs, symbol_ref(v, value));
    }
    metadata_add(v, m, metric);
    field_put(&v->series, SERIES, buf_slice(&v->one));
}

bool version2_convert(struct version2 *v, const struct metadata *m, struct buf *request)
{
    buf_reset(&v->series);
    buf_reset(&v->symbols);
    table_clear(&v->seen);
    v->n_symbols = 0;
    (void)symbol_ref(v, SLICE_LITERAL(""));
    struct cursor c = cursor_of(buf_slice(request));
    while (cursor_more(&c)) {
        uint8_t tag = cursor_u8(&c);
        struct slice bytes = cursor_varint_bytes(&c);
        if (tag == V1_SERIES) {
            series_convert(v, m, bytes);
        }
    }
    bool any = v->series.len > 0;
    buf_reset(request);
    if (any) {
        buf_put_slice(request, buf_slice(&v->symbols));
        buf_put_slice(request, buf_slice(&v->series));
    }
    return buf_ok(&v->series) && buf_ok(&v->symbols) && buf_ok(&v->one) && buf_ok(&v->refs) &&
           buf_ok(request) && cursor_ok(&c);
}
