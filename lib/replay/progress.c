#include "replay/progress.h"

#include "base/table.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char topic_name[] = "sluice.replay";
static const char key_prefix[] = "plan/";

enum { MAX_NOTES_BYTES = 256 << 20, MAX_NAME = 200 };

const char *replay_state_name(enum replay_state state)
{
    static const char *const names[] = {"new", "open", "done", "abandoned"};
    return names[state];
}

static enum replay_state state_of(const json_t *note)
{
    const char *name = json_string_value(json_object_get(note, "state"));
    for (int i = REPLAY_OPEN; name != NULL && i <= REPLAY_ABANDONED; i++) {
        if (strcmp(name, replay_state_name((enum replay_state)i)) == 0) {
            return (enum replay_state)i;
        }
    }
    return REPLAY_NEW;
}

/* --- reading --- */

/* The newest note of each plan. */
static void note_free(void *note)
{
    json_decref(note);
}

static bool note_take(void *ctx, const struct record *r, struct err *e)
{
    struct table *notes = ctx;
    if (!slice_starts_with(r->key, SLICE_LITERAL(key_prefix))) {
        return true; /* other tools' */
    }
    struct hash128 key = hash128(r->key);
    json_t *note = r->value.ptr == NULL
                       ? NULL
                       : json_loadb((const char *)r->value.ptr, r->value.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(note)) {
        json_decref(note);
        (void)table_remove(notes, key);
        return true;
    }
    if (!table_put(notes, key, note, r->value.len)) {
        json_decref(note);
        return err_set(e, ERR_RETRY, "out of memory for %s", topic_name);
    }
    return true;
}

static bool is_text(const json_t *note, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(note, name));
    return value != NULL && strcmp(value, text) == 0;
}

/* Has the plan offsets of the note's spans? */
static bool overlaps(const json_t *note, const struct replay_plan *plan)
{
    size_t i;
    json_t *span;
    json_array_foreach(json_object_get(note, "spans"), i, span)
    {
        json_int_t partition = json_integer_value(json_array_get(span, 0));
        json_int_t first = json_integer_value(json_array_get(span, 1));
        json_int_t last = json_integer_value(json_array_get(span, 2));
        for (size_t k = 0; k < plan->n_pieces; k++) {
            const struct replay_piece *p = &plan->pieces[k];
            if (p->partition == partition && p->first <= last && first <= p->last) {
                return true;
            }
        }
    }
    return false;
}

static bool others_check(const struct table *notes, const struct replay_plan *plan, struct err *e)
{
    size_t at = 0;
    const json_t *note;
    while ((note = table_next(notes, &at)) != NULL) {
        if (state_of(note) == REPLAY_OPEN && !is_text(note, "plan", plan->id) && is_text(note, "stage", plan->stage) &&
            is_text(note, "sink", plan->sink) && is_text(note, "topic_id", plan->topic_id) && overlaps(note, plan)) {
            const char *other = json_string_value(json_object_get(note, "plan"));
            return err_set(e, ERR_CONFIG,
                           "plan %.20s has offsets of this one and is not at its end: apply that one to its end "
                           "first, or give it up (apply ITS-FILE --abandon; if that is lost: --instead-of its id)",
                           other == NULL ? "?" : other);
        }
    }
    return true;
}

static void key_print(const char *id, char out[MAX_NAME])
{
    (void)snprintf(out, MAX_NAME, "%s%.100s", key_prefix, id);
}

static uint64_t number_of(const json_t *note, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(note, name));
    return n < 0 ? 0 : (uint64_t)n;
}

static bool own_read(struct table *notes, const struct replay_plan *plan, struct replay_progress *out, struct err *e)
{
    char key[MAX_NAME];
    key_print(plan->id, key);
    const json_t *note = table_find(notes, hash128(slice_str(key)));
    *out = (struct replay_progress){.state = REPLAY_NEW};
    if (note == NULL) {
        return true;
    }
    *out = (struct replay_progress){
        .state = state_of(note),
        .n_pieces = number_of(note, "pieces_done"),
        .counts = {number_of(note, "done"), number_of(note, "skipped"), number_of(note, "refused")}};
    return (out->state != REPLAY_NEW && out->n_pieces <= plan->n_pieces) ||
           err_set(e, ERR_CONFIG, "%s has no note of this plan that can be gone on from; make a new plan", topic_name);
}

bool replay_progress_read(const struct kafka_settings *s, const struct replay_plan *plan, struct replay_progress *out,
                          struct err *e)
{
    struct table notes;
    table_init(&notes, MAX_NOTES_BYTES, note_free);
    bool ok = journal_read(s, topic_name, note_take, &notes, e) && own_read(&notes, plan, out, e) &&
              others_check(&notes, plan, e);
    table_fini(&notes);
    return ok;
}

/* --- writing --- */

/* From the first piece of each partition to its last. */
static json_t *spans_json(const struct replay_plan *plan)
{
    json_t *spans = json_array();
    for (size_t i = 0; i < plan->n_pieces; i++) {
        const struct replay_piece *first = &plan->pieces[i];
        while (i + 1 < plan->n_pieces && plan->pieces[i + 1].partition == first->partition) {
            i++;
        }
        (void)json_array_append_new(spans, json_pack("[I, I, I]", (json_int_t)first->partition, (json_int_t)first->first,
                                                     (json_int_t)plan->pieces[i].last));
    }
    return spans;
}

bool replay_progress_put(struct journal *j, const struct replay_plan *plan, const struct replay_progress *p,
                         struct err *e)
{
    char key[MAX_NAME];
    key_print(plan->id, key);
    json_t *note = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "plan", plan->id, "state",
                             replay_state_name(p->state), "stage", plan->stage, "sink", plan->sink, "topic_id",
                             plan->topic_id, "pieces", (json_int_t)plan->n_pieces, "pieces_done",
                             (json_int_t)p->n_pieces, "done", (json_int_t)p->counts.n_done, "skipped",
                             (json_int_t)p->counts.n_skipped, "refused", (json_int_t)p->counts.n_refused, "spans",
                             spans_json(plan));
    char *text = note == NULL ? NULL : json_dumps(note, JSON_COMPACT);
    json_decref(note);
    if (text == NULL) {
        return err_set(e, ERR_RETRY, "out of memory for a note");
    }
    bool ok = journal_put(j, slice_str(key), slice_str(text), e);
    free(text);
    return ok;
}

bool replay_progress_open(const struct kafka_settings *s, const struct replay_plan *plan, struct journal **out,
                          struct err *e)
{
    char name[MAX_NAME];
    struct kafka_settings own = *s;
    (void)snprintf(name, sizeof name, "%s-%s", plan->stage, plan->topic_id);
    own.group = "sluice-replay";
    own.instance = name;
    return journal_open(&own, topic_name, out, e);
}

/* --- another's --- */

static bool other_check(const json_t *note, const struct replay_plan *plan, const char *id, struct err *e)
{
    return (note != NULL && is_text(note, "stage", plan->stage) && is_text(note, "topic_id", plan->topic_id)) ||
           err_set(e, ERR_CONFIG, "--instead-of %.40s: %s tells of no such plan of %s and this topic", id, topic_name,
                   plan->stage);
}

static bool other_put(struct journal *j, json_t *note, const char *key, struct err *e)
{
    json_t *state = json_string(replay_state_name(REPLAY_ABANDONED));
    char *text = json_object_set_new(note, "state", state) == 0 ? json_dumps(note, JSON_COMPACT) : NULL;
    bool ok = text != NULL ? journal_put(j, slice_str(key), slice_str(text), e)
                           : err_set(e, ERR_RETRY, "out of memory for a note");
    free(text);
    return ok;
}

/* Whoever is at work on the other one is fenced before it is looked at. */
bool replay_progress_give_up(const struct kafka_settings *s, const struct replay_plan *plan, const char *other_id,
                             struct err *e)
{
    char key[MAX_NAME];
    struct table notes;
    struct journal *j = NULL;
    table_init(&notes, MAX_NOTES_BYTES, note_free);
    key_print(other_id, key);
    bool ok = replay_progress_open(s, plan, &j, e) && journal_read(s, topic_name, note_take, &notes, e);
    json_t *note = ok ? table_find(&notes, hash128(slice_str(key))) : NULL;
    ok = ok && other_check(note, plan, other_id, e) && (state_of(note) != REPLAY_OPEN || other_put(j, note, key, e));
    journal_close(j);
    table_fini(&notes);
    return ok;
}
