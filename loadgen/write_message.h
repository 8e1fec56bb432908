/* A scrape as a Remote Write 1.0 request (prompb/types.proto), not compressed: every series with
 * the name and labels that a store has it under, sorted, and one sample or native histogram. */
#pragma once

#include "base/buf.h"
#include "model.h"

struct write_message {
    const struct model *model; /* borrowed */
    struct buf bytes;
    struct buf series;
    struct buf part;
};

void write_message_init(struct write_message *w, const struct model *m);
void write_message_fini(struct write_message *w);
/* The request's bytes, valid until the next call; ptr NULL when memory ran out. */
struct slice write_message_encode(struct write_message *w, uint32_t server, int64_t step);
