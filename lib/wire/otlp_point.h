/* Private to otlp: reads one point message. otlp_point.c: numbers and summaries;
 * otlp_histogram.c: both kinds of histograms. */
#pragma once

#include "wire/otlp.h"
#include "wire/protobuf.h"

/* A run of attribute fields as it is found: usually one piece. */
struct otlp_run {
    const uint8_t *first;
    const uint8_t *end;
    uint32_t n;
    bool scattered;
};

/* Takes the field whose tag was just read, which began at `at`, and the equal ones behind it. */
static inline void otlp_run_take(struct cursor *c, const uint8_t *at, uint8_t tag,
                                 struct otlp_run *run)
{
    if (run->n == 0) {
        run->first = at;
    } else if (run->end != at) {
        run->scattered = true;
    }
    (void)pb_bytes(c);
    run->n++;
    while (c->next < c->end && *c->next == tag) {
        c->next++;
        (void)pb_bytes(c);
        run->n++;
    }
    run->end = c->next;
}

/* The run as one slice; its pieces are copied into a when it is scattered. */
static inline bool otlp_run_slice(const struct otlp_run *run, struct slice message, uint8_t tag,
                                  struct arena *a, struct slice *out)
{
    if (!run->scattered) {
        *out = slice_of(run->first, (size_t)(run->end - run->first));
        return true;
    }
    *out = pb_gather(message, tag, true, a);
    return out->ptr != NULL;
}

struct otlp_point_reader {
    const struct otlp_caps *caps;
    struct arena *scratch;
    const struct otlp_sink *sink;
    uint64_t metric_key;
};

enum { OTLP_NO_RECORDED_VALUE = 1 }; /* bit of a point's flags */

/* The series is known: tell the sink, whose look-up can begin. */
static inline void otlp_identify(const struct otlp_point_reader *r, struct otlp_point *p)
{
    p->series_key = hash128_seeded(p->attributes, r->metric_key);
    if (r->sink->expect != NULL) {
        r->sink->expect(r->sink->ctx, p->series_key);
    }
}

/* Sets attributes and series_key. */
bool otlp_take_attributes(const struct otlp_point_reader *r, const struct otlp_run *run,
                          uint8_t tag, struct otlp_point *p, struct err *e) MUST_CHECK;

/* Fills *p from the message raw, but for its index. Of a number's p only the fields that a number
 * has are written: the caller keeps the rest cleared. */
bool otlp_point_read(const struct otlp_point_reader *r, enum otlp_kind kind, struct slice raw,
                     struct otlp_point *p, struct err *e) MUST_CHECK;
bool otlp_histogram_read(const struct otlp_point_reader *r, struct otlp_point *p,
                         struct err *e) MUST_CHECK;
bool otlp_exp_read(const struct otlp_point_reader *r, struct otlp_point *p,
                   struct err *e) MUST_CHECK;
/* ERR_BAD_INPUT: what does not fit the arena will not fit it next time. */
bool otlp_no_room(struct err *e);
