/* The body of a request: scrapes encoded and compressed, one behind another (Remote Write 1.0: a
 * Snappy block). By templates where a scrape has one (template.h): a copy and its values; what they
 * don't cover (classic histograms, parts of scrapes, times before 1971) goes through libsnappy in between,
 * its elements without their length. Without templates all goes through libsnappy at once. Either
 * way the same bytes come out when it is decompressed. */
#pragma once

#include "base/err.h"
#include "scrape.h"
#include "version2.h"

enum write_version { WRITE_1, WRITE_2 };

struct packer {
    enum write_version version;      /* 2.0 goes without templates, through libsnappy at once */
    const struct metadata *metadata; /* for 2.0 */
    struct version2 version2;
    struct buf plain; /* encoded, not compressed yet */
    size_t n_plain;   /* bytes of the body when decompressed, but for those in plain */
};

void packer_init(struct packer *p, size_t max_bytes);
void packer_fini(struct packer *p);
void packer_begin(struct packer *p, struct buf *body);
/* The points from..to of a scrape behind what is there. */
void packer_add(struct packer *p, const struct scrape *s, uint32_t from, uint32_t to,
                struct buf *body);
/* What to send, in body; empty when there was nothing. ERR_FATAL: out of memory, or beyond the
 * ceiling. */
bool packer_end(struct packer *p, struct buf *body, struct slice *out, struct err *e) MUST_CHECK;
