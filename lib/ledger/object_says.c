#include "ledger/object_says.h"

#include <errno.h>
#include <stdlib.h>

enum { MAX_OBJECTS = 1000000 };

const char *const object_says_names[N_SAYS] = {
    [SAYS_INTENT] = "intent", [SAYS_ROWS] = "rows", [SAYS_OBJECTS] = "objects"};

static bool number(const char *name, const char *text, int64_t min, int64_t max, int64_t *out, struct err *e)
{
    char *end = NULL;
    errno = 0;
    *out = text == NULL ? -1 : strtoll(text, &end, 10);
    bool ok = text != NULL && text[0] >= '0' && text[0] <= '9' && errno == 0 && *end == '\0' && *out >= min && *out <= max;
    return ok || err_set(e, ERR_BAD_INPUT, "its \"%s\" is %s%.40s", name, text == NULL ? "missing" : "no such number: ",
                         text == NULL ? "" : text);
}

bool object_says_read(const char *const values[N_SAYS], int64_t first, int64_t last, struct slice topic_id,
                      struct object_says *out, struct err *e)
{
    int64_t n_rows;
    int64_t n_objects;
    if (values[SAYS_INTENT] == NULL) {
        return err_set(e, ERR_BAD_INPUT, "its \"intent\" is missing");
    }
    if (!intent_parse(slice_str(values[SAYS_INTENT]), &out->intent, e) ||
        !number("rows", values[SAYS_ROWS], 0, INT64_MAX, &n_rows, e) ||
        !number("objects", values[SAYS_OBJECTS], 1, MAX_OBJECTS, &n_objects, e)) {
        return false;
    }
    out->n_rows = (uint64_t)n_rows;
    out->n_objects = (uint32_t)n_objects;
    return (out->intent.first == first && out->intent.last == last && slice_eq_str(topic_id, out->intent.topic_id)) ||
           err_set(e, ERR_BAD_INPUT, "its intent is of another range or topic than its name");
}
