#include "wire/otlp_point.h"

#include <math.h>

/* Field numbers: metrics.proto, one message each. */
static const struct pb_type number_type = {
    "NumberDataPoint",
    {PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64), PB_TAG(5, PB_LEN), PB_TAG(6, PB_I64),
     PB_TAG(7, PB_LEN), PB_TAG(8, PB_VARINT)}};
static const struct pb_type histogram_type = {
    "HistogramDataPoint",
    {PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64), PB_TAG(5, PB_I64), PB_TAG(6, PB_I64),
     PB_TAG(6, PB_LEN), PB_TAG(7, PB_I64), PB_TAG(7, PB_LEN), PB_TAG(8, PB_LEN), PB_TAG(9, PB_LEN),
     PB_TAG(10, PB_VARINT), PB_TAG(11, PB_I64), PB_TAG(12, PB_I64)}};
static const struct pb_type exp_type = {
    "ExponentialHistogramDataPoint",
    {PB_TAG(1, PB_LEN), PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64), PB_TAG(5, PB_I64),
     PB_TAG(6, PB_VARINT), PB_TAG(7, PB_I64), PB_TAG(8, PB_LEN), PB_TAG(9, PB_LEN), PB_TAG(10, PB_VARINT),
     PB_TAG(11, PB_LEN), PB_TAG(12, PB_I64), PB_TAG(13, PB_I64), PB_TAG(14, PB_I64)}};
static const struct pb_type buckets_type = {
    "Buckets", {PB_TAG(1, PB_VARINT), PB_TAG(2, PB_VARINT), PB_TAG(2, PB_LEN)}};
static const struct pb_type summary_type = {
    "SummaryDataPoint",
    {PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64), PB_TAG(5, PB_I64), PB_TAG(6, PB_LEN),
     PB_TAG(7, PB_LEN), PB_TAG(8, PB_VARINT)}};
static const struct pb_type quantile_type = {"ValueAtQuantile", {PB_TAG(1, PB_I64), PB_TAG(2, PB_I64)}};

enum { FLAG_NO_RECORDED_VALUE = 1 };

bool otlp_no_room(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
}

static bool take_attributes(const struct otlp_point_reader *r, const struct otlp_run *run, uint8_t tag,
                            struct otlp_point *p, struct err *e)
{
    if (run->n > r->caps->max_attributes) {
        p->fault = "too many attributes";
    }
    return otlp_run_slice(run, p->raw, tag, r->scratch, &p->attributes) || otlp_no_room(e);
}

static bool number_read(const struct otlp_point_reader *r, struct otlp_point *p, struct err *e)
{
    const uint8_t attributes_tag = PB_TAG(7, PB_LEN);
    struct otlp_run run = {0};
    uint64_t time_ns = 0;
    uint64_t start_ns = 0;
    uint32_t flags = 0;
    double value = 0;
    bool has_value = false;
    struct cursor c = cursor_of(p->raw);
    const uint8_t *at = c.next;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0; at = c.next) {
        switch (tag) {
        case PB_TAG(2, PB_I64):
            start_ns = cursor_le64(&c);
            break;
        case PB_TAG(3, PB_I64):
            time_ns = cursor_le64(&c);
            break;
        case PB_TAG(4, PB_I64):
            value = cursor_double(&c);
            has_value = true;
            break;
        case PB_TAG(6, PB_I64):
            value = (double)(int64_t)cursor_le64(&c);
            has_value = true;
            break;
        case PB_TAG(7, PB_LEN):
            otlp_run_take(&c, at, attributes_tag, &run);
            break;
        case PB_TAG(8, PB_VARINT):
            flags = pb_uint32(&c);
            break;
        default:
            pb_skip(&c, tag, &number_type);
            break;
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(p->raw, &number_type, e);
    }
    p->time_ns = time_ns;
    p->start_ns = start_ns;
    p->no_value = (flags & FLAG_NO_RECORDED_VALUE) != 0;
    p->value = value;
    p->has_value = has_value;
    return take_attributes(r, &run, attributes_tag, p, e);
}

/* A repeated 64-bit field, packed or not, while its message is read. */
struct column {
    size_t n;
    uint32_t n_fields;
    struct slice packed; /* the last packed field */
};

static void column_packed(struct cursor *c, struct column *col)
{
    col->packed = cursor_varint_bytes(c);
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
static bool column_read(const struct column *col, struct slice message, uint32_t number, struct arena *a,
                        const void **out)
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
        struct slice part = tag == PB_TAG(number, PB_I64) ? cursor_take(&c, 8) : cursor_varint_bytes(&c);
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

static bool take_columns(const struct otlp_point_reader *r, const struct column *counts, const struct column *bounds,
                         struct otlp_point *p, struct err *e)
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
    p->fault = bounds_fault(p);
    return true;
}

static bool histogram_read(const struct otlp_point_reader *r, struct otlp_point *p, struct err *e)
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
            p->no_value = (pb_uint32(&c) & FLAG_NO_RECORDED_VALUE) != 0;
            break;
        default:
            pb_skip(&c, tag, &histogram_type);
            break;
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(p->raw, &histogram_type, e);
    }
    return take_columns(r, &counts, &bounds, p, e) && take_attributes(r, &run, attributes_tag, p, e);
}

/* Eight bytes of 7 bits each → 56 bits. */
static uint64_t squeeze7(uint64_t v)
{
    v = (v & UINT64_C(0x007f007f007f007f)) | (v & UINT64_C(0x7f007f007f007f00)) >> 1;
    v = (v & UINT64_C(0x00003fff00003fff)) | (v & UINT64_C(0x3fff00003fff0000)) >> 2;
    return (v & UINT64_C(0x000000000fffffff)) | (v & UINT64_C(0x0fffffff00000000)) >> 4;
}

/* Packed varints into out, which has room for as many as end in the bytes. Without a branch on
 * each one's length while 8 bytes are left: bucket counts are a mix that no predictor guesses. */
static size_t unpack_varints(struct cursor *c, uint64_t *out)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    size_t n = 0;
    while (cursor_left(c) >= 8) {
        uint64_t bytes;
        memcpy(&bytes, c->next, sizeof bytes);
        uint64_t ends = ~bytes & high_bits;
        if (ends == 0) { /* longer than 8 bytes */
            uint64_t v = cursor_varint(c);
            if (!cursor_ok(c)) {
                return n;
            }
            out[n++] = v;
            continue;
        }
        out[n++] = squeeze7(bytes & (ends ^ (ends - 1)));
        c->next += ((unsigned)__builtin_ctzll(ends) + 1) / 8;
    }
    while (cursor_more(c)) {
        uint64_t v = cursor_varint(c);
        if (cursor_ok(c)) {
            out[n++] = v;
        }
    }
    return n;
}

/* First pass over Buckets: the offset, and how many counts there are. */
static bool buckets_size(struct slice raw, int32_t *offset, size_t *n, struct slice *packed, uint32_t *n_fields)
{
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        switch (tag) {
        case PB_TAG(1, PB_VARINT):
            *offset = pb_sint32(&c);
            break;
        case PB_TAG(2, PB_LEN):
            *packed = cursor_varint_bytes(&c);
            *n += pb_packed_varints(*packed);
            (*n_fields)++;
            break;
        case PB_TAG(2, PB_VARINT):
            (void)cursor_varint(&c);
            (*n)++;
            (*n_fields)++;
            break;
        default:
            pb_skip(&c, tag, &buckets_type);
            break;
        }
    }
    return cursor_ok(&c);
}

/* The general case: packed and single counts, in any number. */
static bool buckets_collect(struct slice raw, uint64_t *counts)
{
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(2, PB_VARINT)) {
            *counts++ = cursor_varint(&c);
        } else if (tag == PB_TAG(2, PB_LEN)) {
            struct cursor packed = cursor_of(cursor_varint_bytes(&c));
            counts += unpack_varints(&packed, counts);
            if (!cursor_ok(&packed)) {
                return false;
            }
        } else {
            pb_skip(&c, tag, &buckets_type);
        }
    }
    return cursor_ok(&c);
}

static bool buckets_read(const struct otlp_point_reader *r, struct slice raw, struct otlp_point *p,
                         struct otlp_buckets *out, struct err *e)
{
    size_t n = 0;
    struct slice packed = SLICE_NONE;
    uint32_t n_fields = 0;
    if (!buckets_size(raw, &out->offset, &n, &packed, &n_fields)) {
        return pb_explain(raw, &buckets_type, e);
    }
    if (n > r->caps->max_buckets) {
        p->fault = "too many buckets";
        return true;
    }
    uint64_t *counts = arena_alloc(r->scratch, n * sizeof *counts);
    if (counts == NULL) {
        return otlp_no_room(e);
    }
    bool ok;
    if (n_fields == 1 && packed.len > 0) {
        struct cursor c = cursor_of(packed);
        (void)unpack_varints(&c, counts);
        ok = cursor_ok(&c);
    } else {
        ok = buckets_collect(raw, counts);
    }
    if (!ok) {
        return pb_explain(raw, &buckets_type, e);
    }
    out->n = (uint32_t)n;
    out->counts = counts;
    return true;
}

/* Adds up one side; false on overflow. */
static bool buckets_sum(const struct otlp_buckets *b, uint64_t *total)
{
    bool ok = true;
    for (uint32_t i = 0; i < b->n; i++) {
        ok &= !__builtin_add_overflow(*total, b->counts[i], total);
    }
    return ok;
}

static const char *exp_fault(const struct otlp_point *p)
{
    if (p->positive.offset > INT32_MAX - (int64_t)p->positive.n ||
        p->negative.offset > INT32_MAX - (int64_t)p->negative.n) {
        return "bucket offset out of range";
    }
    uint64_t total = p->zero_count;
    if (!buckets_sum(&p->positive, &total) || !buckets_sum(&p->negative, &total) || total > p->count) {
        return "bucket counts add up to more than count";
    }
    /* An observed NaN is counted and is in no bucket; the sum is NaN from then on. */
    if (total != p->count && !(p->has_sum && isnan(p->sum))) {
        return "bucket counts do not add up to count";
    }
    return p->zero_threshold >= 0 ? NULL : "zero threshold below zero or NaN";
}

/* One side of the histogram: its Buckets field came n times. */
static bool side_read(const struct otlp_point_reader *r, uint32_t tag, uint32_t n, struct slice last,
                      struct otlp_point *p, struct otlp_buckets *out, struct err *e)
{
    struct slice raw = n > 1 ? pb_gather(p->raw, tag, false, r->scratch) : last;
    if (n > 1 && raw.ptr == NULL) {
        return otlp_no_room(e);
    }
    return n == 0 || buckets_read(r, raw, p, out, e);
}

static bool exp_read(const struct otlp_point_reader *r, struct otlp_point *p, struct err *e)
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
            sides[(tag >> 3) - 8] = cursor_varint_bytes(&c);
            n_sides[(tag >> 3) - 8]++;
            break;
        case PB_TAG(10, PB_VARINT):
            p->no_value = (pb_uint32(&c) & FLAG_NO_RECORDED_VALUE) != 0;
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
    if (!side_read(r, PB_TAG(8, PB_LEN), n_sides[0], sides[0], p, &p->positive, e) ||
        !side_read(r, PB_TAG(9, PB_LEN), n_sides[1], sides[1], p, &p->negative, e)) {
        return false;
    }
    p->fault = p->fault != NULL ? p->fault : exp_fault(p);
    return take_attributes(r, &run, attributes_tag, p, e);
}

static bool quantile_read(struct slice raw, double *pair, struct err *e)
{
    pair[0] = 0;
    pair[1] = 0;
    struct cursor c = cursor_of(raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        switch (tag) {
        case PB_TAG(1, PB_I64):
            pair[0] = cursor_double(&c);
            break;
        case PB_TAG(2, PB_I64):
            pair[1] = cursor_double(&c);
            break;
        default:
            pb_skip(&c, tag, &quantile_type);
            break;
        }
    }
    return cursor_ok(&c) || pb_explain(raw, &quantile_type, e);
}

static bool take_quantiles(const struct otlp_point_reader *r, size_t n, struct otlp_point *p, struct err *e)
{
    if (n > r->caps->max_buckets) {
        p->fault = "too many quantiles";
        return true;
    }
    double *pairs = arena_alloc(r->scratch, n * 2 * sizeof *pairs);
    if (pairs == NULL) {
        return otlp_no_room(e);
    }
    p->quantiles = pairs;
    struct cursor c = cursor_of(p->raw);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != PB_TAG(6, PB_LEN)) {
            pb_skip(&c, tag, &summary_type);
        } else if (!quantile_read(cursor_varint_bytes(&c), &pairs[2 * p->n_quantiles++], e)) {
            return false;
        }
    }
    return true;
}

static bool summary_read(const struct otlp_point_reader *r, struct otlp_point *p, struct err *e)
{
    const uint8_t attributes_tag = PB_TAG(7, PB_LEN);
    struct otlp_run run = {0};
    size_t n_quantiles = 0;
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
            (void)cursor_varint_bytes(&c);
            n_quantiles++;
            break;
        case PB_TAG(7, PB_LEN):
            otlp_run_take(&c, at, attributes_tag, &run);
            break;
        case PB_TAG(8, PB_VARINT):
            p->no_value = (pb_uint32(&c) & FLAG_NO_RECORDED_VALUE) != 0;
            break;
        default:
            pb_skip(&c, tag, &summary_type);
            break;
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(p->raw, &summary_type, e);
    }
    return take_quantiles(r, n_quantiles, p, e) && take_attributes(r, &run, attributes_tag, p, e);
}

bool otlp_point_read(const struct otlp_point_reader *r, enum otlp_kind kind, struct slice raw, struct otlp_point *p,
                     struct err *e)
{
    if (kind == OTLP_GAUGE || kind == OTLP_SUM) {
        p->raw = raw;
        p->fault = NULL;
        return number_read(r, p, e);
    }
    *p = (struct otlp_point){.raw = raw};
    switch (kind) {
    case OTLP_HISTOGRAM:
        return histogram_read(r, p, e);
    case OTLP_EXP_HISTOGRAM:
        return exp_read(r, p, e);
    default:
        return summary_read(r, p, e);
    }
}
