/* Any bytes as a Parquet file: opened and verified, or refused with a reason; never more memory
 * than allowed. */
#include <stdio.h>
#include <stdlib.h>

#include "parquet/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct parquet_file f;
    struct verify_totals totals;
    struct err e = ERR_INIT;
    arena_init(&a, MAX_BYTES);
    if (!file_open(slice_of(data, size), &a, &f, &e) || !verify_file(&f, MAX_BYTES, &totals, &e)) {
        if (e.kind != ERR_BAD_INPUT || e.text[0] == '\0') {
            (void)fprintf(stderr, "an error of the wrong kind or without text: %s\n", e.text);
            abort();
        }
    }
    arena_fini(&a);
    return 0;
}
