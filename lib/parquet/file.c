#include "parquet/file.h"

#include "base/utf8.h"
#include "parquet/thrift.h"

enum { MAX_LEVELS = 8 };

static bool full(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "the footer needs more memory than it may have");
}

/* ---- the schema: a tree, depth first ---- */

struct element {
    struct slice name;
    int32_t physical; /* -1: a group */
    int32_t repetition;
    int32_t n_children;
    int32_t converted;
    bool is_timestamp_utc;
};

static bool timestamp_read(struct thrift_reader logical)
{
    bool utc = false;
    while (thrift_next(&logical)) {
        if (logical.id == LOGICAL_TIMESTAMP && logical.type == THRIFT_STRUCT) {
            struct thrift_reader timestamp = thrift_read_struct(&logical);
            while (thrift_next(&timestamp)) {
                if (timestamp.id == 1) {
                    utc = thrift_read_bool(&timestamp);
                } else {
                    thrift_skip(&timestamp);
                }
            }
        } else {
            thrift_skip(&logical);
        }
    }
    return utc;
}

static struct element element_read(struct thrift_reader r)
{
    struct element out = {.physical = -1, .converted = CONVERTED_NONE};
    while (thrift_next(&r)) {
        switch (r.id) {
        case 1:
            out.physical = thrift_read_i32(&r);
            break;
        case 3:
            out.repetition = thrift_read_i32(&r);
            break;
        case 4:
            out.name = thrift_read_bytes(&r);
            break;
        case 5:
            out.n_children = thrift_read_i32(&r);
            break;
        case 6:
            out.converted = thrift_read_i32(&r);
            break;
        case 10:
            out.is_timestamp_utc = timestamp_read(thrift_read_struct(&r));
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
    return out;
}

/* A group whose children are being read. */
struct level {
    int32_t n_left;
    size_t path_bytes;
    uint8_t definition;
    uint8_t repetition;
};

struct tree {
    struct level levels[MAX_LEVELS];
    size_t depth;
    struct buf path; /* of the group that is being read, with a dot behind it */
};

static bool schema_add(struct parquet_file *f, struct tree *t, const struct element *x,
                       struct arena *a, struct err *e)
{
    while (t->depth > 0 && t->levels[t->depth - 1].n_left == 0) {
        t->depth--;
    }
    if (t->depth == 0 || t->depth == MAX_LEVELS || !utf8_valid(x->name)) {
        return err_set(e, ERR_BAD_INPUT, "schema: the tree of column %.*s is wrong",
                       SLICE_ARG(x->name));
    }
    struct level *parent = &t->levels[t->depth - 1];
    parent->n_left--;
    t->path.len = parent->path_bytes;
    buf_put_slice(&t->path, x->name);
    uint8_t definition = (uint8_t)(parent->definition + (x->repetition != REPETITION_REQUIRED));
    uint8_t repetition = (uint8_t)(parent->repetition + (x->repetition == REPETITION_REPEATED));
    struct slice whole = arena_copy(a, buf_slice(&t->path));
    if (whole.ptr == NULL || !buf_ok(&t->path)) {
        return full(e);
    }
    if (x->physical < 0) {
        buf_u8(&t->path, '.');
        t->levels[t->depth++] = (struct level){x->n_children, t->path.len, definition, repetition};
        return buf_ok(&t->path) || full(e);
    }
    f->leaves[f->n_leaves++] = (struct file_leaf){.path = whole,
                                                  .physical = (enum parquet_physical)x->physical,
                                                  .converted = x->converted,
                                                  .max_definition = definition,
                                                  .max_repetition = repetition,
                                                  .is_timestamp_utc = x->is_timestamp_utc};
    return true;
}

static bool schema_read(struct thrift_reader *r, struct parquet_file *f, struct arena *a,
                        struct err *e)
{
    struct tree t = {.depth = 0};
    size_t n;
    buf_init(&t.path, 1 << 16);
    f->leaves = thrift_read_array(r, THRIFT_STRUCT, sizeof *f->leaves, a, &n);
    f->n_leaves = 0;
    bool ok = f->leaves != NULL || full(e);
    for (size_t i = 0; ok && i < n && cursor_ok(r->in); i++) {
        struct element x = element_read(thrift_read_element(r));
        if (i == 0) {
            t.levels[t.depth++] = (struct level){.n_left = x.n_children};
        } else if (cursor_ok(r->in)) {
            ok = schema_add(f, &t, &x, a, e);
        }
    }
    buf_fini(&t.path);
    return ok;
}

/* ---- row groups ---- */

static void statistics_read(struct thrift_reader r, struct file_chunk *out)
{
    bool min = false;
    bool max = false;
    while (thrift_next(&r)) {
        switch (r.id) {
        case 3:
            out->n_nulls = thrift_read_i64(&r);
            out->has_null_count = true;
            break;
        case 5:
            out->max = thrift_read_bytes(&r);
            max = true;
            break;
        case 6:
            out->min = thrift_read_bytes(&r);
            min = true;
            break;
        case 7:
            out->max_exact = thrift_read_bool(&r);
            break;
        case 8:
            out->min_exact = thrift_read_bool(&r);
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
    out->has_bounds = min && max;
}

static void encodings_read(struct thrift_reader *r, struct file_chunk *out)
{
    size_t n = thrift_read_list(r, THRIFT_I32);
    for (size_t i = 0; i < n; i++) {
        int64_t encoding = cursor_zigzag(r->in);
        if (encoding >= 0 && encoding < 32) {
            out->encodings |= UINT32_C(1) << encoding;
        }
    }
}

static void encoding_stats_read(struct thrift_reader *r, struct file_chunk *out)
{
    size_t n = thrift_read_list(r, THRIFT_STRUCT);
    out->has_encoding_stats = true;
    for (size_t i = 0; i < n && cursor_ok(r->in); i++) {
        struct thrift_reader x = thrift_read_element(r);
        int32_t fields[4] = {0};
        while (thrift_next(&x)) {
            if (x.id >= 1 && x.id <= 3) {
                fields[x.id] = thrift_read_i32(&x);
            } else {
                thrift_skip(&x);
            }
        }
        if (fields[1] == PAGE_DICTIONARY) {
            out->n_dictionary_pages = fields[3];
        } else if (fields[2] >= 0 && fields[2] < N_ENCODINGS) {
            out->n_data_pages[fields[2]] = fields[3];
        }
    }
}

static void metadata_read(struct thrift_reader r, struct file_chunk *out)
{
    while (thrift_next(&r)) {
        switch (r.id) {
        case 1:
            out->physical = thrift_read_i32(&r);
            break;
        case 2:
            encodings_read(&r, out);
            break;
        case 4:
            out->codec = thrift_read_i32(&r);
            break;
        case 5:
            out->n_values = thrift_read_i64(&r);
            break;
        case 6:
            out->plain_bytes = thrift_read_i64(&r);
            break;
        case 7:
            out->file_bytes = thrift_read_i64(&r);
            break;
        case 9:
            out->data_page = thrift_read_i64(&r);
            break;
        case 11:
            out->dictionary_page = thrift_read_i64(&r);
            break;
        case 12:
            statistics_read(thrift_read_struct(&r), out);
            break;
        case 13:
            encoding_stats_read(&r, out);
            break;
        case 14:
            out->bloom.at = thrift_read_i64(&r);
            break;
        case 15:
            out->bloom.len = thrift_read_i32(&r);
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
}

static void chunk_read(struct thrift_reader r, struct file_chunk *out)
{
    while (thrift_next(&r)) {
        switch (r.id) {
        case 3:
            metadata_read(thrift_read_struct(&r), out);
            break;
        case 4:
            out->offset_index.at = thrift_read_i64(&r);
            break;
        case 5:
            out->offset_index.len = thrift_read_i32(&r);
            break;
        case 6:
            out->column_index.at = thrift_read_i64(&r);
            break;
        case 7:
            out->column_index.len = thrift_read_i32(&r);
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
}

static void sorting_read(struct thrift_reader *r, struct file_group *out, struct arena *a)
{
    out->sorting = thrift_read_array(r, THRIFT_STRUCT, sizeof *out->sorting, a, &out->n_sorting);
    for (size_t i = 0; i < out->n_sorting && cursor_ok(r->in); i++) {
        struct thrift_reader x = thrift_read_element(r);
        while (thrift_next(&x)) {
            switch (x.id) {
            case 1:
                out->sorting[i].leaf = thrift_read_i32(&x);
                break;
            case 2:
                out->sorting[i].descending = thrift_read_bool(&x);
                break;
            case 3:
                out->sorting[i].nulls_first = thrift_read_bool(&x);
                break;
            default:
                thrift_skip(&x);
                break;
            }
        }
    }
}

static size_t group_read(struct thrift_reader r, struct file_group *out, struct arena *a)
{
    size_t n_chunks = 0;
    while (thrift_next(&r)) {
        switch (r.id) {
        case 1:
            out->chunks = thrift_read_array(&r, THRIFT_STRUCT, sizeof *out->chunks, a, &n_chunks);
            for (size_t i = 0; i < n_chunks && cursor_ok(r.in); i++) {
                chunk_read(thrift_read_element(&r), &out->chunks[i]);
            }
            break;
        case 2:
            out->plain_bytes = thrift_read_i64(&r);
            break;
        case 3:
            out->n_rows = thrift_read_i64(&r);
            break;
        case 4:
            sorting_read(&r, out, a);
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
    return n_chunks;
}

static bool groups_read(struct thrift_reader *r, struct parquet_file *f, struct arena *a,
                        struct err *e)
{
    f->groups = thrift_read_array(r, THRIFT_STRUCT, sizeof *f->groups, a, &f->n_groups);
    for (size_t i = 0; i < f->n_groups && cursor_ok(r->in); i++) {
        size_t n_chunks = group_read(thrift_read_element(r), &f->groups[i], a);
        if (cursor_ok(r->in) && n_chunks != f->n_leaves) {
            return err_set(e, ERR_BAD_INPUT, "row group %zu has %zu chunks, the schema %zu columns",
                           i, n_chunks, f->n_leaves);
        }
        for (size_t k = 0; k < f->groups[i].n_sorting; k++) {
            int32_t leaf = f->groups[i].sorting[k].leaf;
            if (leaf < 0 || (size_t)leaf >= f->n_leaves || f->leaves[leaf].max_repetition > 0) {
                return err_set(e, ERR_BAD_INPUT, "row group %zu: sorting column %d can't be", i,
                               leaf);
            }
        }
    }
    return true;
}

static void pairs_read(struct thrift_reader *r, struct parquet_file *f, struct arena *a)
{
    f->pairs = thrift_read_array(r, THRIFT_STRUCT, sizeof *f->pairs, a, &f->n_pairs);
    for (size_t i = 0; i < f->n_pairs && cursor_ok(r->in); i++) {
        struct thrift_reader x = thrift_read_element(r);
        while (thrift_next(&x)) {
            if (x.id == 1) {
                f->pairs[i].key = thrift_read_bytes(&x);
            } else if (x.id == 2) {
                f->pairs[i].value = thrift_read_bytes(&x);
            } else {
                thrift_skip(&x);
            }
        }
    }
}

static bool footer_read(struct cursor *in, struct parquet_file *f, struct arena *a, struct err *e)
{
    struct thrift_reader r = thrift_read_begin(in);
    bool ok = true;
    while (ok && thrift_next(&r)) {
        switch (r.id) {
        case 2:
            ok = f->leaves == NULL ? schema_read(&r, f, a, e)
                                   : err_set(e, ERR_BAD_INPUT, "two schemas");
            break;
        case 3:
            f->n_rows = thrift_read_i64(&r);
            break;
        case 4:
            /* What a group has is held against the schema's columns. */
            ok = f->leaves != NULL ? groups_read(&r, f, a, e)
                                   : err_set(e, ERR_BAD_INPUT, "row groups in front of the schema");
            break;
        case 5:
            pairs_read(&r, f, a);
            break;
        case 6:
            f->created_by = thrift_read_bytes(&r);
            break;
        default:
            thrift_skip(&r);
            break;
        }
    }
    if (ok && !cursor_ok(in)) {
        return err_set(e, ERR_BAD_INPUT, "the footer is damaged at its byte %zu", cursor_at(in));
    }
    return ok;
}

bool file_open(struct slice bytes, struct arena *a, struct parquet_file *out, struct err *e)
{
    enum { TAIL_BYTES = 4 + PARQUET_MAGIC_BYTES };
    *out = (struct parquet_file){.bytes = bytes};
    struct slice magic = slice_of(PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
    if (bytes.len < PARQUET_MAGIC_BYTES + TAIL_BYTES || !slice_starts_with(bytes, magic) ||
        !slice_ends_with(bytes, magic)) {
        return err_set(e, ERR_BAD_INPUT, "no Parquet file: PAR1 is not at both ends");
    }
    struct cursor tail = cursor_of(slice_of(bytes.ptr + bytes.len - TAIL_BYTES, TAIL_BYTES));
    uint32_t len = cursor_le32(&tail);
    if (len > bytes.len - TAIL_BYTES - PARQUET_MAGIC_BYTES) {
        return err_set(e, ERR_BAD_INPUT, "a footer of %u bytes in a file of %zu", len, bytes.len);
    }
    out->footer_bytes = len;
    struct cursor in = cursor_of(slice_of(bytes.ptr + bytes.len - TAIL_BYTES - len, len));
    return footer_read(&in, out, a, e);
}
