/* Patterns of the policy: * stands for any run of bytes, everything else for itself. The matcher
 * goes back to the last * alone, so that its work is bounded by pattern times text, both short. */
#pragma once

#include "base/slice.h"

struct text_list {
    uint32_t n;
    const struct slice *items;
};

bool glob_match(struct slice pattern, struct slice text);
/* The first pattern that matches: its index, or -1. */
int32_t glob_find(const struct text_list *patterns, struct slice text);
/* The item that text is, byte by byte: its index, or -1. */
int32_t text_list_find(const struct text_list *list, struct slice text);

static inline bool glob_any(const struct text_list *patterns, struct slice text)
{
    return glob_find(patterns, text) >= 0;
}

static inline bool text_list_has(const struct text_list *list, struct slice text)
{
    return text_list_find(list, text) >= 0;
}
