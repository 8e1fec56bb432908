/* The metric dictionary: what is known of a metric beforehand. A listed metric must be as listed,
 * and may be: its kind and labels need not be allowed elsewhere. A classic histogram's series may
 * also come one by one, as remote write has them (<name>_bucket, _sum, _count). */
#pragma once

#include "batch/series.h"
#include "policy/glob.h"

struct metric_entry {
    struct slice name; /* translated */
    struct slice help;
    struct slice unit;
    struct text_list labels; /* the point's, beside the identity label */
    enum series_kind kind;
    bool has_kind;
    bool has_unit;
    bool has_labels;
};

/* Sorted by name. */
struct metric_list {
    uint32_t n;
    const struct metric_entry *items;
};

/* A look-up's answer. */
struct metric_match {
    const struct metric_entry *entry; /* NULL = not listed */
    bool is_part;                     /* one series of a classic histogram: a counter */
    bool is_bucket;                   /* and that has the label le */
};

struct rules;

/* Sorts items. False when two have the same name. */
bool metric_list_make(struct metric_entry *items, uint32_t n, struct metric_list *out);
const struct metric_entry *metric_list_find(const struct metric_list *l, struct slice name);
/* The tenant's own entry, else the policy's. parts: also look for what it is a part of. */
struct metric_match dictionary_find(const struct rules *rules, struct slice name, bool parts);
