#include "shard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

enum { ERROR_BYTES = 240, MAX_BACKOFF_SHIFT = 16, MAX_REQUEST_BYTES = 1 << 30 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_FATAL, "out of memory");
}

/* --- life --- */

static void find_cells(struct sender *s)
{
    s->cells = (struct sender_cells){
        .queued = metrics_cell(s->metrics, M_RW_QUEUED, NULL),
        .in_flight = metrics_cell(s->metrics, M_RW_IN_FLIGHT, NULL),
        .limited = metrics_cell(s->metrics, M_RW_LIMITED, NULL),
        .denied = metrics_cell(s->metrics, M_RW_DENIED, NULL),
        .bytes = metrics_cell(s->metrics, M_RW_BYTES, NULL),
        .retried = metrics_cell(s->metrics, M_RW_RETRIED, NULL),
        .bisections = metrics_cell(s->metrics, M_RW_BISECTIONS, NULL),
        .seconds = metrics_histogram(s->metrics, M_RW_SECONDS, NULL),
        .freshness = metrics_histogram(s->metrics, M_FRESHNESS, NULL),
    };
}

bool sender_new(const struct sender_options *o, const struct sender_hooks *hooks, struct metrics *m,
                const struct sender_lore *lore, struct sender **out, struct err *e)
{
    struct sender *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return no_memory(e);
    }
    s->o = *o;
    s->hooks = *hooks;
    s->metrics = m;
    s->random = o->seed | 1;
    packer_init(&s->packer, MAX_REQUEST_BYTES);
    known_init(&s->known, o->max_known_bytes);
    s->metadata = lore->metadata;
    s->packer.version = o->protocol == PROTOCOL_1 ? WRITE_1 : WRITE_2;
    s->packer.metadata = lore->metadata;
    newest_init(&s->newest, lore->shapes, o->max_newest_bytes);
    gaps_init(&s->gaps);
    s->shards = calloc(o->n_shards, sizeof *s->shards);
    if (s->shards == NULL) {
        sender_free(s);
        return no_memory(e);
    }
    for (uint32_t i = 0; i < o->n_shards; i++) {
        buf_init(&s->shards[i].body, MAX_REQUEST_BYTES);
        parked_init(&s->shards[i].parked);
    }
    find_cells(s);
    *out = s;
    return true;
}

/* What a piece still holds on to; its offset is not released. */
static void piece_forget(const struct piece *p)
{
    p->scrape->n_unsettled -= p->to - p->from;
    if (p->scrape->n_unsettled == 0) {
        scrape_free(p->scrape);
    }
}

static void work_forget(struct work *w)
{
    for (uint32_t i = 0; w != NULL && i < w->n_pieces; i++) {
        piece_forget(&w->pieces[i]);
    }
    free(w);
}

static void shard_fini(struct shard *shard)
{
    work_forget(shard->current);
    while (shard->stack != NULL) {
        struct work *w = shard->stack;
        shard->stack = w->next;
        work_forget(w);
    }
    for (size_t i = 0; i < shard->parked.n; i++) {
        piece_forget(&shard->parked.points[i].piece);
    }
    while (shard->first != NULL) {
        struct scrape *next = shard->first->next;
        struct piece rest = {
            .scrape = shard->first, .from = shard->first_at, .to = shard->first->shape->n_series};
        piece_forget(&rest);
        shard->first = next;
        shard->first_at = 0;
    }
    parked_fini(&shard->parked);
    buf_fini(&shard->body);
}

void sender_free(struct sender *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; s->shards != NULL && i < s->o.n_shards; i++) {
        shard_fini(&s->shards[i]);
    }
    free(s->shards);
    known_fini(&s->known);
    newest_fini(&s->newest);
    gaps_fini(&s->gaps);
    packer_fini(&s->packer);
    free(s);
}

/* --- waiting --- */

static double random_fraction(struct sender *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (double)(s->random >> 11) / (double)(UINT64_C(1) << 53);
}

/* Exponential, with half of it by chance, so that senders don't come back all at once. */
int64_t backoff_ms(struct sender *s, uint32_t n_failures)
{
    uint32_t shift = n_failures < MAX_BACKOFF_SHIFT ? n_failures : MAX_BACKOFF_SHIFT;
    int64_t full = s->o.min_backoff_ms << shift;
    full = full < s->o.max_backoff_ms ? full : s->o.max_backoff_ms;
    return full / 2 + (int64_t)(random_fraction(s) * (double)(full - full / 2));
}

/* Not before the store asked for it, and not all at once then. */
static int64_t retry_ms(struct sender *s, const struct shard *shard, int64_t retry_after_ms)
{
    int64_t own = backoff_ms(s, shard->n_failures);
    int64_t asked =
        retry_after_ms < s->o.max_retry_after_ms ? retry_after_ms : s->o.max_retry_after_ms;
    return asked > own ? asked + (int64_t)(random_fraction(s) * (double)s->o.min_backoff_ms) + 1
                       : own;
}

/* --- taking in --- */

void sender_take(struct sender *s, struct scrape *scrape, struct moment now)
{
    s->wall_ms = now.wall_ms;
    uint32_t n = scrape->shape->n_series;
    scrape->taken_ms = now.mono_ms;
    scrape->next = NULL;
    s->n_queued += n;
    s->n_queued_bytes += scrape->n_bytes;
    struct piece all = {.scrape = scrape, .to = n};
    if (piece_n_delta(&all) == n) {
        settle_taken(s, &all);
        return;
    }
    uint64_t key = s->o.fault_unordered ? scrape->source + s->n_faults++ : scrape->source;
    struct shard *shard = &s->shards[key % s->o.n_shards];
    if (shard->first == NULL) {
        shard->first = scrape;
    } else {
        shard->last->next = scrape;
    }
    shard->last = scrape;
    shard->n_points += n;
    shard->n_bytes += scrape->n_wire_bytes;
}

/* --- a request --- */

/* Drops what belongs to partitions that are not ours any more; true: something was dropped. */
static bool prune(struct sender *s, struct work *w)
{
    uint32_t n = w->n_pieces;
    w->n_pieces = 0;
    w->n_points = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct piece p = w->pieces[i];
        if (scrape_is_ours(s, p.scrape)) {
            work_add(w, p);
        } else {
            settle_lost(s, &p);
        }
    }
    return w->n_pieces < n;
}

static bool body_build(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
{
    const struct work *w = shard->current;
    packer_begin(&s->packer, &shard->body);
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        const struct piece *p = &w->pieces[i];
        packer_add(&s->packer, p->scrape, p->from, p->to, &shard->body);
    }
    if (!w->sent_before && !w->maybe_there && !w->singles) {
        metadata_put(s->metadata, now_ms, &s->packer.plain);
    }
    shard->body_ready = true;
    shard->version = s->packer.version;
    return packer_end(&s->packer, &shard->body, &shard->wire, e);
}

/* The next request of an idle shard into current, if one is due. */
static bool next_work(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
{
    if (!bisect_unsent(shard, e)) {
        return false;
    }
    struct work *w = shard->stack;
    if (w != NULL) {
        shard->stack = w->next;
        w->next = NULL;
    } else if (shard->parked.n > 0 && shard->probe_ms <= now_ms) {
        w = parked_take(&shard->parked, shard->n_probe_series);
        if (w == NULL) {
            return no_memory(e);
        }
        w->probe = true;
        w->parted = true;
    } else if (queue_due_ms(s, shard) <= now_ms) {
        w = queue_cut(s, shard);
        if (w == NULL) {
            return no_memory(e);
        }
    }
    shard->current = w;
    shard->body_ready = false;
    return true;
}

static bool work_is_empty(const struct work *w)
{
    return w->n_pieces == 0;
}

static void work_taken(struct sender *s, struct shard *shard)
{
    struct work *w = shard->current;
    shard->current = NULL;
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        const struct piece *p = &w->pieces[i];
        newest_taken(&s->newest, p->scrape, p->from, p->to);
        settle_taken(s, p);
    }
    free(w);
}

/* Of the newest requests that were taken: how long they take. */
static void learn_duration(struct sender *s, double seconds)
{
    s->request_ms += (seconds * 1000 - s->request_ms) / 16;
}

/* True and current NULL: there was nothing left to send, the next one may be looked at. */
static bool current_send(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
{
    if (prune(s, shard->current) || shard->version != s->packer.version ||
        (shard->body_ready && precheck_finds_old(s, shard->current))) {
        shard->body_ready = false;
    }
    if (!shard->body_ready &&
        (!limited_divert(s, shard, &shard->current, now_ms, e) ||
         (shard->current != NULL && !precheck_work(s, &shard->current, now_ms, e)))) {
        return false;
    }
    if (shard->current == NULL || work_is_empty(shard->current)) {
        free(shard->current);
        shard->current = NULL;
        return true;
    }
    if (!shard->body_ready) {
        if (!body_build(s, shard, now_ms, e)) {
            return false;
        }
        if (shard->wire.len == 0) { /* all of delta temporality */
            work_taken(s, shard);
            return true;
        }
    }
    shard->in_flight = true;
    s->n_in_flight++;
    cell_add(s->cells.bytes, (double)shard->wire.len);
    return s->hooks.send(s->hooks.ctx, (uint32_t)(shard - s->shards), shard->version, shard->wire,
                         e);
}

static bool shard_turn(struct sender *s, struct shard *shard, int64_t now_ms, struct err *e)
{
    if (shard->parked.n > 0 && !limited_expire(s, shard, now_ms - s->o.limited_wait_ms, e)) {
        return false;
    }
    while (!shard->in_flight && shard->resume_ms <= now_ms) {
        if (shard->current == NULL && !next_work(s, shard, now_ms, e)) {
            return false;
        }
        if (shard->current == NULL) {
            return true;
        }
        if (!current_send(s, shard, now_ms, e)) {
            return false;
        }
    }
    return true;
}

bool sender_turn(struct sender *s, struct moment now, struct err *e)
{
    s->wall_ms = now.wall_ms;
    for (uint32_t i = 0; i < s->o.n_shards; i++) {
        if (!shard_turn(s, &s->shards[i], now.mono_ms, e)) {
            return false;
        }
    }
    if (!limited_make_room(s, now.mono_ms, e) || !gaps_flush(s, now.mono_ms, e)) {
        return false;
    }
    limited_update(s);
    cell_set(s->cells.queued, (double)s->n_queued);
    cell_set(s->cells.in_flight, (double)s->n_in_flight);
    return true;
}

static int64_t shard_due_ms(const struct sender *s, const struct shard *shard)
{
    if (shard->in_flight) {
        return INT64_MAX;
    }
    int64_t due = queue_due_ms(s, shard);
    if (shard->parked.n > 0 && shard->probe_ms < due) {
        due = shard->probe_ms;
    }
    if (shard->current != NULL || shard->stack != NULL) {
        due = 0;
    }
    return due > shard->resume_ms ? due : shard->resume_ms;
}

int64_t sender_wait_ms(const struct sender *s, int64_t now_mono_ms, int64_t max_ms)
{
    int64_t wait = max_ms;
    for (uint32_t i = 0; i < s->o.n_shards; i++) {
        int64_t due = shard_due_ms(s, &s->shards[i]);
        if (due != INT64_MAX && due - now_mono_ms < wait) {
            wait = due - now_mono_ms;
        }
    }
    return wait > 0 ? wait : 0;
}

/* --- answers --- */

static void count_answer(struct sender *s, enum verdict verdict, const struct sender_answer *a)
{
    struct slice outcome = slice_str(verdict_outcome(verdict, a->status));
    cell_add(metrics_cell(s->metrics, M_RW_REQUESTS, &outcome), 1);
    histogram_observe(s->cells.seconds, a->seconds, 1);
}

/* The advice stands last and is kept whole: the store's words are cut. */
static void add_advice(const char *advice, char *text, size_t n_text)
{
    size_t n_advice = strlen(advice) + 3;
    size_t room = n_advice + 1 < n_text ? n_text - 1 - n_advice : 0;
    size_t n = utf8_fit(slice_str(text), room);
    (void)snprintf(text + n, n_text - n, " (%s)", advice);
}

static void answer_later(struct sender *s, struct shard *shard, enum verdict verdict,
                         const struct sender_answer *a, int64_t now_ms)
{
    char text[ERROR_BYTES];
    store_text(a->status == 0 ? slice_str(a->error) : a->body, text, sizeof text);
    if (a->denied && a->advice[0] != '\0') {
        add_advice(a->advice, text, sizeof text);
    }
    if (verdict == VERDICT_AUTH || verdict == VERDICT_MISROUTED) {
        enum notice notice = verdict == VERDICT_AUTH ? NOTICE_AUTH : NOTICE_MISROUTED;
        s->hooks.notice(s->hooks.ctx, notice, a->status, text);
    } else if (a->status != 0 || a->maybe_sent) {
        shard->current->maybe_there = true;
        cell_add(s->cells.retried, shard->current->n_points);
    }
    shard->resume_ms = now_ms + retry_ms(s, shard, a->retry_after_ms);
    shard->n_failures++;
}

/* Does the answer to a request of 2.0 come from a store that knows 1.0 only? */
static bool is_unversed(const struct shard *shard, const struct sender_answer *a)
{
    bool taken = a->status >= 200 && a->status < 300;
    return shard->version == WRITE_2 && (a->status == 415 || (taken && !a->counts_written));
}

/* Alarm while requests wait whatever is in them: for who asks, where, or in what form. */
static void denied_update(struct sender *s, const struct shard *shard, enum verdict verdict,
                          const struct sender_answer *a)
{
    bool unversed = is_unversed(shard, a);
    bool waits = verdict == VERDICT_AUTH || verdict == VERDICT_MISROUTED || unversed;
    bool falls_back = unversed && s->o.protocol == PROTOCOL_AUTO;
    if (waits || a->status != 0) {
        cell_set(s->cells.denied, waits && !falls_back ? 1 : 0);
    }
}

/* From now on 1.0, and this request again. */
static void fall_back(struct sender *s, struct shard *shard, const struct sender_answer *a)
{
    if (s->packer.version != WRITE_1) {
        s->packer.version = WRITE_1;
        s->hooks.notice(s->hooks.ctx, NOTICE_FALLBACK, a->status, "");
    }
    shard->resume_ms = 0;
}

bool sender_answer(struct sender *s, uint32_t shard_index, const struct sender_answer *a,
                   struct moment now, struct err *e)
{
    int64_t now_ms = now.mono_ms;
    s->wall_ms = now.wall_ms;
    struct shard *shard = &s->shards[shard_index];
    assert(shard->in_flight && shard->current != NULL);
    shard->in_flight = false;
    s->n_in_flight--;
    enum verdict verdict = a->denied ? VERDICT_AUTH : verdict_of(a->status, a->body);
    denied_update(s, shard, verdict, a);
    count_answer(s, verdict, a);
    if (a->sent_again) {
        shard->current->maybe_there = true;
    }
    /* What a store says after the assignment was lost is no longer ours to judge. */
    if (prune(s, shard->current)) {
        shard->body_ready = false;
    }
    if (work_is_empty(shard->current)) {
        free(shard->current);
        shard->current = NULL;
        return true;
    }
    if (is_unversed(shard, a)) {
        /* Taken it may have been all the same. */
        shard->current->maybe_there = shard->current->maybe_there || a->status != 415;
        if (s->o.protocol == PROTOCOL_AUTO) {
            fall_back(s, shard, a);
            return true;
        }
        answer_later(s, shard, VERDICT_MISROUTED, a, now_ms);
        return true;
    }
    if (verdict == VERDICT_TAKEN || (s->o.fault_no_retry && verdict == VERDICT_RETRY)) {
        bool probe = shard->current->probe;
        learn_duration(s, a->seconds);
        bisect_taken(shard, shard->current);
        work_taken(s, shard);
        shard->n_failures = 0;
        shard->n_limit_run = 0;
        if (probe) {
            limited_taken(shard, now_ms);
        }
        return true;
    }
    if (verdict == VERDICT_REFUSED || verdict == VERDICT_TOO_LARGE) {
        shard->n_failures = 0;
        shard->body_ready = false;
        return refused_handle(s, shard, verdict, a, now_ms, e);
    }
    answer_later(s, shard, verdict, a, now_ms);
    return true;
}

bool sender_has_room(const struct sender *s)
{
    return s->n_queued < s->o.max_queued_samples && s->n_queued_bytes < s->o.max_queued_bytes;
}

bool sender_is_idle(const struct sender *s)
{
    return s->n_queued == 0 && !gaps_any(&s->gaps);
}
