/* Are the series that should be there, there? Active series seen in the last five minutes of their
 * partition's log time, by tenant, and the sources of which nothing was seen. */
#pragma once

#include "base/buf.h"
#include "holding.h"

/* Looks at all series of the partitions listed from h on; sets the tenants' cells and prints JSON
 * with at most max_silent sources. */
void completeness_look(struct holding *h, struct tenants *tenants, uint32_t max_silent,
                       struct buf *out);
