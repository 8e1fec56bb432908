#include "stored.h"

bool stored_label_add(struct stored_series *s, struct slice name, struct slice value)
{
    if (s->n_labels == MAX_STORED_LABELS) {
        return false;
    }
    if (slice_eq_str(name, "__name__")) {
        s->metric = value;
    }
    s->labels[s->n_labels++] = (struct label){name, value};
    return true;
}

bool stored_labels_json(struct stored_series *s, json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        const char *text = json_string_value(value);
        if (text == NULL || !stored_label_add(s, slice_str(name), slice_str(text))) {
            return false;
        }
    }
    return json_is_object(object);
}

void stored_match(struct stored_series *s, struct reader *r)
{
    s->match = matcher_find(r->matcher, s->metric, s->labels, s->n_labels, &s->server, &s->series);
}

void stored_see(const struct stored_series *s, struct reader *r, struct sighting *seen)
{
    r->n_read += seen->n_times;
    if (s->match == MATCH_OTHER) {
        r->ledger->n_other += seen->n_times;
    } else if (s->match == MATCH_UNEXPECTED) {
        ledger_unexpected(r->ledger, seen->n_times, s->metric, s->labels, s->n_labels,
                          seen->time_ms);
    } else {
        seen->server = s->server;
        seen->series = s->series;
        ledger_see(r->ledger, seen);
    }
}
