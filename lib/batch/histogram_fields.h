/* Of lib/batch alone: the fields of Prometheus's message Histogram (prompb/types.proto), in the order in which they are
 * written. */
#pragma once

#include "wire/protobuf.h"

enum {
    TAG_COUNT = PB_TAG(1, PB_VARINT),
    TAG_COUNT_FLOAT = PB_TAG(2, PB_I64),
    TAG_SUM = PB_TAG(3, PB_I64),
    TAG_SCHEMA = PB_TAG(4, PB_VARINT),
    TAG_ZERO_THRESHOLD = PB_TAG(5, PB_I64),
    TAG_ZERO_COUNT = PB_TAG(6, PB_VARINT),
    TAG_ZERO_COUNT_FLOAT = PB_TAG(7, PB_I64),
    TAG_NEGATIVE_SPANS = PB_TAG(8, PB_LEN),
    TAG_POSITIVE_SPANS = PB_TAG(11, PB_LEN),
    NEGATIVE_NUMBER = 8, /* of the spans; their deltas' is one more */
    POSITIVE_NUMBER = 11,
};
