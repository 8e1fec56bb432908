#include "input.h"

bool input_read(const struct record *in, struct arena *a, struct batch *out, struct err *e)
{
    arena_reset(a);
    if (!batch_decode(in->value, &batch_default_caps, a, out, e)) {
        return false;
    }
    if (out->received_ms <= 0) {
        return err_set(e, ERR_BAD_INPUT, "a batch without received_ms: limit did not write it");
    }
    int32_t partition = batch_partition(out->source, (int32_t)in->partition->n_partitions);
    if (out->shape.len > 0 && partition != in->partition->number) {
        return err_set(e, ERR_BAD_INPUT, "the batch's source belongs to partition %d", partition);
    }
    return true;
}
