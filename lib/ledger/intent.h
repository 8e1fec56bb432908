/* The protocol by which each row of a partition lands in one object exactly, however often
 * processes die (design: sinks, rules 1 to 6). Pure: events in, what to do next out; no Kafka, no
 * S3, no clock.
 *
 *   FILL ──due──► ASKED ──answered──► WRITE ──stored──► FINAL ──answered──► FILL, from last + 1
 *                                       ▲
 *   begun with an open intent ──► REDO ─┘ when its rows are read again and are as many
 *
 * The intent is the metadata of the commit of its first offset, and of each object (2 KB in all
 * there, at S3), as text:
 *   {"first":5,"last":90,"layout":{…},"rows":400,"topic_id":"…"} */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum { INTENT_MAX_LAYOUT = 1200, INTENT_MAX_TEXT = 1500, INTENT_MAX_TOPIC_ID = 32 };

struct intent {
    int64_t first;
    int64_t last;
    uint64_t n_rows;
    char topic_id[INTENT_MAX_TOPIC_ID];
    char layout[INTENT_MAX_LAYOUT + 1]; /* JSON */
};

/* Keys in the order above, no spaces: equal intents have equal texts. */
void intent_print(const struct intent *i, struct buf *out);
/* ERR_BAD_INPUT names what is wrong. */
bool intent_parse(struct slice text, struct intent *out, struct err *e) MUST_CHECK;

enum intent_phase {
    INTENT_FILL,
    INTENT_REDO,
    INTENT_ASKED,
    INTENT_WRITE,
    INTENT_FINAL,
    INTENT_STOPPED
};

enum intent_action {
    INTENT_NOTHING,
    INTENT_PLEDGE, /* commit `first` with the intent (first, last, n_rows) */
    INTENT_SKIP,   /* commit `position`: nothing but records without rows since first */
    INTENT_STORE,  /* write the objects of first to last, each only if absent */
    INTENT_CLOSE,  /* commit last + 1, without metadata */
    INTENT_HALT    /* fewer or more rows than the intent says: write nothing, alarm */
};

/* One partition while it is ours. */
struct intent_log {
    enum intent_phase phase;
    int64_t first;
    int64_t position; /* all below is taken in or known to be markers */
    int64_t last;     /* of the last record with rows; of the open intent in REDO and later */
    uint64_t n_rows;  /* taken in since first */
    uint64_t n_expected;
};

/* From what is committed: the offset, and the intent that is open there, or NULL. */
void intent_begin(struct intent_log *l, int64_t committed, const struct intent *open);
/* May the record be taken in now? If not it waits for the protocol to move on. */
bool intent_takes(const struct intent_log *l, int64_t offset);
void intent_took(struct intent_log *l, int64_t offset, uint64_t n_rows);
/* Below position there is nothing more (markers). */
void intent_passed(struct intent_log *l, int64_t position);
/* What is to be done now; said once. due: a file with rows is due; idle: an offset without rows may
 * be committed. */
enum intent_action intent_next(struct intent_log *l, bool due, bool idle);
/* The commit asked for is answered; all objects are there. What is to be done then. */
enum intent_action intent_committed(struct intent_log *l);
enum intent_action intent_stored(struct intent_log *l);
