#include "edge/parts.h"

#include "batch/batch.h"
#include "wire/otlp_attribute.h"
#include "wire/protobuf.h"

#include <stdlib.h>

enum { NUMBER_TEXT_BYTES = 32 };

static const struct pb_type message_type = {"MetricsData", {PB_TAG(1, PB_LEN)}};
static const struct pb_type resource_metrics_type = {"ResourceMetrics", {PB_TAG(1, PB_LEN)}};
static const struct pb_type resource_type = {"Resource", {PB_TAG(1, PB_LEN)}};

void parts_init(struct parts *p)
{
    *p = (struct parts){.n = 0};
    buf_init(&p->bytes, SIZE_MAX);
}

void parts_fini(struct parts *p)
{
    free(p->items);
    free(p->n_bytes);
    buf_fini(&p->bytes);
    *p = (struct parts){.n = 0};
}

/* The bytes from an offset of the cursor's to where it is. */
static struct slice since(const struct cursor *c, size_t at)
{
    return slice_of(c->next - (cursor_at(c) - at), cursor_at(c) - at);
}

/* One KeyValue with its tag: its source and rank, if it names one that comes before *rank. */
static void attribute_look(const struct parts_route *route, struct slice key_value, int32_t *rank,
                           uint64_t *source)
{
    struct otlp_attribute attribute;
    struct cursor c = cursor_of(key_value);
    char space[NUMBER_TEXT_BYTES];
    struct slice name;
    if (!otlp_attribute_next(&c, &attribute)) {
        return;
    }
    int32_t at = text_list_find(route->attributes, attribute.name);
    if (at >= 0 && (*rank < 0 || at < *rank) &&
        otlp_attribute_text(&attribute, space, sizeof space, &name) && name.len > 0) {
        *rank = at;
        *source = source_id(route->tenant, name);
    }
}

static uint64_t source_of(const struct parts_route *route, struct slice resource)
{
    uint64_t source = route->other_source;
    int32_t rank = -1;
    struct cursor c = cursor_of(resource);
    for (;;) {
        size_t at = cursor_at(&c);
        uint32_t tag = pb_tag(&c);
        if (tag == 0) {
            return source;
        }
        if (tag == PB_TAG(1, PB_LEN)) {
            (void)pb_bytes(&c);
            attribute_look(route, since(&c, at), &rank, &source);
        } else {
            pb_skip(&c, tag, &resource_type);
        }
    }
}

/* Of a ResourceMetrics, whose resource mostly comes first; what is behind it stays unread. */
static uint64_t source_of_metrics(const struct parts_route *route, struct slice resource_metrics)
{
    struct cursor c = cursor_of(resource_metrics);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(1, PB_LEN)) {
            return source_of(route, pb_bytes(&c));
        }
        pb_skip(&c, tag, &resource_metrics_type);
    }
    return route->other_source;
}

/* The message's next field, tag and all. */
static bool piece_next(struct cursor *c, const struct parts_route *route, struct slice *piece,
                       int32_t *partition)
{
    size_t at = cursor_at(c);
    uint32_t tag = pb_tag(c);
    uint64_t source = route->other_source;
    if (tag == 0) {
        return false;
    }
    if (tag == PB_TAG(1, PB_LEN)) {
        source = source_of_metrics(route, pb_bytes(c));
    } else {
        pb_skip(c, tag, &message_type);
    }
    *piece = since(c, at);
    *partition = batch_partition(source, route->n_partitions);
    return cursor_ok(c);
}

static bool make_room(struct parts *p, int32_t n_partitions)
{
    if (p->n_partitions == n_partitions) {
        return true;
    }
    free(p->items);
    free(p->n_bytes);
    p->items = calloc((size_t)n_partitions, sizeof *p->items);
    p->n_bytes = calloc((size_t)n_partitions, sizeof *p->n_bytes);
    p->n_partitions = p->items != NULL && p->n_bytes != NULL ? n_partitions : 0;
    return p->n_partitions > 0;
}

/* How many bytes go to each partition; false: can't be read. */
static bool measure(struct parts *p, const struct parts_route *route, struct slice message)
{
    struct cursor c = cursor_of(message);
    struct slice piece;
    int32_t partition;
    memset(p->n_bytes, 0, (size_t)p->n_partitions * sizeof *p->n_bytes);
    while (piece_next(&c, route, &piece, &partition)) {
        p->n_bytes[partition] += piece.len;
    }
    return cursor_ok(&c);
}

/* The parts' places in a copy of the message. */
static void lay_out(struct parts *p, const uint8_t *copy)
{
    size_t at = 0;
    p->n = 0;
    for (int32_t i = 0; i < p->n_partitions; i++) {
        size_t n_bytes = p->n_bytes[i];
        if (n_bytes > 0) {
            p->items[p->n++] = (struct message_part){i, slice_of(copy + at, n_bytes)};
        }
        p->n_bytes[i] = at;
        at += n_bytes;
    }
}

static void copy_pieces(struct parts *p, const struct parts_route *route, struct slice message,
                        uint8_t *copy)
{
    struct cursor c = cursor_of(message);
    struct slice piece;
    int32_t partition;
    while (piece_next(&c, route, &piece, &partition)) {
        memcpy(copy + p->n_bytes[partition], piece.ptr, piece.len);
        p->n_bytes[partition] += piece.len;
    }
}

/* The partition that all of it goes to; -1: to several. */
static int32_t only_partition(const struct parts *p, size_t n_message_bytes)
{
    int32_t i = 0;
    while (i < p->n_partitions && p->n_bytes[i] == 0) {
        i++;
    }
    return i < p->n_partitions && p->n_bytes[i] == n_message_bytes ? i : -1;
}

static void whole(struct parts *p, int32_t partition, struct slice message)
{
    p->n = 1;
    p->items[0] = (struct message_part){partition, message};
}

bool parts_split(struct parts *p, const struct parts_route *route, struct slice message,
                 struct err *e)
{
    buf_reset(&p->bytes);
    if (!make_room(p, route->n_partitions)) {
        return err_set(e, ERR_RETRY, "no memory for the parts of a message");
    }
    bool is_read = message.len > 0 && measure(p, route, message);
    int32_t only = is_read ? only_partition(p, message.len)
                           : batch_partition(route->other_source, p->n_partitions);
    uint8_t *copy = only >= 0 ? NULL : buf_extend(&p->bytes, message.len);
    if (only >= 0) {
        whole(p, only, message);
    } else if (copy == NULL) {
        return err_set(e, ERR_RETRY, "no memory for the parts of a message");
    } else {
        lay_out(p, copy);
        copy_pieces(p, route, message, copy);
    }
    return true;
}
