#include "layout.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "table_file.h"

const char layout_default_label_columns[] =
    "region,az,cluster,shard_id,instance_type,build_id,queue,asn_bucket,le";

static bool prefix_set(struct layout *l, const char *prefix, struct err *e)
{
    size_t len = strlen(prefix);
    if (len >= sizeof l->prefix) {
        return err_set(e, ERR_CONFIG, "prefix has %zu bytes, and at most %zu are allowed", len,
                       sizeof l->prefix - 1);
    }
    if (len > 0 && (prefix[0] == '/' || prefix[len - 1] == '/')) {
        return err_set(e, ERR_CONFIG, "prefix begins or ends with a slash: %.100s", prefix);
    }
    for (size_t i = 0; i < len; i++) {
        if (prefix[i] < 0x21 || prefix[i] == 0x7f || prefix[i] == '"' || prefix[i] == '\\') {
            return err_set(e, ERR_CONFIG,
                           "prefix: byte %zu is none of the printable ASCII characters that may be "
                           "there",
                           i);
        }
    }
    memcpy(l->prefix, prefix, len + 1);
    return true;
}

static bool label_check(const struct layout *l, const char *name, struct err *e)
{
    size_t len = strlen(name);
    if (len >= LAYOUT_MAX_NAME) {
        return err_set(e, ERR_CONFIG, "label column %.80s…: more than %d bytes", name,
                       LAYOUT_MAX_NAME - 1);
    }
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != len ||
        (name[0] >= '0' && name[0] <= '9')) {
        return err_set(e, ERR_CONFIG, "label column %s: no label name", name);
    }
    /* Athena knows no case in names. */
    if (table_has_column(name)) {
        return err_set(e, ERR_CONFIG,
                       "label column %s: a table has a column of that name; the label is in the "
                       "column labels, too",
                       name);
    }
    for (size_t i = 0; i < l->n_label_columns; i++) {
        if (strcasecmp(l->label_columns[i], name) == 0) {
            return err_set(e, ERR_CONFIG, "label column %s is there twice", name);
        }
    }
    return l->n_label_columns < LAYOUT_MAX_LABEL_COLUMNS ||
           err_set(e, ERR_CONFIG, "more than %d label columns", LAYOUT_MAX_LABEL_COLUMNS);
}

static bool text_fits(const struct layout *l, struct err *e)
{
    struct buf text;
    buf_init(&text, (size_t)2 * LAYOUT_MAX_TEXT);
    layout_text(l, &text);
    bool fits = buf_ok(&text) && text.len <= LAYOUT_MAX_TEXT;
    buf_fini(&text);
    return fits || err_set(e, ERR_CONFIG,
                           "prefix and label columns are more than %d bytes as text, which an "
                           "object's metadata has no room for",
                           LAYOUT_MAX_TEXT);
}

bool layout_init(struct layout *l, const char *prefix, int hours, bool tenant_level,
                 const char *const *labels, size_t n_labels, struct err *e)
{
    *l = (struct layout){.hours = hours, .tenant_level = tenant_level};
    if (hours != 1 && hours != 3 && hours != 6 && hours != 24) {
        return err_set(e, ERR_CONFIG, "hours is %d and must be 1, 3, 6 or 24", hours);
    }
    if (!prefix_set(l, prefix, e)) {
        return false;
    }
    for (size_t i = 0; i < n_labels; i++) {
        if (labels[i][0] == '\0') {
            continue;
        }
        if (!label_check(l, labels[i], e)) {
            return false;
        }
        (void)snprintf(l->label_columns[l->n_label_columns++], LAYOUT_MAX_NAME, "%s", labels[i]);
    }
    return text_fits(l, e);
}

void layout_text(const struct layout *l, struct buf *out)
{
    /* No text in it needs escaping: layout_init saw to that. */
    buf_printf(out, "{\"hours\":%d,\"label_columns\":[", l->hours);
    for (size_t i = 0; i < l->n_label_columns; i++) {
        buf_printf(out, "%s\"%s\"", i == 0 ? "" : ",", l->label_columns[i]);
    }
    buf_printf(out, "],\"prefix\":\"%s\",\"tenant_level\":%s}", l->prefix,
               l->tenant_level ? "true" : "false");
}

static bool object_parse(json_t *json, struct layout *out, struct err *e)
{
    const char *labels[LAYOUT_MAX_LABEL_COLUMNS];
    size_t n_labels;
    const char *table = "samples";
    const char *prefix;
    json_t *list;
    int hours;
    int tenant_level;
    json_error_t where;
    if (json_unpack_ex(json, &where, JSON_STRICT, "{s:i, s:o, s:s, s?s, s:b}", "hours", &hours,
                       "label_columns", &list, "prefix", &prefix, "table", &table, "tenant_level",
                       &tenant_level) != 0) {
        return err_set(e, ERR_BAD_INPUT, "%s", where.text);
    }
    n_labels = json_array_size(list);
    if (!json_is_array(list) || n_labels > LAYOUT_MAX_LABEL_COLUMNS) {
        return err_set(e, ERR_BAD_INPUT, "label_columns: no list of at most %d names",
                       LAYOUT_MAX_LABEL_COLUMNS);
    }
    for (size_t i = 0; i < n_labels; i++) {
        labels[i] = json_string_value(json_array_get(list, i));
        if (labels[i] == NULL || labels[i][0] == '\0') {
            return err_set(e, ERR_BAD_INPUT, "label_columns: entry %zu is no name", i);
        }
    }
    if (strcmp(table, "samples") != 0) {
        return err_set(e, ERR_BAD_INPUT, "there is no table %.80s", table);
    }
    if (!layout_init(out, prefix, hours, tenant_level != 0, labels, n_labels, e)) {
        e->kind = ERR_BAD_INPUT;
        return false;
    }
    return true;
}

bool layout_parse(struct slice text, struct layout *out, struct err *e)
{
    json_error_t where;
    json_t *json = text.len > LAYOUT_MAX_TEXT ? NULL
                                              : json_loadb((const char *)text.ptr, text.len,
                                                           JSON_REJECT_DUPLICATES, &where);
    if (json == NULL) {
        return text.len > LAYOUT_MAX_TEXT
                   ? err_set(e, ERR_BAD_INPUT, "layout: %zu bytes, more than %d", text.len,
                             LAYOUT_MAX_TEXT)
                   : err_set(e, ERR_BAD_INPUT, "layout: %s", where.text);
    }
    bool ok = object_parse(json, out, e);
    json_decref(json);
    return ok || err_wrap(e, "layout");
}
