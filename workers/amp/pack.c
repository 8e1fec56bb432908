#include "pack.h"

#include <snappy-c.h>

#include "base/varint.h"
#include "template.h"

enum { LENGTH_ROOM = 10 }; /* in front of the body, for the length that is known at the end */

void packer_init(struct packer *p, size_t max_bytes)
{
    *p = (struct packer){.version = WRITE_1};
    buf_init(&p->plain, max_bytes);
    version2_init(&p->version2, max_bytes);
}

void packer_fini(struct packer *p)
{
    buf_fini(&p->plain);
    version2_fini(&p->version2);
}

void packer_begin(struct packer *p, struct buf *body)
{
    buf_reset(&p->plain);
    buf_reset(body);
    p->n_plain = 0;
    (void)buf_extend(body, LENGTH_ROOM);
}

/* The elements of what is in plain. */
static void plain_flush(struct packer *p, struct buf *body)
{
    size_t n = snappy_max_compressed_length(p->plain.len);
    if (p->plain.len == 0) {
        return;
    }
    uint8_t *to = buf_extend(body, n);
    if (to == NULL || !buf_ok(&p->plain) ||
        snappy_compress((const char *)p->plain.ptr, p->plain.len, (char *)to, &n) != SNAPPY_OK) {
        body->failed = true;
        return;
    }
    size_t n_length = 1;
    while (to[n_length - 1] >= 0x80) {
        n_length++;
    }
    memmove(to, to + n_length, n - n_length);
    body->len = (size_t)(to - body->ptr) + n - n_length;
    p->n_plain += p->plain.len;
    buf_reset(&p->plain);
}

/* --- templates --- */

static void fill_one_time(uint8_t *to, const struct template_chunk *c, const uint32_t *holes,
                          const struct scrape *s)
{
    const uint8_t *values = s->values + (size_t)c->column * sizeof(uint64_t);
    for (uint32_t i = 0; i < c->n_columns; i++) {
        memcpy(to + holes[i], values + (size_t)i * sizeof(uint64_t), sizeof(uint64_t));
    }
    scrape_time_put(to + c->time_at, s->base_ms);
}

static void fill_many_times(uint8_t *to, const struct template_chunk *c, const uint32_t *holes,
                            const struct scrape *s)
{
    const uint8_t *values = s->values + (size_t)c->column * sizeof(uint64_t);
    const struct wire_series *series = s->shape->series;
    for (uint32_t i = c->from; i < c->to; i++) {
        if (wire_series_is_scalar(&series[i])) {
            uint8_t *hole = to + *holes++;
            memcpy(hole, values, sizeof(uint64_t));
            values += sizeof(uint64_t);
            scrape_time_put(hole + sizeof(uint64_t) + 1, scrape_time_ms(s, i));
        }
    }
}

static void chunk_put(struct packer *p, const struct template *t, const struct template_chunk *c,
                      const struct scrape *s, struct buf *body)
{
    if (c->n_plain == 0) {
        return;
    }
    plain_flush(p, body);
    uint8_t *to = buf_extend(body, (size_t)c->len + TEMPLATE_SLACK_BYTES);
    if (to == NULL) {
        return;
    }
    memcpy(to, t->bytes + c->at, c->len);
    if (t->form == TEMPLATE_ONE_TIME) {
        fill_one_time(to, c, t->holes + c->column, s);
    } else {
        fill_many_times(to, c, t->holes + c->column, s);
    }
    body->len -= TEMPLATE_SLACK_BYTES;
    p->n_plain += c->n_plain;
}

static void scalars_put(struct packer *p, const struct template *t, const struct scrape *s,
                        uint32_t from, uint32_t to, struct buf *body)
{
    for (uint32_t i = 0; i < t->n_chunks; i++) {
        const struct template_chunk *c = &t->chunks[i];
        if (from <= c->from && c->to <= to) {
            chunk_put(p, t, c, s, body);
        } else if (from < c->to && c->from < to) {
            scrape_encode_scalars(s, from > c->from ? from : c->from, to < c->to ? to : c->to,
                                  &p->plain);
        }
    }
}

static void exponentials_put(struct packer *p, const struct template *t, const struct scrape *s,
                             uint32_t from, uint32_t to, struct buf *body)
{
    if (t->exp.n_runs > 0) {
        plain_flush(p, body);
        p->n_plain += exp_labels_put(&t->exp, s, from, to, body);
    }
}

void packer_add(struct packer *p, const struct scrape *s, uint32_t from, uint32_t to,
                struct buf *body)
{
    const struct template *t =
        s->usual_times
            ? s->shape->templates[s->times == NULL ? TEMPLATE_ONE_TIME : TEMPLATE_MANY_TIMES]
            : NULL;
    if (t != NULL && p->version == WRITE_1) {
        scalars_put(p, t, s, from, to, body);
        exponentials_put(p, t, s, from, to, body);
        scrape_encode_classics(s, from, to, &p->plain);
    } else {
        scrape_encode(s, from, to, &p->plain);
    }
}

bool packer_end(struct packer *p, struct buf *body, struct slice *out, struct err *e)
{
    if (p->version == WRITE_2 && !version2_convert(&p->version2, p->metadata, &p->plain)) {
        p->plain.failed = true;
    }
    plain_flush(p, body);
    if (!buf_ok(body) || !buf_ok(&p->plain)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    uint8_t length[LENGTH_ROOM];
    size_t n = varint_write(length, p->n_plain);
    uint8_t *start = body->ptr + LENGTH_ROOM - n;
    memcpy(start, length, n);
    *out = p->n_plain == 0 ? SLICE_NONE : slice_of(start, body->len - (LENGTH_ROOM - n));
    return true;
}
