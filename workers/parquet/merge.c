#include "merge.h"

#include <assert.h>

void merge_init(struct merge *m, const struct objects *objects, const struct object *object)
{
    m->n_sources = m->n_in_series = m->taken = 0;
    m->objects = objects;
    m->object = object;
}

/* Of the source's head, which is new. */
static bool is_of_series(const struct merge *m, const struct merge_source *s)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        if (m->sources[i].in_series) {
            return head_cmp(m->sources[i].row.head, s->row.head) == 0;
        }
    }
    return false;
}

static bool source_advance(struct merge *m, struct merge_source *s, struct err *e)
{
    const struct head *before = s->row.head;
    if (!s->stream.next(s->stream.context, &s->row, e)) {
        m->n_in_series -= s->in_series;
        s->ended = true;
        s->in_series = false;
        return e->kind == ERR_NONE;
    }
    if (s->row.head == before) {
        return true;
    }
    m->n_in_series -= s->in_series;
    s->in_series = false;
    s->ended = !object_has(m->object, m->objects, s->row.head);
    s->in_series = !s->ended && is_of_series(m, s);
    m->n_in_series += s->in_series;
    return true;
}

bool merge_add(struct merge *m, struct row_stream stream, struct err *e)
{
    assert(m->n_sources < MERGE_MAX_SOURCES);
    struct merge_source *s = &m->sources[m->n_sources];
    *s = (struct merge_source){.stream = stream};
    if (!source_advance(m, s, e)) {
        return false;
    }
    m->taken = ++m->n_sources;
    return true;
}

static void series_begin(struct merge *m)
{
    const struct merge_source *first = NULL;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct merge_source *s = &m->sources[i];
        if (!s->ended && (first == NULL || head_cmp(s->row.head, first->row.head) < 0)) {
            first = s;
        }
    }
    for (size_t i = 0; i < m->n_sources && first != NULL; i++) {
        struct merge_source *s = &m->sources[i];
        s->in_series = s == first || (!s->ended && head_cmp(s->row.head, first->row.head) == 0);
        m->n_in_series += s->in_series;
    }
}

static size_t source_next(const struct merge *m)
{
    size_t next = m->n_sources;
    for (size_t i = 0; i < m->n_sources; i++) {
        if (m->sources[i].in_series &&
            (next == m->n_sources || row_time_cmp(&m->sources[i].row, &m->sources[next].row) < 0)) {
            next = i;
        }
    }
    return next;
}

static bool merge_next(void *context, struct row *out, struct err *e)
{
    struct merge *m = context;
    e->kind = ERR_NONE;
    if (m->taken < m->n_sources && !source_advance(m, &m->sources[m->taken], e)) {
        return false;
    }
    if (m->n_in_series == 0) {
        series_begin(m);
    }
    if (m->n_in_series == 0) {
        m->taken = m->n_sources;
        return false;
    }
    if (m->n_in_series > 1 || m->taken == m->n_sources || !m->sources[m->taken].in_series) {
        m->taken = source_next(m);
    }
    *out = m->sources[m->taken].row;
    return true;
}

struct row_stream merge_stream(struct merge *m)
{
    return (struct row_stream){merge_next, m};
}
