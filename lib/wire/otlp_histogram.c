#include "wire/otlp_point.h"

#include <math.h>

#include "wire/varints.h"

/* Field numbers: metrics.proto, one message each. */
static const struct pb_type histogram_type = {
    "HistogramDataPoint",
    {PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64), PB_TAG(5, PB_I64), PB_TAG(6, PB_I64),
     PB_TAG(6, PB_LEN), PB_TAG(7, PB_I64), PB_TAG(7, PB_LEN), PB_TAG(8, PB_LEN), PB_TAG(9, PB_LEN),
     PB_TAG(10, PB_VARINT), PB_TAG(11, PB_I64), PB_TAG(12, PB_I64)}};
static const struct pb_type exp_type = {
    "ExponentialHistogramDataPoint",
    {PB_TAG(1, PB_LEN), PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64), PB_TAG(5, PB_I64),
     PB_TAG(6, PB_VARINT), PB_TAG(7, PB_I64), PB_TAG(8, PB_LEN), PB_TAG(9, PB_LEN),
     PB_TAG(10, PB_VARINT), PB_TAG(11, PB_LEN), PB_TAG(12, PB_I64), PB_TAG(13, PB_I64),
     PB_TAG(14, PB_I64)}};
static const struct pb_type buckets_type = {
    "Buckets", {PB_TAG(1, PB_VARINT), PB_TAG(2, PB_VARINT), PB_TAG(2, PB_LEN)}};

/* A repeated 64-bit field, packed or not, while its message is read. */
struct column {
    size_t n;
    uint32_t n_fields;
    struct slice packed; /* the last packed field */
};

static void column_packed(struct cursor *c, struct column *col)
{
    col->packed = pb_bytes(c);
    if (col->packed.len % 8 != 0) {
        cursor_fail(c);
    }
    col->n += col->packed.len / 8;
    col->n_fields++;
}

static void column_single(struct cursor *c, struct column *col)
{
    (void)cursor_le64(c);
    col->n++;
    col->n_fields++;
}

/* The column's bytes as one array, which lives in the arena; false at its ceiling. */
static bool column_read(const struct column *col, struct slice message, uint32_t number,
                        struct arena *a, const void **out)
{
    uint8_t *bytes = arena_alloc(a, col->n * 8);
    if (bytes == NULL) {
        return false;
    }
    *out = bytes;
    if (col->n_fields == 1 && col->packed.len > 0) {
        memcpy(bytes, col->packed.ptr, col->packed.len);
        return true;
    }
    struct cursor c = cursor_of(message);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != PB_TAG(number, PB_I64) && tag != PB_TAG(number, PB_LEN)) {
            pb_skip(&c, tag, &histogram_type);
            continue;
        }
        struct slice part = tag == PB_TAG(number, PB_I64) ? cursor_take(&c, 8) : pb_bytes(&c);
        if (part.len > 0) {
            memcpy(bytes, part.ptr, part.len);
            bytes += part.len;
        }
    }
    return true;
}

static const char *bounds_fault(const struct otlp_point *p)
{
    if (p->n_counts != 0 ? p->n_counts != p->n_bounds + 1 : p->n_bounds != 0) {
        return "bucket counts are not one more than bounds";
    }
    for (uint32_t i = 0; i < p->n_bounds; i++) {
        if (!isfinite(p->bounds[i]) || (i > 0 && !(p->bounds[i] > p->bounds[i - 1]))) {
            return "bounds are not finite and rising";
        }
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < p->n_counts; i++) {
        if (__builtin_add_overflow(total, p->counts[i], &total) || total > p->count) {
            return "bucket counts add up to more than count";
        }
    }
    return NULL;
}

static bool take_columns(const struct otlp_point_reader *r, const struct column *counts,
                         const struct column *bounds, struct otlp_point *p, struct err *e)
{
    if (counts->n > r->caps->max_buckets || bounds->n > r->caps->max_buckets) {
        p->fault = "too many buckets";
        return true;
    }
    const void *count_array = NULL;
    const void *bound_array = NULL;
    if (!column_read(counts, p->raw, 6, r->scratch, &count_array) ||
        !column_read(bounds, p->raw, 7, r->scratch, &bound_array)) {
        return otlp_no_room(e);
    }
    p->n_counts = (uint32_t)counts->n;
    p->n_bounds = (uint32_t)bounds->n;
    p->counts = count_array;
    p->bounds = bound_array;
    p->fault = p->fault != NULL ? p->fault : bounds_fault(p);
    return true;
}

bool otlp_histogram_read(const struct otlp_point_reader *r, struct otlp_point *p, struct err *e)
{
    const uint8_t attributes_tag = PB_TAG(9, PB_LEN);
    struct otlp_run run = {0};
    struct column counts = {0};
    struct column bounds = {0};
    struct cursor c = cursor_of(p->raw);
    const uint8_t *at = c.next;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0; at = c.next) {
        switch (tag) {
        case PB_TAG(2, PB_I64):
            p->start_ns = cursor_le64(&c);
            break;
        case PB_TAG(3, PB_I64):
            p->time_ns = cursor_le64(&c);
            break;
        case PB_TAG(4, PB_I64):
            p->count = cursor_le64(&c);
            break;
        case PB_TAG(5, PB_I64):
            p->sum = cursor_double(&c);
            p->has_sum = true;
            break;
        case PB_TAG(6, PB_LEN):
            column_packed(&c, &counts);
            break;
        case PB_TAG(6, PB_I64):
            column_single(&c, &counts);
            break;
        case PB_TAG(7, PB_LEN):
            column_packed(&c, &bounds);
            break;
        case PB_TAG(7, PB_I64):
            column_single(&c, &bounds);
            break;
        case PB_TAG(9, PB_LEN):
            otlp_run_take(&c, at, attributes_tag, &run);
            break;
        case PB_TAG(10, PB_VARINT):
            p->no_value = (pb_uint32(&c) & OTLP_NO_RECORDED_VALUE) != 0;
            break;
        default:
            pb_skip(&c, tag, &histogram_type);
            break;
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(p->raw, &histogram_type, e);
    }
    return otlp_take_attributes(r, &run, attributes_tag, p, e) &&
           take_columns(r, &counts, &bounds, p, e);
}

/* A Buckets message, skimmed. */
struct buckets_size {
    size_t n_most;  /* counts */
    size_t n_bytes; /* which they take: room for so many */
    struct slice packed;
    uint32_t n_fields;
    int32_t offset;
};

/* n_most: one count for each packed byte or, exactly, for each varint, which takes longer. */
static bool buckets_skim(struct slice raw, bool exactly, struct buckets_size *size)
{
    *size = (struct buckets_size){0};
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        switch (tag) {
        case PB_TAG(1, PB_VARINT):
            size->offset = pb_sint32(&c);
            break;
        case PB_TAG(2, PB_LEN):
            size->packed = pb_bytes(&c);
            size->n_most += exactly ? pb_packed_varints(size->packed) : size->packed.len;
            size->n_bytes += size->packed.len;
            size->n_fields++;
            break;
        case PB_TAG(2, PB_VARINT):
            (void)cursor_varint(&c);
            size->n_most++;
            size->n_bytes++;
            size->n_fields++;
            break;
        default:
            pb_skip(&c, tag, &buckets_type);
            break;
        }
    }
    return cursor_ok(&c);
}

/* Packed and single counts, in any number. */
static bool buckets_collect(struct slice raw, uint64_t *counts, size_t *n)
{
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(2, PB_VARINT)) {
            counts[(*n)++] = cursor_varint(&c);
        } else if (tag == PB_TAG(2, PB_LEN)) {
            struct cursor packed = cursor_of(pb_bytes(&c));
            *n += varints_unpack(&packed, counts + *n);
            if (!cursor_ok(&packed)) {
                return false;
            }
        } else {
            pb_skip(&c, tag, &buckets_type);
        }
    }
    return true;
}

static bool buckets_read(const struct otlp_point_reader *r, struct slice raw, struct otlp_point *p,
                         struct otlp_buckets *out, struct err *e)
{
    struct buckets_size size;
    if (!buckets_skim(raw, false, &size)) {
        return pb_explain(raw, &buckets_type, e);
    }
    if (size.n_most > r->caps->max_buckets && buckets_skim(raw, true, &size) &&
        size.n_most > r->caps->max_buckets) {
        p->fault = "too many buckets";
        return true;
    }
    uint64_t *counts = arena_alloc(r->scratch, size.n_bytes * sizeof *counts);
    if (counts == NULL) {
        return otlp_no_room(e);
    }
    size_t n = 0;
    bool ok;
    if (size.n_fields == 1 && size.packed.len > 0) {
        struct cursor c = cursor_of(size.packed);
        n = varints_unpack(&c, counts);
        ok = cursor_ok(&c);
    } else {
        ok = buckets_collect(raw, counts, &n);
    }
    if (!ok) {
        return pb_explain(raw, &buckets_type, e);
    }
    *out = (struct otlp_buckets){.offset = size.offset, .n = (uint32_t)n, .counts = counts};
    return true;
}

/* Adds up one side; false on overflow. */
static bool buckets_sum(const struct otlp_buckets *b, uint64_t *total)
{
    uint64_t any = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        any |= b->counts[i];
        sum += b->counts[i];
    }
    /* Below 2^32 values of at most 31 bits cannot overflow; else one by one. */
    if (any >> 31 == 0) {
        return !__builtin_add_overflow(*total, sum, total);
    }
    for (uint32_t i = 0; i < b->n; i++) {
        if (__builtin_add_overflow(*total, b->counts[i], total)) {
            return false;
        }
    }
    return true;
}

static const char *exp_fault(const struct otlp_point *p)
{
    if (p->positive.offset > INT32_MAX - (int64_t)p->positive.n ||
        p->negative.offset > INT32_MAX - (int64_t)p->negative.n) {
        return "bucket offset out of range";
    }
    uint64_t total = p->zero_count;
    if (!buckets_sum(&p->positive, &total) || !buckets_sum(&p->negative, &total) ||
        total > p->count) {
        return "bucket counts add up to more than count";
    }
    /* An observed NaN is counted and is in no bucket; the sum is NaN from then on. */
    if (total != p->count && !(p->has_sum && isnan(p->sum))) {
        return "bucket counts do not add up to count";
    }
    return p->zero_threshold >= 0 ? NULL : "zero threshold below zero or NaN";
}

/* One side of the histogram: its Buckets field came n times. */
static bool side_read(const struct otlp_point_reader *r, uint32_t tag, uint32_t n,
                      struct slice last, struct otlp_point *p, struct otlp_buckets *out,
                      struct err *e)
{
    struct slice raw = n > 1 ? pb_gather(p->raw, tag, false, r->scratch) : last;
    if (n > 1 && raw.ptr == NULL) {
        return otlp_no_room(e);
    }
    return n == 0 || buckets_read(r, raw, p, out, e);
}

bool otlp_exp_read(const struct otlp_point_reader *r, struct otlp_point *p, struct err *e)
{
    const uint8_t attributes_tag = PB_TAG(1, PB_LEN);
    struct otlp_run run = {0};
    struct slice sides[2] = {SLICE_NONE, SLICE_NONE};
    uint32_t n_sides[2] = {0, 0};
    struct cursor c = cursor_of(p->raw);
    const uint8_t *at = c.next;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0; at = c.next) {
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            otlp_run_take(&c, at, attributes_tag, &run);
            break;
        case PB_TAG(2, PB_I64):
            p->start_ns = cursor_le64(&c);
            break;
        case PB_TAG(3, PB_I64):
            p->time_ns = cursor_le64(&c);
            break;
        case PB_TAG(4, PB_I64):
            p->count = cursor_le64(&c);
            break;
        case PB_TAG(5, PB_I64):
            p->sum = cursor_double(&c);
            p->has_sum = true;
            break;
        case PB_TAG(6, PB_VARINT):
            p->scale = pb_sint32(&c);
            break;
        case PB_TAG(7, PB_I64):
            p->zero_count = cursor_le64(&c);
            break;
        case PB_TAG(8, PB_LEN):
        case PB_TAG(9, PB_LEN):
            sides[(tag >> 3) - 8] = pb_bytes(&c);
            n_sides[(tag >> 3) - 8]++;
            break;
        case PB_TAG(10, PB_VARINT):
            p->no_value = (pb_uint32(&c) & OTLP_NO_RECORDED_VALUE) != 0;
            break;
        case PB_TAG(14, PB_I64):
            p->zero_threshold = cursor_double(&c);
            break;
        default:
            pb_skip(&c, tag, &exp_type);
            break;
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(p->raw, &exp_type, e);
    }
    if (!otlp_take_attributes(r, &run, attributes_tag, p, e) ||
        !side_read(r, PB_TAG(8, PB_LEN), n_sides[0], sides[0], p, &p->positive, e) ||
        !side_read(r, PB_TAG(9, PB_LEN), n_sides[1], sides[1], p, &p->negative, e)) {
        return false;
    }
    p->fault = p->fault != NULL ? p->fault : exp_fault(p);
    return true;
}
