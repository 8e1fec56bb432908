#include "policy/glob.h"

bool glob_match(struct slice pattern, struct slice text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* where the last * stands */
    size_t star_text = 0;   /* where the text goes on behind what it covers */
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

int32_t glob_find(const struct text_list *patterns, struct slice text)
{
    for (uint32_t i = 0; i < patterns->n; i++) {
        if (glob_match(patterns->items[i], text)) {
            return (int32_t)i;
        }
    }
    return -1;
}

int32_t text_list_find(const struct text_list *list, struct slice text)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (slice_eq(list->items[i], text)) {
            return (int32_t)i;
        }
    }
    return -1;
}
