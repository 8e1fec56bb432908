#include "wire/tenant_avro.h"

#include <inttypes.h>

#include "tenant_metrics_avsc.h"
#include "wire/avro_blocks.h"

const struct tenant_avro_caps tenant_avro_default_caps = {
    .max_message_bytes = 8 << 20,
    .max_points = 1000000,
    .max_labels = 64,
};

enum { N_KINDS = 2 };

static const uint8_t head[] = TENANT_METRICS_HEAD;
_Static_assert(sizeof head - 1 == AVRO_HEAD_BYTES, "C3 01 and 64 bits");

struct walk {
    const struct tenant_avro_caps *caps;
    const struct tenant_avro_sink *sink;
    struct arena *scratch;
    struct cursor c;
};

bool tenant_avro_is(struct slice message)
{
    return message.len >= 2 && message.ptr[0] == 0xc3 && message.ptr[1] == 0x01;
}

static bool cut_off(const char *what, struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "%s: bad or cut off", what);
}

static bool name_is_new(const struct tenant_label *labels, uint32_t n, struct slice name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (slice_eq(labels[i].name, name)) {
            return false;
        }
    }
    return true;
}

/* A map of strings. The array has room for max_labels and is taken from the arena at the first. */
static bool labels_read(struct walk *w, const struct tenant_label **out, uint32_t *n_out,
                        struct err *e)
{
    const uint32_t max = w->caps->max_labels;
    struct tenant_label *labels = NULL;
    uint32_t n = 0;
    struct blocks blocks = {0};
    while (blocks_next(&w->c, &blocks, 2)) {
        struct tenant_label label;
        label.name = cursor_zigzag_bytes(&w->c);
        label.value = cursor_zigzag_bytes(&w->c);
        if (!cursor_ok(&w->c)) {
            break;
        }
        if (n == max) {
            return err_set(e, ERR_BAD_INPUT, "more than %" PRIu32 " labels", max);
        }
        if (!name_is_new(labels, n, label.name)) {
            return err_set(e, ERR_BAD_INPUT, "label %" PRIu32 " has the name of one before", n);
        }
        if (labels == NULL) {
            labels = arena_alloc(w->scratch, max * sizeof *labels);
        }
        if (labels == NULL) {
            return err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
        }
        labels[n++] = label;
    }
    *out = labels;
    *n_out = n;
    return cursor_ok(&w->c) || cut_off("labels", e);
}

static bool point_read(struct walk *w, struct tenant_point *p, struct err *e)
{
    struct cursor *c = &w->c;
    p->metric = cursor_zigzag_bytes(c);
    int64_t kind = cursor_zigzag(c);
    p->unit = cursor_zigzag_bytes(c);
    if (!cursor_ok(c)) {
        return cut_off("metric, kind or unit", e);
    }
    if (kind < 0 || kind >= N_KINDS) {
        return err_set(e, ERR_BAD_INPUT, "kind %" PRId64 " is not known", kind);
    }
    p->kind = (enum tenant_kind)kind;
    const uint8_t *labels_at = c->next;
    if (!labels_read(w, &p->labels, &p->n_labels, e)) {
        return false;
    }
    p->labels_raw = slice_of(labels_at, (size_t)(c->next - labels_at));
    p->value = cursor_double(c);
    p->time_ms = cursor_zigzag(c);
    p->start_ms = cursor_zigzag(c);
    return cursor_ok(c) || cut_off("value or times", e);
}

static bool points_walk(struct walk *w, struct err *e)
{
    const size_t least_bytes = 14; /* metric 1, kind 1, unit 1, labels 1, value 8, times 2 */
    struct blocks blocks = {0};
    uint32_t index = 0;
    while (blocks_next(&w->c, &blocks, least_bytes)) {
        struct tenant_point p = {.index = index};
        if (index == w->caps->max_points) {
            return err_set(e, ERR_BAD_INPUT, "more than %" PRIu32 " points", index);
        }
        arena_reset(w->scratch);
        if (!point_read(w, &p, e) || !w->sink->point(w->sink->ctx, &p, e)) {
            return err_wrap(e, "point %" PRIu32, index);
        }
        index++;
    }
    return cursor_ok(&w->c) || cut_off("points' blocks", e);
}

static bool source_walk(struct walk *w, struct err *e)
{
    struct slice name = cursor_zigzag_bytes(&w->c);
    const struct tenant_label *labels;
    uint32_t n_labels;
    if (!cursor_ok(&w->c)) {
        return cut_off("source", e);
    }
    arena_reset(w->scratch);
    if (!labels_read(w, &labels, &n_labels, e)) {
        return err_wrap(e, "source");
    }
    return w->sink->source(w->sink->ctx, name, labels, n_labels, e);
}

static bool head_check(struct slice message, struct err *e)
{
    struct cursor c = cursor_of(message);
    struct slice magic = cursor_take(&c, 2);
    uint64_t fingerprint = cursor_le64(&c);
    if (!cursor_ok(&c) || !tenant_avro_is(magic)) {
        return err_set(e, ERR_BAD_INPUT, "not Avro single-object encoding");
    }
    if (memcmp(message.ptr, head, AVRO_HEAD_BYTES) != 0) {
        return err_set(e, ERR_BAD_INPUT,
                       "Avro schema %016" PRIx64
                       " is not known; tenant_metrics.avsc is %016" PRIx64,
                       fingerprint, TENANT_METRICS_FINGERPRINT);
    }
    return true;
}

bool tenant_avro_walk(struct slice message, const struct tenant_avro_caps *caps,
                      struct arena *scratch, const struct tenant_avro_sink *sink, struct err *e)
{
    if (message.len > caps->max_message_bytes) {
        return err_set(e, ERR_BAD_INPUT, "message of %zu bytes, more than %zu", message.len,
                       caps->max_message_bytes);
    }
    if (!head_check(message, e)) {
        return false;
    }
    struct walk w = {.caps = caps, .sink = sink, .scratch = scratch, .c = cursor_of(message)};
    (void)cursor_take(&w.c, AVRO_HEAD_BYTES);
    if (!source_walk(&w, e) || !points_walk(&w, e)) {
        return false;
    }
    if (cursor_left(&w.c) != 0) {
        return err_set(e, ERR_BAD_INPUT, "%zu bytes behind the record", cursor_left(&w.c));
    }
    return true;
}
