#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "replay.h"
#include "told.h"

enum { PIECE_SAMPLES = 50000, LEAST_PIECE_SAMPLES = 1000, PIECE_BYTES = 8 << 20, PIECES_A_SECOND = 2 };
/* Of the newest samples that the store has: an entry is some 32 bytes. */
enum { NEWEST_COST_BYTES = 32 };

struct planning {
    const struct replay_call *call;
    struct amp *amp;
    struct amp_options options;
    struct replay_texts texts;
    struct told told;
    struct table newest; /* of the partition at hand: the series' newest time, as a pointer */
    int64_t committed;   /* of the live group; -1 = nothing */
    bool any_committed;
    struct replay_piece piece;
    uint64_t n_wanted;
    uint64_t n_old;
    uint64_t n_late;
    uint64_t n_names;
    uint64_t n_delta;
    uint64_t n_twice;
    uint64_t n_fit;
    uint64_t n_there; /* of n_fit: the live group has delivered them */
    uint64_t n_told;  /* of all: it has skipped them */
};

static bool begin(void *ctx, struct replay_planning *p, struct err *e)
{
    struct planning *x = ctx;
    told_init(&x->told, x->call->settings->group, log_reader_topic_id(p->reader));
    return told_read(&x->told, x->call->settings, config_str(x->call->config, "gaps_topic"), e);
}

/* --- what the store has --- */

static int64_t store_newest_of(struct planning *x, struct hash128 series)
{
    const void *value = table_find(&x->newest, series);
    return value == NULL ? INT64_MIN : (int64_t)(intptr_t)value;
}

/* Times before 1970 are no concern here. */
static void newest_note(struct planning *x, struct hash128 series, int64_t t_ms)
{
    if (t_ms > 0 && t_ms > store_newest_of(x, series)) {
        (void)table_put(&x->newest, series, (void *)(intptr_t)t_ms, NEWEST_COST_BYTES);
    }
}

static void newest_learn(struct planning *x, const struct scrape *s)
{
    for (uint32_t i = 0; s != NULL && i < s->shape->n_series; i++) {
        newest_note(x, s->shape->series[i].id, scrape_time_ms(s, i));
    }
}

/* What lies behind the span and was delivered makes the store refuse older samples. */
static bool behind_read(struct planning *x, struct replay_planning *p, const struct replay_span *span, struct err *e)
{
    struct record r;
    bool any = true;
    table_clear(&x->newest);
    if (x->options.sender.out_of_order_ms == 0 || x->committed <= span->to) {
        return true;
    }
    if (!log_reader_from(p->reader, span->partition, span->to, e)) {
        return false;
    }
    while (any) {
        struct scrape *first = NULL;
        struct scrape *behind = NULL;
        if (!log_reader_next(p->reader, x->committed, &r, &any, e)) {
            return false;
        }
        if (any && amp_look(x->amp, &r, &first, &behind, e)) {
            newest_learn(x, first);
            newest_learn(x, behind);
        } else if (any && e->kind != ERR_BAD_INPUT) {
            return false;
        }
        err_reset(e);
        scrape_free(first);
        scrape_free(behind);
    }
    return true;
}

/* --- what it would refuse: the rules of precheck.c, at the sample's turn --- */

static void point_judge(struct planning *x, const struct replay_planning *p, const struct scrape *s, uint32_t i)
{
    const struct sender_options *o = &x->options.sender;
    const struct wire_series *series = &s->shape->series[i];
    int64_t t_ms = scrape_time_ms(s, i);
    int64_t rate = p->arguments->rate;
    int64_t turn_ms = p->now_ms + (rate == 0 ? 0 : (int64_t)(x->n_wanted * 1000 / (uint64_t)rate));
    int64_t newest_ms = store_newest_of(x, series->id);
    bool is_told = told_has(&x->told, s->partition->number, s->source, s->offset, t_ms);
    x->n_wanted++;
    x->n_told += is_told;
    if (series->delta) {
        x->n_delta++;
    } else if (o->max_sample_age_ms > 0 && t_ms < turn_ms - o->max_sample_age_ms) {
        x->n_old++;
    } else if (o->check_names && series->bad_name) {
        x->n_names++;
    } else if (o->out_of_order_ms > 0 && newest_ms != INT64_MIN && t_ms < newest_ms - o->out_of_order_ms) {
        x->n_late++;
    } else if (t_ms == newest_ms) {
        x->n_twice++;
    } else {
        x->n_fit++;
        x->n_there += s->offset < x->committed && !is_told;
        newest_note(x, series->id, t_ms);
    }
}

static void scrape_judge(struct planning *x, const struct replay_planning *p, const struct scrape *s)
{
    for (uint32_t i = 0; s != NULL && i < s->shape->n_series; i++) {
        if (!s->shape->series[i].unwanted) {
            point_judge(x, p, s, i);
        }
    }
}

/* --- pieces --- */

static uint64_t piece_samples(int64_t rate)
{
    uint64_t n = rate == 0 ? PIECE_SAMPLES : (uint64_t)rate / PIECES_A_SECOND;
    return n < LEAST_PIECE_SAMPLES ? LEAST_PIECE_SAMPLES : n > PIECE_SAMPLES ? PIECE_SAMPLES : n;
}

static bool record_take(struct planning *x, struct replay_planning *p, const struct record *r, struct err *e)
{
    struct survey_record seen;
    struct scrape *first = NULL;
    struct scrape *behind = NULL;
    struct replay_piece *piece = &x->piece;
    if (!survey_add(&p->survey, r, &seen, e)) {
        return false;
    }
    if (!amp_look(x->amp, r, &first, &behind, e)) {
        if (e->kind != ERR_BAD_INPUT) {
            return false;
        }
        err_reset(e); /* the live one has told the DLQ of it */
    }
    scrape_judge(x, p, first);
    scrape_judge(x, p, behind);
    piece->last = r->offset;
    piece->n_records++;
    piece->n_bytes += r->value.len;
    piece->n_samples += replay_n_wanted(first) + replay_n_wanted(behind);
    replay_digest_add(&piece->digest, r);
    scrape_free(first);
    scrape_free(behind);
    return true;
}

static bool piece_end(struct planning *x, struct replay_planning *p, struct err *e)
{
    bool ok = x->piece.n_samples == 0 || replay_plan_add(&p->plan, &x->piece, e);
    x->piece = (struct replay_piece){.partition = x->piece.partition, .first = x->piece.last + 1, .last = x->piece.last};
    return ok;
}

static bool span_plan(void *ctx, struct replay_planning *p, const struct replay_span *span, struct err *e)
{
    struct planning *x = ctx;
    struct record r;
    bool any = true;
    uint64_t most = piece_samples(p->arguments->rate);
    if (!log_reader_committed(p->reader, span->partition, &x->committed, NULL, e) || !behind_read(x, p, span, e)) {
        return false;
    }
    x->any_committed = x->any_committed || x->committed >= 0;
    if (x->committed >= 0 && x->committed < span->to) {
        replay_risk(p, "partition %d: offsets from %" PRId64 " on are the live group's to deliver; it will, and they would be "
                       "sent twice", span->partition, x->committed);
    }
    x->piece = (struct replay_piece){.partition = span->partition, .first = span->from, .last = span->from - 1};
    if (!log_reader_from(p->reader, span->partition, span->from, e)) {
        return false;
    }
    while (any) {
        if (!log_reader_next(p->reader, span->to, &r, &any, e) || (any && !record_take(x, p, &r, e))) {
            return false;
        }
        bool is_full = x->piece.n_samples >= most || x->piece.n_bytes >= PIECE_BYTES;
        if ((is_full || !any) && !piece_end(x, p, e)) {
            return false;
        }
    }
    return true;
}

static bool finish(void *ctx, struct replay_planning *p, struct err *e)
{
    struct planning *x = ctx;
    const struct sender_options *o = &x->options.sender;
    (void)e;
    replay_effect(p, "samples_that_can_land", x->n_fit);
    replay_effect(p, "of_them_there_already", x->n_there);
    replay_effect(p, "too_old_by_their_turn", x->n_old);
    replay_effect(p, "too_far_behind_their_series", x->n_late);
    replay_effect(p, "twice_in_the_range", x->n_twice);
    replay_effect(p, "names_that_no_store_takes", x->n_names);
    replay_effect(p, "delta_temporality", x->n_delta);
    replay_effect(p, "told_as_gaps", x->n_told);
    replay_effect(p, "requests_about", (x->n_fit + o->max_samples - 1) / o->max_samples);
    if (!x->any_committed) {
        replay_risk(p, "group %s has committed nothing: what the store has is not known", p->plan.group);
    }
    if (o->max_sample_age_ms == 0 || o->out_of_order_ms == 0) {
        replay_risk(p, "max_sample_age_ms or out_of_order_ms is 0: what the store refuses by it is not foreseen");
    }
    if (x->n_there > 0) {
        replay_risk(p, "what is there already is sent again; the same value at the same time changes nothing");
    }
    if (x->n_old > 0) {
        replay_risk(p, "the store takes nothing older than %" PRId64 " s: those samples are in Parquet, and in rollups",
                    o->max_sample_age_ms / 1000);
    }
    if (x->newest.n_evicted > 0) {
        replay_risk(p, "more series than memory_limit_mb has room for: more may be too far behind than was counted");
    }
    return true;
}

static bool reject(void *ctx, const struct record *r, const char *text, struct err *e)
{
    (void)ctx;
    (void)r;
    (void)text;
    (void)e;
    return true;
}

static void notice(void *ctx, enum notice n, int status, const char *text)
{
    (void)ctx;
    (void)n;
    (void)status;
    (void)text;
}

/* Nothing is ever handed to the sender. */
static bool open_all(struct planning *x, struct err *e)
{
    const struct replay_arguments *a = x->call->arguments;
    const struct sender_hooks hooks = {.notice = notice};
    return replay_options(x->call->config, a->tenant, a->metric, &x->texts, &x->options, e) &&
           amp_new(&x->options, &hooks, reject, x->call->metrics, &x->amp, e);
}

int amp_replay_plan(const struct replay_call *call)
{
    struct err e = ERR_INIT;
    struct planning x = {.call = call};
    table_init(&x.newest, (size_t)config_int(call->config, "memory_limit_mb") << 19, NULL);
    if (!open_all(&x, &e)) {
        (void)fprintf(stderr, "%s: %s\n", call->settings->instance, e.text);
        return err_exit_code(&e);
    }
    const struct replay_planner planner = {
        .ctx = &x, .sink = x.texts.sink, .begin = begin, .span = span_plan, .finish = finish};
    int code = replay_planning_run(call->settings, call->arguments, &planner);
    amp_free(x.amp);
    told_fini(&x.told);
    table_fini(&x.newest);
    return code;
}
