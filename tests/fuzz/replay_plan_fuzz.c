/* Any bytes as a plan's file: read, or refused with a word; what is read keeps the promises of its pieces. */
#include <stdio.h>
#include <stdlib.h>

#include "replay/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replay_plan p;
    struct err e = ERR_INIT;
    replay_plan_init(&p);
    bool ok = replay_plan_parse(&p, slice_of(data, size), &e);
    if (!ok && (e.kind != ERR_CONFIG || e.text[0] == '\0')) {
        fail("an error of the wrong kind or without text", e.text);
    }
    if (ok && strlen(p.id) != REPLAY_ID_CHARS) {
        fail("no id", p.id);
    }
    for (size_t i = 0; i < p.n_pieces; i++) {
        const struct replay_piece *piece = &p.pieces[i];
        if (piece->partition < 0 || piece->first < 0 || piece->last < piece->first || piece->note == NULL) {
            fail("a piece that can't be", p.topic);
        }
    }
    replay_plan_fini(&p);
    return 0;
}
