#include "wire/remote_write.h"

#include <inttypes.h>

#include "wire/protobuf.h"
#include "wire/remote_write_families.h"

const struct remote_write_caps remote_write_default_caps = {
    .max_message_bytes = 8 << 20,
    .max_points = 1000000,
    .max_labels = 64,
    .max_symbols = 1 << 18,
    .max_metadata = 20000,
};

/* Where the versions differ. */
struct layout {
    struct pb_type request;
    struct pb_type series;
    uint32_t series_tag;
    uint32_t histogram_tag;
};

static const struct layout layouts[] = {
    [REMOTE_WRITE_1] = {.request = {"WriteRequest", {PB_TAG(1, PB_LEN), PB_TAG(3, PB_LEN)}},
                        .series = {"TimeSeries",
                                   {PB_TAG(1, PB_LEN), PB_TAG(2, PB_LEN), PB_TAG(3, PB_LEN), PB_TAG(4, PB_LEN)}},
                        .series_tag = PB_TAG(1, PB_LEN),
                        .histogram_tag = PB_TAG(4, PB_LEN)},
    [REMOTE_WRITE_2] = {.request = {"Request", {PB_TAG(4, PB_LEN), PB_TAG(5, PB_LEN)}},
                        .series = {"TimeSeries",
                                   {PB_TAG(1, PB_LEN), PB_TAG(1, PB_VARINT), PB_TAG(2, PB_LEN), PB_TAG(3, PB_LEN),
                                    PB_TAG(4, PB_LEN), PB_TAG(5, PB_LEN), PB_TAG(6, PB_VARINT)}},
                        .series_tag = PB_TAG(5, PB_LEN),
                        .histogram_tag = PB_TAG(3, PB_LEN)},
};
static const struct pb_type label_type = {"Label", {PB_TAG(1, PB_LEN), PB_TAG(2, PB_LEN)}};
static const struct pb_type sample_type = {"Sample", {PB_TAG(1, PB_I64), PB_TAG(2, PB_VARINT), PB_TAG(3, PB_VARINT)}};
static const struct pb_type metadata_type = {"Metadata",
                                             {PB_TAG(1, PB_VARINT), PB_TAG(3, PB_VARINT), PB_TAG(4, PB_VARINT)}};

enum {
    TAG_LABELS = PB_TAG(1, PB_LEN), /* 1.0 */
    TAG_REFS = PB_TAG(1, PB_LEN),   /* 2.0, packed */
    TAG_REF = PB_TAG(1, PB_VARINT), /* 2.0, one by one */
    TAG_SAMPLES = PB_TAG(2, PB_LEN),
    TAG_METADATA_2 = PB_TAG(5, PB_LEN),
    TAG_CREATED = PB_TAG(6, PB_VARINT),
    TAG_SYMBOLS = PB_TAG(4, PB_LEN),
    TAG_RESET_HINT = PB_TAG(14, PB_VARINT),
    TAG_HISTOGRAM_TIME = PB_TAG(15, PB_VARINT),
    TAG_HISTOGRAM_START = PB_TAG(17, PB_VARINT),
    HINT_GAUGE = 3
};

/* A text with its hash (seeded). */
struct symbol {
    struct slice text;
    struct hash128 hash;
};

struct walk {
    const struct remote_write_caps *caps;
    const struct remote_write_sink *sink;
    const struct layout *layout;
    struct arena *scratch;
    struct symbol *symbols; /* 2.0 */
    uint32_t n_symbols;
    struct hash128 all_symbols; /* of the whole table */
    struct families families;   /* 1.0 */
    struct remote_write_label *labels;
    struct hash128 *hashes; /* of the labels' names and values, in turn */
    uint32_t n_points;
    /* the series at hand */
    struct remote_write_series series;
    uint32_t n_hashed;         /* labels, __name__ among them */
    const struct symbol *name; /* 2.0: waits for its value */
    int64_t created_ms;
    uint32_t unit_ref;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
}

/* ---- the message's own parts ---- */

/* Each version keeps the other's fields free, so that a mix-up shows instead of losing all samples. */
static bool is_other_version(const struct layout *l, uint32_t tag)
{
    uint32_t number = tag >> 3;
    return l == &layouts[REMOTE_WRITE_1] ? number == 4 || number == 5 : number >= 1 && number <= 3;
}

/* Symbols and metadata stand anywhere in the message: they are gathered first. */
static bool parts_count(struct slice message, const struct layout *l, uint32_t *n_symbols, uint32_t *n_metadata,
                        struct err *e)
{
    struct cursor c = cursor_of(message);
    const uint8_t *fetched = c.next;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        fetched = pb_fetch_ahead(&c, fetched);
        if (is_other_version(l, tag)) {
            return err_set(e, ERR_BAD_INPUT, "the message is of the other version than its content type says");
        }
        if (tag == l->series_tag) {
            (void)pb_bytes(&c);
            continue;
        }
        *n_symbols += l == &layouts[REMOTE_WRITE_2] && tag == TAG_SYMBOLS;
        *n_metadata += l == &layouts[REMOTE_WRITE_1] && tag == FAMILIES_TAG;
        pb_skip(&c, tag, &l->request);
    }
    return cursor_ok(&c) || pb_explain(message, &l->request, e);
}

static bool symbols_read(struct walk *w, struct slice message, uint32_t n, struct err *e)
{
    if (n > w->caps->max_symbols) {
        return err_set(e, ERR_BAD_INPUT, "%" PRIu32 " symbols, more than %" PRIu32, n, w->caps->max_symbols);
    }
    w->symbols = ARENA_ARRAY(w->scratch, struct symbol, n);
    struct hash128 *hashes = ARENA_ARRAY(w->scratch, struct hash128, n);
    if (w->symbols == NULL || hashes == NULL) {
        return no_memory(e);
    }
    struct cursor c = cursor_of(message);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != TAG_SYMBOLS) {
            pb_skip(&c, tag, &w->layout->request);
            continue;
        }
        struct symbol *s = &w->symbols[w->n_symbols++];
        s->text = pb_bytes(&c);
        s->hash = hash128_seeded(s->text, 0);
        hashes[w->n_symbols - 1] = s->hash;
    }
    w->all_symbols = hash128_seeded(slice_of((const uint8_t *)hashes, n * sizeof *hashes), n);
    return true;
}

static bool parts_read(struct walk *w, struct slice message, struct err *e)
{
    uint32_t n_symbols = 0;
    uint32_t n_metadata = 0;
    w->labels = ARENA_ARRAY(w->scratch, struct remote_write_label, w->caps->max_labels);
    w->hashes = ARENA_ARRAY(w->scratch, struct hash128, (size_t)w->caps->max_labels * 2);
    if (w->labels == NULL || w->hashes == NULL) {
        return no_memory(e);
    }
    if (!parts_count(message, w->layout, &n_symbols, &n_metadata, e)) {
        return false;
    }
    if (n_metadata > w->caps->max_metadata) {
        return err_set(e, ERR_BAD_INPUT, "metadata of %" PRIu32 " metrics, more than %" PRIu32, n_metadata,
                       w->caps->max_metadata);
    }
    w->all_symbols = hash128_seeded(SLICE_NONE, (uint64_t)(w->layout - layouts)); /* of none */
    return (n_symbols == 0 || symbols_read(w, message, n_symbols, e)) &&
           (n_metadata == 0 || families_read(&w->families, message, n_metadata, w->scratch, e));
}

/* ---- a series ---- */

static bool label_put(struct walk *w, const struct symbol *name, const struct symbol *value, struct err *e)
{
    struct remote_write_series *s = &w->series;
    if (w->n_hashed == w->caps->max_labels) {
        return err_set(e, ERR_BAD_INPUT, "more than %" PRIu32 " labels", w->n_hashed);
    }
    w->hashes[(size_t)w->n_hashed * 2] = name->hash;
    w->hashes[(size_t)w->n_hashed * 2 + 1] = value->hash;
    w->n_hashed++;
    if (s->metric.ptr == NULL && slice_eq_str(name->text, "__name__")) {
        s->metric = slice_of(value->text.len > 0 ? value->text.ptr : (const uint8_t *)"", value->text.len);
    } else {
        w->labels[s->n_labels++] = (struct remote_write_label){name->text, value->text};
    }
    return true;
}

static bool label_read(struct walk *w, struct slice bytes, struct err *e)
{
    struct symbol name = {.text = SLICE_NONE};
    struct symbol value = {.text = SLICE_NONE};
    struct cursor c = cursor_of(bytes);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(1, PB_LEN)) {
            name.text = pb_bytes(&c);
        } else if (tag == PB_TAG(2, PB_LEN)) {
            value.text = pb_bytes(&c);
        } else {
            pb_skip(&c, tag, &label_type);
        }
    }
    if (!cursor_ok(&c)) {
        (void)pb_explain(bytes, &label_type, e);
        return err_wrap(e, "label %" PRIu32, w->n_hashed);
    }
    name.hash = hash128_seeded(name.text, 0);
    value.hash = hash128_seeded(value.text, 0);
    return label_put(w, &name, &value, e);
}

/* Names and values come as references in turn. */
static bool ref_put(struct walk *w, uint64_t ref, struct err *e)
{
    if (ref >= w->n_symbols) {
        return err_set(e, ERR_BAD_INPUT, "label %" PRIu32 ": symbol %" PRIu64 " of %" PRIu32, w->n_hashed, ref,
                       w->n_symbols);
    }
    const struct symbol *s = &w->symbols[ref];
    const struct symbol *name = w->name;
    w->name = name == NULL ? s : NULL;
    return name == NULL || label_put(w, name, s, e);
}

static bool refs_read(struct walk *w, struct slice packed, struct err *e)
{
    struct cursor c = cursor_of(packed);
    while (cursor_more(&c)) {
        uint32_t ref = pb_uint32(&c);
        if (cursor_ok(&c) && !ref_put(w, ref, e)) {
            return false;
        }
    }
    return cursor_ok(&c) || err_set(e, ERR_BAD_INPUT, "labels_refs: cut off");
}

static bool metadata_read(struct walk *w, struct slice bytes, struct err *e)
{
    uint32_t type = (uint32_t)w->series.type;
    uint32_t unit = w->unit_ref;
    struct cursor c = cursor_of(bytes);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(1, PB_VARINT)) {
            type = pb_uint32(&c);
        } else if (tag == PB_TAG(4, PB_VARINT)) {
            unit = pb_uint32(&c);
        } else {
            pb_skip(&c, tag, &metadata_type);
        }
    }
    if (!cursor_ok(&c)) {
        (void)pb_explain(bytes, &metadata_type, e);
        return err_wrap(e, "metadata");
    }
    if (unit != 0 && unit >= w->n_symbols) {
        return err_set(e, ERR_BAD_INPUT, "metadata: unit is symbol %" PRIu32 " of %" PRIu32, unit, w->n_symbols);
    }
    w->unit_ref = unit;
    w->series.type = type <= REMOTE_WRITE_STATESET ? (enum remote_write_type)type : REMOTE_WRITE_UNKNOWN;
    return true;
}

static bool series_field_2(struct walk *w, uint32_t tag, struct cursor *c, struct err *e)
{
    switch (tag) {
    case TAG_REFS:
        return refs_read(w, pb_bytes(c), e);
    case TAG_REF: {
        uint32_t ref = pb_uint32(c);
        return !cursor_ok(c) || ref_put(w, ref, e);
    }
    case TAG_METADATA_2:
        return metadata_read(w, pb_bytes(c), e);
    case TAG_CREATED:
        w->created_ms = (int64_t)cursor_varint(c);
        return true;
    default:
        pb_skip(c, tag, &w->layout->series);
        return true;
    }
}

/* Its labels and metadata; *has_points: there is something to tell. */
static bool series_head(struct walk *w, struct slice bytes, bool *has_points, struct err *e)
{
    bool is_2 = w->layout == &layouts[REMOTE_WRITE_2];
    struct cursor c = cursor_of(bytes);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        *has_points |= tag == TAG_SAMPLES || tag == w->layout->histogram_tag;
        bool ok = true;
        if (is_2) {
            ok = series_field_2(w, tag, &c, e);
        } else if (tag == TAG_LABELS) {
            ok = label_read(w, pb_bytes(&c), e);
        } else {
            pb_skip(&c, tag, &w->layout->series);
        }
        if (!ok) {
            return cursor_ok(&c) ? false : pb_explain(bytes, &w->layout->series, e);
        }
    }
    if (!cursor_ok(&c)) {
        return pb_explain(bytes, &w->layout->series, e);
    }
    return w->name == NULL || err_set(e, ERR_BAD_INPUT, "labels_refs: a name without a value");
}

static void series_identify(struct walk *w)
{
    struct remote_write_series *s = &w->series;
    if (w->unit_ref != 0) {
        s->unit = w->symbols[w->unit_ref].text;
    }
    if (w->families.n > 0) {
        s->type = families_type(&w->families, s->metric);
    }
    struct slice hashes = slice_of((const uint8_t *)w->hashes, (size_t)w->n_hashed * 2 * sizeof w->hashes[0]);
    s->key = hash128_seeded(hashes, hash64_seeded(s->unit, (uint64_t)s->type));
}

/* ---- its points ---- */

static bool sample_read(struct slice bytes, struct remote_write_point *p, struct err *e)
{
    struct cursor c = cursor_of(bytes);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(1, PB_I64)) {
            p->value = cursor_double(&c);
        } else if (tag == PB_TAG(2, PB_VARINT)) {
            p->time_ms = (int64_t)cursor_varint(&c);
        } else if (tag == PB_TAG(3, PB_VARINT)) {
            p->start_ms = (int64_t)cursor_varint(&c);
        } else {
            pb_skip(&c, tag, &sample_type);
        }
    }
    return cursor_ok(&c) || pb_explain(bytes, &sample_type, e);
}

/* What a histogram says beside its buckets; those are read by whoever takes it. */
static bool histogram_look(struct slice bytes, struct remote_write_point *p, struct err *e)
{
    static const struct pb_type any = {"Histogram", {TAG_RESET_HINT, TAG_HISTOGRAM_TIME, TAG_HISTOGRAM_START}};
    struct cursor c = cursor_of(bytes);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == TAG_RESET_HINT) {
            p->is_gauge = pb_uint32(&c) == HINT_GAUGE;
        } else if (tag == TAG_HISTOGRAM_TIME) {
            p->time_ms = (int64_t)cursor_varint(&c);
        } else if (tag == TAG_HISTOGRAM_START) {
            p->start_ms = (int64_t)cursor_varint(&c);
        } else {
            pb_skip(&c, tag, &any);
        }
    }
    p->histogram = slice_of(bytes.len > 0 ? bytes.ptr : (const uint8_t *)"", bytes.len);
    return cursor_ok(&c) || pb_explain(bytes, &any, e);
}

static bool points_read(struct walk *w, struct slice bytes, struct err *e)
{
    struct cursor c = cursor_of(bytes);
    uint32_t index = 0;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != TAG_SAMPLES && tag != w->layout->histogram_tag) {
            pb_skip(&c, tag, &w->layout->series);
            continue;
        }
        struct slice point = pb_bytes(&c);
        struct remote_write_point p = {.raw = point, .index = index, .start_ms = w->created_ms};
        if (w->n_points++ == w->caps->max_points) {
            return err_set_code(e, ERR_BAD_INPUT, PB_TOO_LARGE, "more than %" PRIu32 " points in the message",
                                w->caps->max_points);
        }
        bool ok = tag == TAG_SAMPLES ? sample_read(point, &p, e) : histogram_look(point, &p, e);
        if (!ok || !w->sink->point(w->sink->ctx, &w->series, &p, e)) {
            return err_wrap(e, "point %" PRIu32, index);
        }
        index++;
    }
    return true; /* series_head has read it to its end */
}

static bool series_read(struct walk *w, struct slice bytes, uint32_t index, struct err *e)
{
    bool has_points = false;
    if (w->sink->known != NULL && w->families.n == 0 && w->n_points < w->caps->max_points &&
        w->sink->known(w->sink->ctx, bytes)) {
        w->n_points++;
        return true;
    }
    w->series = (struct remote_write_series){.raw = bytes, .index = index, .labels = w->labels};
    w->n_hashed = 0;
    w->name = NULL;
    w->created_ms = 0;
    w->unit_ref = 0;
    if (!series_head(w, bytes, &has_points, e)) {
        return err_wrap(e, "series %" PRIu32, index);
    }
    if (!has_points) {
        return true;
    }
    series_identify(w);
    return (w->sink->series(w->sink->ctx, &w->series, e) && points_read(w, bytes, e)) ||
           err_wrap(e, "series %" PRIu32, index);
}

bool remote_write_walk(enum remote_write_version version, struct slice message, const struct remote_write_caps *caps,
                       struct arena *scratch, const struct remote_write_sink *sink, struct err *e)
{
    struct walk w = {.caps = caps, .sink = sink, .layout = &layouts[version], .scratch = scratch};
    if (message.len > caps->max_message_bytes) {
        return err_set_code(e, ERR_BAD_INPUT, PB_TOO_LARGE, "message of %zu bytes, more than %zu", message.len,
                            caps->max_message_bytes);
    }
    arena_reset(scratch);
    if (!parts_read(&w, message, e)) {
        return false;
    }
    if (sink->begin != NULL) {
        sink->begin(sink->ctx, w.all_symbols, w.families.n == 0);
    }
    struct cursor c = cursor_of(message);
    uint32_t index = 0;
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag != w.layout->series_tag) {
            pb_skip(&c, tag, &w.layout->request);
        } else if (!series_read(&w, pb_bytes(&c), index++, e)) {
            return false;
        }
    }
    return true; /* parts_count has read it to its end */
}
