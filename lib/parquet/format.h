/* The numbers of parquet.thrift (apache/parquet-format 2.12) that the writer and the reader share.
 */
#pragma once

#define PARQUET_MAGIC "PAR1"

enum { PARQUET_MAGIC_BYTES = 4 };

enum parquet_physical {
    PHYSICAL_BOOLEAN = 0,
    PHYSICAL_INT32 = 1,
    PHYSICAL_INT64 = 2,
    PHYSICAL_DOUBLE = 5,
    PHYSICAL_BYTE_ARRAY = 6
};

enum parquet_repetition {
    REPETITION_REQUIRED = 0,
    REPETITION_OPTIONAL = 1,
    REPETITION_REPEATED = 2
};

enum parquet_converted {
    CONVERTED_NONE = -1,
    CONVERTED_UTF8 = 0,
    CONVERTED_MAP = 1,
    CONVERTED_LIST = 3,
    CONVERTED_TIMESTAMP_MILLIS = 9
};

/* Field ids of the union LogicalType. */
enum parquet_logical {
    LOGICAL_STRING = 1,
    LOGICAL_MAP = 2,
    LOGICAL_LIST = 3,
    LOGICAL_TIMESTAMP = 8
};

enum parquet_page_encoding {
    ENCODING_PLAIN = 0,
    ENCODING_PLAIN_DICTIONARY =
        2, /* format 1's name for RLE_DICTIONARY, and for its dictionary's PLAIN */
    ENCODING_RLE = 3,
    ENCODING_DELTA_BINARY_PACKED = 5,
    ENCODING_RLE_DICTIONARY = 8,
    ENCODING_BYTE_STREAM_SPLIT = 9,
    N_ENCODINGS = 10
};

enum parquet_page_type { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };

enum parquet_boundary_order { ORDER_UNORDERED = 0, ORDER_ASCENDING = 1, ORDER_DESCENDING = 2 };
