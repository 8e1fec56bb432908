#include "redrive_again.h"

#include "edge/pass.h"
#include "record_json.h"
#include "scan.h"
#include "stage/message.h"
#include "stage/topics.h"
#include "validate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHE_MB = 256,
    OUTBOX_MB = 256,
    ARENA_MB = 512,
    MAX_MATCHES = 4000000,
    ALL_LETTERS = 1000000,
    MAX_NAME_BYTES = 256
};

/* A series that a letter without ids may be about. */
struct match {
    struct hash128 series;
    uint32_t letter;
};

struct again {
    const struct tool *tool;
    struct metrics *metrics;
    struct pass_watch watch;
    struct validate *validate;
    struct outbox out;
    struct arena arena; /* the batches, decoded */
    struct arena names; /* one, as letters have it */
    struct again_batch *batches;
    size_t n_batches;
    struct record_printer printer;
    json_t *refused; /* owned: the new letters' values */
    const struct redrive_letter *letters;
    size_t n_letters;
    struct match *matches; /* owned; by series, letter */
    size_t n_matches;
    size_t cap_matches;
    bool no_memory;
};

/* --- what a letter without ids is about --- */

/* Letters have names fit for people: cut, and UTF-8. */
static bool is_name(struct slice sent, const char *told, struct arena *names)
{
    if (sent.len <= MAX_NAME_BYTES && sent.len != strlen(told)) {
        return false;
    }
    arena_reset(names);
    return slice_eq_str(sent, told) || slice_eq_str(printable_name(names, sent), told);
}

static bool has_label(const struct raw_labels *labels, const char *told, struct arena *names)
{
    for (uint32_t i = 0; i < labels->n; i++) {
        if (is_name(labels->items[i].name, told, names)) {
            return true;
        }
    }
    return false;
}

static bool is_about(const struct redrive_letter *l, const struct raw_series *raw,
                     struct arena *names)
{
    return is_name(raw->metric, l->metric, names) &&
           (l->label[0] == '\0' || has_label(&raw->labels, l->label, names) ||
            has_label(&raw->attributes, l->label, names) ||
            is_name(raw->extra.name, l->label, names));
}

static void match_add(struct again *a, struct hash128 series, size_t letter)
{
    if (a->n_matches == a->cap_matches) {
        size_t cap = a->cap_matches == 0 ? 1024 : a->cap_matches * 2;
        struct match *grown =
            cap > MAX_MATCHES ? NULL : reallocarray(a->matches, cap, sizeof *grown);
        if (grown == NULL) {
            a->no_memory = true;
            return;
        }
        a->matches = grown;
        a->cap_matches = cap;
    }
    a->matches[a->n_matches++] = (struct match){series, (uint32_t)letter};
}

static void on_series(void *ctx, const struct raw_series *raw, const struct verdict *v)
{
    struct again *a = ctx;
    if (v->reason != REASON_NONE) {
        return;
    }
    for (size_t i = 0; i < a->n_letters; i++) {
        const struct redrive_letter *l = &a->letters[i];
        if (!l->is_limits && !l->is_whole && is_about(l, raw, &a->names)) {
            match_add(a, v->series.id, i);
        }
    }
}

static int by_series(const void *x, const void *y)
{
    const struct match *a = x;
    const struct match *b = y;
    if (a->series.lo != b->series.lo) {
        return a->series.lo < b->series.lo ? -1 : 1;
    }
    if (a->series.hi != b->series.hi) {
        return a->series.hi < b->series.hi ? -1 : 1;
    }
    return (a->letter > b->letter) - (a->letter < b->letter);
}

bool again_claims(const struct again *a, size_t letter, struct hash128 series, int64_t time_ms)
{
    const struct redrive_letter *l = &a->letters[letter];
    const struct match key = {series, (uint32_t)letter};
    size_t low = 0;
    size_t high = l->n_points;
    if (l->is_whole) {
        return true;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->points[middle].time_ms < time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_matched = false;
    bool is_looked_up = false;
    for (; low < l->n_points && l->points[low].time_ms == time_ms; low++) {
        const struct redrive_point *p = &l->points[low];
        if (p->has_series && hash128_eq(p->series, series)) {
            return true;
        }
        if (!p->has_series && !is_looked_up) {
            is_looked_up = true;
            is_matched = a->n_matches > 0 &&
                         bsearch(&key, a->matches, a->n_matches, sizeof key, by_series) != NULL;
        }
    }
    return is_matched;
}

/* --- the record --- */

bool again_new(const struct tool *t, const char *policy, uint32_t n_valid_partitions,
               struct again **out, struct err *e)
{
    const char *const *schemas = NULL;
    struct again *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    a->tool = t;
    a->watch = (struct pass_watch){.ctx = a, .series = on_series};
    outbox_init(&a->out, (size_t)OUTBOX_MB << 20);
    a->out.n_output_partitions[OUTPUT_VALID] = n_valid_partitions;
    a->out.n_output_partitions[OUTPUT_DLQ] = 1;
    arena_init(&a->arena, (size_t)ARENA_MB << 20);
    arena_init(&a->names, 1 << 16);
    a->metrics = metrics_new();
    size_t n_schemas = config_list(t->config, "tenant_schemas", &schemas);
    const struct validate_options options = {
        .shared_topic = slice_str(config_str(t->config, "shared_topic")),
        .policy_path = policy,
        .mask_key_file = "",
        .n_tenant_schemas = n_schemas,
        .tenant_schemas = schemas,
        .dlq_samples_per_minute = ALL_LETTERS,
        .cache_bytes = (size_t)CACHE_MB << 20,
        .watch = &a->watch,
    };
    bool ok = (a->metrics != NULL || err_set(e, ERR_FATAL, "out of memory")) &&
              record_printer_init(&a->printer, NULL, NULL, e);
    if (!ok || !validate_new(&options, a->metrics, &a->validate, e)) {
        again_free(a);
        return false;
    }
    *out = a;
    return true;
}

void again_free(struct again *a)
{
    if (a == NULL) {
        return;
    }
    validate_free(a->validate);
    record_printer_fini(&a->printer);
    metrics_free(a->metrics);
    outbox_fini(&a->out);
    arena_fini(&a->arena);
    arena_fini(&a->names);
    json_decref(a->refused);
    free(a->matches);
    free(a);
}

static bool batch_read(struct again *a, const struct outgoing *r, struct again_batch *out,
                       struct err *e)
{
    out->partition = r->partition;
    if (!batch_decode(r->value, &batch_default_caps, &a->arena, &out->batch, e) ||
        !shape_decode(out->batch.shape, out->batch.tenant, &shape_default_caps, &a->arena,
                      &out->shape, e)) {
        return false;
    }
    int64_t *times = ARENA_ARRAY(&a->arena, int64_t, out->shape.n_series);
    out->times_ms = times;
    return (times != NULL || err_set(e, ERR_FATAL, "out of memory")) &&
           batch_times_decode(&out->batch.times, out->shape.n_series, times, e);
}

/* What validate put out: batches, and the letters that it would write now. */
static bool output_read(struct again *a, struct err *e)
{
    a->batches = ARENA_ARRAY(&a->arena, struct again_batch, a->out.n + 1);
    if (a->batches == NULL || a->no_memory) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (size_t i = 0; i < a->out.n; i++) {
        const struct outgoing *r = &a->out.records[i];
        const char *kind;
        json_t *letter = NULL;
        if (r->output == OUTPUT_VALID) {
            if (!batch_read(a, r, &a->batches[a->n_batches++], e)) {
                return false;
            }
            continue;
        }
        if (!record_value_json(&a->printer, config_str(a->tool->config, "dlq_topic"), r->value,
                               &kind, &letter, e)) {
            return false;
        }
        (void)json_array_append_new(a->refused, letter);
    }
    if (a->n_matches > 0) {
        qsort(a->matches, a->n_matches, sizeof *a->matches, by_series);
    }
    return true;
}

struct fetching {
    struct again *again;
    const uint8_t *topic_id;
    uint32_t n_partitions;
    bool is_there;
};

static bool take(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct fetching *f = ctx;
    struct again *a = f->again;
    struct partition partition = {.topic = slice_str(rd_kafka_topic_name(m->rkt)),
                                  .number = m->partition,
                                  .n_partitions = f->n_partitions};
    struct record r;
    message_record(m, &partition, &r);
    memcpy(partition.topic_id, f->topic_id, TOPIC_ID_BYTES);
    *enough = f->is_there = true;
    if (!validate_recover(a->validate, NULL, &partition, m->offset, SLICE_NONE, e)) {
        return false;
    }
    bool ok = validate_step(a->validate, NULL, &r, a->tool->now_ms, &a->out, e);
    validate_drop(a->validate, &partition);
    return ok && output_read(a, e);
}

static bool fetch(struct again *a, rd_kafka_t *rk, const struct redrive_letter *l,
                  enum again_state *state, struct err *e)
{
    struct scan scan;
    struct err why = ERR_INIT;
    char id[TOPIC_ID_CHARS + 1];
    const struct scan_request r = {.topic = l->topic,
                                   .partition = l->origin_partition,
                                   .from = {MOMENT_OFFSET, l->origin_offset},
                                   .to = {MOMENT_OFFSET, l->origin_offset + 1}};
    if (!scan_open(a->tool, rk, &r, &scan, &why)) {
        *state = AGAIN_NO_TOPIC;
        *e = why.kind == ERR_CONFIG ? *e : why;
        return why.kind == ERR_CONFIG;
    }
    topic_id_text(scan.topic_id, id);
    struct fetching f = {.again = a, .topic_id = scan.topic_id, .n_partitions = scan.n_partitions};
    bool ok = true;
    if (strcmp(id, l->topic_id) != 0) {
        *state = AGAIN_OTHER_TOPIC;
    } else {
        ok = scan_run(&scan, take, &f, e);
        *state = f.is_there                                 ? AGAIN_JUDGED
                 : l->origin_offset < scan.stretches[0].low ? AGAIN_PAST_RETENTION
                                                            : AGAIN_NO_RECORD;
    }
    scan_close(&scan);
    return ok || err_wrap(e, "%.100s[%" PRId32 "]@%" PRId64, l->topic, l->origin_partition,
                          l->origin_offset);
}

bool again_judge(struct again *a, rd_kafka_t *rk, const struct redrive_letter *letters, size_t n,
                 enum again_state *state, struct err *e)
{
    outbox_reset(&a->out);
    arena_reset(&a->arena);
    json_decref(a->refused);
    a->refused = json_array();
    a->letters = letters;
    a->n_letters = n;
    a->n_batches = 0;
    a->n_matches = 0;
    a->no_memory = false;
    return fetch(a, rk, letters, state, e);
}

size_t again_n_batches(const struct again *a)
{
    return a->n_batches;
}

const struct again_batch *again_batch_at(const struct again *a, size_t i)
{
    return &a->batches[i];
}

const char *again_refusal(const struct again *a, const char *metric)
{
    for (size_t i = 0; i < json_array_size(a->refused); i++) {
        const json_t *letter = json_array_get(a->refused, i);
        const char *refused = json_string_value(json_object_get(letter, "metric"));
        if (refused != NULL &&
            (refused[0] == '\0' || metric[0] == '\0' || strcmp(refused, metric) == 0)) {
            return json_string_value(json_object_get(letter, "reason"));
        }
    }
    return NULL;
}
