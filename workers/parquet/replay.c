#include "replay.h"

#include <stdio.h>

bool replay_bucket_open(const struct replay_call *call, struct replay_bucket *out, struct err *e)
{
    *out = (struct replay_bucket){0};
    if (!worker_new(call->config, call->metrics, &out->worker, e) ||
        !worker_s3(out->worker, &out->s3, e)) {
        replay_bucket_close(out);
        return false;
    }
    out->options = worker_portions(out->worker);
    (void)snprintf(out->sink, sizeof out->sink, "s3://%s/%s", config_str(call->config, "bucket"),
                   out->options->layout.prefix);
    return true;
}

void replay_bucket_close(struct replay_bucket *b)
{
    if (b->s3 != NULL) {
        s3_close(b->s3);
    }
    if (b->worker != NULL) {
        worker_free(b->worker);
    }
    *b = (struct replay_bucket){0};
}

bool replay_range_open(const struct replay_bucket *b, const char *topic, const char *topic_id,
                       int32_t partition, const struct layout *layout, struct range **out,
                       struct err *e)
{
    const struct portion_options *o = b->options;
    const struct range_options options = {
        .topic = topic,
        .topic_id = topic_id,
        .partition = partition,
        .scratch_dir = o->scratch_dir,
        .max_rows_bytes = o->range_memory_bytes,
        .max_writer_bytes = o->writer_memory_bytes,
        .portable = o->portable,
    };
    return range_open(&options, layout, out, e);
}

bool replay_bound(struct log_reader *r, const struct stored *stored, int32_t partition,
                  int64_t *bound, bool *is_committed, struct err *e)
{
    size_t n;
    const struct stored_range *ranges = stored_of(stored, partition, &n);
    if (!log_reader_committed(r, partition, bound, NULL, e)) {
        return false;
    }
    *is_committed = *bound >= 0;
    for (size_t i = 0; i < n && !*is_committed; i++) {
        *bound = ranges[i].last + 1 > *bound ? ranges[i].last + 1 : *bound;
    }
    *bound = *bound < 0 ? 0 : *bound;
    return true;
}
