/* batch-tool encode|decode: batches as JSON and back, so that tests in other languages hold our
 * encoder and decoder against their Avro libraries.
 *
 *   encode   a JSON array of batches → frames (length as 32 bits little-endian, bytes)
 *   decode   frames → a JSON array; {"error": text} for what is refused
 *
 * Doubles, ids and bytes are hex strings: 64 bits are more than a JSON number holds. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch/batch.h"
#include "batch/histogram.h"

enum { MAX_INPUT_BYTES = 256 << 20, ARENA_BYTES = 256 << 20, BUF_BYTES = 64 << 20 };

static void die(const char *what)
{
    fprintf(stderr, "batch-tool: %s\n", what);
    exit(1);
}

static void *or_die(void *p)
{
    if (p == NULL) {
        die("out of memory");
    }
    return p;
}

static void check(bool ok, const struct err *e)
{
    if (!ok) {
        die(e->text);
    }
}

/* ---- JSON's side ---- */

static json_t *get(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL) {
        fprintf(stderr, "batch-tool: no '%s'\n", key);
        exit(1);
    }
    return value;
}

static struct slice get_text(const json_t *object, const char *key)
{
    const json_t *value = get(object, key);
    return slice_of(json_string_value(value), json_string_length(value));
}

static int64_t get_int(const json_t *object, const char *key)
{
    return json_integer_value(get(object, key));
}

static uint64_t hex64(const json_t *value)
{
    char *end = NULL;
    errno = 0;
    uint64_t v = strtoull(or_die((void *)(uintptr_t)json_string_value(value)), &end, 16);
    if (errno != 0 || *end != '\0') {
        die("not a hex number");
    }
    return v;
}

static double hex_double(const json_t *value)
{
    uint64_t bits = hex64(value);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static json_t *json_hex64(uint64_t v)
{
    char text[17];
    (void)snprintf(text, sizeof text, "%016" PRIx64, v);
    return json_string(text);
}

static json_t *json_double(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return json_hex64(bits);
}

static json_t *json_text(struct slice s)
{
    return or_die(json_stringn((const char *)s.ptr, s.len));
}

static json_t *json_hex(struct slice s)
{
    char *text = or_die(malloc(2 * s.len + 1));
    for (size_t i = 0; i < s.len; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", s.ptr[i]);
    }
    text[2 * s.len] = '\0';
    json_t *value = json_string(text);
    free(text);
    return or_die(value);
}

static int nibble(uint8_t c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static struct slice hex_bytes(struct slice hex, struct arena *a)
{
    uint8_t *bytes = or_die(arena_alloc(a, hex.len / 2));
    for (size_t i = 0; i < hex.len / 2; i++) {
        bytes[i] = (uint8_t)(nibble(hex.ptr[2 * i]) << 4 | nibble(hex.ptr[2 * i + 1]));
    }
    return slice_of(bytes, hex.len / 2);
}

static unsigned by_name(struct slice name, unsigned n, const char *(*name_of)(unsigned))
{
    for (unsigned i = 0; i < n; i++) {
        if (slice_eq_str(name, name_of(i))) {
            return i;
        }
    }
    die("an unknown name");
    return 0;
}

static const char *kind_name(unsigned i)
{
    return series_kind_name((enum series_kind)i);
}

static const char *class_name(unsigned i)
{
    return batch_class_name((enum batch_class)i);
}

/* ---- encode ---- */

/* A series and its point, sorted together. */
struct point {
    struct series series;
    const json_t *json;
    int64_t time_ms;
    int64_t start_ms;
};

static int point_cmp(const void *a, const void *b)
{
    return series_cmp(&((const struct point *)a)->series, &((const struct point *)b)->series);
}

static struct series series_of(const json_t *json, struct arena *a)
{
    const json_t *pairs = get(json, "labels");
    const json_t *bounds = get(json, "bounds");
    struct series s = {.metric = get_text(json, "metric"),
                       .unit = get_text(json, "unit"),
                       .kind = by_name(get_text(json, "kind"), 4, kind_name),
                       .delta = slice_eq_str(get_text(json, "temporality"), "delta"),
                       .n_labels = (uint32_t)json_array_size(pairs),
                       .n_bounds = (uint32_t)json_array_size(bounds)};
    struct label *labels = or_die(ARENA_ARRAY(a, struct label, s.n_labels));
    double *b = or_die(ARENA_ARRAY(a, double, s.n_bounds));
    for (uint32_t i = 0; i < s.n_labels; i++) {
        const json_t *pair = json_array_get(pairs, i);
        const json_t *name = json_array_get(pair, 0);
        const json_t *value = json_array_get(pair, 1);
        labels[i].name = slice_of(json_string_value(name), json_string_length(name));
        labels[i].value = slice_of(json_string_value(value), json_string_length(value));
    }
    for (uint32_t i = 0; i < s.n_bounds; i++) {
        b[i] = hex_double(json_array_get(bounds, i));
    }
    s.labels = labels;
    s.bounds = b;
    return s;
}

static void classic_put(const json_t *json, struct arena *a, struct buf *out)
{
    const json_t *counts_json = get(json, "counts");
    struct classic_histogram h = {.has_sum = json_is_true(get(json, "has_sum")),
                                  .stale = json_is_true(get(json, "stale")),
                                  .sum = hex_double(get(json, "sum")),
                                  .count = hex64(get(json, "count")),
                                  .n_counts = (uint32_t)json_array_size(counts_json)};
    uint64_t *counts = or_die(ARENA_ARRAY(a, uint64_t, h.n_counts));
    for (uint32_t i = 0; i < h.n_counts; i++) {
        counts[i] = hex64(json_array_get(counts_json, i));
    }
    h.counts = counts;
    classic_histogram_encode(&h, out);
}

struct columns {
    struct buf shape;
    struct buf values;
    struct buf exp;
    struct buf classic;
};

static void point_put(const struct point *p, struct arena *a, struct columns *c)
{
    if (p->series.kind == SERIES_EXP_HISTOGRAM) {
        buf_varint_bytes(&c->exp, hex_bytes(get_text(p->json, "histogram"), a));
    } else if (p->series.kind == SERIES_CLASSIC_HISTOGRAM) {
        classic_put(get(p->json, "classic"), a, &c->classic);
    } else {
        buf_double(&c->values, hex_double(get(p->json, "value")));
    }
}

static struct batch_times times_of(const struct point *points, uint32_t n, bool starts,
                                   struct arena *a)
{
    int64_t *deltas = or_die(ARENA_ARRAY(a, int64_t, n));
    struct batch_times t = {.deltas = deltas};
    for (uint32_t i = 0; i < n; i++) {
        int64_t time_ms = starts ? points[i].start_ms : points[i].time_ms;
        t.base_ms = i == 0 ? time_ms : t.base_ms;
        deltas[i] = time_ms - t.base_ms;
        t.n_deltas = deltas[i] != 0 ? n : t.n_deltas;
    }
    return t;
}

static void origin_of(const json_t *json, struct arena *a, struct origin *out)
{
    out->topic = get_text(json, "topic");
    struct slice id = hex_bytes(get_text(json, "topic_id"), a);
    memcpy(out->topic_id, id.ptr, id.len == TOPIC_ID_BYTES ? TOPIC_ID_BYTES : 0);
    out->partition = (int32_t)get_int(json, "partition");
    out->offset = get_int(json, "offset");
    out->index = (int32_t)get_int(json, "index");
}

static void batch_put(const json_t *json, struct arena *a, struct columns *c, struct buf *out)
{
    struct err e = ERR_INIT;
    const json_t *series = get(json, "series");
    uint32_t n = (uint32_t)json_array_size(series);
    struct point *points = or_die(ARENA_ARRAY(a, struct point, n));
    const struct series **order = or_die(arena_alloc(a, (n + 1) * sizeof(void *)));
    for (uint32_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(series, i);
        points[i] = (struct point){series_of(one, a), one, get_int(one, "time_ms"),
                                   get_int(one, "start_ms")};
    }
    qsort(points, n, sizeof *points, point_cmp);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = &points[i].series;
        point_put(&points[i], a, c);
    }
    struct batch b = {.tenant = get_text(json, "tenant"),
                      .class = by_name(get_text(json, "class"), N_CLASSES, class_name),
                      .source = hex64(get(json, "source")),
                      .received_ms = get_int(json, "received_ms"),
                      .redriven = hex64(get(json, "redriven")),
                      .times = times_of(points, n, false, a),
                      .starts = times_of(points, n, true, a)};
    origin_of(get(json, "origin"), a, &b.origin);
    check(shape_encode(get_text(json, "source_name"), order, n, a, &c->shape, &e), &e);
    b.shape = buf_slice(&c->shape);
    b.values = buf_slice(&c->values);
    b.exp = buf_slice(&c->exp);
    b.classic = buf_slice(&c->classic);
    batch_encode(&b, out);
}

static void encode_all(struct slice input)
{
    json_error_t error;
    json_t *all = json_loadb((const char *)input.ptr, input.len, 0, &error);
    if (all == NULL) {
        die(error.text);
    }
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    for (size_t i = 0; i < json_array_size(all); i++) {
        struct columns c;
        struct buf out;
        buf_init(&c.shape, BUF_BYTES);
        buf_init(&c.values, BUF_BYTES);
        buf_init(&c.exp, BUF_BYTES);
        buf_init(&c.classic, BUF_BYTES);
        buf_init(&out, BUF_BYTES);
        batch_put(json_array_get(all, i), &a, &c, &out);
        uint32_t len = (uint32_t)out.len;
        if (!buf_ok(&out) || fwrite(&len, sizeof len, 1, stdout) != 1 ||
            fwrite(out.ptr, len, 1, stdout) != 1) {
            die("cannot write");
        }
        buf_fini(&c.shape);
        buf_fini(&c.values);
        buf_fini(&c.exp);
        buf_fini(&c.classic);
        buf_fini(&out);
        arena_reset(&a);
    }
    arena_fini(&a);
    json_decref(all);
}

/* ---- decode ---- */

static json_t *json_classic(const struct classic_histogram *h)
{
    json_t *counts = json_array();
    for (uint32_t i = 0; i < h->n_counts; i++) {
        (void)json_array_append_new(counts, json_hex64(h->counts[i]));
    }
    return or_die(json_pack("{s:b, s:b, s:o, s:o, s:o}", "has_sum", h->has_sum, "stale", h->stale,
                            "sum", json_double(h->sum), "count", json_hex64(h->count), "counts",
                            counts));
}

static json_t *json_series(const struct series *s)
{
    json_t *labels = json_array();
    json_t *bounds = json_array();
    for (uint32_t i = 0; i < s->n_labels; i++) {
        (void)json_array_append_new(labels, json_pack("[o, o]", json_text(s->labels[i].name),
                                                      json_text(s->labels[i].value)));
    }
    for (uint32_t i = 0; i < s->n_bounds; i++) {
        (void)json_array_append_new(bounds, json_double(s->bounds[i]));
    }
    char id[33];
    (void)snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, s->id.hi, s->id.lo);
    return or_die(json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:s}", "metric", json_text(s->metric),
                            "unit", json_text(s->unit), "kind", series_kind_name(s->kind),
                            "temporality", s->delta ? "delta" : "cumulative", "labels", labels,
                            "bounds", bounds, "id", id));
}

static bool points_take(const struct batch *b, const struct shape *s, struct arena *a, json_t *out,
                        struct err *e)
{
    int64_t *times = or_die(ARENA_ARRAY(a, int64_t, s->n_series));
    int64_t *starts = or_die(ARENA_ARRAY(a, int64_t, s->n_series));
    struct cursor exp = cursor_of(b->exp);
    struct cursor classic = cursor_of(b->classic);
    size_t n_values = 0;
    if (!batch_check_shape(b, s, e) || !batch_times_decode(&b->times, s->n_series, times, e) ||
        !batch_times_decode(&b->starts, s->n_series, starts, e)) {
        return false;
    }
    for (uint32_t i = 0; i < s->n_series; i++) {
        json_t *one = json_series(&s->series[i]);
        (void)json_array_append_new(out, one);
        (void)json_object_set_new(one, "time_ms", json_integer(times[i]));
        (void)json_object_set_new(one, "start_ms", json_integer(starts[i]));
        struct classic_histogram h;
        if (s->series[i].kind == SERIES_EXP_HISTOGRAM) {
            (void)json_object_set_new(one, "histogram", json_hex(exp_histogram_skip(&exp)));
        } else if (s->series[i].kind != SERIES_CLASSIC_HISTOGRAM) {
            (void)json_object_set_new(one, "value", json_double(batch_value(b, n_values++)));
        } else if (classic_histogram_decode(&classic, s->series[i].n_bounds, a, &h, e)) {
            (void)json_object_set_new(one, "classic", json_classic(&h));
        } else {
            return false;
        }
    }
    return true;
}

static json_t *batch_take(struct slice bytes, struct arena *a)
{
    struct err e = ERR_INIT;
    struct batch b;
    struct shape s = {0};
    json_t *series = json_array();
    if (!batch_decode(bytes, &batch_default_caps, a, &b, &e) ||
        (b.shape.len > 0 && (!shape_decode(b.shape, b.tenant, &shape_default_caps, a, &s, &e) ||
                             !points_take(&b, &s, a, series, &e)))) {
        json_decref(series);
        return or_die(json_pack("{s:s}", "error", e.text));
    }
    const struct origin *o = &b.origin;
    json_t *origin =
        json_pack("{s:o, s:o, s:i, s:I, s:i}", "topic", json_text(o->topic), "topic_id",
                  json_hex(slice_of(o->topic_id, TOPIC_ID_BYTES)), "partition", o->partition,
                  "offset", (json_int_t)o->offset, "index", o->index);
    return or_die(json_pack(
        "{s:o, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "tenant", json_text(b.tenant), "class",
        batch_class_name(b.class), "source", json_hex64(b.source), "received_ms",
        (json_int_t)b.received_ms, "origin", or_die(origin), "redriven", json_hex64(b.redriven),
        "source_name", json_text(s.source_name.ptr == NULL ? SLICE_LITERAL("") : s.source_name),
        "shape_source", json_hex64(s.source), "series", series));
}

static void decode_all(struct slice input)
{
    struct cursor c = cursor_of(input);
    json_t *all = json_array();
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    while (cursor_more(&c)) {
        struct slice bytes = cursor_take(&c, cursor_le32(&c));
        (void)json_array_append_new(all, batch_take(bytes, &a));
        arena_reset(&a);
    }
    if (!cursor_ok(&c) || json_dumpf(all, stdout, JSON_COMPACT) != 0) {
        die("a frame is cut off, or the output is closed");
    }
    arena_fini(&a);
    json_decref(all);
}

int main(int argc, char **argv)
{
    struct buf input;
    buf_init(&input, MAX_INPUT_BYTES);
    for (size_t n = 1; n > 0;) {
        uint8_t part[64 * 1024];
        n = fread(part, 1, sizeof part, stdin);
        buf_put(&input, part, n);
    }
    if (argc == 2 && strcmp(argv[1], "encode") == 0 && buf_ok(&input)) {
        encode_all(buf_slice(&input));
    } else if (argc == 2 && strcmp(argv[1], "decode") == 0 && buf_ok(&input)) {
        decode_all(buf_slice(&input));
    } else {
        die("usage: batch-tool encode|decode");
    }
    buf_fini(&input);
    return fflush(stdout) == 0 ? 0 : 1;
}
