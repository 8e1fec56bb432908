#include "filter.h"

#include "batch/keep.h"

bool filter_batch(const struct batch *b, const struct verdict *v, struct arena *scratch,
                  struct buf *out, struct err *e)
{
    arena_reset(scratch);
    struct batch_column *columns = ARENA_ARRAY(scratch, struct batch_column, v->n_series);
    if (columns == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < v->n_series; i++) {
        const struct column *c = &v->columns[i];
        columns[i] = (struct batch_column){c->kind, c->refusal == 0, c->n_bounds};
    }
    return batch_keep(b, columns, v->n_series, v->kept, scratch, out, e);
}
