#include "parquet/leaf.h"

#include "base/utf8.h"
#include "parquet/bloom.h"
#include "parquet/encoding.h"

void leaf_init(struct leaf *l, const struct leaf_schema *schema, const struct leaf_limits *limits,
               struct press *press, struct arena *group)
{
    *l = (struct leaf){.schema = schema, .limits = limits, .press = press, .group = group};
    dictionary_init(&l->dictionary, width_of(schema->type), schema->type == PARQUET_STRING,
                    limits->buf_max_bytes);
    buf_init(&l->repetition, limits->buf_max_bytes);
    buf_init(&l->definition, limits->buf_max_bytes);
    buf_init(&l->ids, limits->buf_max_bytes);
    buf_init(&l->plain, limits->buf_max_bytes);
    buf_init(&l->marks, limits->buf_max_bytes);
    buf_init(&l->hashes, limits->buf_max_bytes);
    leaf_reset(l, false);
}

static void bufs_free(struct leaf *l)
{
    dictionary_fini(&l->dictionary);
    buf_fini(&l->repetition);
    buf_fini(&l->definition);
    buf_fini(&l->ids);
    buf_fini(&l->plain);
    buf_fini(&l->marks);
    buf_fini(&l->hashes);
}

void leaf_fini(struct leaf *l)
{
    bufs_free(l);
}

static void open_page(struct leaf *l)
{
    buf_reset(&l->repetition);
    buf_reset(&l->definition);
    buf_reset(&l->ids);
    buf_reset(&l->plain);
    l->page_number++;
    l->n_levels = l->n_values = l->n_rows = 0;
    l->any_text = false;
    l->bounds = (struct bounds){.any = false};
}

void leaf_reset(struct leaf *l, bool release)
{
    if (release) {
        bufs_free(l);
    }
    dictionary_reset(&l->dictionary);
    buf_reset(&l->marks);
    buf_reset(&l->hashes);
    l->has_dictionary = l->schema->encoding == PARQUET_DICTIONARY;
    l->first_page = l->last_page = l->dictionary_page = NULL;
    l->n_pages = 0;
    l->page_number = 0;
    open_page(l);
}

size_t leaf_held_bytes(const struct leaf *l)
{
    return dictionary_held_bytes(&l->dictionary) + l->repetition.cap + l->definition.cap +
           l->ids.cap + l->plain.cap + l->marks.cap + l->hashes.cap;
}

static size_t growth(const struct buf *b)
{
    return b->len > b->cap / 2 ? b->cap : 0;
}

size_t leaf_growth_bytes(const struct leaf *l)
{
    return dictionary_growth_bytes(&l->dictionary) + growth(&l->repetition) +
           growth(&l->definition) + growth(&l->ids) + growth(&l->plain) + growth(&l->marks) +
           growth(&l->hashes);
}

static size_t open_memory(const struct leaf *l)
{
    return l->repetition.len + l->definition.len + l->ids.len + l->plain.len;
}

size_t leaf_open_bytes(const struct leaf *l)
{
    return (l->repetition.len + l->definition.len) / 8 + l->ids.len / 4 + l->plain.len;
}

bool leaf_is_full(const struct leaf *l)
{
    return l->hashes.len > l->limits->buf_max_bytes / 2;
}

size_t leaf_unfinished_bytes(const struct leaf *l)
{
    return open_memory(l) + l->dictionary.values.len;
}

static bool over_ceiling(const struct leaf *l, struct err *e)
{
    return err_set(e, ERR_BAD_INPUT,
                   "more than %zu bytes in one buffer, the memory ceiling's share",
                   l->limits->buf_max_bytes);
}

static void text_bound(struct leaf *l, const struct buf *base, struct text_ref ref)
{
    if (!l->any_text) {
        l->any_text = true;
        l->min_text = l->max_text = ref;
        return;
    }
    struct slice text = slice_of(base->ptr + ref.at, ref.len);
    if (slice_cmp(text, slice_of(base->ptr + l->min_text.at, l->min_text.len)) < 0) {
        l->min_text = ref;
    } else if (slice_cmp(text, slice_of(base->ptr + l->max_text.at, l->max_text.len)) > 0) {
        l->max_text = ref;
    }
}

/* Compares each distinct value of the page once. */
static bool bound_ids(struct leaf *l, const uint32_t *ids, size_t n)
{
    size_t more = (size_t)l->dictionary.n * sizeof(uint32_t) - l->marks.len;
    uint8_t *fresh = more == 0 ? NULL : buf_extend(&l->marks, more);
    if (more > 0 && fresh == NULL) {
        return false;
    }
    if (more > 0) {
        memset(fresh, 0, more);
    }
    uint32_t *marks = (uint32_t *)(void *)l->marks.ptr;
    for (size_t i = 0; i < n; i++) {
        if (marks[ids[i]] != l->page_number) {
            marks[ids[i]] = l->page_number;
            text_bound(l, &l->dictionary.values, dictionary_ref(&l->dictionary, ids[i]));
        }
    }
    return true;
}

static bool lookups_ok(const struct leaf *l, struct err *e)
{
    if (l->dictionary.bad_text) {
        return err_set(e, ERR_BAD_INPUT, "not UTF-8");
    }
    return !l->dictionary.failed || over_ceiling(l, e);
}

/* Texts or fixed widths into the dictionary. */
static bool ids_append(struct leaf *l, const void *values, size_t n, struct err *e)
{
    uint32_t *ids = (uint32_t *)(void *)buf_extend(&l->ids, n * sizeof *ids);
    if (ids == NULL) {
        return over_ceiling(l, e);
    }
    if (is_text(l->schema->type)) {
        const struct slice *texts = values;
        for (size_t i = 0; i < n; i++) {
            ids[i] = dictionary_id(&l->dictionary, texts[i]);
        }
        return lookups_ok(l, e) && (bound_ids(l, ids, n) || over_ceiling(l, e));
    }
    unsigned width = width_of(l->schema->type);
    const uint8_t *p = values;
    for (size_t i = 0; i < n; i++, p += width) {
        bool again = i > 0 && memcmp(p, p - width, width) == 0;
        ids[i] = again ? ids[i - 1] : dictionary_lookup(&l->dictionary, slice_of(p, width));
    }
    return lookups_ok(l, e);
}

static void hash_add(struct leaf *l, struct slice value)
{
    uint64_t hash = bloom_hash(value);
    if (l->hashes.len == 0 || hash != l->last_hash) { /* sorted columns repeat */
        buf_le64(&l->hashes, hash);
        l->last_hash = hash;
    }
}

static bool texts_append(struct leaf *l, const struct slice *texts, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (texts[i].len > l->limits->buf_max_bytes) {
            return over_ceiling(l, e);
        }
        if (l->schema->type == PARQUET_STRING && !utf8_valid(texts[i])) {
            return err_set(e, ERR_BAD_INPUT, "not UTF-8");
        }
        buf_le32(&l->plain, (uint32_t)texts[i].len);
        struct text_ref ref = {(uint32_t)l->plain.len, (uint32_t)texts[i].len};
        buf_put_slice(&l->plain, texts[i]);
        if (!buf_ok(&l->plain)) {
            return over_ceiling(l, e);
        }
        text_bound(l, &l->plain, ref);
    }
    return true;
}

static void hashes_append(struct leaf *l, const void *values, size_t n)
{
    const struct slice *texts = values;
    const uint8_t *fixed = values;
    unsigned width = width_of(l->schema->type);
    for (size_t i = 0; i < n; i++) {
        hash_add(l, width == 0 ? texts[i] : slice_of(fixed + i * width, width));
    }
}

static bool values_append(struct leaf *l, const void *values, size_t n, struct err *e)
{
    if (n == 0) {
        return true;
    }
    bounds_add(&l->bounds, l->schema->type, values, n);
    if (l->has_dictionary) {
        return ids_append(l, values, n, e);
    }
    if (l->schema->bloom) {
        hashes_append(l, values, n);
    }
    if (is_text(l->schema->type)) {
        return texts_append(l, values, n, e);
    }
    buf_put(&l->plain, values, n * width_of(l->schema->type));
    return true;
}

static void levels_encode(struct press *press, const struct buf *levels, uint8_t max,
                          struct buf *wide)
{
    if (max == 0) {
        return;
    }
    buf_reset(wide);
    uint32_t *to = (uint32_t *)(void *)buf_extend(wide, levels->len * sizeof *to);
    if (to == NULL) {
        press->body.failed = true;
        return;
    }
    for (size_t i = 0; i < levels->len; i++) {
        to[i] = levels->ptr[i];
    }
    size_t at = press->body.len;
    buf_le32(&press->body, 0);
    rle_encode(to, levels->len, bit_width_of(max), &press->body);
    if (buf_ok(&press->body)) {
        uint32_t n_bytes = (uint32_t)(press->body.len - at - sizeof n_bytes);
        memcpy(press->body.ptr + at, &n_bytes, sizeof n_bytes);
    }
}

static enum parquet_page_encoding encode_values(const struct leaf *l, struct buf *body)
{
    struct slice plain = buf_slice(&l->plain);
    unsigned width = width_of(l->schema->type);
    if (l->has_dictionary) {
        unsigned bit_width = bit_width_of(l->dictionary.n < 2 ? 1 : l->dictionary.n - 1);
        buf_u8(body, (uint8_t)bit_width);
        rle_encode((const uint32_t *)(const void *)l->ids.ptr, l->ids.len / sizeof(uint32_t),
                   bit_width, body);
        return ENCODING_RLE_DICTIONARY;
    }
    switch (l->schema->encoding) {
    case PARQUET_DELTA:
        delta_encode(plain, width, body);
        return ENCODING_DELTA_BINARY_PACKED;
    case PARQUET_SPLIT:
        split_encode(plain, width, body);
        return ENCODING_BYTE_STREAM_SPLIT;
    default:
        break;
    }
    if (l->schema->type == PARQUET_BOOL) {
        bits_encode(plain, body);
    } else {
        buf_put_slice(body, plain);
    }
    return ENCODING_PLAIN;
}

static bool page_bounds(struct leaf *l, struct page *page)
{
    page->bounds = l->bounds;
    if (!l->any_text) {
        return true;
    }
    const struct buf *base = l->has_dictionary ? &l->dictionary.values : &l->plain;
    return bounds_set_texts(&page->bounds, l->schema->type,
                            slice_of(base->ptr + l->min_text.at, l->min_text.len),
                            slice_of(base->ptr + l->max_text.at, l->max_text.len),
                            l->limits->statistics_max_bytes, l->group);
}

static bool cut_page(struct leaf *l, struct err *e)
{
    struct press *press = l->press;
    struct page *page = ARENA_ARRAY(l->group, struct page, 1);
    if (page == NULL || !page_bounds(l, page)) {
        return err_set(e, ERR_BAD_INPUT, "the row group is over the memory ceiling");
    }
    buf_reset(&press->body);
    levels_encode(press, &l->repetition, l->schema->max_repetition, &press->packed);
    levels_encode(press, &l->definition, l->schema->max_definition, &press->packed);
    page->encoding = encode_values(l, &press->body);
    page->n_levels = l->n_levels;
    page->n_nulls = l->n_levels - l->n_values;
    page->n_rows = l->n_rows;
    if (!press_page(press, PAGE_DATA, page, l->group, e)) {
        return false;
    }
    if (l->last_page == NULL) {
        l->first_page = page;
    } else {
        l->last_page->next = page;
    }
    l->last_page = page;
    l->n_pages++;
    open_page(l);
    return true;
}

static bool dictionary_is_full(const struct leaf *l)
{
    enum { LEAST_BYTES_PER_ENTRY = 16 }; /* references and slots take memory, too */
    return l->has_dictionary &&
           (l->dictionary.values.len > l->limits->dictionary_max_bytes ||
            l->dictionary.n > l->limits->dictionary_max_bytes / LEAST_BYTES_PER_ENTRY);
}

bool leaf_append(struct leaf *l, const struct leaf_rows *rows, struct err *e)
{
    if (l->schema->max_repetition > 0) {
        buf_put(&l->repetition, rows->repetition, rows->n_levels);
    }
    if (l->schema->max_definition > 0) {
        buf_put(&l->definition, rows->definition, rows->n_levels);
    }
    if (!values_append(l, rows->values, rows->n_values, e)) {
        return false;
    }
    if (!buf_ok(&l->repetition) || !buf_ok(&l->definition) || !buf_ok(&l->plain) ||
        !buf_ok(&l->hashes)) {
        return over_ceiling(l, e);
    }
    l->n_levels += (uint32_t)rows->n_levels;
    l->n_values += (uint32_t)rows->n_values;
    l->n_rows += (uint32_t)rows->n_rows;
    bool full = dictionary_is_full(l);
    if (full || l->n_rows >= l->limits->page_rows || open_memory(l) >= l->limits->page_bytes) {
        if (!cut_page(l, e)) {
            return false;
        }
    }
    l->has_dictionary = l->has_dictionary && !full;
    return true;
}

static bool any_dictionary_page(const struct leaf *l)
{
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        if (p->encoding == ENCODING_RLE_DICTIONARY) {
            return true;
        }
    }
    return false;
}

bool leaf_finish(struct leaf *l, struct err *e)
{
    if (l->n_levels > 0 && !cut_page(l, e)) {
        return false;
    }
    if (!any_dictionary_page(l)) {
        return true;
    }
    struct page *page = ARENA_ARRAY(l->group, struct page, 1);
    if (page == NULL) {
        return err_set(e, ERR_BAD_INPUT, "the row group is over the memory ceiling");
    }
    page->encoding = ENCODING_PLAIN;
    page->n_levels = l->dictionary.n;
    buf_reset(&l->press->body);
    buf_put_slice(&l->press->body, buf_slice(&l->dictionary.values));
    l->dictionary_page = page;
    return press_page(l->press, PAGE_DICTIONARY, page, l->group, e);
}

void leaf_bloom_put(const struct leaf *l, size_t max_bytes, struct buf *hashes, struct buf *out)
{
    buf_reset(hashes);
    buf_put_slice(hashes, buf_slice(&l->hashes));
    for (uint32_t id = 0; id < l->dictionary.n; id++) {
        struct text_ref ref = dictionary_ref(&l->dictionary, id);
        buf_le64(hashes, bloom_hash(slice_of(l->dictionary.values.ptr + ref.at, ref.len)));
    }
    if (!buf_ok(hashes)) {
        out->failed = true;
        return;
    }
    bloom_put((const uint64_t *)(const void *)hashes->ptr, hashes->len / sizeof(uint64_t),
              max_bytes, out);
}
