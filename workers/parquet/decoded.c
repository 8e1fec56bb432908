#include "decoded.h"

bool decoded_rows(struct slice bytes, struct arena *a, struct decoded *d, struct record_rows *rows,
                  struct err *e)
{
    *rows = (struct record_rows){NULL, NULL};
    if (rollup_is(bytes)) {
        bool ok = rollup_decode(bytes, a, &d->rollup, e);
        bool any = ok && d->rollup.kind != ROLLUP_HEARTBEAT;
        rows->rollup = any ? &d->rollup : NULL;
        return ok;
    }
    bool ok = batch_decode(bytes, &batch_default_caps, a, &d->batch, e);
    rows->batch = ok && d->batch.shape.len > 0 ? &d->batch : NULL;
    return ok;
}

bool decoded_add(struct range *r, const struct record_rows *rows, int64_t offset, struct err *e)
{
    return rows->batch != NULL ? range_add(r, rows->batch, offset, e)
                               : range_add_rollup(r, rows->rollup, offset, e);
}
