/* The policy's section "metrics". */
#include "policy/names.h"
#include "policy/policy_json.h"

enum { MAX_UNIT_BYTES = 63 };

static bool read_kind(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    struct metric_entry *entry = into;
    int kind = policy_read_choice(r, value, path, policy_kind_choices);
    entry->has_kind = kind >= 0;
    entry->kind = kind < 0 ? SERIES_COUNTER : (enum series_kind)kind;
    return kind >= 0;
}

static bool read_unit(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    struct metric_entry *entry = into;
    entry->has_unit = true;
    return policy_read_text(r, value, path, &entry->unit) &&
           (entry->unit.len <= MAX_UNIT_BYTES ||
            policy_complain(r, path, "is longer than 63 bytes"));
}

static bool read_label_list(const struct policy_reader *r, json_t *value, const char *path,
                            void *into)
{
    struct metric_entry *entry = into;
    entry->has_labels = true;
    return policy_read_texts(r, value, path, &entry->labels);
}

static const struct policy_key entry_keys[] = {
    {"kind", VALUE_OTHER, 0, 0, 0, NULL, read_kind, RULE_NONE},
    {"unit", VALUE_OTHER, 0, 0, 0, NULL, read_unit, RULE_NONE},
    {"labels", VALUE_OTHER, 0, 0, 0, NULL, read_label_list, RULE_NONE},
    {"help", VALUE_TEXT, offsetof(struct metric_entry, help), 0, 0, NULL, NULL, RULE_NONE},
    {0},
};

static bool read_entry(const struct policy_reader *r, const char *name, json_t *value,
                       const char *path, struct metric_entry *out)
{
    out->name = arena_copy(r->arena, slice_str(name));
    if (out->name.ptr == NULL) {
        return policy_no_memory(r, path);
    }
    if (!name_valid(out->name)) {
        return policy_complain(r, path,
                               "a metric's name as it is stored has letters, digits, _ "
                               "and : alone, and no digit first");
    }
    return policy_read_object(r, value, path, entry_keys, NULL, out);
}

bool policy_read_metrics(const struct policy_reader *r, json_t *value, const char *path, void *into)
{
    struct rules *rules = into;
    if (!json_is_object(value)) {
        return policy_complain(r, path, "must be an object of {name: {kind, unit, labels, help}}");
    }
    struct metric_entry *items =
        ARENA_ARRAY(r->arena, struct metric_entry, json_object_size(value));
    if (items == NULL) {
        return policy_no_memory(r, path);
    }
    uint32_t n = 0;
    const char *name;
    json_t *entry;
    json_object_foreach(value, name, entry)
    {
        char place[POLICY_PATH_BYTES];
        policy_path_join(place, path, name);
        if (!read_entry(r, name, entry, place, &items[n++])) {
            return false;
        }
    }
    return metric_list_make(items, n, &rules->metrics[r->level]) ||
           policy_complain(r, path, "has a name twice");
}
