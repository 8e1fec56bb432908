#include "redrive.h"

#include "batch/keep.h"
#include "record_writer.h"
#include "redrive_count.h"
#include "redrive_passed.h"
#include "stage/journal.h"
#include "stage/topics.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEND_BYTES = 256 << 20, ARENA_BYTES = 64 << 20, VALUE_BYTES = 256 };
static const char prefix[] = "redriven/";

struct redrive {
    const struct tool *tool;
    const char *policy;
    rd_kafka_t *rk;
    struct kafka_settings own; /* a name of its own: whoever comes later fences who was before */
    struct journal *journal;   /* owned; NULL: a dry run */
    struct again *again;
    struct redrive_letters letters;
    struct redrive_count count;
    struct table marks;  /* keys of letters that were redriven */
    struct table passed; /* points of the record that validate let pass at once */
    struct table sent;   /* points of the record that go now */
    struct outbox out;   /* one record's batches, and marks */
    struct arena arena;
    struct buf shape;
    struct buf value;
    struct progress told;
};

/* --- marks --- */

static bool mark_take(void *ctx, const struct record *r, struct err *e)
{
    struct redrive *d = ctx;
#if SLUICE_FAULTS
    if (config_bool(d->tool->config, "fault.forget_marks")) {
        return true;
    }
#endif
    if (!slice_starts_with(r->key, slice_str(prefix)) || r->value.len == 0) {
        return true;
    }
    return table_put(&d->marks, hash128(r->key), d, 0) || err_set(e, ERR_FATAL, "out of memory");
}

static bool marks_read(struct redrive *d, struct err *e)
{
    return journal_read(&d->own, config_str(d->tool->config, "replay_topic"), mark_take, d, e);
}

static bool is_marked(struct redrive *d, const struct redrive_letter *l)
{
    return table_find(&d->marks, hash128(slice_str(l->key))) != NULL;
}

static bool mark_put(struct redrive *d, const struct redrive_letter *l, uint64_t n, struct err *e)
{
    char text[VALUE_BYTES];
    int len = snprintf(text, sizeof text,
                       "{\"at_ms\":%" PRId64 ",\"letter\":\"%" PRId32 "/%" PRId64
                       "\",\"redriven\":\"%016" PRIx64 "\",\"samples\":%" PRIu64 "}",
                       clock_now_ms(), l->partition, l->offset, l->id, n);
    const struct outgoing r = {.output = 1,
                               .key = slice_str(l->key),
                               .value = slice_of((const uint8_t *)text, (size_t)len)};
    return outbox_put(&d->out, &r, e) && (table_put(&d->marks, hash128(slice_str(l->key)), d, 0) ||
                                          err_set(e, ERR_FATAL, "out of memory"));
}

/* --- a letter --- */

/* Does the point go? Then it does not again, for another letter of the record. */
static bool point_take(struct redrive *d, const struct redrive_letter *l, size_t at,
                       struct hash128 series, int64_t time_ms, bool *is_kept, struct err *e)
{
    struct hash128 key = passed_key(series, time_ms);
    *is_kept = again_claims(d->again, at, series, time_ms) && table_find(&d->sent, key) == NULL &&
               (l->is_limits || table_find(&d->passed, key) == NULL);
    return !*is_kept || passed_add(&d->sent, series, time_ms, e);
}

static bool kept_put(struct redrive *d, const struct redrive_letter *l, const struct again_batch *a,
                     const struct batch_column *columns, const struct series *const *kept,
                     uint32_t n_kept, struct err *e)
{
    struct batch b = a->batch;
    uint8_t key[sizeof b.source];
    b.redriven = l->id;
    memcpy(key, &b.source, sizeof key);
    buf_reset(&d->shape);
    buf_reset(&d->value);
    if (!shape_encode(a->shape.source_name, kept, n_kept, &d->arena, &d->shape, e) ||
        !batch_keep(&b, columns, a->shape.n_series, buf_slice(&d->shape), &d->arena, &d->value,
                    e)) {
        return false;
    }
    const struct outgoing r = {.output = 0,
                               .partition = a->partition,
                               .key = slice_of(key, sizeof key),
                               .value = buf_slice(&d->value)};
    return (buf_ok(&d->shape) && buf_ok(&d->value)) ? outbox_put(&d->out, &r, e)
                                                    : err_set(e, ERR_FATAL, "out of memory");
}

/* The batch's points that the letter is about, as a batch of the redrive. */
static bool batch_put(struct redrive *d, const struct redrive_letter *l, size_t at,
                      const struct again_batch *a, uint64_t *n_sent, struct err *e)
{
    const struct shape *s = &a->shape;
    arena_reset(&d->arena);
    struct batch_column *columns = ARENA_ARRAY(&d->arena, struct batch_column, s->n_series);
    const struct series **kept = ARENA_ARRAY(&d->arena, const struct series *, s->n_series);
    uint32_t n = 0;
    if (columns == NULL || kept == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < s->n_series; i++) {
        bool is_kept;
        if (!point_take(d, l, at, s->series[i].id, a->times_ms[i], &is_kept, e)) {
            return false;
        }
        columns[i] = (struct batch_column){(uint8_t)s->series[i].kind, is_kept,
                                           (uint16_t)s->series[i].n_bounds};
        if (is_kept) {
            kept[n++] = &s->series[i];
        }
    }
    *n_sent += n;
    return n == 0 || kept_put(d, l, a, columns, kept, n, e);
}

/* How many of what the policy lets in now the letter may be about. */
static uint64_t n_claimed(const struct redrive *d, size_t at)
{
    uint64_t n = 0;
    for (size_t i = 0; i < again_n_batches(d->again); i++) {
        const struct again_batch *a = again_batch_at(d->again, i);
        for (uint32_t k = 0; k < a->shape.n_series; k++) {
            n += again_claims(d->again, at, a->shape.series[k].id, a->times_ms[k]);
        }
    }
    return n;
}

/* Without what passed at once: then the points are those refused if they are as many, and nothing
 * of the metric is refused any more. */
static bool is_clear(const struct redrive *d, const struct redrive_letter *l, size_t at,
                     bool is_known)
{
    return is_known || l->is_limits || l->is_whole ||
           (n_claimed(d, at) == (uint64_t)l->n_samples &&
            again_refusal(d->again, l->metric) == NULL);
}

static bool letter_redrive(struct redrive *d, const struct redrive_letter *l, size_t at,
                           bool is_known, struct err *e)
{
    uint64_t n_sent = 0;
    if (!is_clear(d, l, at, is_known)) {
        d->count.n_unclear++;
        return true;
    }
    for (size_t i = 0; i < again_n_batches(d->again); i++) {
        if (!batch_put(d, l, at, again_batch_at(d->again, i), &n_sent, e)) {
            return false;
        }
    }
    const char *reason = again_refusal(d->again, l->metric);
    uint64_t n_asked = l->is_whole ? n_sent > 0 ? n_sent : 1 : l->n_points;
    d->count.n_redriven += n_sent > 0;
    d->count.n_samples += n_sent;
    if (!l->is_whole && (uint64_t)l->n_samples > l->n_points) {
        d->count.n_unlisted += (uint64_t)l->n_samples - l->n_points;
    }
    return redrive_refused_add(&d->count, reason == NULL ? "not_found" : reason,
                               n_asked > n_sent ? n_asked - n_sent : 0, e) &&
           (n_sent == 0 || mark_put(d, l, n_sent, e));
}

/* --- the letters of a record --- */

static bool commit(struct redrive *d, struct err *e)
{
    struct journal_record *records;
    const char *valid = config_str(d->tool->config, "valid_topic");
    if (d->out.n == 0 || d->journal == NULL) {
        return true;
    }
    records = calloc(d->out.n, sizeof *records);
    if (records == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (size_t i = 0; i < d->out.n; i++) {
        const struct outgoing *r = &d->out.records[i];
        records[i] = (struct journal_record){.topic = r->output == 0 ? valid : NULL,
                                             .partition = r->output == 0 ? r->partition : 0,
                                             .key = r->key,
                                             .value = r->value};
    }
    bool ok = journal_put_all(d->journal, records, d->out.n, e);
    free(records);
    return ok;
}

static void lost_count(struct redrive *d, enum again_state state, uint64_t n)
{
    uint64_t *count = state == AGAIN_PAST_RETENTION ? &d->count.n_past_retention
                      : state == AGAIN_OTHER_TOPIC  ? &d->count.n_other_topic
                                                    : &d->count.n_gone;
    *count += n;
}

/* Is there a letter for which it counts what passed at once? */
static bool must_know(struct redrive *d, const struct redrive_letter *letters, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!letters[i].is_limits && !letters[i].is_whole && !is_marked(d, &letters[i]) &&
            n_claimed(d, i) > 0) {
            return true;
        }
    }
    return false;
}

static bool record_redrive(struct redrive *d, const struct redrive_letter *letters, size_t n,
                           struct err *e)
{
    enum again_state state;
    bool is_known = true;
    size_t n_before = 0;
    for (size_t i = 0; i < n; i++) {
        n_before += is_marked(d, &letters[i]);
    }
    if (n_before == n) {
        d->count.n_before += n;
        return true;
    }
    if (!again_judge(d->again, d->rk, letters, n, &state, e)) {
        return false;
    }
    if (state != AGAIN_JUDGED) {
        d->count.n_before += n_before;
        lost_count(d, state, n - n_before);
        return true;
    }
    table_clear(&d->passed);
    table_clear(&d->sent);
    outbox_reset(&d->out);
    if (must_know(d, letters, n) &&
        !passed_read(d->tool, d->rk, letters, d->again, &d->passed, &is_known, e)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_marked(d, &letters[i])) { /* or the same letter, which validate wrote once more */
            d->count.n_before++;
        } else if (!letter_redrive(d, &letters[i], i, is_known, e)) {
            return false;
        }
    }
    return commit(d, e);
}

/* On a terminal alone, where somebody waits. */
static void progress(struct redrive *d, size_t done)
{
    if (progress_due(&d->told)) {
        (void)fprintf(stderr, "%zu of %zu letters\n", done, d->letters.n);
    }
}

static bool all_redrive(struct redrive *d, struct err *e)
{
    const struct redrive_letters *l = &d->letters;
    size_t n;
    for (size_t i = 0; i < l->n; i += n) {
        for (n = 1; i + n < l->n && redrive_same_origin(&l->items[i], &l->items[i + n]); n++) {
        }
        if (!record_redrive(d, &l->items[i], n, e)) {
            return err_wrap(e, "after %zu of %zu letters; the same call goes on", i, l->n);
        }
        progress(d, i + n);
    }
    return true;
}

/* --- the command --- */

/* Who has which letters sent in again, and through which policy. */
static bool note(const struct redrive *d, struct err *e)
{
    const char *const *values = d->tool->command->values;
    json_t *detail = json_pack("{s:I, s:s?, s:s?, s:s?, s:s?, s:s?, s:s}", "letters",
                               (json_int_t)d->letters.n, "tenant", values[OPTION_TENANT], "reason",
                               values[OPTION_REASON], "stage", values[OPTION_STAGE], "from",
                               values[OPTION_FROM], "to", values[OPTION_TO], "policy", d->policy);
    char *text = json_dumps(detail, JSON_COMPACT);
    bool ok = text != NULL ? act_note(d->tool, "dlq redrive",
                                      config_str(d->tool->config, "dlq_topic"), text, e)
                           : err_set(e, ERR_FATAL, "out of memory");
    free(text);
    json_decref(detail);
    return ok;
}

static bool allowed(struct redrive *d, struct err *e)
{
    char question[160];
    (void)snprintf(question, sizeof question,
                   "send what %zu letters are about in again, as far as the policy lets it?",
                   d->letters.n);
    return tool_confirm(d->tool, question, e) && note(d, e) &&
           journal_open(&d->own, config_str(d->tool->config, "replay_topic"), &d->journal, e);
}

static bool open_all(struct redrive *d, struct err *e)
{
    const struct config *c = d->tool->config;
    uint32_t n_dlq;
    uint32_t n_valid;
    uint8_t id[16];
    char dlq_id[TOPIC_ID_CHARS + 1];
    if (!tool_connect(d->tool, KAFKA_READER, &d->rk, e) ||
        !topic_describe(d->rk, config_str(c, "valid_topic"), &n_valid, id, e) ||
        !topic_describe(d->rk, config_str(c, "dlq_topic"), &n_dlq, id, e)) {
        return false;
    }
    topic_id_text(id, dlq_id);
    return again_new(d->tool, d->policy, n_valid, &d->again, e) && marks_read(d, e) &&
           redrive_letters_read(d->tool, dlq_id, &d->marks, &d->letters, e);
}

static bool run(struct redrive *d, struct err *e)
{
    bool is_dry = d->tool->command->values[OPTION_DRY_RUN] != NULL;
    d->count.refused = json_object();
    if (!open_all(d, e)) {
        return false;
    }
    d->count.n_before = d->letters.n_before;
    d->count.n_letters = d->letters.n + d->letters.n_before;
    return d->letters.n == 0 || /* the marks of whoever was fenced are there by now */
           ((is_dry || (allowed(d, e) && marks_read(d, e))) && all_redrive(d, e));
}

static bool arguments_check(const struct tool *t, const char **policy, struct err *e)
{
    const char *stage = t->command->values[OPTION_STAGE];
    *policy = t->command->values[OPTION_POLICY];
    *policy = *policy == NULL ? config_str(t->config, "policy") : *policy;
    if ((*policy)[0] == '\0') {
        return err_set(e, ERR_CONFIG, "dlq redrive: through which policy? --policy FILE");
    }
    if (stage != NULL && strcmp(stage, "amp") == 0) {
        return err_set(
            e, ERR_CONFIG,
            "--stage amp: what the store has refused can't go through a series topic; plan "
            "replay --stage amp sends what it takes by now");
    }
    return stage == NULL || strcmp(stage, "validate") == 0 || strcmp(stage, "limit") == 0 ||
           err_set(e, ERR_CONFIG, "--stage %.40s: validate or limit", stage);
}

static void redrive_fini(struct redrive *d)
{
    journal_close(d->journal);
    again_free(d->again);
    redrive_letters_fini(&d->letters);
    json_decref(d->count.refused);
    table_fini(&d->marks);
    table_fini(&d->passed);
    table_fini(&d->sent);
    outbox_fini(&d->out);
    arena_fini(&d->arena);
    buf_fini(&d->shape);
    buf_fini(&d->value);
    tool_disconnect(d->rk);
}

bool dlq_redrive(const struct tool *t, int *code, struct err *e)
{
    struct redrive d = {.tool = t, .own = t->kafka};
    if (!arguments_check(t, &d.policy, e)) {
        return false;
    }
    d.own.group = "sluice-redrive";
    d.own.instance = "redrive";
    table_init(&d.marks, 0, NULL);
    table_init(&d.passed, 0, NULL);
    table_init(&d.sent, 0, NULL);
    outbox_init(&d.out, SEND_BYTES);
    arena_init(&d.arena, ARENA_BYTES);
    buf_init(&d.shape, shape_default_caps.max_bytes);
    buf_init(&d.value, batch_default_caps.max_bytes);
    bool ok = run(&d, e) && redrive_count_print(t, &d.count, &d.letters, e);
    if (ok && !redrive_is_whole(&d.count, &d.letters)) {
        *code = TOOL_DIFFERS;
    }
    redrive_fini(&d);
    return ok;
}
