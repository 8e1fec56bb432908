#include <stdlib.h>

#include "batch/batch.h"
#include "batch/histogram.h"
#include "readers.h"
#include "topic.h"

enum { SHAPE_CACHE_BYTES = 1 << 30, ARENA_BYTES = 64 << 20 };

/* What a shape's series are to the model. Hangs on the cached shape. */
struct shape_map {
    bool is_ours;
    uint32_t server;
    struct {
        enum match match;
        uint32_t series;
    } at[]; /* per series of the shape */
};

struct batches {
    struct reader *reader;
    struct shape_cache shapes;
    struct arena arena;
};

static struct shape_map *map_new(struct batches *b, const struct shape *shape)
{
    struct shape_map *map = calloc(1, sizeof *map + shape->n_series * sizeof map->at[0]);
    if (map == NULL) {
        return NULL;
    }
    const struct model *m = b->reader->ledger->model;
    for (uint32_t i = 0; i < shape->n_series; i++) {
        const struct series *s = &shape->series[i];
        uint32_t server;
        enum match match = matcher_find(b->reader->matcher, s->metric, s->labels, s->n_labels, &server,
                                        &map->at[i].series);
        if (match == MATCH_OURS) {
            enum series_kind kind = m->series[map->at[i].series].is_histogram ? SERIES_EXP_HISTOGRAM
                                                                              : SERIES_COUNTER;
            struct model_server names;
            model_server(m, server, &names);
            bool is_write = b->reader->ledger->manifest->remote_write;
            bool right = s->kind == kind && !s->delta &&
                         slice_eq_str(shape->source_name, is_write ? names.shard_id : names.source);
            match = right ? MATCH_OURS : MATCH_UNEXPECTED;
            map->server = server;
        }
        map->is_ours |= match != MATCH_OTHER;
        map->at[i].match = match;
    }
    return map;
}

static bool times_decode(struct batches *b, const struct batch *batch, uint32_t n, int64_t **times,
                         int64_t **starts, struct err *e)
{
    *times = ARENA_ARRAY(&b->arena, int64_t, n);
    *starts = ARENA_ARRAY(&b->arena, int64_t, n);
    if (*times == NULL || *starts == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    return batch_times_decode(&batch->times, n, *times, e) &&
           batch_times_decode(&batch->starts, n, *starts, e);
}

static void point_see(struct batches *b, const struct shape_map *map, const struct series *s,
                      uint32_t i, struct sighting *seen)
{
    b->reader->n_read++;
    if (map->at[i].match == MATCH_OTHER) {
        b->reader->ledger->n_other++;
    } else if (map->at[i].match == MATCH_UNEXPECTED) {
        ledger_unexpected(b->reader->ledger, 1, s->metric, s->labels, s->n_labels, seen->time_ms);
    } else {
        seen->server = map->server;
        seen->series = map->at[i].series;
        seen->n_times = 1;
        ledger_see(b->reader->ledger, seen);
    }
}

static bool points_see(struct batches *b, const struct batch *batch, const struct cached_shape *cached,
                       struct err *e)
{
    const struct shape *shape = &cached->shape;
    int64_t *times;
    int64_t *starts;
    if (!batch_check_shape(batch, shape, e) ||
        !times_decode(b, batch, shape->n_series, &times, &starts, e)) {
        return false;
    }
    struct cursor column = cursor_of(batch->exp);
    size_t scalar = 0;
    for (uint32_t i = 0; i < shape->n_series; i++) {
        const struct series *s = &shape->series[i];
        bool is_write = b->reader->ledger->manifest->remote_write;
        struct sighting seen = {.time_ms = times[i], .start_ms = is_write ? -1 : starts[i]};
        struct native_histogram h;
        if (s->kind == SERIES_EXP_HISTOGRAM) {
            struct slice packed = exp_histogram_skip(&column);
            if (!native_decode(packed, &h, e)) {
                return false;
            }
            seen.is_histogram = true;
            seen.histogram = &h;
        } else if (s->kind != SERIES_CLASSIC_HISTOGRAM) {
            seen.value = batch_value(batch, scalar++);
        }
        point_see(b, cached->attached, s, i, &seen);
    }
    return cursor_ok(&column) || err_set(e, ERR_BAD_INPUT, "the histograms' column is too short");
}

static bool on_record(void *ctx, const struct topic_record *record, struct err *e)
{
    struct batches *b = ctx;
    struct batch batch;
    arena_reset(&b->arena);
    b->reader->n_records++;
    if (!batch_decode(record->payload, &batch_default_caps, &b->arena, &batch, e)) {
        return false;
    }
    if (batch.shape.len == 0 ||
        (b->reader->tenant != NULL && !slice_eq_str(batch.tenant, b->reader->tenant))) {
        return true;
    }
    struct cached_shape *cached;
    if (!shape_cache_get(&b->shapes, batch.tenant, batch.shape, &cached, e)) {
        return false;
    }
    if (cached->attached == NULL) {
        cached->attached = map_new(b, &cached->shape);
        if (cached->attached == NULL) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    return points_see(b, &batch, cached, e);
}

bool read_topic(struct reader *r, const char *brokers, const char *topic, struct err *e)
{
    struct batches b = {.reader = r};
    shape_cache_init(&b.shapes, SHAPE_CACHE_BYTES, &shape_default_caps, free);
    arena_init(&b.arena, ARENA_BYTES);
    bool ok = topic_read(brokers, topic, r->wait_ms, on_record, &b, e);
    arena_fini(&b.arena);
    shape_cache_fini(&b.shapes);
    return ok;
}

static bool on_counted(void *ctx, const struct topic_record *record, struct err *e)
{
    (void)record;
    (void)e;
    (*(uint64_t *)ctx)++;
    return true;
}

bool read_count(struct reader *r, const char *brokers, const char *topic, uint64_t *n_records,
                struct err *e)
{
    *n_records = 0;
    return topic_read(brokers, topic, r->wait_ms, on_counted, n_records, e);
}
