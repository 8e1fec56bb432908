#include "skim.h"

#include "base/cursor.h"

enum { TAG_SERIES = 0x0a, TAG_LABEL = 0x0a, TAG_SAMPLE = 0x12, TAG_HISTOGRAM = 0x22 };
enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

/* Any other field. */
static void field_skip(struct cursor *c, uint64_t tag)
{
    switch (tag & 7) {
    case WIRE_VARINT:
        (void)cursor_varint(c);
        break;
    case WIRE_64:
        (void)cursor_take(c, 8);
        break;
    case WIRE_BYTES:
        (void)cursor_varint_bytes(c);
        break;
    case WIRE_32:
        (void)cursor_take(c, 4);
        break;
    default:
        cursor_fail(c);
    }
}

static bool series_skim(struct slice bytes, struct skim_counts *counts)
{
    struct cursor c = cursor_of(bytes);
    uint64_t n_samples = 0;
    uint64_t n_histograms = 0;
    while (cursor_more(&c)) {
        uint64_t tag = cursor_varint(&c);
        if (tag == TAG_LABEL || tag == TAG_SAMPLE || tag == TAG_HISTOGRAM) {
            (void)cursor_varint_bytes(&c);
            n_samples += tag == TAG_SAMPLE;
            n_histograms += tag == TAG_HISTOGRAM;
        } else {
            field_skip(&c, tag);
        }
    }
    counts->n_samples += n_samples;
    counts->n_histograms += n_histograms;
    return cursor_ok(&c);
}

bool skim_request(struct slice bytes, struct skim_counts *counts, struct err *e)
{
    struct cursor c = cursor_of(bytes);
    while (cursor_more(&c)) {
        uint64_t tag = cursor_varint(&c);
        if (tag != TAG_SERIES) {
            field_skip(&c, tag);
            continue;
        }
        counts->n_series += 1;
        if (!series_skim(cursor_varint_bytes(&c), counts)) {
            return err_set(e, ERR_BAD_INPUT, "series %llu is not valid protobuf",
                           (unsigned long long)counts->n_series);
        }
    }
    return cursor_ok(&c) ||
           err_set(e, ERR_BAD_INPUT, "not valid protobuf at byte %zu", cursor_at(&c));
}
