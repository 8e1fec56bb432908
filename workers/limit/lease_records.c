#include "lease_records.h"

#include "limit_grants_avsc.h"
#include "limit_lease_avsc.h"
#include "limit_tick_avsc.h"
#include "wire/avro_blocks.h"

/* --- writing --- */

/* scratch holds the key, then the value. */
static bool put(const struct lease_outputs *o, int output, int32_t partition, size_t key_len,
                struct err *e)
{
    struct slice all = buf_slice(o->scratch);
    const struct outgoing r = {.output = output,
                               .partition = partition,
                               .key = slice_of(all.ptr, key_len),
                               .value = slice_of(all.ptr + key_len, all.len - key_len)};
    return buf_ok(o->scratch) ? outbox_put(o->out, &r, e) : err_set(e, ERR_FATAL, "out of memory");
}

static void lease_encode(const struct lease_record *r, struct buf *out)
{
    buf_put(out, LIMIT_LEASE_HEAD, AVRO_HEAD_BYTES);
    scope_put(&r->scope, out);
    buf_zigzag(out, r->partition);
    buf_zigzag(out, r->granted);
    buf_zigzag(out, r->returned);
    buf_zigzag(out, r->use);
    buf_zigzag(out, r->demand);
    buf_zigzag(out, r->need);
}

bool lease_record_put(const struct lease_outputs *o, const struct lease_record *r, struct err *e)
{
    buf_reset(o->scratch);
    buf_printf(o->scratch, "lease/");
    scope_print(&r->scope, o->scratch);
    size_t key_len = o->scratch->len;
    lease_encode(r, o->scratch);
    if (!put(o, o->state, r->partition, key_len, e)) {
        return false;
    }
    buf_reset(o->scratch);
    buf_printf(o->scratch, "report/%d/", r->partition);
    scope_print(&r->scope, o->scratch);
    key_len = o->scratch->len;
    lease_encode(r, o->scratch);
    return put(o, o->leases, 0, key_len, e);
}

bool grants_record_put(const struct lease_outputs *o, const struct grants_record *r, struct err *e)
{
    buf_reset(o->scratch);
    buf_printf(o->scratch, "grants/");
    scope_print(&r->scope, o->scratch);
    size_t key_len = o->scratch->len;
    buf_put(o->scratch, LIMIT_GRANTS_HEAD, AVRO_HEAD_BYTES);
    scope_put(&r->scope, o->scratch);
    buf_zigzag(o->scratch, r->number);
    buf_zigzag(o->scratch, r->value);
    buf_zigzag(o->scratch, r->base);
    buf_zigzag(o->scratch, (int64_t)r->room);
    buf_zigzag(o->scratch, r->is_over);
    if (r->n > 0) {
        buf_zigzag(o->scratch, r->n);
    }
    for (uint32_t i = 0; i < r->n; i++) {
        buf_zigzag(o->scratch, r->granted[i]);
    }
    buf_zigzag(o->scratch, 0);
    return put(o, o->state, 0, key_len, e) && put(o, o->leases, 0, key_len, e);
}

bool tick_record_put(const struct lease_outputs *o, int64_t now_ms, struct err *e)
{
    static const char key[] = "tick";
    buf_reset(o->scratch);
    buf_put(o->scratch, key, sizeof key - 1);
    buf_put(o->scratch, LIMIT_TICK_HEAD, AVRO_HEAD_BYTES);
    buf_zigzag(o->scratch, now_ms);
    return put(o, o->leases, 0, sizeof key - 1, e);
}

/* --- reading --- */

enum lease_record_kind lease_record_kind(struct slice value)
{
    static const struct {
        const char *head;
        enum lease_record_kind kind;
    } heads[] = {{LIMIT_LEASE_HEAD, RECORD_LEASE},
                 {LIMIT_GRANTS_HEAD, RECORD_GRANTS},
                 {LIMIT_TICK_HEAD, RECORD_TICK}};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0] && value.len >= AVRO_HEAD_BYTES; i++) {
        if (memcmp(value.ptr, heads[i].head, AVRO_HEAD_BYTES) == 0) {
            return heads[i].kind;
        }
    }
    return RECORD_NOT_OURS;
}

static bool is_whole(const struct cursor *c, const char *what, struct err *e)
{
    return (cursor_ok(c) && !cursor_more(c)) ||
           err_set(e, ERR_BAD_INPUT, "a %s record can't be read at byte %zu", what, cursor_at(c));
}

bool lease_record_read(struct slice value, struct lease_record *out, struct err *e)
{
    struct cursor c = cursor_of(value);
    (void)cursor_take(&c, AVRO_HEAD_BYTES);
    *out = (struct lease_record){.scope = scope_read(&c)};
    out->partition = avro_int(&c);
    out->granted = cursor_zigzag(&c);
    out->returned = cursor_zigzag(&c);
    out->use = cursor_zigzag(&c);
    out->demand = cursor_zigzag(&c);
    out->need = cursor_zigzag(&c);
    if (out->partition < 0 || out->partition >= MAX_LEASE_PARTITIONS || out->granted < 0 ||
        out->returned < 0 || out->returned > out->granted || out->use < 0 || out->demand < 0 || out->need < 0) {
        cursor_fail(&c);
    }
    return is_whole(&c, "lease", e);
}

bool grants_record_read(struct slice value, int64_t granted[MAX_LEASE_PARTITIONS],
                        struct grants_record *out, struct err *e)
{
    struct cursor c = cursor_of(value);
    (void)cursor_take(&c, AVRO_HEAD_BYTES);
    *out = (struct grants_record){.scope = scope_read(&c), .granted = granted};
    out->number = cursor_zigzag(&c);
    out->value = cursor_zigzag(&c);
    out->base = cursor_zigzag(&c);
    out->room = (enum room)avro_index(&c, N_ROOMS);
    out->is_over = avro_index(&c, 2) == 1;
    for (struct blocks b = {0}; blocks_next(&c, &b, 1);) {
        int64_t n = cursor_zigzag(&c);
        if (out->n == MAX_LEASE_PARTITIONS || n < 0) {
            cursor_fail(&c);
            break;
        }
        granted[out->n++] = n;
    }
    if (out->number < 0 || out->value < 0 || out->base < 0) {
        cursor_fail(&c);
    }
    return is_whole(&c, "grants", e);
}
