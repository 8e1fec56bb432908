#include "dlq.h"

#include "base/buf.h"
#include "letters.h"
#include "run/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1 << 16 };

static const char *text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text == NULL ? "" : text;
}

static int64_t number_of(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

static bool write_line(FILE *file, const json_t *letter, struct err *e)
{
    bool ok =
        json_dumpf(letter, file, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 && fputc('\n', file) != EOF;
    return ok || err_set_code(e, ERR_FATAL, errno, "it could not be written: %s", strerror(errno));
}

/* --- list --- */

static void put_cell(struct buf *line, const char *text, size_t width)
{
    size_t before = line->len;
    show_text(line, slice_str(text));
    for (size_t n = line->len - before; n < width; n++) {
        buf_u8(line, ' ');
    }
    buf_u8(line, ' ');
}

/* Once, and not before the brokers have answered. */
static void print_head(bool *has_head)
{
    if (!*has_head) {
        (void)printf("%-12s %-23s %-12s %-8s %-22s %8s METRIC, LABEL\n", "SHOW", "RECEIVED",
                     "TENANT", "STAGE", "REASON", "SAMPLES");
    }
    *has_head = true;
}

static bool print_row(void *ctx, const json_t *letter, bool *enough, struct err *e)
{
    const json_t *value = json_object_get(letter, "value");
    char place[40];
    struct buf line;
    (void)enough;
    print_head(ctx);
    buf_init(&line, LINE_MAX_BYTES);
    (void)snprintf(place, sizeof place, "%" PRId64 "/%" PRId64, number_of(letter, "partition"),
                   number_of(letter, "offset"));
    put_cell(&line, place, 12);
    show_time(&line, number_of(value, "received_ms"));
    buf_u8(&line, ' ');
    put_cell(&line, text_of(value, "tenant"), 12);
    put_cell(&line, text_of(value, "stage"), 8);
    put_cell(&line, text_of(value, "reason"), 22);
    buf_printf(&line, "%8" PRId64 " ", number_of(value, "samples"));
    put_cell(&line, text_of(value, "metric"), 0);
    put_cell(&line, text_of(value, "label"), 0);
    bool ok = puts(buf_c_str(&line)) != EOF;
    buf_fini(&line);
    return ok || err_set(e, ERR_FATAL, "the list could not be written");
}

static bool print_line(void *ctx, const json_t *letter, bool *enough, struct err *e)
{
    (void)enough;
    return write_line(ctx, letter, e);
}

bool dlq_list(const struct tool *t, struct err *e)
{
    if (t->command->values[OPTION_JSON] != NULL) {
        return letters_read(t, print_line, stdout, e);
    }
    bool has_head = false;
    bool ok = letters_read(t, print_row, &has_head, e);
    if (ok) {
        print_head(&has_head);
    }
    return ok;
}

/* --- export --- */

/* A file of that name is there whole or not at all, and none is overwritten. */
static bool export_to(const struct tool *t, const char *path, struct err *e)
{
    char part[4096];
    int n = snprintf(part, sizeof part, "%s.part", path);
    if (n < 0 || (size_t)n >= sizeof part || access(path, F_OK) == 0) {
        return err_set(e, ERR_CONFIG, "--out %.120s is there already; name another file", path);
    }
    FILE *file = fopen(part, "wx");
    if (file == NULL) {
        return err_set_code(e, ERR_CONFIG, errno, "--out %.150s: %s", part, strerror(errno));
    }
    bool ok = letters_read(t, print_line, file, e);
    if (fclose(file) != 0 && ok) {
        ok = err_set_code(e, ERR_FATAL, errno, "--out %.150s: %s", part, strerror(errno));
    }
    if (ok && rename(part, path) != 0) {
        ok = err_set_code(e, ERR_FATAL, errno, "--out %.150s: %s", path, strerror(errno));
    }
    if (!ok) {
        (void)unlink(part);
    }
    return ok;
}

bool dlq_export(const struct tool *t, struct err *e)
{
    const char *path = t->command->values[OPTION_OUT];
    return path == NULL ? letters_read(t, print_line, stdout, e) : export_to(t, path, e);
}
