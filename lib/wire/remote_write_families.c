#include "wire/remote_write_families.h"

#include <inttypes.h>

static const struct pb_type request_type = {"WriteRequest", {PB_TAG(1, PB_LEN), FAMILIES_TAG}};
static const struct pb_type metadata_type = {
    "MetricMetadata", {PB_TAG(1, PB_VARINT), PB_TAG(2, PB_LEN), PB_TAG(4, PB_LEN), PB_TAG(5, PB_LEN)}};

static bool family_read(struct slice bytes, struct family *out, struct err *e)
{
    uint32_t type = 0;
    struct cursor c = cursor_of(bytes);
    for (uint32_t tag; (tag = pb_tag(&c)) != 0;) {
        if (tag == PB_TAG(1, PB_VARINT)) {
            type = pb_uint32(&c);
        } else if (tag == PB_TAG(2, PB_LEN)) {
            out->name = pb_bytes(&c);
        } else {
            pb_skip(&c, tag, &metadata_type);
        }
    }
    out->type = type <= REMOTE_WRITE_STATESET ? (enum remote_write_type)type : REMOTE_WRITE_UNKNOWN;
    return cursor_ok(&c) || pb_explain(bytes, &metadata_type, e);
}

static struct family *place_of(const struct families *f, struct slice name)
{
    uint64_t i = hash64_seeded(name, 3);
    for (;; i++) {
        struct family *at = &f->places[i & f->mask];
        if (at->name.ptr == NULL || slice_eq(at->name, name)) {
            return at;
        }
    }
}

bool families_read(struct families *f, struct slice message, uint32_t n, struct arena *a, struct err *e)
{
    uint32_t n_places = 4;
    while (n_places < n * 2) {
        n_places *= 2;
    }
    f->places = ARENA_ARRAY(a, struct family, n_places);
    if (f->places == NULL) {
        return err_set(e, ERR_BAD_INPUT, "takes more memory than a message may");
    }
    f->mask = n_places - 1;
    struct cursor c = cursor_of(message);
    for (uint32_t tag, i = 0; (tag = pb_tag(&c)) != 0;) {
        struct family family = {.name = SLICE_NONE};
        if (tag != FAMILIES_TAG) {
            pb_skip(&c, tag, &request_type);
            continue;
        }
        if (!family_read(pb_bytes(&c), &family, e)) {
            return err_wrap(e, "metadata %" PRIu32, i);
        }
        if (family.name.len > 0) { /* said twice, the last one counts */
            *place_of(f, family.name) = family;
            f->n++;
        }
        i++;
    }
    return true;
}

enum remote_write_type families_type(const struct families *f, struct slice metric)
{
    static const char *const suffixes[] = {"", "_total", "_bucket", "_count", "_sum"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t len = strlen(suffixes[i]);
        if (metric.len <= len || memcmp(metric.ptr + metric.len - len, suffixes[i], len) != 0) {
            continue;
        }
        const struct family *at = place_of(f, slice_of(metric.ptr, metric.len - len));
        if (at->name.ptr != NULL) {
            return at->type;
        }
    }
    return REMOTE_WRITE_UNKNOWN;
}
