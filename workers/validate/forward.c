#include "forward.h"

enum { KEY_BYTES = 8 };

void forward_init(struct forward *f, size_t max_bytes)
{
    shape_cache_init(&f->shapes, max_bytes, &shape_default_caps, NULL);
    buf_init(&f->encoded, batch_default_caps.max_bytes);
}

void forward_fini(struct forward *f)
{
    shape_cache_fini(&f->shapes);
    buf_fini(&f->encoded);
}

bool forward_batch(struct forward *f, const struct letter_origin *o, struct arena *scratch,
                   int output, struct outbox *out, uint64_t *n_samples, struct err *e)
{
    struct batch b;
    struct cached_shape *cached;
    arena_reset(scratch);
    if (!batch_decode(o->in->value, &batch_default_caps, scratch, &b, e)) {
        return false;
    }
    if (!slice_eq(b.tenant, o->tenant->name)) {
        return err_set_code(e, ERR_BAD_INPUT, REASON_FORGED_BATCH,
                            "the batch names another tenant than the header");
    }
    if (b.origin.topic.len > 0 || b.received_ms != 0 || b.redriven != 0 || b.shape.len == 0) {
        return err_set_code(e, ERR_BAD_INPUT, REASON_FORGED_BATCH,
                            "the batch has been through validate, or is empty");
    }
    if (!shape_cache_get(&f->shapes, b.tenant, b.shape, &cached, e) ||
        !batch_check_shape(&b, &cached->shape, e)) {
        return false;
    }
    if (b.source != cached->shape.source) {
        return err_set_code(e, ERR_BAD_INPUT, REASON_FORGED_BATCH,
                            "the batch's source is not its shape's");
    }
    b.received_ms = o->received_ms;
    b.origin = (struct origin){
        .topic = o->topic, .partition = o->in->partition->number, .offset = o->in->offset};
    memcpy(b.origin.topic_id, o->in->partition->topic_id, TOPIC_ID_BYTES);
    buf_reset(&f->encoded);
    batch_encode(&b, &f->encoded);
    if (!buf_ok(&f->encoded)) {
        return err_set_code(e, ERR_BAD_INPUT, REASON_TOO_LARGE, "a batch larger than %zu bytes",
                            f->encoded.max_bytes);
    }
    uint8_t key[KEY_BYTES];
    memcpy(key, &b.source, sizeof key);
    const struct outgoing r = {
        .output = output,
        .partition = batch_partition(b.source, (int32_t)out->n_output_partitions[output]),
        .key = slice_of(key, sizeof key),
        .value = buf_slice(&f->encoded)};
    *n_samples = cached->shape.n_series;
    return outbox_put(out, &r, e);
}
