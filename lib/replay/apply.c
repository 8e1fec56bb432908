#include "replay/apply.h"

#include "base/clock.h"
#include "run/progress.h"
#include "run/signals.h"
#include "stage/topics.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

enum { NAP_MS = 20 };

struct applying {
    const struct kafka_settings *settings;
    const struct replay_arguments *arguments;
    const struct replay_applier *applier;
    struct replay_plan plan;
    struct replay_progress progress;
    struct log_reader *reader;
    struct journal *journal;
    int64_t began_ms;
    uint64_t n_sent; /* in this run, for the rate */
    struct progress told;
};

/* Of the test build alone. */
static bool is_fault(const struct applying *x, const char *name)
{
#if SLUICE_FAULTS
    return config_bool(x->settings->config, name);
#else
    (void)x;
    (void)name;
    return false;
#endif
}

/* --- is it the plan's world still? --- */

static bool plan_fits(const struct applying *x, struct err *e)
{
    const struct replay_plan *p = &x->plan;
    const struct replay_applier *to = x->applier;
    if (strcmp(p->stage, to->stage) != 0) {
        return err_set(e, ERR_CONFIG, "the plan is one for %s, not for %s; sluice-offsets apply finds the right one",
                       p->stage, to->stage);
    }
    if (strcmp(p->sink, to->sink) != 0) {
        return err_set(e, ERR_CONFIG, "the plan is made for %.70s, the configuration says %.70s: apply it with the "
                                      "configuration that it was made with", p->sink, to->sink);
    }
    return strcmp(p->group, x->settings->group) == 0 ||
           err_set(e, ERR_CONFIG, "the plan looked at group %.60s, the configuration says %.60s: apply it with the "
                                  "configuration that it was made with", p->group, x->settings->group);
}

static bool cluster_fits(struct applying *x, struct err *e)
{
    char topic_id[TOPIC_ID_CHARS + 1];
    const struct replay_plan *p = &x->plan;
    if (strcmp(p->cluster, log_reader_cluster(x->reader)) != 0) {
        return err_set(e, ERR_CONFIG, "the plan is of cluster %.40s, this is %.40s: apply it there, or make a new plan "
                                      "here", p->cluster, log_reader_cluster(x->reader));
    }
    if (!log_reader_topic(x->reader, p->topic, e)) {
        return false;
    }
    topic_id_text(log_reader_topic_id(x->reader), topic_id);
    return strcmp(p->topic_id, topic_id) == 0 ||
           err_set(e, ERR_CONFIG, "topic %.80s was deleted and made again since (its id is %s, the plan's %s): make a "
                                  "new plan", p->topic, topic_id, p->topic_id);
}

static bool log_fits(struct applying *x, struct err *e)
{
    int64_t first = 0;
    int64_t end = 0;
    for (size_t i = x->progress.n_pieces; i < x->plan.n_pieces; i++) {
        const struct replay_piece *p = &x->plan.pieces[i];
        bool is_known = i > x->progress.n_pieces && p->partition == p[-1].partition;
        if (!is_known && !log_reader_bounds(x->reader, p->partition, &first, &end, e)) {
            return false;
        }
        if (p->first < first || p->last >= end) {
            return err_set(e, ERR_CONFIG,
                           "%s[%d]: the plan has offsets %" PRId64 " to %" PRId64 ", the log %" PRId64 " to %" PRId64
                           ": %s; make a new plan of what is left",
                           x->plan.topic, p->partition, p->first, p->last, first, end - 1,
                           p->first < first ? "retention has taken some" : "its end was lost");
        }
    }
    return true;
}

/* --- a piece --- */

static bool piece_read(struct applying *x, const struct replay_piece *p, struct err *e)
{
    struct hash128 digest = {0};
    struct record r;
    bool any = true;
    uint64_t n_records = 0;
    if (!log_reader_from(x->reader, p->partition, p->first, e)) {
        return false;
    }
    for (;;) {
        if (!log_reader_next(x->reader, p->last + 1, &r, &any, e)) {
            return false;
        }
        if (!any) {
            break;
        }
        replay_digest_add(&digest, &r);
        n_records++;
        if (!x->applier->take(x->applier->ctx, &r, e)) {
            return err_wrap(e, "offset %" PRId64, r.offset);
        }
    }
    return (hash128_eq(digest, p->digest) && n_records == p->n_records) || is_fault(x, "fault.replay_no_digest") ||
           err_set(e, ERR_CONFIG, "the log has other records now than the plan's digest says (%" PRIu64 " of them, "
                                  "planned %" PRIu64 "): nothing of the piece was done; make a new plan",
                   n_records, p->n_records);
}

static bool counts_add(struct replay_counts *to, const struct replay_counts *c, const struct replay_piece *p,
                       struct err *e)
{
    to->n_done += c->n_done;
    to->n_skipped += c->n_skipped;
    to->n_refused += c->n_refused;
    return c->n_done + c->n_skipped + c->n_refused == p->n_samples ||
           err_set(e, ERR_FATAL, "%" PRIu64 " done, %" PRIu64 " skipped and %" PRIu64 " refused are not the %" PRIu64
                                 " samples of the piece", c->n_done, c->n_skipped, c->n_refused, p->n_samples);
}

static bool note_first(struct applying *x, const struct replay_piece *p, struct err *e)
{
    struct replay_progress next = x->progress;
    next.n_pieces++;
    next.counts.n_done += p->n_samples;
    next.state = REPLAY_OPEN;
    return !is_fault(x, "fault.replay_note_first") || replay_progress_put(x->journal, &x->plan, &next, e);
}

static bool piece_do(struct applying *x, const struct replay_piece *p, bool is_repeat, struct err *e)
{
    struct replay_counts counts = {0};
    struct replay_progress next = x->progress;
    const struct replay_applier *to = x->applier;
    if (!to->piece_begin(to->ctx, &x->plan, p, e) || !piece_read(x, p, e) ||
        !note_first(x, p, e) || !to->finish(to->ctx, p, is_repeat, &counts, e) || !counts_add(&next.counts, &counts, p, e)) {
        return err_wrap(e, "%s[%d]@%" PRId64 "-%" PRId64, x->plan.topic, p->partition, p->first, p->last);
    }
    next.n_pieces++;
    next.state = next.n_pieces == x->plan.n_pieces ? REPLAY_DONE : REPLAY_OPEN;
    if (!replay_progress_put(x->journal, &x->plan, &next, e)) {
        return false;
    }
    x->progress = next;
    x->n_sent += p->n_samples;
    return true;
}

/* --- the run --- */

static void tell(struct applying *x)
{
    const struct replay_counts *c = &x->progress.counts;
    if (progress_due(&x->told)) {
        (void)fprintf(stderr, "%zu of %zu pieces, %" PRIu64 " done, %" PRIu64 " skipped, %" PRIu64 " refused\n",
                      x->progress.n_pieces, x->plan.n_pieces, c->n_done, c->n_skipped, c->n_refused);
    }
}

/* Until the next samples are due at the plan's rate. */
static void keep_rate(const struct applying *x)
{
    const struct timespec nap = {0, NAP_MS * 1000000L};
    while (x->plan.rate > 0 && !signals_stop_requested() &&
           (double)x->n_sent > (double)(clock_mono_ms() - x->began_ms) / 1000.0 * (double)x->plan.rate) {
        (void)nanosleep(&nap, NULL);
    }
}

static bool refused_check(const struct applying *x, struct err *e)
{
    uint64_t n = x->progress.counts.n_refused;
    return n <= (uint64_t)x->arguments->max_refused ||
           err_set(e, ERR_FATAL, "%" PRIu64 " samples were refused, more than --max-refused %" PRId64
                                 " allows: stopped after this piece; look why, then apply again with a higher one",
                   n, x->arguments->max_refused);
}

static bool pieces_do(struct applying *x, struct err *e)
{
    bool is_repeat = x->progress.state == REPLAY_OPEN;
    x->began_ms = clock_mono_ms();
    if (!refused_check(x, e)) {
        return false;
    }
    while (x->progress.n_pieces < x->plan.n_pieces) {
        keep_rate(x);
        if (signals_stop_requested()) {
            return err_set(e, ERR_RETRY, "stopped before its end; apply the plan again, and it goes on");
        }
        if (!piece_do(x, &x->plan.pieces[x->progress.n_pieces], is_repeat, e) || !refused_check(x, e)) {
            return false;
        }
        is_repeat = false;
        tell(x);
    }
    return true;
}

static bool not_abandoned(const struct applying *x, struct err *e)
{
    return x->progress.state != REPLAY_ABANDONED || err_set(e, ERR_CONFIG, "the plan was given up; make a new one");
}

/* From here on no other process can note anything for the plan's topic and stage; what was read before may have changed. */
static bool progress_own(struct applying *x, struct err *e)
{
    return replay_progress_open(x->settings, &x->plan, &x->journal, e) &&
           replay_progress_read(x->settings, &x->plan, &x->progress, e);
}

/* Notes that the plan is under way. */
static bool claim(struct applying *x, struct err *e)
{
    if (!progress_own(x, e) || !not_abandoned(x, e)) {
        return false;
    }
    if (x->progress.state == REPLAY_DONE) {
        return true; /* another apply has come to its end meanwhile: no piece is left */
    }
    struct replay_progress next = x->progress;
    next.state = x->plan.n_pieces == 0 ? REPLAY_DONE : REPLAY_OPEN;
    bool ok = replay_progress_put(x->journal, &x->plan, &next, e);
    if (ok && x->plan.n_pieces == 0) {
        x->progress = next;
    }
    return ok;
}

static bool abandon(struct applying *x, struct err *e)
{
    if (!progress_own(x, e)) {
        return false;
    }
    if (x->progress.state == REPLAY_DONE) {
        return err_set(e, ERR_CONFIG, "the plan was applied to its end; there is nothing to give up");
    }
    x->progress.state = REPLAY_ABANDONED;
    return replay_progress_put(x->journal, &x->plan, &x->progress, e);
}

/* The one that is in this one's way, if one was named. */
static bool other_give_up(struct applying *x, struct err *e)
{
    const char *id = x->arguments->instead_of;
    return id[0] == '\0' || replay_progress_give_up(x->settings, &x->plan, id, e);
}

static bool apply(struct applying *x, struct err *e)
{
    const struct replay_applier *to = x->applier;
    if (!replay_plan_read(&x->plan, x->arguments->plan, e) || !plan_fits(x, e) ||
        !log_reader_open(x->settings, &x->reader, e) || !cluster_fits(x, e) || !other_give_up(x, e) ||
        !replay_progress_read(x->settings, &x->plan, &x->progress, e)) {
        return false;
    }
    if (x->arguments->abandon) {
        return abandon(x, e);
    }
    if (!not_abandoned(x, e)) {
        return false;
    }
    return x->progress.state == REPLAY_DONE ||
           (log_fits(x, e) && (to->begin == NULL || to->begin(to->ctx, &x->plan, x->progress.n_pieces, x->reader, e)) &&
            claim(x, e) && pieces_do(x, e));
}

static void report(const struct applying *x)
{
    const struct replay_counts *c = &x->progress.counts;
    uint64_t n = replay_plan_n_samples(&x->plan);
    const char *state = replay_state_name(x->progress.state);
    if (x->arguments->as_json) {
        (void)printf("{\"plan\": \"%s\", \"state\": \"%s\", \"pieces\": %zu, \"pieces_done\": %zu, \"samples\": %" PRIu64
                     ", \"done\": %" PRIu64 ", \"skipped\": %" PRIu64 ", \"refused\": %" PRIu64 "}\n",
                     x->plan.id, state, x->plan.n_pieces, x->progress.n_pieces, n, c->n_done, c->n_skipped,
                     c->n_refused);
        return;
    }
    (void)printf("plan %s is %s: %zu of %zu pieces; of %" PRIu64 " samples %" PRIu64 " done, %" PRIu64
                 " skipped, %" PRIu64 " refused\n",
                 x->plan.id, state, x->progress.n_pieces, x->plan.n_pieces, n, c->n_done, c->n_skipped, c->n_refused);
}

int replay_apply_run(const struct kafka_settings *settings, const struct replay_arguments *a,
                     const struct replay_applier *applier)
{
    struct err e = ERR_INIT;
    struct applying x = {.settings = settings, .arguments = a, .applier = applier};
    replay_plan_init(&x.plan);
    bool ok = apply(&x, &e);
    if (x.progress.state != REPLAY_NEW) {
        report(&x);
    }
    if (!ok) {
        (void)fprintf(stderr, "%s: %s\n", settings->instance, e.text);
    }
    journal_close(x.journal);
    log_reader_close(x.reader);
    replay_plan_fini(&x.plan);
    return ok ? 0 : err_exit_code(&e);
}
