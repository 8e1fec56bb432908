#include "offenders.h"

#include <stdlib.h>

#include "base/json_text.h"

enum { FEWEST_VALUES = 16 };

/* Distinct values of a label, as 64-bit hashes: open addressing, 0 = empty. */
struct values {
    uint64_t *slots; /* owned */
    uint32_t n_slots;
    uint32_t n;
    bool is_more; /* than were counted */
};

struct offender_label {
    char name[129]; /* cut */
    uint8_t n_name_bytes;
    struct values values;
};

struct offender {
    char tenant[129];
    char metric[257];
    uint64_t n_new;
    uint64_t n_refused;
    uint32_t n_labels;
    struct offender_label labels[MAX_OFFENDER_LABELS];
};

static void offender_free(void *value)
{
    struct offender *o = value;
    for (uint32_t i = 0; i < o->n_labels; i++) {
        free(o->labels[i].values.slots);
    }
    free(o);
}

void offenders_init(struct offenders *o, size_t max_bytes, int64_t now_ms)
{
    o->since_ms = now_ms;
    table_init(&o->table, max_bytes, offender_free);
    table_init(&o->names, 0, free);
    table_init(&o->n_names, 0, free);
}

void offenders_fini(struct offenders *o)
{
    table_fini(&o->table);
    table_fini(&o->names);
    table_fini(&o->n_names);
}

void offenders_reset(struct offenders *o, int64_t now_ms)
{
    table_clear(&o->table);
    o->since_ms = now_ms;
}

static void values_insert(uint64_t *slots, uint32_t n_slots, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (n_slots - 1);
    while (slots[i] != 0 && slots[i] != hash) {
        i = (i + 1) & (n_slots - 1);
    }
    slots[i] = hash;
}

static bool values_has(const struct values *v, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (v->n_slots - 1);
    while (v->n_slots > 0 && v->slots[i] != 0) {
        if (v->slots[i] == hash) {
            return true;
        }
        i = (i + 1) & (v->n_slots - 1);
    }
    return false;
}

/* Up to MAX_VALUES are told apart; without memory for more it says so too. */
static void values_add(struct values *v, uint64_t hash)
{
    hash |= 1; /* never 0 */
    if (values_has(v, hash)) {
        return;
    }
    if (v->n == MAX_VALUES) {
        v->is_more = true;
        return;
    }
    if (v->n * 2 >= v->n_slots) {
        uint32_t n_slots = v->n_slots == 0 ? FEWEST_VALUES : v->n_slots * 2;
        uint64_t *slots = calloc(n_slots, sizeof *slots);
        if (slots == NULL) {
            v->is_more = true;
            return;
        }
        for (uint32_t i = 0; i < v->n_slots; i++) {
            if (v->slots[i] != 0) {
                values_insert(slots, n_slots, v->slots[i]);
            }
        }
        free(v->slots);
        v->slots = slots;
        v->n_slots = n_slots;
    }
    values_insert(v->slots, v->n_slots, hash);
    v->n++;
}

static void text_copy(char *out, size_t size, struct slice s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    if (n > 0) {
        memcpy(out, s.ptr, n);
    }
    out[n] = '\0';
}

static struct offender *offender_of(struct offenders *o, struct slice tenant, struct slice metric)
{
    struct hash128 key = hash128_seeded(metric, hash64_seeded(tenant, 4));
    struct offender *found = table_find(&o->table, key);
    if (found != NULL) {
        return found;
    }
    found = calloc(1, sizeof *found);
    if (found == NULL) {
        return NULL;
    }
    text_copy(found->tenant, sizeof found->tenant, tenant);
    text_copy(found->metric, sizeof found->metric, metric);
    /* Charged with all that its labels can grow to. */
    size_t most = sizeof *found + MAX_OFFENDER_LABELS * MAX_VALUES * 2 * sizeof(uint64_t);
    if (!table_put(&o->table, key, found, most)) {
        offender_free(found);
        return NULL;
    }
    return found;
}

static bool label_is(const struct offender_label *l, struct slice name)
{
    return l->n_name_bytes == name.len && memcmp(l->name, name.ptr, name.len) == 0;
}

/* at: where it may well be, since series of a metric have the same labels. NULL: no room. */
static struct offender_label *label_of(struct offender *o, struct slice name, uint32_t at)
{
    name.len = name.len < sizeof o->labels[0].name - 1 ? name.len : sizeof o->labels[0].name - 1;
    if (at < o->n_labels && label_is(&o->labels[at], name)) {
        return &o->labels[at];
    }
    for (uint32_t i = 0; i < o->n_labels; i++) {
        if (label_is(&o->labels[i], name)) {
            return &o->labels[i];
        }
    }
    if (o->n_labels == MAX_OFFENDER_LABELS) {
        return NULL;
    }
    struct offender_label *fresh = &o->labels[o->n_labels++];
    text_copy(fresh->name, sizeof fresh->name, name);
    fresh->n_name_bytes = (uint8_t)name.len;
    return fresh;
}

void offenders_note(struct offenders *o, struct slice tenant, const struct series *s,
                    bool is_refused)
{
    struct offender *offender = offender_of(o, tenant, s->metric);
    if (offender == NULL) {
        return; /* without memory a number is missing on a page */
    }
    *(is_refused ? &offender->n_refused : &offender->n_new) += 1;
    for (uint32_t i = 0; i < s->n_labels; i++) {
        struct offender_label *l = label_of(offender, s->labels[i].name, i);
        if (l != NULL) {
            values_add(&l->values, hash64(s->labels[i].value));
        }
    }
}

static int worse_first(const void *x, const void *y)
{
    const struct offender *a = *(const struct offender *const *)x;
    const struct offender *b = *(const struct offender *const *)y;
    if (a->n_refused != b->n_refused) {
        return a->n_refused > b->n_refused ? -1 : 1;
    }
    return (a->n_new < b->n_new) - (a->n_new > b->n_new);
}

static int more_values_first(const void *x, const void *y)
{
    const struct offender_label *a = *(const struct offender_label *const *)x;
    const struct offender_label *b = *(const struct offender_label *const *)y;
    return (a->values.n < b->values.n) - (a->values.n > b->values.n);
}

static void offender_print(const struct offender *o, struct buf *out)
{
    const struct offender_label *labels[MAX_OFFENDER_LABELS];
    for (uint32_t i = 0; i < o->n_labels; i++) {
        labels[i] = &o->labels[i];
    }
    qsort(labels, o->n_labels, sizeof labels[0], more_values_first);
    buf_printf(out, "{\"tenant\":");
    json_text(out, o->tenant);
    buf_printf(out, ",\"metric\":");
    json_text(out, o->metric);
    buf_printf(out, ",\"refused_series\":%llu,\"new_series\":%llu,\"labels\":[",
               (unsigned long long)o->n_refused, (unsigned long long)o->n_new);
    for (uint32_t i = 0; i < o->n_labels; i++) {
        buf_printf(out, "%s{\"label\":", i == 0 ? "" : ",");
        json_text(out, labels[i]->name);
        buf_printf(out, ",\"values\":%u,\"at_least\":%s}", labels[i]->values.n,
                   labels[i]->values.is_more ? "true" : "false");
    }
    buf_printf(out, "]}");
}

/* All, the worst first; the caller frees it. NULL: out of memory. */
static const struct offender **sorted(const struct offenders *o)
{
    const struct offender **all = calloc(o->table.n + 1, sizeof(const struct offender *));
    const struct offender *one;
    size_t n = 0;
    for (size_t at = 0; all != NULL && (one = table_next(&o->table, &at)) != NULL;) {
        all[n++] = one;
    }
    if (all != NULL) {
        qsort(all, n, sizeof all[0], worse_first);
    }
    return all;
}

static const char *widest_label(const struct offender *o)
{
    const struct offender_label *widest = NULL;
    for (uint32_t i = 0; i < o->n_labels; i++) {
        widest = widest == NULL || o->labels[i].values.n > widest->values.n ? &o->labels[i] : widest;
    }
    return widest == NULL ? "" : widest->name;
}

struct named {
    struct cell *cell;
    uint32_t n; /* of a tenant */
};

static struct named *named_of(struct table *t, struct hash128 key)
{
    struct named *found = table_find(t, key);
    if (found == NULL) {
        found = calloc(1, sizeof *found);
        if (found != NULL && !table_put(t, key, found, sizeof *found)) {
            free(found);
            found = NULL;
        }
    }
    return found;
}

/* Metric names are the tenants': who has ever new ones must not take the cells of all others. NULL:
 * no memory. */
static struct cell *cell_of(struct offenders *o, const struct offender *x, struct metrics *m)
{
    struct slice tenant = slice_str(x->tenant);
    struct slice labels[] = {tenant, slice_str(x->metric), slice_str(widest_label(x))};
    uint64_t seed = hash64_seeded(tenant, hash64_seeded(labels[2], 5));
    struct named *name = table_find(&o->names, hash128_seeded(labels[1], seed));
    struct named *own = named_of(&o->n_names, hash128_seeded(tenant, 5));
    if (name == NULL && own != NULL && own->n < MAX_NAMES_SHOWN) {
        own->n++;
        name = named_of(&o->names, hash128_seeded(labels[1], seed));
    } else if (name == NULL) {
        labels[1] = labels[2] = SLICE_LITERAL("other");
        return metrics_cell(m, M_OFFENDER, labels);
    }
    if (name != NULL && name->cell == NULL) {
        name->cell = metrics_cell(m, M_OFFENDER, labels);
    }
    return name == NULL ? NULL : name->cell;
}

void offenders_show(struct offenders *o, struct metrics *m)
{
    const struct offender **all = sorted(o);
    size_t n = 0;
    for (size_t i = 0; i < OFFENDERS_SHOWN && o->shown[i] != NULL; i++) {
        cell_set(o->shown[i], 0);
        o->shown[i] = NULL;
    }
    for (size_t i = 0; all != NULL && i < o->table.n && i < OFFENDERS_SHOWN; i++) {
        struct cell *cell = cell_of(o, all[i], m);
        if (cell != NULL) {
            o->shown[n++] = cell;
            cell_add(cell, (double)(all[i]->n_refused + all[i]->n_new));
        }
    }
    free(all);
}

void offenders_print(const struct offenders *o, uint32_t n, struct buf *out)
{
    const struct offender **all = sorted(o);
    buf_printf(out, "{\"since_ms\":%lld,\"offenders\":[", (long long)o->since_ms);
    for (size_t i = 0; all != NULL && i < o->table.n && i < n; i++) {
        buf_printf(out, "%s", i == 0 ? "" : ",");
        offender_print(all[i], out);
    }
    buf_printf(out, "]}\n");
    free(all);
}
