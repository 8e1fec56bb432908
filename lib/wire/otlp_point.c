#include "wire/otlp_point.h"

/* Field numbers: metrics.proto, one message each. */
static const struct pb_type number_type = {"NumberDataPoint",
                                           {PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64),
                                            PB_TAG(5, PB_LEN), PB_TAG(6, PB_I64), PB_TAG(7, PB_LEN),
                                            PB_TAG(8, PB_VARINT)}};
static const struct pb_type summary_type = {
    "SummaryDataPoint",
    {PB_TAG(2, PB_I64), PB_TAG(3, PB_I64), PB_TAG(4, PB_I64), PB_TAG(5, PB_I64), PB_TAG(6, PB_LEN),
     PB_TAG(7, PB_LEN), PB_TAG(8, PB_VARINT)}};
static const struct pb_type quantile_type = {"ValueAtQuantile",
                                             {PB_TAG(1, PB_I64), PB_TAG(2, PB_I64)}};

bool otlp_no_room(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
}

bool otlp_take_attributes(const struct otlp_point_reader *r, const struct otlp_run *run,
                          uint8_t tag, struct otlp_point *p, struct err *e)
{
    if (run->n > r->caps->max_attributes) {
        p->fault = "too many attributes";
    }
    if (!otlp_run_slice(run, p->raw, tag, r->scratch, &p->attributes)) {
        return otlp_no_room(e);
    }
    otlp_identify(r, p);
    return true;
}

/* The layout that exporters write: start?, time, value, attributes with short lengths, flags?.
 * False for any other, which is not an error. */
static bool number_read_plain(const struct otlp_point_reader *r, struct otlp_point *p)
{
    const uint8_t *at = p->raw.ptr;
    const uint8_t *end = at + p->raw.len;
    uint64_t start_ns = 0;
    if (p->raw.len >= 27 && *at == PB_TAG(2, PB_I64)) {
        memcpy(&start_ns, at + 1, 8);
        at += 9;
    }
    if (end - at < 18 || at[0] != PB_TAG(3, PB_I64) ||
        (at[9] != PB_TAG(4, PB_I64) && at[9] != PB_TAG(6, PB_I64))) {
        return false;
    }
    int64_t integer;
    double value;
    memcpy(&integer, at + 10, 8);
    memcpy(&value, at + 10, 8);
    value = at[9] == PB_TAG(4, PB_I64) ? value : (double)integer;
    const uint8_t *first = at + 18;
    const uint8_t *next = first;
    uint32_t n = 0;
    while (end - next >= 2 && next[0] == PB_TAG(7, PB_LEN) && next[1] < 0x80 &&
           end - next - 2 >= next[1]) {
        next += 2 + next[1];
        n++;
    }
    bool flags = end - next == 2 && next[0] == PB_TAG(8, PB_VARINT) && next[1] < 0x80;
    if ((next != end && !flags) || n > r->caps->max_attributes) {
        return false;
    }
    p->start_ns = start_ns;
    memcpy(&p->time_ns, at + 1, 8);
    p->no_value = flags && (next[1] & OTLP_NO_RECORDED_VALUE) != 0;
    p->value = value;
    p->has_value = true;
    p->attributes = slice_of(first, (size_t)(next - first));
    otlp_identify(r, p);
    return true;
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
    p->no_value = (flags & OTLP_NO_RECORDED_VALUE) != 0;
    p->value = value;
    p->has_value = has_value;
    return otlp_take_attributes(r, &run, attributes_tag, p, e);
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

static bool take_quantiles(const struct otlp_point_reader *r, size_t n, struct otlp_point *p,
                           struct err *e)
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
        } else if (!quantile_read(pb_bytes(&c), &pairs[2 * p->n_quantiles++], e)) {
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
    p->has_sum = true; /* always there: not optional in a summary */
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
            break;
        case PB_TAG(6, PB_LEN):
            (void)pb_bytes(&c);
            n_quantiles++;
            break;
        case PB_TAG(7, PB_LEN):
            otlp_run_take(&c, at, attributes_tag, &run);
            break;
        case PB_TAG(8, PB_VARINT):
            p->no_value = (pb_uint32(&c) & OTLP_NO_RECORDED_VALUE) != 0;
            break;
        default:
            pb_skip(&c, tag, &summary_type);
            break;
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(p->raw, &summary_type, e);
    }
    return otlp_take_attributes(r, &run, attributes_tag, p, e) &&
           take_quantiles(r, n_quantiles, p, e);
}

bool otlp_point_read(const struct otlp_point_reader *r, enum otlp_kind kind, struct slice raw,
                     struct otlp_point *p, struct err *e)
{
    if (kind == OTLP_GAUGE || kind == OTLP_SUM) {
        p->raw = raw;
        p->fault = NULL;
        return number_read_plain(r, p) || number_read(r, p, e);
    }
    *p = (struct otlp_point){.raw = raw, .index = p->index};
    switch (kind) {
    case OTLP_HISTOGRAM:
        return otlp_histogram_read(r, p, e);
    case OTLP_EXP_HISTOGRAM:
        return otlp_exp_read(r, p, e);
    default:
        return summary_read(r, p, e);
    }
}
