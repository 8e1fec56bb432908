/* What a replay tells of one stream's rows, as a JSON tree: samples and what became of them, what
 * was known before, why a window closed. Feeds minute or hour; no Kafka. */
#pragma once

#include <jansson.h>

#include "explain_rows.h"
#include "hour.h"
#include "minute.h"
#include "split.h"

struct fed_record {
    int64_t offset;
    int64_t log_ms; /* log time then */
    json_t *origin; /* owned: the place in the ingest topic; of rows NULL */
};

struct story {
    struct row_stream stream;     /* borrowed */
    const struct kept_row *asked; /* borrowed: the record that is explained */
    int64_t five_end_ms;          /* asked is of 5 m: its end; else 0 */
    struct minute *minute;        /* owned: one of the two */
    struct hour *hour;
    struct splitter splitter;
    struct arena arena;
    struct rollup_counts before; /* when the last row left */
    struct trace trace;

    struct fed_record *fed; /* owned: of the stream */
    size_t n_fed;
    size_t cap_fed;
    const struct window *window; /* being closed */
    uint8_t kind;                /* of the series at hand */
    uint16_t n_bounds;
    json_t *samples;  /* of the series at hand; borrowed; NULL: of no interest */
    json_t *series;   /* owned: of the window at hand */
    json_t *late;     /* owned: since the last row */
    json_t *inputs;   /* owned: of an hour: its rows, since the last row */
    json_t *rows;     /* owned: told so far: one, or those of a 5 m row */
    json_t *after;    /* owned: series of a 5 m row */
    json_t *too_late; /* owned: samples of the row's window that came when it was closed */
    bool is_done;     /* the row that was asked for has left */
    bool is_same;     /* and has the very bytes */
    int64_t done_ms;  /* log time then */
};

bool story_init(struct story *s, const struct rules *rules, size_t max_row_bytes,
                const struct row_stream *stream, const struct kept_row *asked,
                struct err *e) MUST_CHECK;
void story_fini(struct story *s);
/* Rows of its stream that were there, and the place from which the input follows. */
bool story_restore(struct story *s, const struct kept_rows *rows, struct place begin,
                   struct err *e) MUST_CHECK;
/* A record of the input; what the worker would refuse is passed over. */
bool story_take(struct story *s, const struct record *in, struct err *e) MUST_CHECK;
int64_t story_log_ms(const struct story *s);
