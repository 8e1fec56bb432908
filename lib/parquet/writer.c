#include "parquet/writer.h"

#include <stdlib.h>

enum {
    LEAST_MAX_BYTES = 16 << 20,
    MOST_MAX_BYTES = 1 << 30,
    SLICE_ROWS = 1024,
    SLICE_SHARE = 32, /* a slice may have max_bytes / SLICE_SHARE */
    BUF_SHARE = 8,    /* and one buffer max_bytes / BUF_SHARE */
    PAGE_SHARE = 32,  /* a page that was asked for, too: row groups end sooner instead */
    ARENA_STEP = 4 << 20
};

#define CREATED_BY "sluice version " SLUICE_VERSION

struct parquet_writer {
    struct parquet_options options; /* defaults filled in */
    struct footer_facts facts;
    parquet_sink sink;
    void *sink_context;
    struct leaf_limits limits;
    struct leaf_schema *schemas;
    struct leaf *leaves;
    size_t n_leaves;
    struct press press;
    struct arena group;
    struct rows_scratch scratch;
    struct footer footer;
    struct rows_source *sources;  /* of each field, in the current append */
    struct footer_place *written; /* of each leaf, in the current row group */
    int64_t sink_bytes;
    uint64_t group_rows;
    size_t peak_bytes;
    bool closed;
    struct err failure; /* ERR_NONE: none so far */
};

#define DEFAULT(field, value) o->field = o->field == 0 ? (value) : o->field

static bool options_check(struct parquet_options *o, struct err *e)
{
    DEFAULT(zstd_level, 3);
    DEFAULT(page_rows, 20000);
    DEFAULT(group_max_rows, 1 << 20);
    DEFAULT(dictionary_max_bytes, 1 << 20);
    DEFAULT(statistics_max_bytes, 64);
    DEFAULT(bloom_max_bytes, 1 << 20);
    DEFAULT(max_bytes, 64 << 20);
    if (o->max_bytes < LEAST_MAX_BYTES || o->max_bytes > MOST_MAX_BYTES) {
        return err_set(e, ERR_CONFIG, "max_bytes is %zu and must be from %d to %d", o->max_bytes,
                       LEAST_MAX_BYTES, MOST_MAX_BYTES);
    }
    if (o->statistics_max_bytes < 8) {
        return err_set(e, ERR_CONFIG, "statistics_max_bytes is %zu and must be 8 at least",
                       o->statistics_max_bytes);
    }
    for (size_t i = 0; i < o->n_sorting; i++) {
        if (o->sorting[i].field >= o->n_fields ||
            o->fields[o->sorting[i].field].form != PARQUET_ONE) {
            return err_set(e, ERR_CONFIG, "sorting column %zu is no single value", i);
        }
    }
    return true;
}

static size_t at_most(size_t v, size_t max)
{
    return v < max ? v : max;
}

/* Small ceilings and many columns make smaller pages, dictionaries and filters. */
static void limits_set(struct parquet_writer *w)
{
    const struct parquet_options *o = &w->options;
    size_t page = o->page_max_bytes != 0 ? at_most(o->page_max_bytes, o->max_bytes / PAGE_SHARE)
                                         : at_most(1 << 20, o->max_bytes / 8 / w->n_leaves);
    size_t dictionary = at_most(o->dictionary_max_bytes, o->max_bytes / 32);
    w->limits = (struct leaf_limits){.page_rows = o->page_rows,
                                     .page_bytes = page,
                                     .dictionary_max_bytes = dictionary,
                                     .statistics_max_bytes = o->statistics_max_bytes,
                                     .buf_max_bytes = o->max_bytes / BUF_SHARE};
    w->options.bloom_max_bytes = at_most(o->bloom_max_bytes, w->limits.buf_max_bytes / 2);
}

static bool writer_init(struct parquet_writer *w, struct err *e)
{
    const struct parquet_options *o = &w->options;
    w->n_leaves = schema_n_leaves(o->fields, o->n_fields);
    limits_set(w);
    w->schemas = calloc(w->n_leaves, sizeof *w->schemas);
    w->leaves = calloc(w->n_leaves, sizeof *w->leaves);
    w->sources = calloc(o->n_fields, sizeof *w->sources);
    w->written = calloc(w->n_leaves, sizeof *w->written);
    if (w->schemas == NULL || w->leaves == NULL || w->sources == NULL || w->written == NULL) {
        w->n_leaves = w->leaves == NULL ? 0 : w->n_leaves;
        return err_set(e, ERR_RETRY, "out of memory for %zu columns", o->n_fields);
    }
    schema_leaves(o->fields, o->n_fields, w->schemas);
    for (size_t i = 0; i < w->n_leaves; i++) {
        leaf_init(&w->leaves[i], &w->schemas[i], &w->limits, &w->press, &w->group);
    }
    w->facts = (struct footer_facts){o->fields, o->n_fields, o->sorting, o->n_sorting,
                                     o->pairs,  o->n_pairs,  CREATED_BY};
    return press_init(&w->press, o->codec, o->zstd_level, !o->no_checksums, w->limits.buf_max_bytes,
                      e);
}

bool parquet_new(const struct parquet_options *options, parquet_sink sink, void *sink_context,
                 struct parquet_writer **out, struct err *e)
{
    struct parquet_options o = *options;
    *out = NULL;
    if (!schema_check(o.fields, o.n_fields, e) || !options_check(&o, e)) {
        return false;
    }
    struct parquet_writer *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a writer");
    }
    w->options = o;
    w->sink = sink;
    w->sink_context = sink_context;
    arena_init(&w->group, o.max_bytes);
    rows_scratch_init(&w->scratch, o.max_bytes / BUF_SHARE);
    footer_init(&w->footer, schema_n_leaves(o.fields, o.n_fields), o.max_bytes / BUF_SHARE);
    if (!writer_init(w, e)) {
        parquet_free(w);
        return false;
    }
    *out = w;
    return true;
}

void parquet_free(struct parquet_writer *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; i < w->n_leaves; i++) {
        leaf_fini(&w->leaves[i]);
    }
    free(w->schemas);
    free(w->leaves);
    free(w->sources);
    free(w->written);
    press_fini(&w->press);
    arena_fini(&w->group);
    rows_scratch_fini(&w->scratch);
    footer_fini(&w->footer);
    free(w);
}

static size_t bufs_held(const struct parquet_writer *w)
{
    size_t n_bytes = rows_scratch_held_bytes(&w->scratch) + footer_held_bytes(&w->footer);
    for (size_t i = 0; i < w->n_leaves; i++) {
        n_bytes += leaf_held_bytes(&w->leaves[i]);
    }
    return n_bytes;
}

size_t parquet_held_bytes(const struct parquet_writer *w)
{
    return bufs_held(w) + press_held_bytes(&w->press) + w->group.held_bytes;
}

static size_t note_peak(struct parquet_writer *w)
{
    size_t held = parquet_held_bytes(w);
    w->peak_bytes = held > w->peak_bytes ? held : w->peak_bytes;
    return held;
}

size_t parquet_peak_bytes(const struct parquet_writer *w)
{
    return w->peak_bytes;
}

int64_t parquet_rows(const struct parquet_writer *w)
{
    return w->footer.n_rows + (int64_t)w->group_rows;
}

int64_t parquet_bytes(const struct parquet_writer *w)
{
    size_t n_bytes = w->group.used_bytes;
    for (size_t i = 0; i < w->n_leaves; i++) {
        n_bytes += leaf_open_bytes(&w->leaves[i]);
    }
    return w->sink_bytes + (int64_t)n_bytes;
}

static bool give(struct parquet_writer *w, struct slice bytes, struct err *e)
{
    if (!w->sink(w->sink_context, bytes, e)) {
        return err_wrap(e, "at byte %lld", (long long)w->sink_bytes);
    }
    w->sink_bytes += (int64_t)bytes.len;
    return true;
}

static bool give_magic(struct parquet_writer *w, struct err *e)
{
    return w->sink_bytes > 0 || give(w, slice_of(PARQUET_MAGIC, PARQUET_MAGIC_BYTES), e);
}

static bool give_chunk(struct parquet_writer *w, const struct leaf *l, struct err *e)
{
    if (l->dictionary_page != NULL && !give(w, l->dictionary_page->bytes, e)) {
        return false;
    }
    for (const struct page *p = l->first_page; p != NULL; p = p->next) {
        if (!give(w, p->bytes, e)) {
            return false;
        }
    }
    return true;
}

static bool give_bloom(struct parquet_writer *w, const struct leaf *l, struct footer_place *place,
                       struct err *e)
{
    if (!l->schema->bloom) {
        return true;
    }
    struct buf *filter = &w->press.packed;
    buf_reset(filter);
    leaf_bloom_put(l, w->options.bloom_max_bytes, &w->press.body, filter);
    if (!buf_ok(filter)) {
        return true; /* no room: a file without this filter is as good, but slower to search */
    }
    place->bloom = w->sink_bytes;
    place->bloom_bytes = (int32_t)filter->len;
    return give(w, buf_slice(filter), e);
}

static bool leaf_wrap(const struct leaf *l, struct err *e)
{
    return err_wrap(e, "column %s", l->schema->field->name);
}

static bool give_group(struct parquet_writer *w, struct err *e)
{
    for (size_t i = 0; i < w->n_leaves; i++) {
        if (!leaf_finish(&w->leaves[i], e)) {
            return leaf_wrap(&w->leaves[i], e);
        }
    }
    (void)note_peak(w);
    if (!give_magic(w, e)) {
        return false;
    }
    for (size_t i = 0; i < w->n_leaves; i++) {
        w->written[i] = (struct footer_place){.chunk = w->sink_bytes};
        if (!give_chunk(w, &w->leaves[i], e)) {
            return leaf_wrap(&w->leaves[i], e);
        }
    }
    for (size_t i = 0; i < w->n_leaves; i++) {
        if (!give_bloom(w, &w->leaves[i], &w->written[i], e)) {
            return leaf_wrap(&w->leaves[i], e);
        }
    }
    for (size_t i = 0; i < w->n_leaves; i++) {
        if (!footer_add_chunk(&w->footer, &w->leaves[i], w->options.codec, &w->written[i])) {
            return err_set(e, ERR_BAD_INPUT,
                           "so many pages that the footer is over the memory ceiling");
        }
    }
    return footer_add_group(&w->footer, (int64_t)w->group_rows) ||
           err_set(e, ERR_BAD_INPUT,
                   "so many row groups that the footer is over the memory ceiling");
}

static bool end_group(struct parquet_writer *w, struct err *e)
{
    if (w->group_rows == 0) {
        return true;
    }
    if (!give_group(w, e)) {
        return false;
    }
    bool release = bufs_held(w) > w->options.max_bytes / 4;
    for (size_t i = 0; i < w->n_leaves; i++) {
        leaf_reset(&w->leaves[i], release);
    }
    arena_reset(&w->group);
    w->group_rows = 0;
    return true;
}

/* Whether the next slice, or closing the pages after it, might go over the ceiling. */
static bool memory_is_due(struct parquet_writer *w)
{
    size_t due = note_peak(w) + w->options.max_bytes / 8; /* slices are small against that */
    size_t unfinished = 0;
    for (size_t i = 0; i < w->n_leaves; i++) {
        due += leaf_growth_bytes(&w->leaves[i]);
        unfinished += leaf_unfinished_bytes(&w->leaves[i]);
        due = leaf_is_full(&w->leaves[i]) ? SIZE_MAX / 2 : due;
    }
    if (unfinished > w->group.held_bytes - w->group.used_bytes) {
        due += unfinished + ARENA_STEP;
    }
    return due > w->options.max_bytes;
}

/* How many rows the next slice has: no page gets more than page_rows, nor a slice more than its
 * bytes. */
static size_t slice_rows(const struct parquet_writer *w, size_t n)
{
    const struct parquet_options *o = &w->options;
    n = n < SLICE_ROWS ? n : SLICE_ROWS;
    if (o->group_max_rows - w->group_rows < n) {
        n = (size_t)(o->group_max_rows - w->group_rows);
    }
    for (size_t i = 0; i < w->n_leaves; i++) {
        size_t left = w->limits.page_rows - w->leaves[i].n_rows;
        n = left < n ? left : n;
    }
    for (size_t i = 0; i < o->n_fields; i++) {
        n = rows_fit(&w->sources[i], n, o->max_bytes / SLICE_SHARE / o->n_fields);
    }
    return n;
}

static bool append_slice(struct parquet_writer *w, size_t n, struct err *e)
{
    struct leaf *leaf = w->leaves;
    for (size_t i = 0; i < w->options.n_fields; i++) {
        const struct parquet_field *f = &w->options.fields[i];
        struct leaf_rows rows[2];
        size_t first = w->sources[i].row;
        size_t n_leaves = f->form == PARQUET_MAP ? 2 : 1;
        bool ok = rows_take(&w->sources[i], n, &w->scratch, rows, e);
        for (size_t k = 0; ok && k < n_leaves; k++) {
            ok = leaf_append(leaf++, &rows[k], e);
        }
        if (!ok) {
            return err_wrap(e, "column %s, rows from %zu on", f->name, first);
        }
    }
    w->group_rows += n;
    return true;
}

static bool append(struct parquet_writer *w, const struct parquet_column *columns, size_t n_rows,
                   struct err *e)
{
    for (size_t i = 0; i < w->n_leaves; i++) {
        dictionary_forget_addresses(&w->leaves[i].dictionary);
    }
    for (size_t i = 0; i < w->options.n_fields; i++) {
        w->sources[i] = (struct rows_source){&w->options.fields[i], &columns[i], 0, 0};
    }
    while (n_rows > 0) {
        size_t n = slice_rows(w, n_rows);
        if (!append_slice(w, n, e)) {
            return false;
        }
        n_rows -= n;
        bool due = memory_is_due(w) || w->group_rows >= w->options.group_max_rows;
        if (due && !end_group(w, e)) {
            return false;
        }
    }
    return true;
}

static bool close_file(struct parquet_writer *w, struct err *e)
{
    struct buf end;
    buf_init(&end, w->options.max_bytes / 2);
    bool ok = end_group(w, e) && give_magic(w, e);
    if (ok && !footer_put(&w->footer, &w->facts, w->sink_bytes, &end)) {
        ok = err_set(e, ERR_BAD_INPUT, "the footer is over the memory ceiling");
    }
    ok = ok && (give(w, buf_slice(&end), e) || err_wrap(e, "footer"));
    buf_fini(&end);
    return ok;
}

/* Before each call, and after: a failure is for good. */
static bool may_go_on(const struct parquet_writer *w, struct err *e)
{
    if (w->failure.kind != ERR_NONE) {
        *e = w->failure;
        return false;
    }
    return !w->closed || err_set(e, ERR_FATAL, "the file is closed");
}

static bool keep_failure(struct parquet_writer *w, bool ok, const struct err *e)
{
    if (!ok) {
        w->failure = *e;
    }
    return ok;
}

bool parquet_append(struct parquet_writer *w, const struct parquet_column *columns, size_t n_rows,
                    struct err *e)
{
    return may_go_on(w, e) && keep_failure(w, append(w, columns, n_rows, e), e);
}

bool parquet_end_group(struct parquet_writer *w, struct err *e)
{
    return may_go_on(w, e) && keep_failure(w, end_group(w, e), e);
}

bool parquet_close(struct parquet_writer *w, struct err *e)
{
    bool ok = may_go_on(w, e) && keep_failure(w, close_file(w, e), e);
    w->closed = w->closed || ok;
    return ok;
}
