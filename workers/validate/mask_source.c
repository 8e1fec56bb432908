#include "mask_source.h"

#include <stdio.h>

#include "edge/mask.h"

enum { LEAST_KEY_BYTES = 16 };

/* Of the file, without the end of its line. */
static struct slice key_of(struct slice text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL) {
        text.len--;
    }
    return text;
}

static void id_make(struct mask_source *m)
{
    uint8_t mask[MASK_BYTES];
    m->id[0] = '\0';
    if (mask_value(buf_slice(&m->key), SLICE_LITERAL("sluice mask key"), mask)) {
        (void)snprintf(m->id, sizeof m->id, "%02x%02x%02x%02x", mask[0], mask[1], mask[2], mask[3]);
    }
}

static bool file_take(struct mask_source *m, struct err *e)
{
    struct buf text;
    buf_init(&text, MAX_MASK_KEY_BYTES);
    bool ok = file_read(m->path, &text, e);
    struct slice key = key_of(buf_slice(&text));
    if (ok && key.len < LEAST_KEY_BYTES) {
        ok = err_set(e, ERR_CONFIG, "%s: has less than %d bytes", m->path, LEAST_KEY_BYTES);
    }
    if (ok) {
        buf_reset(&m->key);
        buf_put_slice(&m->key, key);
        id_make(m);
    }
    buf_fini(&text);
    return ok || err_wrap(e, "mask_key_file");
}

bool mask_source_open(struct mask_source *m, const char *path, struct slice key, struct err *e)
{
    *m = (struct mask_source){.path = path};
    buf_init(&m->key, MAX_MASK_KEY_BYTES);
    if (path[0] != '\0' && key.len > 0) {
        return err_set(e, ERR_CONFIG, "mask_key and mask_key_file: only one of them");
    }
    if (path[0] == '\0') {
        buf_put_slice(&m->key, key);
        id_make(m);
        return buf_ok(&m->key) ||
               err_set(e, ERR_CONFIG, "mask_key: longer than %d bytes", MAX_MASK_KEY_BYTES);
    }
    (void)file_moved(&m->seen, path);
    return file_take(m, e);
}

void mask_source_fini(struct mask_source *m)
{
    buf_fini(&m->key);
}

enum mask_change mask_source_poll(struct mask_source *m, struct err *e)
{
    char before[sizeof m->id];
    if (m->path[0] == '\0' || !file_moved(&m->seen, m->path)) {
        return MASK_SAME;
    }
    memcpy(before, m->id, sizeof before);
    if (!file_take(m, e)) {
        return MASK_REFUSED;
    }
    return strcmp(before, m->id) == 0 ? MASK_SAME : MASK_NEW;
}
