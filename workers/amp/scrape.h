/* A batch as it waits in a queue and is encoded: the columns are copied (8 bytes for a scalar),
 * the labels are the shape's. A piece is a run of its points; a point is the unit of everything
 * (a classic histogram, several series on the wire, is one point). */
#pragma once

#include "base/buf.h"
#include "batch/batch.h"
#include "stage/record.h"
#include "wire_shape.h"

/* Of a scrape that is a repeat: it owes nothing to Kafka. */
enum { NO_OFFSET = -1 };

struct scrape {
    struct scrape *next; /* in a queue */
    struct wire_shape *shape;
    struct partition *partition; /* of a repeat NULL, once it is gone */
    int64_t offset;
    int64_t received_ms;
    int64_t taken_ms; /* when it came in here */
    uint64_t source;
    uint64_t redriven;
    uint32_t n_unsettled; /* points that are neither delivered nor accounted */
    uint32_t n_parked;    /* … of them: wait for the store's series limit (parked.c) */
    bool redelivered;     /* may have been sent before the assignment */
    bool usual_times;     /* all have 6 bytes as a varint: 1971 to 2109 */
    enum batch_class class;
    struct origin origin; /* topic: in here */
    int64_t base_ms;
    int64_t min_ms; /* of its points' times */
    int64_t max_ms;
    const int64_t *times;      /* per point, or NULL: all base_ms */
    const uint8_t *values;     /* doubles */
    const uint8_t *histograms; /* both packed columns */
    const uint32_t *exp_at;    /* n_exp + 1 offsets in histograms: packed bytes with their length */
    const uint32_t *classic_at; /* n_classic + 1 */
    size_t n_bytes;             /* of the whole allocation */
    size_t n_wire_bytes;        /* at most, when encoded */
};

struct piece {
    struct scrape *scrape;
    uint32_t from;
    uint32_t to;
    bool shadowed;     /* its request has a point of the same series at the same time or later */
    bool named;        /* the store named it when it saw it first: its refusal is its own */
    int64_t parked_ms; /* waits for the store's series limit since then; 0 = does not */
};

/* One allocation (scrape_free). ERR_BAD_INPUT: the columns don't have exactly what the shape says.
 * The protobuf bytes of exponential histograms are passed on unread: the store judges them. */
bool scrape_new(const struct batch *b, struct wire_shape *shape, struct scrape **out,
                struct err *e) MUST_CHECK;
void scrape_free(struct scrape *s);
/* The same points at another time; s is of one time. NULL: out of memory. */
struct scrape *scrape_again(const struct scrape *s, int64_t t_ms);

static inline int64_t scrape_time_ms(const struct scrape *s, uint32_t point)
{
    return s->times == NULL ? s->base_ms : s->times[point];
}

/* Appends the points as TimeSeries fields of a WriteRequest, delta-temporality ones left out;
 * check buf_ok. Scalars first, then exponential histograms, then classic ones: the order in which
 * templates allow it. */
void scrape_encode(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out);
void scrape_encode_scalars(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out);
void scrape_encode_exponentials(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out);
void scrape_encode_classics(const struct scrape *s, uint32_t from, uint32_t to, struct buf *out);
/* An exponential histogram's message, without its time. */
struct slice scrape_packed(const struct scrape *s, const struct wire_series *series);
/* A usual time's 6 bytes of varint. */
void scrape_time_put(uint8_t *to, int64_t t_ms);
