/* Any bytes as a commit's metadata: an intent, or refused with a reason. What is taken can be
 * written and is read again as the same. */
#include "ledger/intent.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct intent first;
    struct intent second;
    struct buf text;
    struct buf again;
    if (!intent_parse(slice_of(data, size), &first, &e)) {
        if (e.kind != ERR_BAD_INPUT || e.text[0] == '\0') {
            fail("refused without a reason", e.text);
        }
        return 0;
    }
    buf_init(&text, INTENT_MAX_TEXT);
    buf_init(&again, INTENT_MAX_TEXT);
    intent_print(&first, &text);
    if (buf_ok(&text)) {
        if (!intent_parse(buf_slice(&text), &second, &e)) {
            fail("written, then refused", e.text);
        }
        intent_print(&second, &again);
        if (!slice_eq(buf_slice(&text), buf_slice(&again))) {
            fail("reads as another", "intent");
        }
    }
    buf_fini(&again);
    buf_fini(&text);
    return 0;
}
