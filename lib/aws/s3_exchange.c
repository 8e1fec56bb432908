#include "aws/s3_exchange.h"

static void on_done(void *ctx, const struct s3_answer *a)
{
    struct s3_outcome *o = ctx;
    o->done = true;
    o->status = a->status;
    o->n_attempts = a->n_attempts;
    o->maybe_stored = a->maybe_stored;
    o->ok = a->e == NULL;
    if (!o->ok) {
        *o->e = *a->e;
    } else if (o->look != NULL) {
        o->ok = o->look(o->ctx, a, o->e);
    }
}

bool s3_exchange(struct s3 *s, const struct s3_request *r, struct s3_outcome *o, struct err *e)
{
    o->e = e;
    if (!s3_start(s, r, on_done, o, e)) {
        return false;
    }
    while (!o->done) {
        if (!s3_drive(s, -1, S3_STEP_MS, e)) {
            return false;
        }
    }
    return o->ok;
}
