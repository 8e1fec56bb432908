/* What operators see of rollup. */
#pragma once

#include "owned.h"

void exports_init(struct rollup_worker *w);
void exports_fini(struct rollup_worker *w);
/* What the record at hand has changed of the counts: moves with the transaction. */
bool exports_tell(struct rollup_worker *w, struct owned_rows *o, struct outbox *out,
                  struct err *e) MUST_CHECK;
/* Gives the bytes that the partitions' state takes. */
size_t exports_gauges(struct rollup_worker *w);
void exports_restored(struct rollup_worker *w, uint64_t n_records, int64_t took_ms);
void exports_partition_gone(struct rollup_worker *w, const struct owned_rows *o);
