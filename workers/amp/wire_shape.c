#include "wire_shape.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "bound_text.h"
#include "template.h"

enum { SAMPLE_BYTES = 18, EXTRA_LABELS = 3 };
enum { TAG_TIMESERIES = 0x0a, TAG_LABEL = 0x0a, TAG_NAME = 0x0a, TAG_VALUE = 0x12 };

/* The labels of one series on the wire while they are collected. */
struct label_set {
    struct label *labels; /* room for all of a series and EXTRA_LABELS */
    size_t n;
};

/* While a shape is encoded. */
struct writer {
    struct buf bytes;
    struct buf labels; /* of one series */
    struct buf name;
    struct label_set set;
    struct slice tenant_label;
    struct slice own_tenant_label; /* what a series' own label of that name is called then */
    struct slice part_suffix;
    struct slice tenant;
};

static size_t varint_len(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) {
        n++;
    }
    return n;
}

/* Keeps the set sorted; a name that is there stays as it is; empty values are no labels. */
static void label_add(struct label_set *set, struct slice name, struct slice value)
{
    if (name.len == 0 || value.len == 0) {
        return;
    }
    size_t at = set->n;
    while (at > 0 && slice_cmp(set->labels[at - 1].name, name) > 0) {
        at--;
    }
    if (at > 0 && slice_eq(set->labels[at - 1].name, name)) {
        return;
    }
    memmove(&set->labels[at + 1], &set->labels[at], (set->n - at) * sizeof *set->labels);
    set->labels[at] = (struct label){name, value};
    set->n++;
}

static void labels_put(struct buf *out, const struct label_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct label *l = &set->labels[i];
        size_t len =
            2 + varint_len(l->name.len) + l->name.len + varint_len(l->value.len) + l->value.len;
        buf_u8(out, TAG_LABEL);
        buf_varint(out, len);
        buf_u8(out, TAG_NAME);
        buf_varint_bytes(out, l->name);
        buf_u8(out, TAG_VALUE);
        buf_varint_bytes(out, l->value);
    }
}

/* The labels of s under this name, with le if there is one, into w->labels. */
static void labels_of(struct writer *w, const struct series *s, struct slice name, struct slice le)
{
    w->set.n = 0;
    label_add(&w->set, SLICE_LITERAL("__name__"), name);
    label_add(&w->set, SLICE_LITERAL("le"), le);
    label_add(&w->set, w->tenant_label, w->tenant); /* in front: no tenant says that it is another */
    for (uint32_t i = 0; i < s->n_labels; i++) {
        struct slice own = s->labels[i].name;
        bool taken = own.len > 0 && slice_eq(own, w->tenant_label);
        label_add(&w->set, taken ? w->own_tenant_label : own, s->labels[i].value);
    }
    buf_reset(&w->labels);
    labels_put(&w->labels, &w->set);
}

/* What is in w->labels, as the template of a series with one sample. */
static void template_put(struct writer *w)
{
    static const uint8_t sample_head[] = {0x12, SAMPLE_BYTES - 2, 0x09};
    buf_u8(&w->bytes, TAG_TIMESERIES);
    buf_varint(&w->bytes, w->labels.len + SAMPLE_BYTES);
    buf_put_slice(&w->bytes, buf_slice(&w->labels));
    buf_put(&w->bytes, sample_head, sizeof sample_head);
}

static void part_put(struct writer *w, const struct series *s, const char *suffix, struct slice le)
{
    buf_reset(&w->name);
    buf_put_slice(&w->name, s->metric);
    buf_put_slice(&w->name, slice_str(suffix));
    buf_put_slice(&w->name, w->part_suffix);
    labels_of(w, s, buf_slice(&w->name), le);
    size_t at = w->bytes.len;
    buf_le32(&w->bytes, 0);
    template_put(w);
    if (buf_ok(&w->bytes)) {
        uint32_t len = (uint32_t)(w->bytes.len - at - sizeof len);
        memcpy(w->bytes.ptr + at, &len, sizeof len);
    }
}

static void classic_put(struct writer *w, const struct series *s)
{
    char text[BOUND_TEXT_BYTES];
    for (uint32_t i = 0; i < s->n_bounds; i++) {
        size_t len = bound_text(s->bounds[i], text);
        part_put(w, s, "_bucket", slice_of(text, len));
    }
    part_put(w, s, "_bucket", SLICE_LITERAL("+Inf"));
    part_put(w, s, "_sum", SLICE_NONE);
    part_put(w, s, "_count", SLICE_NONE);
}

static bool name_is_good(struct slice name, bool colons)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                    (i > 0 && c >= '0' && c <= '9') || (colons && c == ':');
        if (!good) {
            return false;
        }
    }
    return name.len > 0;
}

/* [a-zA-Z_:][a-zA-Z0-9_:]* for metrics, without colons for labels. */
static bool names_are_good(const struct series *s)
{
    bool good = name_is_good(s->metric, true);
    for (uint32_t i = 0; good && i < s->n_labels; i++) {
        good = s->labels[i].value.len == 0 || name_is_good(s->labels[i].name, false);
    }
    return good;
}

static void series_put(struct writer *w, const struct series *s, struct wire_shape *to,
                       struct wire_series *out)
{
    *out = (struct wire_series){.id = s->id,
                                .at = (uint32_t)w->bytes.len,
                                .n_bounds = s->n_bounds,
                                .kind = (uint8_t)s->kind,
                                .delta = s->delta,
                                .bad_name = !names_are_good(s)};
    switch (s->kind) {
    case SERIES_EXP_HISTOGRAM:
        out->column = to->n_exp++;
        labels_of(w, s, s->metric, SLICE_NONE);
        buf_put_slice(&w->bytes, buf_slice(&w->labels));
        to->n_wire++;
        break;
    case SERIES_CLASSIC_HISTOGRAM:
        out->column = to->n_classic++;
        classic_put(w, s);
        to->n_wire += s->n_bounds + 3;
        break;
    default:
        out->column = to->n_scalars++;
        labels_of(w, s, s->metric, SLICE_NONE);
        template_put(w);
        to->n_wire++;
        break;
    }
    to->n_delta += s->delta ? 1 : 0;
    to->n_bad_names += out->bad_name ? 1 : 0;
    out->len = (uint32_t)(w->bytes.len - out->at);
}

static bool shape_put(struct writer *w, const struct shape *shape, struct wire_shape *to)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < shape->n_series; i++) {
        most = shape->series[i].n_labels > most ? shape->series[i].n_labels : most;
    }
    w->set.labels = calloc(most + EXTRA_LABELS, sizeof *w->set.labels);
    to->series = calloc((size_t)shape->n_series + 1, sizeof *to->series);
    if (w->set.labels == NULL || to->series == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < shape->n_series; i++) {
        series_put(w, &shape->series[i], to, &to->series[i]);
    }
    to->n_series = shape->n_series;
    uint8_t *tenant = buf_extend(&w->bytes, w->tenant.len);
    if (tenant == NULL || !buf_ok(&w->bytes) || !buf_ok(&w->labels) || !buf_ok(&w->name)) {
        return false;
    }
    memcpy(tenant, w->tenant.ptr, w->tenant.len);
    return true;
}

bool wire_shape_new(const struct shape *shape, struct slice tenant, const struct wire_names *names,
                    size_t max_bytes, struct wire_shape **out, struct err *e)
{
    struct wire_shape *made = calloc(1, sizeof *made);
    char own[WIRE_MAX_TENANT_LABEL + sizeof "exported_"];
    (void)snprintf(own, sizeof own, "exported_%s", names->tenant_label);
    struct writer w = {.tenant_label = slice_str(names->tenant_label),
                       .own_tenant_label = slice_str(own),
                       .part_suffix = names->part_suffix,
                       .tenant = tenant};
    buf_init(&w.bytes, max_bytes);
    buf_init(&w.labels, max_bytes);
    buf_init(&w.name, max_bytes);
    bool ok = made != NULL && shape_put(&w, shape, made);
    if (ok) {
        assert(made->n_scalars == shape->n_scalars && made->n_exp == shape->n_exp);
        made->n_refs = 1;
        made->bytes = buf_take(&w.bytes, &made->n_bytes);
        made->tenant = slice_of(made->bytes + made->n_bytes - tenant.len, tenant.len);
        *out = made;
    } else {
        wire_shape_unref(made);
    }
    free(w.set.labels);
    buf_fini(&w.bytes);
    buf_fini(&w.labels);
    buf_fini(&w.name);
    return ok || err_set(e, ERR_BAD_INPUT, "a shape's labels take more than %zu bytes", max_bytes);
}

void wire_shape_unref(void *wire_shape)
{
    struct wire_shape *w = wire_shape;
    if (w == NULL || (w->n_refs > 0 && --w->n_refs > 0)) {
        return;
    }
    for (int i = 0; i < N_TEMPLATE_FORMS; i++) {
        template_free(w->templates[i]);
    }
    free(w->series);
    free(w->bytes);
    free(w);
}

size_t wire_shape_cost(const struct wire_shape *w)
{
    size_t n = sizeof *w + w->n_series * sizeof *w->series + w->n_bytes;
    for (int i = 0; i < N_TEMPLATE_FORMS; i++) {
        n += w->templates[i] == NULL ? 0 : template_cost(w->templates[i], w);
    }
    return n;
}

/* The run of label fields of a series (of a classic histogram: of its last part, _count). */
static struct slice labels_bytes(const struct wire_shape *w, const struct wire_series *s)
{
    struct slice bytes = slice_of(w->bytes + s->at, s->len);
    if (s->kind == SERIES_EXP_HISTOGRAM) {
        return bytes;
    }
    struct cursor c = cursor_of(bytes);
    while (s->kind == SERIES_CLASSIC_HISTOGRAM && cursor_more(&c)) {
        bytes = cursor_take(&c, cursor_le32(&c));
    }
    c = cursor_of(bytes);
    (void)cursor_u8(&c);
    return cursor_take(&c, cursor_varint(&c) - SAMPLE_BYTES);
}

bool wire_shape_label_next(const struct wire_shape *w, uint32_t series, size_t *at,
                           struct slice *name, struct slice *value)
{
    struct slice all = labels_bytes(w, &w->series[series]);
    struct cursor c = cursor_of(slice_of(all.ptr + *at, all.len - *at));
    if (!cursor_more(&c)) {
        return false;
    }
    (void)cursor_u8(&c);
    struct cursor label = cursor_of(cursor_varint_bytes(&c));
    (void)cursor_u8(&label);
    *name = cursor_varint_bytes(&label);
    (void)cursor_u8(&label);
    *value = cursor_varint_bytes(&label);
    *at += cursor_at(&c);
    return cursor_ok(&c);
}

bool wire_shape_label(const struct wire_shape *w, uint32_t series, const char *name,
                      struct slice *value)
{
    struct slice found;
    for (size_t at = 0; wire_shape_label_next(w, series, &at, &found, value);) {
        if (slice_eq_str(found, name)) {
            return true;
        }
    }
    return false;
}
