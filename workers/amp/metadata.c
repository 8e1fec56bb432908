#include "metadata.h"

#include <stdlib.h>

enum { TAG_METADATA = 0x1a, TAG_TYPE = 0x08, TAG_NAME = 0x12, TAG_UNIT = 0x2a };
enum { TYPE_COUNTER = 1, TYPE_GAUGE = 2, TYPE_HISTOGRAM = 3 };
enum { MAX_NAMES_AT_A_TIME = 200, MAX_NAME_BYTES = 1024, ROW_COST_BYTES = 64 };

struct metadata_row {
    struct slice name; /* both in here */
    struct slice unit;
    uint8_t type;
};

void metadata_init(struct metadata *m, int64_t interval_ms, size_t max_bytes)
{
    *m = (struct metadata){.interval_ms = interval_ms};
    table_init(&m->names, max_bytes, free);
}

void metadata_fini(struct metadata *m)
{
    table_fini(&m->names);
}

static uint8_t type_of(enum series_kind kind)
{
    switch (kind) {
    case SERIES_COUNTER:
        return TYPE_COUNTER;
    case SERIES_GAUGE:
        return TYPE_GAUGE;
    default:
        return TYPE_HISTOGRAM;
    }
}

static void row_add(struct metadata *m, struct hash128 key, const struct series *s)
{
    size_t n_bytes = s->metric.len + s->unit.len;
    struct metadata_row *row = malloc(sizeof *row + n_bytes);
    if (row == NULL) {
        return; /* then a name has none */
    }
    uint8_t *text = (uint8_t *)(row + 1);
    memcpy(text, s->metric.ptr, s->metric.len);
    if (s->unit.len > 0) {
        memcpy(text + s->metric.len, s->unit.ptr, s->unit.len);
    }
    *row = (struct metadata_row){.name = slice_of(text, s->metric.len),
                                 .unit = slice_of(text + s->metric.len, s->unit.len),
                                 .type = type_of(s->kind)};
    if (!table_put(&m->names, key, row, sizeof *row + n_bytes + ROW_COST_BYTES)) {
        free(row);
    }
}

/* Series come in order of their names: each name is looked up once. */
void metadata_learn(struct metadata *m, const struct shape *shape)
{
    struct slice last = SLICE_NONE;
    for (uint32_t i = 0; m->interval_ms > 0 && i < shape->n_series; i++) {
        const struct series *s = &shape->series[i];
        if (s->delta || s->metric.len > MAX_NAME_BYTES || slice_eq(s->metric, last)) {
            continue;
        }
        last = s->metric;
        struct hash128 key = hash128(s->metric);
        if (table_find(&m->names, key) == NULL) {
            row_add(m, key, s);
        }
    }
}

static size_t varint_len(uint64_t v)
{
    return v < 0x80 ? 1 : 1 + varint_len(v >> 7);
}

static void row_put(const struct metadata_row *row, struct buf *out)
{
    size_t n = 2 + 1 + varint_len(row->name.len) + row->name.len;
    n += row->unit.len == 0 ? 0 : 1 + varint_len(row->unit.len) + row->unit.len;
    buf_u8(out, TAG_METADATA);
    buf_varint(out, n);
    buf_u8(out, TAG_TYPE);
    buf_u8(out, row->type);
    buf_u8(out, TAG_NAME);
    buf_varint_bytes(out, row->name);
    if (row->unit.len > 0) {
        buf_u8(out, TAG_UNIT);
        buf_varint_bytes(out, row->unit);
    }
}

static const struct metadata_row *row_find(const struct metadata *m, struct slice name)
{
    /* The look-up only marks the row as used. */
    return table_find((struct table *)(uintptr_t)&m->names, hash128(name));
}

bool metadata_find(const struct metadata *m, struct slice name, struct metadata_facts *out)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    const struct metadata_row *row = row_find(m, name);
    for (int i = 0; row == NULL && i < 3; i++) {
        size_t n = strlen(suffixes[i]);
        if (name.len > n && memcmp(name.ptr + name.len - n, suffixes[i], n) == 0) {
            row = row_find(m, slice_of(name.ptr, name.len - n));
            row = row == NULL || row->type != TYPE_HISTOGRAM ? NULL : row;
        }
    }
    if (row != NULL) {
        *out = (struct metadata_facts){row->type, row->unit};
    }
    return row != NULL;
}

void metadata_put(struct metadata *m, int64_t now_ms, struct buf *out)
{
    if (m->interval_ms == 0 || now_ms < m->due_ms) {
        return;
    }
    for (int i = 0; i < MAX_NAMES_AT_A_TIME; i++) {
        const struct metadata_row *row = table_next(&m->names, &m->at);
        if (row == NULL) {
            m->at = 0;
            m->due_ms = now_ms + m->interval_ms;
            return;
        }
        row_put(row, out);
    }
}
