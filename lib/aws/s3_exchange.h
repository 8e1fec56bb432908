/* One request to S3, waited for: what s3_object.c and s3_uploads.c are made of. */
#pragma once

#include "aws/s3.h"

enum { S3_STEP_MS = 1000 };

struct s3_outcome {
    bool done;
    bool ok;
    int status;
    int n_attempts;
    bool maybe_stored;
    /* Looks at the answer while it is there; false and e: it is not as it should be. */
    bool (*look)(void *ctx, const struct s3_answer *answer, struct err *e);
    void *ctx;
    struct err *e;
};

/* Of o, look and ctx are the caller's. */
bool s3_exchange(struct s3 *s, const struct s3_request *r, struct s3_outcome *o,
                 struct err *e) MUST_CHECK;
