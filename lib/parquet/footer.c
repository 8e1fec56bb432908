#include "parquet/footer.h"

struct footer_span {
    size_t at; /* in its buf */
    size_t len;
};

struct footer_chunk {
    int64_t place;
    int64_t plain_bytes;
    int64_t file_bytes;
    struct footer_span metadata;
    struct footer_span column_index; /* len 0: none */
    struct footer_span offset_index;
};

struct footer_group {
    int64_t n_rows;
};

void footer_init(struct footer *f, size_t n_leaves, size_t max_bytes)
{
    *f = (struct footer){.n_leaves = n_leaves};
    buf_init(&f->groups, max_bytes / 8);
    buf_init(&f->chunks, max_bytes / 8);
    buf_init(&f->metadata, max_bytes / 4);
    buf_init(&f->column_indexes, max_bytes / 4);
    buf_init(&f->offset_indexes, max_bytes / 4);
}

void footer_fini(struct footer *f)
{
    buf_fini(&f->groups);
    buf_fini(&f->chunks);
    buf_fini(&f->metadata);
    buf_fini(&f->column_indexes);
    buf_fini(&f->offset_indexes);
}

size_t footer_held_bytes(const struct footer *f)
{
    return f->groups.cap + f->chunks.cap + f->metadata.cap + f->column_indexes.cap +
           f->offset_indexes.cap;
}

static bool is_null_page(const struct page *p)
{
    return p->n_nulls == p->n_levels;
}

/* A page of nothing but NaN has no bounds, and a ColumnIndex can't say so: then there is none. */
static bool has_column_index(const struct leaf *l)
{
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        if (!p->bounds.any && !is_null_page(p)) {
            return false;
        }
    }
    return true;
}

static enum parquet_boundary_order boundary_order(const struct leaf *l)
{
    enum parquet_type type = l->schema->type;
    bool up = true;
    bool down = true;
    const struct page *before = NULL;
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        if (!p->bounds.any) {
            continue;
        }
        if (before != NULL) {
            int min = bounds_cmp_min(&before->bounds, &p->bounds, type);
            int max = bounds_cmp_max(&before->bounds, &p->bounds, type);
            up = up && min <= 0 && max <= 0;
            down = down && min >= 0 && max >= 0;
        }
        before = p;
    }
    return up ? ORDER_ASCENDING : down ? ORDER_DESCENDING : ORDER_UNORDERED;
}

static void column_index_put(const struct leaf *l, struct buf *out)
{
    enum parquet_type type = l->schema->type;
    uint8_t room[8];
    struct thrift_struct index = thrift_begin(out);
    thrift_list(&index, 1, THRIFT_TRUE, l->n_pages);
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        buf_u8(out, is_null_page(p) ? THRIFT_TRUE : THRIFT_FALSE);
    }
    thrift_list(&index, 2, THRIFT_BINARY, l->n_pages);
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        buf_varint_bytes(out, is_null_page(p) ? SLICE_NONE : bounds_min(&p->bounds, type, room));
    }
    thrift_list(&index, 3, THRIFT_BINARY, l->n_pages);
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        buf_varint_bytes(out, is_null_page(p) ? SLICE_NONE : bounds_max(&p->bounds, type, room));
    }
    thrift_i32(&index, 4, (int32_t)boundary_order(l));
    thrift_list(&index, 5, THRIFT_I64, l->n_pages);
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        buf_zigzag(out, p->n_nulls);
    }
    thrift_end(&index);
}

static int64_t first_data_page(const struct leaf *l, int64_t chunk)
{
    return chunk + (l->dictionary_page == NULL ? 0 : (int64_t)l->dictionary_page->bytes.len);
}

static void offset_index_put(const struct leaf *l, int64_t chunk, struct buf *out)
{
    int64_t at = first_data_page(l, chunk);
    int64_t row = 0;
    struct thrift_struct index = thrift_begin(out);
    thrift_list(&index, 1, THRIFT_STRUCT, l->n_pages);
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        struct thrift_struct location = thrift_begin(out);
        thrift_i64(&location, 1, at);
        thrift_i32(&location, 2, (int32_t)p->bytes.len);
        thrift_i64(&location, 3, row);
        thrift_end(&location);
        at += (int64_t)p->bytes.len;
        row += p->n_rows;
    }
    thrift_end(&index);
}

/* Of a chunk: the sums over its pages. */
struct sums {
    int64_t n_levels;
    int64_t n_nulls;
    int64_t plain_bytes;
    int64_t file_bytes;
    int32_t n_pages[N_ENCODINGS];
    struct bounds bounds;
};

static struct sums sums_of(const struct leaf *l)
{
    struct sums s = {.n_levels = 0};
    if (l->dictionary_page != NULL) {
        s.plain_bytes = (int64_t)l->dictionary_page->plain_bytes;
        s.file_bytes = (int64_t)l->dictionary_page->bytes.len;
    }
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        s.n_levels += p->n_levels;
        s.n_nulls += p->n_nulls;
        s.plain_bytes += (int64_t)p->plain_bytes;
        s.file_bytes += (int64_t)p->bytes.len;
        s.n_pages[p->encoding]++;
        bounds_merge(&s.bounds, l->schema->type, &p->bounds);
    }
    return s;
}

static void statistics_put(const struct sums *s, enum parquet_type type,
                           struct thrift_struct *metadata)
{
    uint8_t room[8];
    struct thrift_struct statistics = thrift_field_struct(metadata, 12);
    thrift_i64(&statistics, 3, s->n_nulls);
    if (bounds_can_be_told(&s->bounds)) {
        thrift_bytes(&statistics, 5, bounds_max(&s->bounds, type, room));
        thrift_bytes(&statistics, 6, bounds_min(&s->bounds, type, room));
        thrift_bool(&statistics, 7, s->bounds.max_exact);
        thrift_bool(&statistics, 8, s->bounds.min_exact);
    }
    thrift_end(&statistics);
}

static void encodings_put(const struct leaf *l, const struct sums *s,
                          struct thrift_struct *metadata)
{
    bool used[N_ENCODINGS] = {false};
    size_t n = 0;
    used[ENCODING_RLE] = l->schema->max_definition > 0 || l->schema->max_repetition > 0;
    used[ENCODING_PLAIN] = l->dictionary_page != NULL;
    for (int i = 0; i < N_ENCODINGS; i++) {
        used[i] = used[i] || s->n_pages[i] > 0;
        n += used[i];
    }
    thrift_list(metadata, 2, THRIFT_I32, n);
    for (int i = 0; i < N_ENCODINGS; i++) {
        if (used[i]) {
            buf_zigzag(metadata->out, i);
        }
    }
}

static void page_count_put(struct buf *out, enum parquet_page_type type, int encoding, int32_t n)
{
    struct thrift_struct count = thrift_begin(out);
    thrift_i32(&count, 1, (int32_t)type);
    thrift_i32(&count, 2, encoding);
    thrift_i32(&count, 3, n);
    thrift_end(&count);
}

static void encoding_stats_put(const struct leaf *l, const struct sums *s,
                               struct thrift_struct *metadata)
{
    size_t n = l->dictionary_page != NULL;
    for (int i = 0; i < N_ENCODINGS; i++) {
        n += s->n_pages[i] > 0;
    }
    thrift_list(metadata, 13, THRIFT_STRUCT, n);
    if (l->dictionary_page != NULL) {
        page_count_put(metadata->out, PAGE_DICTIONARY, ENCODING_PLAIN, 1);
    }
    for (int i = 0; i < N_ENCODINGS; i++) {
        if (s->n_pages[i] > 0) {
            page_count_put(metadata->out, PAGE_DATA, i, s->n_pages[i]);
        }
    }
}

static void metadata_put(const struct leaf *l, const struct sums *s, enum parquet_codec codec,
                         const struct footer_place *place, struct buf *out)
{
    const struct leaf_schema *schema = l->schema;
    struct thrift_struct metadata = thrift_begin(out);
    thrift_i32(&metadata, 1, (int32_t)physical_of(schema->type));
    encodings_put(l, s, &metadata);
    thrift_list(&metadata, 3, THRIFT_BINARY, schema->n_path);
    for (uint8_t i = 0; i < schema->n_path; i++) {
        buf_varint_bytes(out, slice_str(schema->path[i]));
    }
    thrift_i32(&metadata, 4, (int32_t)codec);
    thrift_i64(&metadata, 5, s->n_levels);
    thrift_i64(&metadata, 6, s->plain_bytes);
    thrift_i64(&metadata, 7, s->file_bytes);
    thrift_i64(&metadata, 9, first_data_page(l, place->chunk));
    if (l->dictionary_page != NULL) {
        thrift_i64(&metadata, 11, place->chunk);
    }
    statistics_put(s, schema->type, &metadata);
    encoding_stats_put(l, s, &metadata);
    if (place->bloom != 0) {
        thrift_i64(&metadata, 14, place->bloom);
        thrift_i32(&metadata, 15, place->bloom_bytes);
    }
    thrift_end(&metadata);
}

static struct footer_span span_since(const struct buf *b, size_t at)
{
    return (struct footer_span){at, b->len - at};
}

static bool all_ok(const struct footer *f)
{
    return buf_ok(&f->groups) && buf_ok(&f->chunks) && buf_ok(&f->metadata) &&
           buf_ok(&f->column_indexes) && buf_ok(&f->offset_indexes);
}

bool footer_add_chunk(struct footer *f, const struct leaf *l, enum parquet_codec codec,
                      const struct footer_place *place)
{
    struct sums s = sums_of(l);
    struct footer_chunk chunk = {
        .place = place->chunk, .plain_bytes = s.plain_bytes, .file_bytes = s.file_bytes};
    size_t at = f->metadata.len;
    metadata_put(l, &s, codec, place, &f->metadata);
    chunk.metadata = span_since(&f->metadata, at);
    if (has_column_index(l)) {
        at = f->column_indexes.len;
        column_index_put(l, &f->column_indexes);
        chunk.column_index = span_since(&f->column_indexes, at);
    }
    at = f->offset_indexes.len;
    offset_index_put(l, place->chunk, &f->offset_indexes);
    chunk.offset_index = span_since(&f->offset_indexes, at);
    buf_put(&f->chunks, &chunk, sizeof chunk);
    return all_ok(f);
}

bool footer_add_group(struct footer *f, int64_t n_rows)
{
    struct footer_group group = {n_rows};
    buf_put(&f->groups, &group, sizeof group);
    f->n_groups++;
    f->n_rows += n_rows;
    return all_ok(f);
}

static struct footer_chunk chunk_at(const struct footer *f, size_t i)
{
    struct footer_chunk chunk;
    memcpy(&chunk, f->chunks.ptr + i * sizeof chunk, sizeof chunk);
    return chunk;
}

static void chunk_put(const struct footer *f, const struct footer_chunk *chunk, int64_t at,
                      struct buf *out)
{
    struct thrift_struct c = thrift_begin(out);
    int64_t offset_indexes = at + (int64_t)f->column_indexes.len;
    thrift_i64(&c, 2, 0); /* file_offset: deprecated */
    thrift_raw_struct(&c, 3, slice_of(f->metadata.ptr + chunk->metadata.at, chunk->metadata.len));
    thrift_i64(&c, 4, offset_indexes + (int64_t)chunk->offset_index.at);
    thrift_i32(&c, 5, (int32_t)chunk->offset_index.len);
    if (chunk->column_index.len > 0) {
        thrift_i64(&c, 6, at + (int64_t)chunk->column_index.at);
        thrift_i32(&c, 7, (int32_t)chunk->column_index.len);
    }
    thrift_end(&c);
}

static int32_t leaf_of_field(const struct footer_facts *facts, uint32_t field)
{
    return (int32_t)schema_n_leaves(facts->fields, field);
}

static void sorting_put(const struct footer_facts *facts, struct thrift_struct *group)
{
    thrift_list(group, 4, THRIFT_STRUCT, facts->n_sorting);
    for (size_t i = 0; i < facts->n_sorting; i++) {
        struct thrift_struct column = thrift_begin(group->out);
        thrift_i32(&column, 1, leaf_of_field(facts, facts->sorting[i].field));
        thrift_bool(&column, 2, facts->sorting[i].descending);
        thrift_bool(&column, 3, facts->sorting[i].nulls_first);
        thrift_end(&column);
    }
}

static void group_put(const struct footer *f, const struct footer_facts *facts, size_t i,
                      int64_t at, struct buf *out)
{
    struct footer_group g;
    memcpy(&g, f->groups.ptr + i * sizeof g, sizeof g);
    struct thrift_struct group = thrift_begin(out);
    int64_t plain_bytes = 0;
    int64_t file_bytes = 0;
    thrift_list(&group, 1, THRIFT_STRUCT, f->n_leaves);
    for (size_t k = 0; k < f->n_leaves; k++) {
        struct footer_chunk chunk = chunk_at(f, i * f->n_leaves + k);
        chunk_put(f, &chunk, at, out);
        plain_bytes += chunk.plain_bytes;
        file_bytes += chunk.file_bytes;
    }
    thrift_i64(&group, 2, plain_bytes);
    thrift_i64(&group, 3, g.n_rows);
    if (facts->n_sorting > 0) {
        sorting_put(facts, &group);
    }
    thrift_i64(&group, 5, chunk_at(f, i * f->n_leaves).place);
    thrift_i64(&group, 6, file_bytes);
    if (i <= INT16_MAX) {
        thrift_i16(&group, 7, (int16_t)i);
    }
    thrift_end(&group);
}

static void pairs_put(const struct footer_facts *facts, struct thrift_struct *footer)
{
    thrift_list(footer, 5, THRIFT_STRUCT, facts->n_pairs);
    for (size_t i = 0; i < facts->n_pairs; i++) {
        struct thrift_struct pair = thrift_begin(footer->out);
        thrift_text(&pair, 1, facts->pairs[i].key);
        thrift_text(&pair, 2, facts->pairs[i].value);
        thrift_end(&pair);
    }
}

bool footer_put(const struct footer *f, const struct footer_facts *facts, int64_t at,
                struct buf *out)
{
    enum { VERSION = 2 }; /* RLE_DICTIONARY is of format 2 */
    buf_put_slice(out, buf_slice(&f->column_indexes));
    buf_put_slice(out, buf_slice(&f->offset_indexes));
    size_t begin = out->len;
    struct thrift_struct footer = thrift_begin(out);
    thrift_i32(&footer, 1, VERSION);
    schema_put(facts->fields, facts->n_fields, &footer);
    thrift_i64(&footer, 3, f->n_rows);
    thrift_list(&footer, 4, THRIFT_STRUCT, f->n_groups);
    for (size_t i = 0; i < f->n_groups; i++) {
        group_put(f, facts, i, at, out);
    }
    if (facts->n_pairs > 0) {
        pairs_put(facts, &footer);
    }
    thrift_text(&footer, 6, facts->created_by);
    thrift_list(&footer, 7, THRIFT_STRUCT, f->n_leaves);
    for (size_t i = 0; i < f->n_leaves; i++) { /* TYPE_ORDER */
        struct thrift_struct order = thrift_begin(out);
        thrift_empty(&order, 1);
        thrift_end(&order);
    }
    thrift_end(&footer);
    buf_le32(out, (uint32_t)(out->len - begin));
    buf_put(out, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
    return buf_ok(out);
}
