/* The XML that AWS answers with (STS, S3): elements and text. Attributes, comments and declarations
 * are passed over; document types and CDATA, which AWS doesn't send, are refused. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* Called as an element ends: its path ("ListBucketResult/Contents/Key") and the text that stood in
 * it behind its last child, decoded; both live for the call (text: in the arena). False ends the
 * walk. */
struct xml_sink {
    void *ctx;
    bool (*element)(void *ctx, const char *path, struct slice text, struct err *e);
};

/* ERR_BAD_INPUT names the byte and the reason, and never quotes the document: it may hold secrets.
 */
bool xml_walk(struct slice document, struct arena *a, const struct xml_sink *sink,
              struct err *e) MUST_CHECK;
