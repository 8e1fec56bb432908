#include "parquet/verify.h"

#include <math.h>

#include "base/utf8.h"
#include "parquet/bloom.h"
#include "parquet/column_reader.h"

/* Of a page or a chunk, gathered from its values. */
struct seen {
    int64_t n_rows;
    int64_t n_levels;
    int64_t n_nulls;
    bool any; /* a value that is not NaN */
    struct slice min;
    struct slice max;
    uint8_t min_room[8]; /* of numbers */
    uint8_t max_room[8];
};

struct check {
    const struct parquet_file *file;
    const struct file_leaf *leaf;
    const struct file_chunk *chunk;
    struct file_index index; /* the chunk's */
    struct slice bloom;      /* len 0: none */
    uint8_t *decided; /* of each row of the group: an earlier sorting column says it comes later;
                         NULL: unsorted */
    const struct file_sorting *sorting;
    int64_t n_group_rows;
    size_t max_bytes;    /* of a page and of a dictionary */
    struct arena *arena; /* of the row group */
};

static int64_t int_of(struct slice value, enum parquet_physical physical)
{
    int32_t narrow = 0;
    int64_t wide = 0;
    if (physical == PHYSICAL_INT32) {
        memcpy(&narrow, value.ptr, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, value.ptr, physical == PHYSICAL_BOOLEAN ? 1 : sizeof wide);
    return wide;
}

static double double_of(struct slice value)
{
    double v;
    memcpy(&v, value.ptr, sizeof v);
    return v;
}

static int value_cmp(struct slice a, struct slice b, enum parquet_physical physical)
{
    if (physical == PHYSICAL_BYTE_ARRAY) {
        return slice_cmp(a, b);
    }
    if (physical == PHYSICAL_DOUBLE) {
        return (double_of(a) > double_of(b)) - (double_of(a) < double_of(b));
    }
    int64_t x = int_of(a, physical);
    int64_t y = int_of(b, physical);
    return (x > y) - (x < y);
}

static bool is_nan(struct slice value, enum parquet_physical physical)
{
    return physical == PHYSICAL_DOUBLE && isnan(double_of(value));
}

static struct slice value_at(const struct decoded_page *page, enum parquet_physical physical,
                             size_t i)
{
    if (physical == PHYSICAL_BYTE_ARRAY) {
        return ((const struct slice *)page->values)[i];
    }
    size_t stride = column_stride(physical);
    return slice_of((const uint8_t *)page->values + i * stride, stride);
}

static bool bounds_fit_type(struct slice min, struct slice max, enum parquet_physical physical)
{
    return physical == PHYSICAL_BYTE_ARRAY ||
           (min.len == column_stride(physical) && max.len == column_stride(physical));
}

/* Each value between the bounds that pages and chunks give, and in the filter. */
static bool value_check(const struct check *c, size_t page, struct slice value, struct err *e)
{
    const struct file_index *index = &c->index;
    enum parquet_physical physical = c->leaf->physical;
    if (c->leaf->converted == CONVERTED_UTF8 && !utf8_valid(value)) {
        return err_set(e, ERR_BAD_INPUT, "a text that is not UTF-8");
    }
    if (c->bloom.len > 0 && !bloom_may_hold(c->bloom, bloom_hash(value))) {
        return err_set(e, ERR_BAD_INPUT, "a value that the Bloom filter excludes");
    }
    if (is_nan(value, physical)) {
        return true;
    }
    if (c->chunk->has_bounds && (value_cmp(value, c->chunk->min, physical) < 0 ||
                                 value_cmp(value, c->chunk->max, physical) > 0)) {
        return err_set(e, ERR_BAD_INPUT, "a value outside of the chunk's statistics");
    }
    if (index->has_bounds &&
        (index->null_pages[page] || value_cmp(value, index->min[page], physical) < 0 ||
         value_cmp(value, index->max[page], physical) > 0)) {
        return err_set(e, ERR_BAD_INPUT, "a value outside of the column index");
    }
    return true;
}

/* Texts stay where they lie: the chunk's exact bounds are compared with the file's own bytes. */
static void number_note(struct seen *s, struct slice value, enum parquet_physical physical)
{
    if (is_nan(value, physical) || physical == PHYSICAL_BYTE_ARRAY) {
        return;
    }
    if (!s->any || value_cmp(value, s->min, physical) < 0) {
        memcpy(s->min_room, value.ptr, value.len);
        s->min = slice_of(s->min_room, value.len);
    }
    if (!s->any || value_cmp(value, s->max, physical) > 0) {
        memcpy(s->max_room, value.ptr, value.len);
        s->max = slice_of(s->max_room, value.len);
    }
    s->any = true;
}

/* ---- the order of rows ---- */

struct order {
    bool has_before; /* there is a row before in this row group */
    bool null_before;
    struct slice before;
    struct buf room; /* what `before` points to between pages */
};

/* < 0: the row before sorts first, > 0: it sorts last: out of order. */
static int order_cmp(const struct check *c, const struct order *o, bool null, struct slice value)
{
    if (o->null_before || null) {
        int nulls_last = (int)o->null_before - (int)null;
        return c->sorting->nulls_first ? -nulls_last : nulls_last;
    }
    int cmp = value_cmp(o->before, value, c->leaf->physical);
    return c->sorting->descending ? -cmp : cmp;
}

static bool order_check(const struct check *c, struct order *o, const struct decoded_page *page,
                        int64_t first_row, struct err *e)
{
    size_t k = 0;
    for (size_t i = 0; i < page->n_levels; i++) {
        bool null = page->definition[i] != c->leaf->max_definition;
        struct slice value = null ? SLICE_NONE : value_at(page, c->leaf->physical, k++);
        uint8_t *decided = &c->decided[first_row + (int64_t)i];
        if (o->has_before && !*decided) {
            int cmp = order_cmp(c, o, null, value);
            if (cmp > 0) {
                return err_set(e, ERR_BAD_INPUT, "row %lld of the row group is out of order",
                               (long long)first_row + (long long)i);
            }
            *decided = cmp < 0;
        }
        o->has_before = true;
        o->null_before = null;
        o->before = value;
    }
    buf_reset(&o->room);
    buf_put_slice(&o->room, o->before);
    o->before = buf_slice(&o->room);
    return buf_ok(&o->room) ||
           err_set(e, ERR_BAD_INPUT, "a value that needs more memory than it may have");
}

/* ---- a page, a chunk ---- */

static bool location_check(const struct file_index *index, size_t page,
                           const struct decoded_page *got, const struct seen *s, struct err *e)
{
    if (!index->has_locations) {
        return true;
    }
    if (page >= index->n_pages) {
        return err_set(e, ERR_BAD_INPUT, "more pages than the offset index has");
    }
    const struct file_location *l = &index->locations[page];
    if (l->at != got->at || l->len != got->n_bytes || l->first_row != s->n_rows ||
        got->repetition[0] != 0) {
        return err_set(e, ERR_BAD_INPUT,
                       "the offset index says byte %lld+%d, row %lld; it is %lld+%lld, row %lld",
                       (long long)l->at, l->len, (long long)l->first_row, (long long)got->at,
                       (long long)got->n_bytes, (long long)s->n_rows);
    }
    int64_t n_nulls = (int64_t)(got->n_levels - got->n_values);
    if (index->has_bounds && ((index->has_null_counts && index->n_nulls[page] != n_nulls) ||
                              index->null_pages[page] != (got->n_values == 0))) {
        return err_set(e, ERR_BAD_INPUT, "%lld nulls, and not what the column index says",
                       (long long)n_nulls);
    }
    return true;
}

static bool page_check(const struct check *c, size_t number, const struct decoded_page *page,
                       struct seen *s, struct order *o, struct err *e)
{
    if (!location_check(&c->index, number, page, s, e)) {
        return false;
    }
    for (size_t i = 0; i < page->n_values; i++) {
        struct slice value = value_at(page, c->leaf->physical, i);
        number_note(s, value, c->leaf->physical);
        if (!value_check(c, number, value, e)) {
            return false;
        }
    }
    if (c->decided != NULL) {
        if (s->n_rows + (int64_t)page->n_levels > c->n_group_rows) {
            return err_set(e, ERR_BAD_INPUT, "more rows than the row group has");
        }
        if (!order_check(c, o, page, s->n_rows, e)) {
            return false;
        }
    }
    s->n_rows += (int64_t)page->n_rows;
    s->n_levels += (int64_t)page->n_levels;
    s->n_nulls += (int64_t)(page->n_levels - page->n_values);
    return true;
}

static bool boundary_order_check(const struct file_index *index, enum parquet_physical physical,
                                 struct err *e)
{
    size_t before = SIZE_MAX;
    for (size_t i = 0; i < index->n_pages; i++) {
        if (index->null_pages[i]) {
            continue;
        }
        if (!bounds_fit_type(index->min[i], index->max[i], physical)) {
            return err_set(e, ERR_BAD_INPUT, "page %zu: bounds of the wrong width", i);
        }
        if (before != SIZE_MAX && index->order != ORDER_UNORDERED) {
            int min = value_cmp(index->min[before], index->min[i], physical);
            int max = value_cmp(index->max[before], index->max[i], physical);
            bool ok = index->order == ORDER_ASCENDING ? min <= 0 && max <= 0 : min >= 0 && max >= 0;
            if (!ok) {
                return err_set(e, ERR_BAD_INPUT,
                               "page %zu: the column index is not in its boundary order", i);
            }
        }
        before = i;
    }
    return true;
}

static bool is_zero(struct slice value, enum parquet_physical physical)
{
    return physical == PHYSICAL_DOUBLE && double_of(value) == 0;
}

/* Numbers: exact bounds are met; a zero is -0.0 below and +0.0 above. */
static bool statistics_check(const struct file_chunk *chunk, enum parquet_physical physical,
                             const struct seen *s, struct err *e)
{
    if (chunk->has_null_count && chunk->n_nulls != s->n_nulls) {
        return err_set(e, ERR_BAD_INPUT, "statistics say %lld nulls, there are %lld",
                       (long long)chunk->n_nulls, (long long)s->n_nulls);
    }
    if (!chunk->has_bounds || physical == PHYSICAL_BYTE_ARRAY) {
        return true;
    }
    if (!s->any || (chunk->min_exact && value_cmp(chunk->min, s->min, physical) != 0) ||
        (chunk->max_exact && value_cmp(chunk->max, s->max, physical) != 0)) {
        return err_set(e, ERR_BAD_INPUT, "statistics that call themselves exact are not");
    }
    if ((is_zero(chunk->min, physical) && !signbit(double_of(chunk->min))) ||
        (is_zero(chunk->max, physical) && signbit(double_of(chunk->max)))) {
        return err_set(e, ERR_BAD_INPUT, "statistics leave a zero of the other sign out");
    }
    return true;
}

static bool totals_check(const struct check *c, const struct column_reader *r, size_t n_pages,
                         const struct seen *s, struct err *e)
{
    const struct file_index *index = &c->index;
    const struct file_chunk *chunk = c->chunk;
    if (s->n_rows != c->n_group_rows || s->n_levels != chunk->n_values ||
        (index->has_locations && n_pages != index->n_pages) ||
        r->plain_bytes != chunk->plain_bytes) {
        return err_set(e, ERR_BAD_INPUT,
                       "%lld rows, %lld values, %zu pages, %lld bytes before compression; the "
                       "footer has %lld, %lld, "
                       "%zu, %lld",
                       (long long)s->n_rows, (long long)s->n_levels, n_pages,
                       (long long)r->plain_bytes, (long long)c->n_group_rows,
                       (long long)chunk->n_values, index->n_pages, (long long)chunk->plain_bytes);
    }
    for (int i = 0; i < N_ENCODINGS; i++) {
        bool named = (chunk->encodings >> i & 1) != 0;
        if ((r->n_data_pages[i] > 0 && !named) ||
            (chunk->has_encoding_stats && r->n_data_pages[i] != chunk->n_data_pages[i])) {
            return err_set(e, ERR_BAD_INPUT,
                           "%d pages of encoding %d, and not what the footer says",
                           r->n_data_pages[i], i);
        }
    }
    if ((chunk->dictionary_page != 0) != (r->n_dictionary_pages > 0) ||
        (chunk->has_encoding_stats && chunk->n_dictionary_pages != r->n_dictionary_pages)) {
        return err_set(e, ERR_BAD_INPUT, "a dictionary, and not what the footer says");
    }
    return statistics_check(chunk, c->leaf->physical, s, e);
}

static bool pages_check(const struct check *c, struct column_reader *r, struct order *o,
                        struct verify_totals *out, struct err *e)
{
    struct seen s = {.n_rows = 0};
    for (size_t number = 0;; number++) {
        struct decoded_page page;
        if (!column_reader_next(r, &page, e)) {
            return false;
        }
        if (page.n_levels == 0) {
            out->n_pages += (int64_t)number;
            out->n_values += s.n_levels;
            out->n_nulls += s.n_nulls;
            return totals_check(c, r, number, &s, e);
        }
        if (!page_check(c, number, &page, &s, o, e)) {
            return err_wrap(e, "page %zu", number);
        }
    }
}

static bool chunk_check(struct check *c, struct verify_totals *out, struct err *e)
{
    if (!file_index(c->file, c->chunk, c->arena, &c->index, e) ||
        (c->index.has_bounds && !boundary_order_check(&c->index, c->leaf->physical, e))) {
        return false;
    }
    if (c->chunk->has_bounds && !bounds_fit_type(c->chunk->min, c->chunk->max, c->leaf->physical)) {
        return err_set(e, ERR_BAD_INPUT, "statistics of the wrong width");
    }
    struct column_reader r;
    struct order o = {.has_before = false};
    buf_init(&o.room, c->max_bytes);
    column_reader_init(&r, c->file, c->leaf, c->chunk, c->max_bytes);
    bool ok = pages_check(c, &r, &o, out, e);
    out->n_column_indexes += c->index.has_bounds;
    out->n_bloom_filters += c->bloom.len > 0;
    column_reader_fini(&r);
    buf_fini(&o.room);
    return ok;
}

static bool leaf_check(struct check *c, const struct file_group *group, size_t leaf,
                       struct verify_totals *out, struct err *e)
{
    c->leaf = &c->file->leaves[leaf];
    c->chunk = &group->chunks[leaf];
    c->bloom = SLICE_NONE;
    return ((c->chunk->bloom.at == 0 || file_bloom(c->file, c->chunk, &c->bloom, e)) &&
            chunk_check(c, out, e)) ||
           err_wrap(e, "column %.*s", SLICE_ARG(c->leaf->path));
}

static bool group_check(const struct parquet_file *f, const struct file_group *group,
                        size_t max_bytes, struct arena *a, struct verify_totals *out, struct err *e)
{
    struct check c = {.file = f, .n_group_rows = group->n_rows, .max_bytes = max_bytes, .arena = a};
    bool ok = true;
    arena_reset(a);
    for (size_t i = 0; ok && i < f->n_leaves; i++) {
        ok = leaf_check(&c, group, i, out, e);
    }
    if (!ok || group->n_sorting == 0) {
        return ok;
    }
    /* Once more, column by column in their order: a row that one of them decided the next may not
     * change. */
    struct verify_totals again = {0};
    c.decided = group->n_rows < 0 ? NULL : arena_calloc(a, (size_t)group->n_rows + 1, 1);
    if (c.decided == NULL) {
        return err_set(e, ERR_BAD_INPUT, "%lld rows, too many to check their order",
                       (long long)group->n_rows);
    }
    for (size_t i = 0; ok && i < group->n_sorting; i++) {
        c.sorting = &group->sorting[i];
        ok = leaf_check(&c, group, (size_t)c.sorting->leaf, &again, e);
    }
    out->n_sorted_rows += group->n_rows;
    return ok;
}

bool verify_file(const struct parquet_file *f, size_t max_bytes, struct verify_totals *out,
                 struct err *e)
{
    struct arena a;
    int64_t n_rows = 0;
    bool ok = true;
    *out = (struct verify_totals){0};
    arena_init(&a, max_bytes);
    for (size_t i = 0; ok && i < f->n_groups; i++) {
        ok =
            group_check(f, &f->groups[i], max_bytes, &a, out, e) || err_wrap(e, "row group %zu", i);
        if (ok && __builtin_add_overflow(n_rows, f->groups[i].n_rows, &n_rows)) {
            ok = err_set(e, ERR_BAD_INPUT, "row group %zu: too many rows", i);
        }
    }
    arena_fini(&a);
    return ok && (n_rows == f->n_rows ||
                  err_set(e, ERR_BAD_INPUT, "the row groups have %lld rows, the file %lld",
                          (long long)n_rows, (long long)f->n_rows));
}
