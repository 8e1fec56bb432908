#include "policy/dictionary.h"

#include <stdlib.h>

#include "policy/rules.h"

static int entry_cmp(const void *a, const void *b)
{
    return slice_cmp(((const struct metric_entry *)a)->name,
                     ((const struct metric_entry *)b)->name);
}

bool metric_list_make(struct metric_entry *items, uint32_t n, struct metric_list *out)
{
    if (n > 1) {
        qsort(items, n, sizeof *items, entry_cmp);
    }
    for (uint32_t i = 1; i < n; i++) {
        if (slice_eq(items[i].name, items[i - 1].name)) {
            return false;
        }
    }
    *out = (struct metric_list){n, items};
    return true;
}

const struct metric_entry *metric_list_find(const struct metric_list *l, struct slice name)
{
    const struct metric_entry key = {.name = name};
    return l->n == 0 ? NULL : bsearch(&key, l->items, l->n, sizeof *l->items, entry_cmp);
}

static const struct metric_entry *find(const struct rules *rules, struct slice name)
{
    const struct metric_entry *own = metric_list_find(&rules->metrics[LEVEL_TENANT], name);
    return own != NULL ? own : metric_list_find(&rules->metrics[LEVEL_TOP], name);
}

struct metric_match dictionary_find(const struct rules *rules, struct slice name, bool parts)
{
    static const char *const ends[] = {"_bucket", "_sum", "_count"};
    if (rules->metrics[LEVEL_TENANT].n == 0 && rules->metrics[LEVEL_TOP].n == 0) {
        return (struct metric_match){0};
    }
    struct metric_match match = {.entry = find(rules, name)};
    for (size_t i = 0; parts && match.entry == NULL && i < sizeof ends / sizeof ends[0]; i++) {
        struct slice end = slice_str(ends[i]);
        if (!slice_ends_with(name, end)) {
            continue;
        }
        const struct metric_entry *whole = find(rules, slice_of(name.ptr, name.len - end.len));
        if (whole != NULL && whole->has_kind && whole->kind == SERIES_CLASSIC_HISTOGRAM) {
            match = (struct metric_match){whole, true, i == 0};
        }
    }
    return match;
}
