#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "replay.h"
#include "run/signals.h"

enum { DRIVE_MS = 50, GIVE_UP_MS = 60000, MAX_PIECE_BYTES = 64 << 20, MAX_TOLD = 5 };

/* A record of the piece; its value lies in the buffer. */
struct held {
    int64_t offset;
    int64_t timestamp_ms;
    size_t at;
    size_t len;
};

/* Of points, since the start. */
struct outcome {
    uint64_t n_taken;
    uint64_t n_there; /* refused, and taken for there */
    uint64_t n_skipped;
    uint64_t n_refused;
};

struct applying {
    struct delivery delivery; /* first: the hooks' context is it */
    const struct replay_call *call;
    struct amp_options options;
    struct replay_texts texts;
    struct survey survey; /* for the tenants, whose cells count */
    struct partition partition;
    struct buf values;
    struct buf records; /* struct held each */
    struct outcome before;
    uint64_t n_wanted; /* points of the piece that the configuration sends */
    uint64_t n_refused;
    uint64_t n_unsure; /* skipped, and maybe there */
    int n_told;         /* of the refusals, in words */
    int64_t moved_ms;   /* when something was last settled */
};

/* --- the sender's hooks --- */

static void on_release(void *ctx, struct partition *p, int64_t offset)
{
    struct applying *x = ctx;
    (void)p;
    (void)offset;
    x->moved_ms = clock_mono_ms();
}

static bool on_dead_letter(void *ctx, const struct letter *l, struct err *e)
{
    struct applying *x = ctx;
    struct slice metric = SLICE_LITERAL("?");
    (void)e;
    x->n_refused++;
    if (x->n_told++ < MAX_TOLD) {
        (void)wire_shape_label(l->scrape->shape, l->point, "__name__", &metric);
        (void)fprintf(stderr, "sluice-offsets: refused: offset %" PRId64 ", %.*s at %" PRId64 ": %s: %.200s\n",
                      l->scrape->offset, SLICE_ARG(metric), l->time_ms, l->reason, l->text);
    }
    return true;
}

static void on_hold(void *ctx, const struct partition *p, int64_t offset)
{
    (void)ctx;
    (void)p;
    (void)offset;
}

static bool on_gap(void *ctx, const struct gap *g, struct err *e)
{
    (void)ctx;
    (void)g;
    (void)e;
    return true;
}

static bool owns(void *ctx, const struct partition *p)
{
    (void)ctx;
    (void)p;
    return true;
}

static bool on_unreadable(void *ctx, const struct record *r, const char *text, struct err *e)
{
    (void)ctx;
    (void)r;
    (void)text;
    (void)e;
    return true;
}

/* The plan's tenant and metric are known only now. */
static bool begin(void *ctx, const struct replay_plan *plan, size_t n_pieces_done, struct log_reader *reader,
                  struct err *e)
{
    struct applying *x = ctx;
    const struct sender_hooks hooks = {.release = on_release,
                                       .dead_letter = on_dead_letter,
                                       .hold = on_hold,
                                       .gap = on_gap,
                                       .owns = owns};
    (void)n_pieces_done;
    (void)reader;
    return replay_options(x->call->config, plan->tenant, plan->metric, &x->texts, &x->options, e) &&
           delivery_open(&x->delivery, x->call->config, x->call->metrics, &x->options, &hooks, on_unreadable, e);
}

/* --- a piece --- */

static bool piece_begin(void *ctx, const struct replay_plan *plan, const struct replay_piece *piece, struct err *e)
{
    struct applying *x = ctx;
    (void)plan;
    (void)piece;
    (void)e;
    buf_reset(&x->values);
    buf_reset(&x->records);
    x->n_wanted = 0;
    return true;
}

static bool wanted_count(struct applying *x, const struct record *r, struct err *e)
{
    struct scrape *first = NULL;
    struct scrape *behind = NULL;
    bool ok = amp_look(x->delivery.amp, r, &first, &behind, e);
    x->n_wanted += replay_n_wanted(first) + replay_n_wanted(behind);
    scrape_free(first);
    scrape_free(behind);
    if (!ok && e->kind == ERR_BAD_INPUT) { /* the live one has told the DLQ of it */
        err_reset(e);
        return true;
    }
    return ok;
}

static bool take(void *ctx, const struct record *r, struct err *e)
{
    struct applying *x = ctx;
    struct survey_record seen;
    const struct held held = {r->offset, r->timestamp_ms, x->values.len, r->value.len};
    x->partition = *r->partition;
    buf_put_slice(&x->values, r->value);
    buf_put(&x->records, &held, sizeof held);
    return survey_add(&x->survey, r, &seen, e) && wanted_count(x, r, e) &&
           ((buf_ok(&x->values) && buf_ok(&x->records)) ||
            err_set(e, ERR_FATAL, "a piece of more than %d bytes; make a new plan", MAX_PIECE_BYTES));
}

static bool drive(struct applying *x, struct err *e)
{
    if (signals_stop_requested()) {
        return err_set(e, ERR_RETRY, "stopped before its end; apply the plan again, and it goes on");
    }
    if (clock_mono_ms() - x->moved_ms > GIVE_UP_MS) {
        return err_set(e, ERR_RETRY, "the store has taken nothing for %d s, given up; apply the plan again when it does, "
                                     "and it goes on", GIVE_UP_MS / 1000);
    }
    return delivery_drive(&x->delivery, signals_fd(), DRIVE_MS, e);
}

static double cell_of(const struct applying *x, enum metric_id id, struct slice tenant, const char *reason)
{
    struct slice values[2] = {tenant, slice_str(reason)};
    return cell_get(metrics_cell(x->call->metrics, id, values));
}

static struct outcome outcome_now(const struct applying *x)
{
    static const char *const skipped[] = {"too_old_to_send", "duplicate", "delta_temporality"};
    struct outcome c = {.n_refused = x->n_refused};
    size_t at = 0;
    const struct survey_tenant *t;
    while ((t = table_next(&x->survey.tenants, &at)) != NULL) {
        struct slice tenant = slice_str(t->name);
        c.n_taken += (uint64_t)cell_of(x, M_SAMPLES_OUT, tenant, "");
        c.n_there += (uint64_t)cell_of(x, M_RW_ALREADY_THERE, tenant, "");
        for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++) {
            c.n_skipped += (uint64_t)cell_of(x, M_SAMPLES_REJECTED, tenant, skipped[i]);
        }
    }
    return c;
}

static bool send_all(struct applying *x, bool is_repeat, struct err *e)
{
    struct sender *sender = amp_sender(x->delivery.amp);
    size_t n = x->records.len / sizeof(struct held);
    x->moved_ms = clock_mono_ms();
    for (size_t i = 0; i < n; i++) {
        struct held held;
        memcpy(&held, x->records.ptr + i * sizeof held, sizeof held);
        const struct record r = {.partition = &x->partition,
                                 .offset = held.offset,
                                 .timestamp_ms = held.timestamp_ms,
                                 .value = slice_of(x->values.ptr + held.at, held.len)};
        while (!sender_has_room(sender)) {
            if (!drive(x, e)) {
                return false;
            }
        }
        if (!amp_take(x->delivery.amp, &r, is_repeat, delivery_now(), e)) {
            return false;
        }
    }
    while (!sender_is_idle(sender)) {
        if (!drive(x, e)) {
            return false;
        }
    }
    return true;
}

/* What the store refuses as out of order, too old or a duplicate, and the sender takes for there, is so where it was sent
 * before; else the store has kept it of a refused request, or never had it: told apart, and counted as skipped. */
static bool finish(void *ctx, const struct replay_piece *piece, bool is_repeat, struct replay_counts *out,
                   struct err *e)
{
    struct applying *x = ctx;
    if (x->n_wanted != piece->n_samples) { /* other tenants', even */
        return err_set(e, ERR_CONFIG, "%" PRIu64 " samples would go by this configuration, the plan has %" PRIu64 ": apply it with "
                                      "the configuration that it was made with (tenants, not_tenants)",
                       x->n_wanted, piece->n_samples);
    }
    if (!send_all(x, is_repeat, e)) {
        return false;
    }
    struct outcome now = outcome_now(x);
    uint64_t n_there = now.n_there - x->before.n_there;
    x->n_unsure += is_repeat ? 0 : n_there;
    *out = (struct replay_counts){.n_done = now.n_taken - x->before.n_taken + (is_repeat ? n_there : 0),
                                  .n_skipped = now.n_skipped - x->before.n_skipped + (is_repeat ? 0 : n_there),
                                  .n_refused = now.n_refused - x->before.n_refused};
    x->before = now;
    return true;
}

int amp_replay_apply(const struct replay_call *call)
{
    struct err e = ERR_INIT;
    struct applying x = {.call = call};
    survey_init(&x.survey);
    buf_init(&x.values, MAX_PIECE_BYTES);
    buf_init(&x.records, MAX_PIECE_BYTES);
    int code;
    if (!replay_options(call->config, "", "", &x.texts, &x.options, &e)) {
        (void)fprintf(stderr, "%s: %s\n", call->settings->instance, e.text);
        code = err_exit_code(&e);
    } else {
        const struct replay_applier applier = {.ctx = &x,
                                               .sink = x.texts.sink,
                                               .stage = "amp",
                                               .begin = begin,
                                               .piece_begin = piece_begin,
                                               .take = take,
                                               .finish = finish};
        code = replay_apply_run(call->settings, call->arguments, &applier);
    }
    if (x.n_unsure > 0) {
        (void)fprintf(stderr,
                      "sluice-offsets: of the skipped, %" PRIu64 " were refused as out of order, too old or duplicate, after the "
                      "store had refused a request of theirs of which it may have kept a part: they are there, or can't land\n",
                      x.n_unsure);
    }
    delivery_close(&x.delivery);
    survey_fini(&x.survey);
    buf_fini(&x.values);
    buf_fini(&x.records);
    return code;
}
