#include "told.h"

#include <stdlib.h>

#include "stage/gap_record.h"
#include "stage/journal.h"

enum { MAX_BYTES = 256 << 20 };

struct stretch {
    int64_t first_offset;
    int64_t last_offset;
    int64_t from_ms;
    int64_t to_ms;
};

struct told_source {
    struct buf stretches; /* struct stretch each */
};

static void source_free(void *source)
{
    struct told_source *s = source;
    buf_fini(&s->stretches);
    free(s);
}

void told_init(struct told *t, const char *sink, const uint8_t topic_id[16])
{
    *t = (struct told){.sink = slice_str(sink), .topic_id = topic_id};
    table_init(&t->sources, MAX_BYTES, source_free);
}

void told_fini(struct told *t)
{
    table_fini(&t->sources);
}

static struct hash128 key_of(int32_t partition, uint64_t source)
{
    return (struct hash128){source, (uint64_t)partition};
}

static struct told_source *source_get(struct told *t, struct hash128 key)
{
    struct told_source *s = table_find(&t->sources, key);
    if (s != NULL) {
        return s;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    buf_init(&s->stretches, MAX_BYTES);
    if (!table_put(&t->sources, key, s, sizeof *s)) {
        source_free(s);
        return NULL;
    }
    return s;
}

static bool take(void *ctx, const struct record *r, struct err *e)
{
    struct told *t = ctx;
    struct gap_told told;
    struct err why = ERR_INIT;
    if (r->value.ptr == NULL || !gap_record_decode(r->value, &told, &why) || !slice_eq(told.sink, t->sink) ||
        memcmp(told.topic_id, t->topic_id, TOPIC_ID_BYTES) != 0) {
        return true;
    }
    const struct stretch stretch = {told.first_offset, told.last_offset, told.from_ms, told.to_ms};
    struct hash128 key = key_of(told.partition, told.source);
    struct told_source *s = source_get(t, key);
    if (s != NULL) {
        buf_put(&s->stretches, &stretch, sizeof stretch);
        table_recost(&t->sources, key, sizeof *s + s->stretches.cap);
    }
    t->n_gaps++;
    return (s != NULL && buf_ok(&s->stretches)) || err_set(e, ERR_RETRY, "out of memory for gaps");
}

bool told_read(struct told *t, const struct kafka_settings *s, const char *gaps_topic, struct err *e)
{
    return journal_read(s, gaps_topic, take, t, e);
}

bool told_has(struct told *t, int32_t partition, uint64_t source, int64_t offset, int64_t t_ms)
{
    struct told_source *s = table_find(&t->sources, key_of(partition, source));
    size_t n = s == NULL ? 0 : s->stretches.len / sizeof(struct stretch);
    for (size_t i = 0; i < n; i++) {
        struct stretch at;
        memcpy(&at, s->stretches.ptr + i * sizeof at, sizeof at);
        if (offset >= at.first_offset && offset <= at.last_offset && t_ms >= at.from_ms && t_ms <= at.to_ms) {
            return true;
        }
    }
    return false;
}
