/* Which slots of a set are meant, rising, each as a varint of its distance from the one before:
 * about a byte each, for a shape of the source's series. */
#pragma once

#include "base/cursor.h"

/* Bit i of the words: slot i is meant. *out: owned. False: out of memory. */
bool slot_list_make(const uint64_t *words, size_t n_words, struct slice *out);

/* The next slot; *slot: the one before, 0 at first. */
static inline bool slot_list_next(struct cursor *c, uint32_t *slot)
{
    bool is_more = cursor_more(c);
    *slot += is_more ? (uint32_t)cursor_varint(c) : 0;
    return is_more;
}
