#include "manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, MAX_DOUBTS = 100000000 };

static const char *const states[] = {"running", "interrupted", "done"};

const char *manifest_state_name(enum manifest_state state)
{
    return states[state];
}

void manifest_init(struct manifest *f)
{
    memset(f, 0, sizeof *f);
}

void manifest_fini(struct manifest *f)
{
    free(f->doubts.entries);
    free(f->repeats.entries);
    f->doubts = f->repeats = (struct manifest_list){0};
}

bool manifest_list_add(struct manifest_list *l, struct manifest_doubt doubt)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct manifest_doubt *more =
            cap > MAX_DOUBTS ? NULL : realloc(l->entries, cap * sizeof *more);
        if (more == NULL) {
            return false;
        }
        l->entries = more;
        l->cap = cap;
    }
    l->entries[l->n++] = doubt;
    return true;
}

static int doubt_order(const void *left, const void *right)
{
    const struct manifest_doubt *a = left;
    const struct manifest_doubt *b = right;
    return (a->scrape > b->scrape) - (a->scrape < b->scrape);
}

static void list_sort(struct manifest_list *l)
{
    if (l->n > 1) {
        qsort(l->entries, l->n, sizeof *l->entries, doubt_order);
    }
}

uint32_t manifest_list_count(const struct manifest_list *l, int64_t scrape, bool garbage)
{
    size_t low = 0;
    size_t high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->entries[middle].scrape < scrape) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint32_t n = 0;
    for (; low < l->n && l->entries[low].scrape == scrape; low++) {
        n += l->entries[low].garbage == garbage;
    }
    return n;
}

/* One table for both directions. */
struct number_field {
    const char *name;
    size_t at;
};

static const struct number_field counts_fields[] = {
    {"scrapes", offsetof(struct manifest_counts, scrapes)},
    {"copies", offsetof(struct manifest_counts, copies)},
    {"garbage", offsetof(struct manifest_counts, garbage)},
    {"samples", offsetof(struct manifest_counts, samples)},
    {"acked_messages", offsetof(struct manifest_counts, acked_messages)},
    {"acked_samples", offsetof(struct manifest_counts, acked_samples)},
    {"bytes", offsetof(struct manifest_counts, bytes)},
};
static const struct number_field misdeeds_fields[] = {
    {"resets", offsetof(struct model_params, resets)},
    {"restarts", offsetof(struct model_params, restarts)},
    {"late", offsetof(struct model_params, late)},
    {"duplicates", offsetof(struct model_params, duplicates)},
    {"forbidden", offsetof(struct model_params, forbidden)},
    {"garbage", offsetof(struct model_params, garbage)},
};
enum {
    N_COUNTS = sizeof counts_fields / sizeof counts_fields[0],
    N_MISDEEDS = sizeof misdeeds_fields / sizeof misdeeds_fields[0]
};

static json_t *counts_json(const struct manifest_counts *counts)
{
    json_t *object = json_object();
    for (size_t i = 0; i < N_COUNTS; i++) {
        int64_t value;
        memcpy(&value, (const char *)counts + counts_fields[i].at, sizeof value);
        json_object_set_new(object, counts_fields[i].name, json_integer(value));
    }
    return object;
}

static json_t *params_json(const struct model_params *p)
{
    json_t *object =
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "seed", (json_int_t)p->seed, "servers",
                  (json_int_t)p->n_servers, "first_server", (json_int_t)p->first_server, "series",
                  (json_int_t)p->n_series, "interval_ms", (json_int_t)p->interval_ms, "start_ms",
                  (json_int_t)p->start_ms);
    json_t *bursts = json_array();
    for (uint32_t i = 0; i < p->n_bursts; i++) {
        const struct burst *b = &p->bursts[i];
        json_array_append_new(bursts,
                              json_pack("{s:I,s:I,s:I}", "factor", (json_int_t)b->factor, "from_ms",
                                        (json_int_t)b->from_ms, "to_ms", (json_int_t)b->to_ms));
    }
    json_object_set_new(object, "bursts", bursts);
    for (size_t i = 0; i < N_MISDEEDS; i++) {
        double value;
        memcpy(&value, (const char *)p + misdeeds_fields[i].at, sizeof value);
        json_object_set_new(object, misdeeds_fields[i].name, json_real(value));
    }
    return object;
}

static json_t *list_json(const struct manifest_list *l)
{
    json_t *array = json_array();
    for (size_t i = 0; i < l->n; i++) {
        json_array_append_new(array,
                              json_pack("{s:I,s:b}", "scrape", (json_int_t)l->entries[i].scrape,
                                        "garbage", (int)l->entries[i].garbage));
    }
    return array;
}

static json_t *manifest_json(const struct manifest *f)
{
    return json_pack("{s:i,s:s,s:s,s:s,s:b,s:b,s:o,s:I,s:o,s:o,s:o}", "version", VERSION, "state",
                     states[f->state], "brokers", f->brokers, "topic", f->topic, "keyed",
                     (int)f->keyed, "remote_write", (int)f->remote_write, "model",
                     params_json(&f->params), "n_scrapes", (json_int_t)f->n_scrapes, "counts",
                     counts_json(&f->counts), "unacknowledged", list_json(&f->doubts), "repeated",
                     list_json(&f->repeats));
}

bool manifest_write(struct manifest *f, const char *path, struct err *e)
{
    list_sort(&f->doubts);
    list_sort(&f->repeats);
    char fresh[4096];
    int n = snprintf(fresh, sizeof fresh, "%s.new", path);
    json_t *root = manifest_json(f);
    bool ok = n > 0 && (size_t)n < sizeof fresh && root != NULL &&
              json_dump_file(root, fresh, JSON_INDENT(1)) == 0 && rename(fresh, path) == 0;
    json_decref(root);
    if (!ok) {
        return err_set(e, ERR_FATAL, "%s: can't be written: %s", path, strerror(errno));
    }
    return true;
}

static bool integer_get(const json_t *object, const char *name, int64_t min, int64_t max,
                        int64_t *out, struct err *e)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max) {
        return err_set(e, ERR_CONFIG, "%s is missing or out of range", name);
    }
    *out = json_integer_value(value);
    return true;
}

static bool bursts_read(const json_t *array, struct model_params *p, struct err *e)
{
    size_t n = json_array_size(array);
    if (!json_is_array(array) || n > MAX_BURSTS) {
        return err_set(e, ERR_CONFIG, "bursts is no list of at most %d", MAX_BURSTS);
    }
    p->n_bursts = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *object = json_array_get(array, i);
        struct burst *b = &p->bursts[i];
        if (!integer_get(object, "factor", 1, INT32_MAX, &b->factor, e) ||
            !integer_get(object, "from_ms", 0, INT64_MAX, &b->from_ms, e) ||
            !integer_get(object, "to_ms", 0, INT64_MAX, &b->to_ms, e)) {
            return err_wrap(e, "burst %zu", i);
        }
    }
    return true;
}

static bool params_read(const json_t *object, struct model_params *p, struct err *e)
{
    int64_t seed;
    int64_t n_servers;
    int64_t first_server;
    int64_t n_series;
    if (!integer_get(object, "seed", 0, INT64_MAX, &seed, e) ||
        !integer_get(object, "servers", 1, MAX_SERVERS, &n_servers, e) ||
        !integer_get(object, "first_server", 0, MAX_SERVERS, &first_server, e) ||
        !integer_get(object, "series", 1, MAX_SERIES, &n_series, e) ||
        !integer_get(object, "interval_ms", 1, INT32_MAX, &p->interval_ms, e) ||
        !integer_get(object, "start_ms", 0, INT64_MAX, &p->start_ms, e)) {
        return false;
    }
    p->seed = (uint64_t)seed;
    p->n_servers = (uint32_t)n_servers;
    p->first_server = (uint32_t)first_server;
    p->n_series = (uint32_t)n_series;
    for (size_t i = 0; i < N_MISDEEDS; i++) {
        const json_t *number = json_object_get(object, misdeeds_fields[i].name);
        if (!json_is_number(number)) {
            return err_set(e, ERR_CONFIG, "%s is missing", misdeeds_fields[i].name);
        }
        double value = json_number_value(number);
        memcpy((char *)p + misdeeds_fields[i].at, &value, sizeof value);
    }
    return bursts_read(json_object_get(object, "bursts"), p, e);
}

static bool counts_read(const json_t *object, struct manifest_counts *counts, struct err *e)
{
    for (size_t i = 0; i < N_COUNTS; i++) {
        int64_t value;
        if (!integer_get(object, counts_fields[i].name, 0, INT64_MAX, &value, e)) {
            return false;
        }
        memcpy((char *)counts + counts_fields[i].at, &value, sizeof value);
    }
    return true;
}

static bool list_read(const json_t *root, const char *name, struct manifest_list *l, struct err *e)
{
    const json_t *array = json_object_get(root, name);
    if (!json_is_array(array)) {
        return err_set(e, ERR_CONFIG, "%s is no list", name);
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *object = json_array_get(array, i);
        struct manifest_doubt doubt = {.garbage = json_is_true(json_object_get(object, "garbage"))};
        if (!integer_get(object, "scrape", 0, INT64_MAX, &doubt.scrape, e)) {
            return false;
        }
        if (!manifest_list_add(l, doubt)) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    list_sort(l);
    return true;
}

static bool state_read(const char *name, enum manifest_state *out)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (name != NULL && strcmp(name, states[i]) == 0) {
            *out = (enum manifest_state)i;
            return true;
        }
    }
    return false;
}

static bool text_read(const json_t *value, char *out, size_t max_bytes)
{
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) >= max_bytes) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool root_read(const json_t *root, struct manifest *f, struct err *e)
{
    int64_t version;
    if (!integer_get(root, "version", VERSION, VERSION, &version, e)) {
        return false;
    }
    if (!state_read(json_string_value(json_object_get(root, "state")), &f->state) ||
        !text_read(json_object_get(root, "brokers"), f->brokers, sizeof f->brokers) ||
        !text_read(json_object_get(root, "topic"), f->topic, sizeof f->topic)) {
        return err_set(e, ERR_CONFIG, "state, brokers or topic is missing");
    }
    f->keyed = json_is_true(json_object_get(root, "keyed"));
    f->remote_write = json_is_true(json_object_get(root, "remote_write"));
    return integer_get(root, "n_scrapes", 0, INT64_MAX, &f->n_scrapes, e) &&
           params_read(json_object_get(root, "model"), &f->params, e) &&
           counts_read(json_object_get(root, "counts"), &f->counts, e) &&
           list_read(root, "unacknowledged", &f->doubts, e) &&
           (json_object_get(root, "repeated") == NULL || /* from before there was any */
            list_read(root, "repeated", &f->repeats, e));
}

bool manifest_read(struct manifest *f, const char *path, struct err *e)
{
    json_error_t why;
    json_t *root = json_load_file(path, 0, &why);
    if (root == NULL) {
        return err_set(e, ERR_CONFIG, "%s: %s", path, why.text);
    }
    bool ok = root_read(root, f, e);
    json_decref(root);
    return ok || err_wrap(e, "%s", path);
}
