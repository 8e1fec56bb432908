/* What is stored, as a stream of text lines, made piece by piece under the lock (a consistent
 * picture needs a quiet receiver).
 *
 * EXPORT_DUMP, for fast readers: per series its labels as a JSON object on one line, then a line
 * per point, in time order, histograms after scalars:
 *   <t_ms> <the double's bits, 16 hex digits> <times received>[ <request>]
 *   <t_ms> h:<digest, 16 hex digits> <times received>[ <request>][ <content as JSON>]
 * A labels line begins with "{". <request> (the number of the request that brought it first) comes
 * with arrival, the content with full. The digest: see histogram.h.
 *
 * The others are JSON lines:
 *   EXPORT_SAMPLES {"labels":{},"t":ms,"v":"1.5","bits":hex,"times":n,"request":n}
 *                  histograms: "digest" and, when kept, "histogram" instead of "v" and "bits"
 *   EXPORT_REFUSED the same with "reason" and "stored" (true: that value is there all the same)
 *   EXPORT_SERIES  {"labels":{},"samples":n,"histograms":n,"late":n,"refused":n} */
#pragma once

#include "receiver.h"

enum export_kind { EXPORT_DUMP, EXPORT_SAMPLES, EXPORT_REFUSED, EXPORT_SERIES };

struct export_options {
    enum export_kind kind;
    const char *match; /* regular expression on {__name__="x", a="b"}; NULL = all */
    bool arrival;
    bool full;
};

struct export;

/* NULL: e says why (ERR_CONFIG: the expression). */
struct export *export_new(struct receiver *rx, const struct export_options *options,
                          struct err *e) MUST_CHECK;
void export_free(struct export *x);
/* Up to max_bytes of the next text; 0 at the end. */
size_t export_read(struct export *x, char *out, size_t max_bytes);
