#include "slot_list.h"

#include <stdlib.h>

#include "base/varint.h"

bool slot_list_make(const uint64_t *words, size_t n_words, struct slice *out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_words; i++) {
        n += (size_t)__builtin_popcountll(words[i]);
    }
    uint8_t *bytes = malloc(n * VARINT_SPACE + 1);
    size_t len = 0;
    size_t last = 0;
    if (bytes == NULL) {
        return false;
    }
    for (size_t i = 0; i < n_words; i++) {
        for (uint64_t word = words[i]; word != 0; word &= word - 1) {
            size_t slot = i * 64 + (size_t)__builtin_ctzll(word);
            len += varint_write(bytes + len, slot - last);
            last = slot;
        }
    }
    uint8_t *fit = realloc(bytes, len + 1);
    *out = (struct slice){fit == NULL ? bytes : fit, len};
    return true;
}
