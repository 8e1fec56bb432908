#include "ledger/intent.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

/* --- as text --- */

void intent_print(const struct intent *i, struct buf *out)
{
    buf_printf(out,
               "{\"first\":%lld,\"last\":%lld,\"layout\":%s,\"rows\":%llu,\"topic_id\":\"%s\"}",
               (long long)i->first, (long long)i->last, i->layout, (unsigned long long)i->n_rows,
               i->topic_id);
}

static bool read_number(const json_t *root, const char *name, int64_t *out, struct err *e)
{
    const json_t *value = json_object_get(root, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) == INT64_MAX) {
        return err_set(e, ERR_BAD_INPUT, "intent: \"%s\" is no whole number", name);
    }
    *out = json_integer_value(value);
    return true;
}

static bool read_layout(const json_t *root, struct intent *out, struct err *e)
{
    const json_t *layout = json_object_get(root, "layout");
    char *text = json_is_object(layout)
                     ? json_dumps(layout, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII)
                     : NULL;
    bool ok = text != NULL && strlen(text) < sizeof out->layout;
    if (ok) {
        memcpy(out->layout, text, strlen(text) + 1);
    }
    free(text);
    return ok || err_set(e, ERR_BAD_INPUT, "intent: \"layout\" is no object, or too long");
}

/* Base64 for URLs, as Kafka's tools show an id. */
static const char id_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool read_topic_id(const json_t *root, struct intent *out, struct err *e)
{
    const char *id = json_string_value(json_object_get(root, "topic_id"));
    if (id == NULL || strlen(id) >= sizeof out->topic_id || id[strspn(id, id_chars)] != '\0') {
        return err_set(e, ERR_BAD_INPUT, "intent: \"topic_id\" is no topic's id");
    }
    memcpy(out->topic_id, id, strlen(id) + 1);
    return true;
}

bool intent_parse(struct slice text, struct intent *out, struct err *e)
{
    json_error_t why;
    int64_t n_rows = 0;
    if (text.len > INTENT_MAX_TEXT) {
        return err_set(e, ERR_BAD_INPUT, "intent: %zu bytes", text.len);
    }
    json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        return err_set(e, ERR_BAD_INPUT, "intent: no JSON: %s at byte %d", why.text, why.position);
    }
    bool ok = read_number(root, "first", &out->first, e) &&
              read_number(root, "last", &out->last, e) && read_number(root, "rows", &n_rows, e) &&
              read_layout(root, out, e) && read_topic_id(root, out, e);
    if (ok && (out->last < out->first || n_rows == 0)) {
        ok = err_set(e, ERR_BAD_INPUT, "intent: no rows, or \"last\" before \"first\"");
    }
    out->n_rows = (uint64_t)n_rows;
    json_decref(root);
    return ok;
}

/* --- the protocol --- */

void intent_begin(struct intent_log *l, int64_t committed, const struct intent *open)
{
    *l = (struct intent_log){
        .phase = INTENT_FILL, .first = committed, .position = committed, .last = -1};
    if (open != NULL) {
        l->phase = INTENT_REDO;
        l->last = open->last;
        l->n_expected = open->n_rows;
    }
}

bool intent_takes(const struct intent_log *l, int64_t offset)
{
    return l->phase == INTENT_FILL || (l->phase == INTENT_REDO && offset <= l->last);
}

void intent_took(struct intent_log *l, int64_t offset, uint64_t n_rows)
{
    assert(intent_takes(l, offset) && offset >= l->position);
    l->position = offset + 1;
    l->n_rows += n_rows;
    if (l->phase == INTENT_FILL && n_rows > 0) {
        l->last = offset;
    }
}

void intent_passed(struct intent_log *l, int64_t position)
{
    if (position > l->position && (l->phase == INTENT_FILL || l->phase == INTENT_REDO)) {
        l->position = position;
    }
}

enum intent_action intent_next(struct intent_log *l, bool due, bool idle)
{
    switch (l->phase) {
    case INTENT_FILL:
        if (l->n_rows > 0 && due) {
            l->phase = INTENT_ASKED;
            return INTENT_PLEDGE;
        }
        if (l->n_rows == 0 && idle && l->position > l->first) {
            l->phase = INTENT_FINAL;
            l->last = l->position - 1;
            return INTENT_SKIP;
        }
        return INTENT_NOTHING;
    case INTENT_REDO:
        if (l->position <= l->last && l->n_rows <= l->n_expected) {
            return INTENT_NOTHING;
        }
        l->phase = l->n_rows == l->n_expected ? INTENT_WRITE : INTENT_STOPPED;
        return l->phase == INTENT_WRITE ? INTENT_STORE : INTENT_HALT;
    case INTENT_ASKED:
    case INTENT_WRITE:
    case INTENT_FINAL:
    case INTENT_STOPPED:
        return INTENT_NOTHING;
    }
    return INTENT_NOTHING;
}

enum intent_action intent_committed(struct intent_log *l)
{
    if (l->phase == INTENT_ASKED) {
        l->phase = INTENT_WRITE;
        return INTENT_STORE;
    }
    assert(l->phase == INTENT_FINAL);
    int64_t position = l->position > l->last ? l->position : l->last + 1;
    intent_begin(l, l->last + 1, NULL);
    l->position = position;
    return INTENT_NOTHING;
}

enum intent_action intent_stored(struct intent_log *l)
{
    assert(l->phase == INTENT_WRITE);
    l->phase = INTENT_FINAL;
    return INTENT_CLOSE;
}
