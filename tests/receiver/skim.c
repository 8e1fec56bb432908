#include "skim.h"

#include "base/cursor.h"

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };
enum { REQUEST_SERIES = 1, SERIES_SAMPLES = 2, SERIES_HISTOGRAMS = 4 };

/* The next field: its number, and its bytes when it is length-delimited. */
static uint64_t field_next(struct cursor *c, struct slice *bytes)
{
    uint64_t tag = cursor_varint(c);
    *bytes = SLICE_NONE;
    switch (tag & 7) {
    case WIRE_VARINT:
        (void)cursor_varint(c);
        break;
    case WIRE_64:
        (void)cursor_take(c, 8);
        break;
    case WIRE_BYTES:
        *bytes = cursor_varint_bytes(c);
        break;
    case WIRE_32:
        (void)cursor_take(c, 4);
        break;
    default:
        cursor_fail(c);
    }
    return tag >> 3;
}

static bool series_skim(struct slice bytes, struct skim_counts *counts)
{
    struct cursor c = cursor_of(bytes);
    struct slice field;
    while (cursor_more(&c)) {
        uint64_t number = field_next(&c, &field);
        counts->n_samples += number == SERIES_SAMPLES;
        counts->n_histograms += number == SERIES_HISTOGRAMS;
    }
    return cursor_ok(&c);
}

bool skim_request(struct slice bytes, struct skim_counts *counts, struct err *e)
{
    struct cursor c = cursor_of(bytes);
    struct slice field;
    while (cursor_more(&c)) {
        if (field_next(&c, &field) == REQUEST_SERIES && field.ptr != NULL) {
            counts->n_series += 1;
            if (!series_skim(field, counts)) {
                return err_set(e, ERR_BAD_INPUT, "series %llu is not valid protobuf",
                               (unsigned long long)counts->n_series);
            }
        }
    }
    return cursor_ok(&c) ||
           err_set(e, ERR_BAD_INPUT, "not valid protobuf at byte %zu", cursor_at(&c));
}
