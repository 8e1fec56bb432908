#include "policy/control.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_TENANT_BYTES = 128,
    MAX_TEXT_BYTES = 512,
    MAX_LABEL_BYTES = 1024,
    MAX_SOURCE_SERIES = 20000,
    MAX_NAME_BYTES = 249, /* of a topic; of a group here too */
};
#define MAX_VALUE INT64_C(1000000000)
#define MAX_TIME_MS INT64_C(253402300799999) /* the year 9999 */

/* Reads fields of one object; the first failure stays. */
struct reader {
    json_t *object;
    uint8_t *free; /* where the next string goes: the rule's block has room for the whole record */
    size_t n_read;
    bool failed;
    struct err *e;
};

static void fail(struct reader *in, const char *field, const char *cause)
{
    if (!in->failed) {
        in->failed = true;
        (void)err_set(in->e, ERR_BAD_INPUT, "%s: %s", field, cause);
    }
}

/* NULL: absent. */
static json_t *field(struct reader *in, const char *name)
{
    json_t *value = json_object_get(in->object, name);
    in->n_read += value != NULL;
    return value;
}

static struct slice keep(struct reader *in, struct slice text)
{
    struct slice copy = slice_of(in->free, text.len);
    if (text.len > 0) {
        memcpy(in->free, text.ptr, text.len);
    }
    in->free += text.len;
    return copy;
}

static struct slice take_text(struct reader *in, const char *name, const json_t *value,
                              size_t max_bytes)
{
    char cause[64];
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len == 0 || len > max_bytes) {
        (void)snprintf(cause, sizeof cause, "must be a string of 1 to %zu bytes", max_bytes);
        fail(in, name, cause);
        return SLICE_NONE;
    }
    return keep(in, slice_of(json_string_value(value), len));
}

static struct slice text(struct reader *in, const char *name, bool needed, size_t max_bytes)
{
    const json_t *value = field(in, name);
    if (value == NULL && needed) {
        fail(in, name, "is missing");
    }
    return value == NULL ? SLICE_NONE : take_text(in, name, value, max_bytes);
}

static bool is_name(struct slice s, size_t max_bytes)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-')) {
            return false;
        }
    }
    return s.len >= 1 && s.len <= max_bytes;
}

static struct slice tenant(struct reader *in, bool needed)
{
    struct slice name = text(in, "tenant", needed, MAX_TENANT_BYTES);
    if (name.len > 0 && !is_name(name, MAX_TENANT_BYTES)) {
        fail(in, "tenant", "a tenant's name has letters, digits, _ and - only");
    }
    return name;
}

static int64_t number(struct reader *in, const char *name, int64_t min, int64_t max)
{
    const json_t *value = field(in, name);
    char cause[96];
    if (value == NULL) {
        fail(in, name, "is missing");
    } else if (!json_is_integer(value) || json_integer_value(value) < min ||
               json_integer_value(value) > max) {
        (void)snprintf(cause, sizeof cause, "must be an integer from %" PRId64 " to %" PRId64, min,
                       max);
        fail(in, name, cause);
    } else {
        return json_integer_value(value);
    }
    return min;
}

/* The index in choices. */
static unsigned choice(struct reader *in, const char *name, const char *const *choices, unsigned n)
{
    const json_t *value = field(in, name);
    const char *got = value == NULL ? NULL : json_string_value(value);
    char cause[120] = "must be one of";
    for (unsigned i = 0; i < n; i++) {
        if (got != NULL && strcmp(got, choices[i]) == 0) {
            return i;
        }
        size_t used = strlen(cause);
        (void)snprintf(cause + used, sizeof cause - used, "%s %s", i == 0 ? "" : ",", choices[i]);
    }
    fail(in, name, value == NULL ? "is missing" : cause);
    return 0;
}

static void labels(struct reader *in, struct control_rule *r, struct control_label *out)
{
    json_t *object = field(in, "labels");
    if (object == NULL) {
        return;
    }
    if (!json_is_object(object) || json_object_size(object) > CONTROL_MAX_LABELS) {
        fail(in, "labels", "must be an object of at most 64 label names and patterns");
        return;
    }
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (name[0] == '\0') {
            fail(in, "labels", "a label's name is empty");
        }
        struct control_label *label = &out[r->n_labels++];
        label->name = keep(in, slice_str(name));
        label->value = take_text(in, "labels", value, MAX_LABEL_BYTES);
    }
    r->labels = out;
}

static void read_kill(struct reader *in, struct control_rule *r, struct control_label *out)
{
    static const char *const actions[] = {"drop", "sample"};
    r->tenant = tenant(in, true);
    r->metric = text(in, "metric", false, MAX_LABEL_BYTES);
    labels(in, r, out);
    if (choice(in, "action", actions, 2) == 1) {
        r->sample_n = (uint32_t)number(in, "sample_n", 2, CONTROL_MAX_SAMPLE_N);
    } else if (field(in, "sample_n") != NULL) {
        fail(in, "sample_n", "goes with the action sample only");
    }
}

static void read_limit(struct reader *in, struct control_rule *r)
{
    static const char *const budgets[] = {"source", "metric", "tenant", "samples_per_second"};
    r->tenant = tenant(in, true);
    r->budget = (enum control_budget)choice(in, "budget", budgets, N_CONTROL_BUDGETS);
    r->value = number(in, "value", 1, r->budget == CONTROL_SOURCE ? MAX_SOURCE_SERIES : MAX_VALUE);
    r->metric = text(in, "metric", r->budget == CONTROL_METRIC, MAX_LABEL_BYTES);
    if (r->metric.len > 0 && r->budget != CONTROL_METRIC) {
        fail(in, "metric", "goes with the budget metric only");
    }
}

static void read_shed(struct reader *in, struct control_rule *r)
{
    static const char *const classes[] = {"standard", "verbose"}; /* critical is never shed */
    r->class = choice(in, "class", classes, 2) == 0 ? CLASS_STANDARD : CLASS_VERBOSE;
    r->tenant = tenant(in, false);
}

static bool flag(struct reader *in, const char *name)
{
    const json_t *value = field(in, name);
    if (value != NULL && !json_is_boolean(value)) {
        fail(in, name, "must be true or false");
    }
    return json_is_true(value);
}

static void partitions(struct reader *in, struct control_rule *r, int32_t *out)
{
    const json_t *list = field(in, "partitions");
    size_t n = json_array_size(list);
    if (list == NULL) {
        return;
    }
    if (!json_is_array(list) || n == 0 || n > CONTROL_MAX_PARTITIONS) {
        fail(in, "partitions", "must be an array of 1 to 512 numbers");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *number = json_array_get(list, i);
        json_int_t value = json_integer_value(number);
        if (!json_is_integer(number) || value < 0 || value > INT32_MAX) {
            fail(in, "partitions", "must be numbers from 0 on");
            return;
        }
        out[r->n_partitions++] = (int32_t)value;
    }
    r->partitions = out;
}

static void read_pause(struct reader *in, struct control_rule *r, int32_t *out)
{
    r->group = text(in, "group", true, MAX_NAME_BYTES);
    r->topic = text(in, "topic", false, MAX_NAME_BYTES);
    partitions(in, r, out);
    r->leaves = flag(in, "leaves");
    if (r->n_partitions > 0 && r->topic.len == 0) {
        fail(in, "partitions", "goes with a topic only");
    }
    if (r->leaves && r->topic.len > 0) {
        fail(in, "leaves", "goes with the whole group only");
    }
}

static void read_common(struct reader *in, struct slice id, struct control_rule *r)
{
    (void)field(in, "kind");
    r->id = text(in, "id", true, CONTROL_MAX_ID_BYTES);
    if (!slice_eq(r->id, id)) {
        fail(in, "id", "is not the record's key");
    }
    r->who = text(in, "who", true, MAX_TEXT_BYTES);
    r->reason = text(in, "reason", true, MAX_TEXT_BYTES);
    r->created_ms = number(in, "created_ms", 1, MAX_TIME_MS);
    r->expires_ms = number(in, "expires_ms", 1, MAX_TIME_MS);
    if (r->expires_ms <= r->created_ms || r->expires_ms - r->created_ms > CONTROL_MAX_TTL_MS) {
        fail(in, "expires_ms", "must be after created_ms, by 30 days at most");
    }
}

/* N_CONTROL_KINDS: not known here, or (e set) not a kind. */
static enum control_kind kind_of(struct reader *in)
{
    const json_t *value = json_object_get(in->object, "kind");
    if (!json_is_string(value)) {
        fail(in, "kind", value == NULL ? "is missing" : "must be a string");
        return N_CONTROL_KINDS;
    }
    int kind = 0;
    while (kind < N_CONTROL_KINDS &&
           strcmp(json_string_value(value), control_kind_name(kind)) != 0) {
        kind++;
    }
    return (enum control_kind)kind;
}

static bool read_rule(struct reader *in, struct slice id, struct slice json, enum control_kind kind,
                      struct control_rule **out)
{
    size_t n_labels = json_object_size(json_object_get(in->object, "labels"));
    size_t n_partitions = json_array_size(json_object_get(in->object, "partitions"));
    n_labels = n_labels > CONTROL_MAX_LABELS ? 0 : n_labels;
    n_partitions = n_partitions > CONTROL_MAX_PARTITIONS ? 0 : n_partitions;
    struct control_rule *r = calloc(1, sizeof *r + n_labels * sizeof(struct control_label) +
                                           n_partitions * sizeof(int32_t) + json.len);
    if (r == NULL) {
        return err_set(in->e, ERR_FATAL, "control rule: out of memory");
    }
    struct control_label *room = (struct control_label *)(r + 1);
    int32_t *numbers = (int32_t *)(room + n_labels);
    in->free = (uint8_t *)(numbers + n_partitions);
    r->kind = kind;
    r->content = hash128(json);
    read_common(in, id, r);
    switch (kind) {
    case CONTROL_KILL:
        read_kill(in, r, room);
        break;
    case CONTROL_LIMIT:
        read_limit(in, r);
        break;
    case CONTROL_PAUSE:
        read_pause(in, r, numbers);
        break;
    default:
        read_shed(in, r);
    }
    if (in->failed) {
        control_free(r);
        return false;
    }
    *out = r;
    return true;
}

bool control_parse(struct slice id, struct slice json, struct control_rule **out,
                   uint32_t *n_unknown_fields, struct err *e)
{
    *out = NULL;
    *n_unknown_fields = 0;
    if (!is_name(id, CONTROL_MAX_ID_BYTES)) {
        return err_set(e, ERR_BAD_INPUT, "key: must be 1 to %d letters, digits, _ or -",
                       CONTROL_MAX_ID_BYTES);
    }
    if (json.len > CONTROL_MAX_BYTES) {
        return err_set(e, ERR_BAD_INPUT, "%.*s: has %zu bytes, %d are the most", SLICE_ARG(id),
                       json.len, CONTROL_MAX_BYTES);
    }
    json_error_t error;
    json_t *object = json_loadb((const char *)json.ptr, json.len, JSON_REJECT_DUPLICATES, &error);
    struct reader in = {.object = object, .e = e};
    bool ok = json_is_object(object) || err_set(e, ERR_BAD_INPUT, "not a JSON object: %s",
                                                object == NULL ? error.text : "other JSON");
    enum control_kind kind = ok ? kind_of(&in) : N_CONTROL_KINDS;
    ok = ok && !in.failed;
    if (ok && kind != N_CONTROL_KINDS) {
        ok = read_rule(&in, id, json, kind, out);
        *n_unknown_fields = (uint32_t)(json_object_size(object) - in.n_read);
    }
    json_decref(object);
    return ok || err_wrap(e, "%.*s", SLICE_ARG(id));
}

static json_t *json_text(struct slice s)
{
    return json_stringn((const char *)s.ptr, s.len);
}

static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static bool put_text(json_t *object, const char *name, struct slice s)
{
    return s.len == 0 || put(object, name, json_text(s));
}

static bool put_kill(json_t *object, const struct control_rule *r)
{
    bool ok = true;
    json_t *list = r->n_labels > 0 ? json_object() : NULL;
    for (uint32_t i = 0; i < r->n_labels; i++) {
        ok = ok && json_object_setn_new(list, (const char *)r->labels[i].name.ptr,
                                        r->labels[i].name.len, json_text(r->labels[i].value)) == 0;
    }
    ok = (list == NULL || put(object, "labels", list)) && ok;
    return ok && put(object, "action", json_string(r->sample_n > 0 ? "sample" : "drop")) &&
           (r->sample_n == 0 || put(object, "sample_n", json_integer(r->sample_n)));
}

static bool put_pause(json_t *object, const struct control_rule *r)
{
    bool ok = put_text(object, "group", r->group) && put_text(object, "topic", r->topic) &&
              (!r->leaves || put(object, "leaves", json_true()));
    json_t *list = r->n_partitions > 0 ? json_array() : NULL;
    for (uint32_t i = 0; i < r->n_partitions; i++) {
        ok = json_array_append_new(list, json_integer(r->partitions[i])) == 0 && ok;
    }
    return (list == NULL || put(object, "partitions", list)) && ok;
}

static bool put_rule(json_t *object, const struct control_rule *r)
{
    if (!put(object, "kind", json_string(control_kind_name(r->kind))) ||
        !put(object, "id", json_text(r->id)) || !put_text(object, "tenant", r->tenant) ||
        !put_text(object, "metric", r->metric)) {
        return false;
    }
    switch (r->kind) {
    case CONTROL_KILL:
        return put_kill(object, r);
    case CONTROL_LIMIT:
        return put(object, "budget", json_string(control_budget_name(r->budget))) &&
               put(object, "value", json_integer(r->value));
    case CONTROL_PAUSE:
        return put_pause(object, r);
    default:
        return put(object, "class", json_string(batch_class_name(r->class)));
    }
}

static int append(const char *bytes, size_t n_bytes, void *out)
{
    buf_put(out, bytes, n_bytes);
    return buf_ok(out) ? 0 : -1;
}

bool control_write(const struct control_rule *r, struct buf *out, struct err *e)
{
    json_t *object = json_object();
    bool ok = put_rule(object, r) && put(object, "who", json_text(r->who)) &&
              put(object, "reason", json_text(r->reason)) &&
              put(object, "created_ms", json_integer(r->created_ms)) &&
              put(object, "expires_ms", json_integer(r->expires_ms)) &&
              json_dump_callback(object, append, out, JSON_COMPACT) == 0;
    json_decref(object);
    return ok || err_set(e, ERR_BAD_INPUT, "rule %.*s cannot be written: not UTF-8, or too long",
                         SLICE_ARG(r->id));
}

bool control_write_checked(const struct control_rule *r, struct buf *out, struct err *e)
{
    struct control_rule *again = NULL;
    uint32_t n_unknown_fields;
    buf_reset(out);
    bool ok = control_write(r, out, e) && control_parse(r->id, buf_slice(out), &again, &n_unknown_fields, e);
    control_free(again);
    return ok;
}
