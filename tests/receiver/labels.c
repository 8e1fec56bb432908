#include "admit.h"

#include "base/utf8.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* [a-zA-Z_][a-zA-Z0-9_]*, for metric names with colons. */
static bool is_name(const char *s, bool colons)
{
    if (!is_letter(*s) && !(colons && *s == ':')) {
        return false;
    }
    for (; *s != '\0'; s++) {
        if (!is_letter(*s) && !(*s >= '0' && *s <= '9') && !(colons && *s == ':')) {
            return false;
        }
    }
    return true;
}

static bool beyond(size_t len, int64_t max)
{
    return max > 0 && (uint64_t)len > (uint64_t)max;
}

static enum reason label_check(const Prometheus__Label *label, const struct rules *r)
{
    size_t name_len = strlen(label->name);
    size_t value_len = strlen(label->value);
    if (name_len == 0 || value_len == 0) {
        return REASON_LABEL_EMPTY;
    }
    if (!utf8_valid(slice_of(label->name, name_len)) ||
        !utf8_valid(slice_of(label->value, value_len))) {
        return REASON_LABEL_UTF8;
    }
    if (!is_name(label->name, false)) {
        return REASON_BAD_LABEL;
    }
    if (strcmp(label->name, "__name__") == 0 && !is_name(label->value, true)) {
        return REASON_BAD_NAME;
    }
    if (beyond(name_len, r->max_label_name_bytes)) {
        return REASON_NAME_LONG;
    }
    return beyond(value_len, r->max_label_value_bytes) ? REASON_VALUE_LONG : REASON_NONE;
}

enum reason labels_check(const Prometheus__TimeSeries *ts, const struct rules *r)
{
    bool named = false;
    for (size_t i = 0; i < ts->n_labels; i++) {
        enum reason fault = label_check(ts->labels[i], r);
        if (fault != REASON_NONE) {
            return fault;
        }
        named = named || strcmp(ts->labels[i]->name, "__name__") == 0;
        int order = i == 0 ? -1 : strcmp(ts->labels[i - 1]->name, ts->labels[i]->name);
        if (order >= 0) {
            return order == 0 ? REASON_LABEL_TWICE : REASON_LABELS_UNSORTED;
        }
    }
    if (!named) {
        return REASON_NO_NAME;
    }
    return beyond(ts->n_labels, r->max_labels) ? REASON_LABELS_MANY : REASON_NONE;
}

void labels_key(const Prometheus__TimeSeries *ts, struct buf *key)
{
    for (size_t i = 0; i < ts->n_labels; i++) {
        buf_varint_bytes(key, slice_str(ts->labels[i]->name));
        buf_varint_bytes(key, slice_str(ts->labels[i]->value));
    }
}
