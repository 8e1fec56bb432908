/* What the bucket says it has of a topic: ranges of offsets, put together from the objects' keys and metadata. */
#pragma once

#include "scan.h"
#include "store.h"

#include <jansson.h>

enum { LEDGER_MAX_FINDINGS = 1000 };

struct ledger_range {
    int32_t partition;
    int64_t first;
    int64_t last;
    uint64_t n_rows;               /* as the intent says */
    uint64_t rows_there[N_TABLES]; /* as the objects that are there say */
    uint64_t rows_log[N_TABLES];   /* counted in the log */
    int64_t n_said;                /* objects that the range has; -1 = none says */
    int64_t n_there;
};

/* Things that are not as they should be: [{"kind": …, "partition": …, "first": …, "last": …, "text": …}]. */
struct findings {
    json_t *list; /* owned */
    size_t n;     /* beyond LEDGER_MAX_FINDINGS only counted */
};
void finding_add(struct findings *f, const char *kind, int32_t partition, int64_t first, int64_t last,
                 const char *fmt, ...) __attribute__((format(printf, 6, 7)));

struct ledger {
    const char *topic;
    char topic_id[32];
    bool has_table[N_TABLES]; /* which were looked at */
    struct ledger_range *ranges; /* owned; by partition, first, last */
    size_t n;
    size_t n_objects;
    size_t n_former; /* objects of a former topic of that name */
};

/* The objects that touch the scan's stretches; table -1: all tables. */
bool ledger_read(struct store *s, const struct scan *scan, int table, struct ledger *out, struct findings *f,
                 struct err *e) MUST_CHECK;
void ledger_free(struct ledger *l);
