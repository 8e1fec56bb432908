#include "rerun.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 64 << 20, MAX_ROW_BYTES = 8 << 20 };

void rerun_die(const char *what)
{
    fprintf(stderr, "rerun: %s\n", what);
    exit(1);
}

static void must(bool ok, const struct err *e)
{
    if (!ok) {
        rerun_die(e->text);
    }
}

void *rerun_grown(void *items, size_t n, size_t *cap, size_t item_bytes)
{
    if (n == *cap) {
        *cap = *cap == 0 ? 1024 : *cap * 2;
        items = realloc(items, *cap * item_bytes);
        if (items == NULL) {
            rerun_die("no memory");
        }
    }
    return items;
}

void rerun_init(struct rerun *r, bool is_hourly, const struct input *in, size_t n_in)
{
    *r = (struct rerun){.is_hourly = is_hourly, .in = in, .n_in = n_in};
    r->rules = is_hourly ? (struct rules){HOUR_MS, 15000, 900000, 21600000, false, false, false}
                         : (struct rules){MINUTE_MS, 15000, 120000, 7200000, false, false, false};
    arena_init(&r->arena, ARENA_BYTES);
    splitter_init(&r->splitter, MAX_ROW_BYTES);
}

void rerun_fini(struct rerun *r)
{
    rerun_end(r);
    rerun_cut(r, 0);
    free(r->out);
    arena_fini(&r->arena);
    splitter_fini(&r->splitter);
}

struct putting {
    struct rerun *r;
    const struct leaving *l;
};

static bool part_put(void *ctx, struct slice bytes, bool is_last, struct err *e)
{
    const struct putting *x = ctx;
    struct rerun *r = x->r;
    uint8_t *copy = malloc(bytes.len);
    if (copy == NULL) {
        return err_set(e, ERR_FATAL, "no memory");
    }
    memcpy(copy, bytes.ptr, bytes.len);
    r->out = rerun_grown(r->out, r->n_out, &r->cap_out, sizeof *r->out);
    r->out[r->n_out++] = (struct output){.bytes = slice_of(copy, bytes.len),
                                         .log_ms = x->l->log_ms,
                                         .needs = x->l->needs,
                                         .is_merged = x->l->is_merged,
                                         .has_more = !is_last || x->l->has_more};
    return true;
}

static bool put(void *ctx, const struct leaving *l, struct err *e)
{
    struct rerun *r = ctx;
    struct putting x = {r, l};
    return rollup_split(&r->splitter, l->row, part_put, &x, e);
}

void rerun_begin(struct rerun *r)
{
    struct err e = ERR_INIT;
    struct row_sink sink = {put, r};
    must(r->is_hourly ? hour_new(&r->rules, &sink, &r->hour, &e)
                      : minute_new(&r->rules, &sink, &r->minute, &e),
         &e);
}

void rerun_end(struct rerun *r)
{
    hour_free(r->hour);
    minute_free(r->minute);
    r->hour = NULL;
    r->minute = NULL;
}

static bool take_batch(struct rerun *r, const struct input *in, struct err *e)
{
    struct batch b;
    arena_reset(&r->arena);
    return batch_decode(in->bytes, &batch_default_caps, &r->arena, &b, e) &&
           minute_take(r->minute, in->offset, &b, e);
}

void rerun_take(struct rerun *r, size_t i)
{
    const struct input *in = &r->in[i];
    struct err e = ERR_INIT;
    if (!(r->is_hourly ? hour_take(r->hour, in->offset, in->log_ms, in->bytes, &e)
                       : take_batch(r, in, &e))) {
        fprintf(stderr, "offset %" PRId64 ": ", in->offset);
        rerun_die(e.text);
    }
}

void rerun_cut(struct rerun *r, size_t n)
{
    while (r->n_out > n) {
        free((void *)(uintptr_t)r->out[--r->n_out].bytes.ptr);
    }
}

void rerun_recover(struct rerun *r, int64_t log_ms)
{
    struct err e = ERR_INIT;
    rerun_begin(r);
    for (size_t i = 0; i < r->n_out; i++) {
        const struct output *o = &r->out[i];
        if (!o->is_merged && o->log_ms >= log_ms - rules_forget_ms(&r->rules)) {
            must(r->is_hourly ? hour_restore(r->hour, o->bytes, o->log_ms, &e)
                              : minute_restore(r->minute, o->bytes, o->log_ms, &e),
                 &e);
        }
    }
    if (r->is_hourly) {
        hour_restored(r->hour, log_ms);
    } else {
        minute_restored(r->minute, log_ms);
    }
}

struct place rerun_needs(const struct rerun *r, int64_t position, size_t n)
{
    struct place needs = r->is_hourly
                             ? hour_needs(r->hour, (struct place){position, r->hour->log_ms})
                             : minute_needs(r->minute, (struct place){position, r->minute->log_ms});
    for (size_t i = n; i < r->n_out; i++) {
        needs = place_first(needs, r->out[i].needs);
    }
    return needs;
}

size_t rerun_whole(const struct rerun *r, size_t n)
{
    while (n > 0 && n < r->n_out && r->out[n - 1].has_more) {
        n++;
    }
    return n;
}

size_t rerun_index(const struct rerun *r, int64_t offset)
{
    size_t i = 0;
    while (i < r->n_in && r->in[i].offset < offset) {
        i++;
    }
    return i;
}
