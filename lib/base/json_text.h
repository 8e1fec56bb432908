/* A string in JSON, quoted. */
#pragma once

#include "base/buf.h"

/* Control bytes and what is not UTF-8 become '?'. */
void json_text(struct buf *out, const char *text);
void json_slice(struct buf *out, struct slice text);
