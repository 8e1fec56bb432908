/* Patterns of the policy: * stands for any run of bytes, everything else for itself. The matcher
 * goes back to the last * alone, so that its work is bounded by pattern times text, both short. */
#pragma once

#include "base/slice.h"

struct text_list {
    uint32_t n;
    const struct slice *items;
};

bool glob_match(struct slice pattern, struct slice text);
/* Does any pattern match? */
bool glob_any(const struct text_list *patterns, struct slice text);
/* Is text one of the items, byte by byte? */
bool text_list_has(const struct text_list *list, struct slice text);
