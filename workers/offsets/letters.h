/* Dead letters of the DLQ topic that fit the command's filters, as JSON objects. */
#pragma once

#include "record_json.h"
#include "scan.h"

/* letter: cat's object, kind dead_letter; borrowed for the call. */
typedef bool (*letter_fn)(void *ctx, const json_t *letter, bool *enough, struct err *e);

/* By --tenant, --metric, --reason, --stage, --from, --to, --limit, in order of partition and offset. */
bool letters_read(const struct tool *t, letter_fn each, void *ctx, struct err *e) MUST_CHECK;
