/* A column of the row group that is being gathered: values of the page that is still open, and the
 * pages that are done, compressed, until the row group is written. */
#pragma once

#include "parquet/dictionary.h"
#include "parquet/page.h"

struct leaf_limits {
    uint32_t page_rows;
    size_t page_bytes;           /* of the open page, in memory */
    size_t dictionary_max_bytes; /* beyond it the column turns to plain until the row group ends */
    size_t statistics_max_bytes; /* longer texts are cut */
    size_t buf_max_bytes;        /* of each buffer */
};

struct leaf {
    const struct leaf_schema *schema; /* the writer's, as all of these */
    const struct leaf_limits *limits;
    struct press *press;
    struct arena *group;

    struct dictionary dictionary;
    bool has_dictionary; /* values still go there */

    /* The open page. */
    struct buf repetition; /* a byte per level; empty where the maximum is 0 */
    struct buf definition;
    struct buf ids;   /* uint32_t each, while has_dictionary */
    struct buf plain; /* PLAIN, but a byte per BOOL */
    struct buf marks; /* uint32_t per id: the last page whose bounds know it */
    uint32_t page_number;
    uint32_t n_levels;
    uint32_t n_values;
    uint32_t n_rows;
    bool any_text;
    struct text_ref min_text; /* in the dictionary's values, or in plain */
    struct text_ref max_text;
    struct bounds bounds;

    /* The row group. */
    struct page *first_page;
    struct page *last_page;
    struct page *dictionary_page; /* NULL: none */
    uint32_t n_pages;
    struct buf hashes; /* uint64_t each, for the Bloom filter, of values not in the dictionary */
    uint64_t last_hash;
};

/* Rows to append: levels are NULL where their maximum is 0; values are those that are not null. */
struct leaf_rows {
    size_t n_rows;
    size_t n_levels;
    size_t n_values;
    const uint8_t *repetition;
    const uint8_t *definition;
    const void *values; /* int32_t, int64_t, double, bool; struct slice for texts */
};

void leaf_init(struct leaf *l, const struct leaf_schema *schema, const struct leaf_limits *limits,
               struct press *press, struct arena *group);
void leaf_fini(struct leaf *l);
/* After the row group is written. release: gives the buffers' memory back, too. */
void leaf_reset(struct leaf *l, bool release);
/* Without the group arena's and the press's. */
size_t leaf_held_bytes(const struct leaf *l);
/* By how much that may grow with a few rows more: what is half full and more doubles. */
size_t leaf_growth_bytes(const struct leaf *l);
/* Whether the row group must end although there is memory: the Bloom filter's hashes are as many as
 * can be. */
bool leaf_is_full(const struct leaf *l);
/* What closing the open page and the dictionary may take of the group arena. */
size_t leaf_unfinished_bytes(const struct leaf *l);
/* Bytes of the open page's values as they are encoded, roughly. */
size_t leaf_open_bytes(const struct leaf *l);

/* n_rows is at most what is left of page_rows. Errors: ERR_BAD_INPUT, the leaf is of no use after
 * it. */
bool leaf_append(struct leaf *l, const struct leaf_rows *rows, struct err *e) MUST_CHECK;
/* Closes the open page and makes the dictionary page: all of the row group's pages are there. */
bool leaf_finish(struct leaf *l, struct err *e) MUST_CHECK;
/* Header and blocks of the Bloom filter, after leaf_finish. */
void leaf_bloom_put(const struct leaf *l, size_t max_bytes, struct buf *hashes, struct buf *out);
