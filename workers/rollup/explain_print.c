#include "explain_print.h"

#include <fnmatch.h>
#include <inttypes.h>

#include "run/show.h"
#include "trace.h"

enum { TEXT_BYTES = 1 << 20, CELL_BYTES = 64 };

static int64_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s == NULL ? "" : s;
}

/* 2026-11-25 15:42:01.250 UTC */
static void time_put(struct buf *out, int64_t ms)
{
    size_t at = out->len;
    show_time(out, ms);
    if (out->len - at > 4 && ms >= 0 && buf_ok(out)) {
        out->len -= 4; /* " UTC" */
        buf_printf(out, ".%03d UTC", (int)(ms % 1000));
    }
}

static void clock_put(struct buf *out, int64_t ms)
{
    struct buf whole;
    buf_init(&whole, CELL_BYTES * 2);
    time_put(&whole, ms);
    const size_t date = sizeof "2026-11-25 " - 1;
    struct slice s = buf_slice(&whole);
    s = s.len > date + 4 ? slice_of(s.ptr + date, s.len - date - 4) : s;
    buf_put_slice(out, s);
    buf_fini(&whole);
}

/* A value, a histogram's "n=5 sum=1.5", or "-". */
static void value_put(struct buf *out, const json_t *v)
{
    if (json_is_object(v)) {
        buf_printf(out, "n=%" PRId64 " sum=", number(v, "count"));
        value_put(out, json_object_get(v, "sum"));
    } else if (json_is_number(v)) {
        buf_printf(out, "%.17g", json_number_value(v));
    } else {
        buf_printf(out, "%s", json_is_string(v) ? json_string_value(v) : "-");
    }
}

static void cell_put(struct buf *out, const json_t *v, int width)
{
    struct buf cell;
    buf_init(&cell, CELL_BYTES * 2);
    value_put(&cell, v);
    struct slice s = buf_slice(&cell);
    buf_printf(out, "%*.*s", width, SLICE_ARG(s));
    buf_fini(&cell);
}

static const char *effect_words(const char *name)
{
#define POINT_WORDS(id, the_name, words) {the_name, words},
    static const struct {
        const char *name;
        const char *words;
    } all[] = {POINT_EFFECTS(POINT_WORDS){"late", "late: its own window had closed"},
               {"late_in_next_total", "late: in no window; the next sample's total has it"}};
#undef POINT_WORDS
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return all[i].words;
        }
    }
    return name;
}

static const char *cause_words(const char *name)
{
    static const char *const all[][2] = {
        {"watermark", "the source's samples were lateness_ms past its end"},
        {"silence", "the source was silent for source_idle_ms of log time"},
        {"age", "it was as old as window, lateness_ms and source_idle_ms allow"},
        {"five_minutes",
         "its 5 m window was as old as window, lateness_ms and source_idle_ms allow"},
        {"late_amounts_waited", "late amounts had found no row in time"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i][0], name) == 0) {
            return all[i][1];
        }
    }
    return name;
}

static void foreign_put(struct buf *out, const char *s)
{
    show_text(out, slice_str(s));
}

static void origin_put(struct buf *out, const json_t *sample)
{
    const json_t *o = json_object_get(sample, "origin");
    buf_printf(out, "  @%" PRId64, number(sample, "offset"));
    if (o != NULL) {
        buf_printf(out, " (");
        foreign_put(out, text(o, "topic"));
        buf_printf(out, "/%" PRId64 "@%" PRId64 ")", number(o, "partition"), number(o, "offset"));
    }
}

static void sample_put(struct buf *out, const json_t *s)
{
    const json_t *added = json_object_get(s, "added");
    buf_printf(out, "    ");
    clock_put(out, number(s, "time_ms"));
    buf_printf(out, "  ");
    cell_put(out, json_object_get(s, "value"), 24);
    if (added != NULL) {
        buf_printf(out, "  +");
        value_put(out, added);
    }
    origin_put(out, s);
    if (json_object_get(s, "came_after_ms") != NULL) {
        double after_s = (double)number(s, "came_after_ms") / 1000;
        buf_printf(out, ", came %.3f s %s", after_s < 0 ? -after_s : after_s,
                   after_s < 0 ? "before its time" : "later");
    }
    if (json_object_get(s, "start_ms") != NULL) {
        buf_printf(out, ", start ");
        time_put(out, number(s, "start_ms"));
    }
    const char *words = effect_words(text(s, "effect"));
    buf_printf(out, "%s%s\n", *words == '\0' ? "" : "  — ", words);
}

/* "total 12, delta 3, …" of a row or of what was before. */
static void columns_put(struct buf *out, const json_t *columns)
{
    static const char *const names[] = {"total", "delta", "late", "sum", "min", "max", "last"};
    const char *separator = "";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *v = json_object_get(columns, names[i]);
        if (v != NULL) {
            buf_printf(out, "%s%s ", separator, names[i]);
            value_put(out, v);
            separator = ", ";
        }
    }
    if (json_object_get(columns, "last_ms") != NULL) {
        buf_printf(out, " of ");
        time_put(out, number(columns, "last_ms"));
    }
    if (json_object_get(columns, "samples") != NULL) {
        buf_printf(out, ", samples %" PRId64, number(columns, "samples"));
    }
    buf_printf(out, "%s\n", json_is_true(json_object_get(columns, "ended")) ? ", ended" : "");
}

static void series_put(struct buf *out, const json_t *series)
{
    buf_printf(out, "\n  ");
    foreign_put(out, text(series, "name"));
    buf_printf(out, ", %s%s\n", text(series, "kind"),
               strcmp(text(series, "temporality"), "delta") == 0 ? ", delta" : "");
    const json_t *before = json_object_get(series, "before");
    if (json_is_object(before)) {
        buf_printf(out, "    before: ");
        columns_put(out, before);
    } else if (json_is_null(before) && strcmp(text(series, "kind"), "gauge") != 0) {
        buf_printf(out, "    before: nothing is known\n");
    }
    const json_t *samples = json_object_get(series, "samples");
    for (size_t i = 0; i < json_array_size(samples); i++) {
        sample_put(out, json_array_get(samples, i));
    }
    buf_printf(out, "    row: ");
    columns_put(out, json_object_get(series, "row"));
}

static void late_put(struct buf *out, const json_t *list, const char *title)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);
        buf_printf(out, "%s", i == 0 ? title : "");
        buf_printf(out, "    ");
        foreign_put(out, text(s, "name"));
        buf_printf(out, ", window to ");
        clock_put(out, number(s, "window_end_ms"));
        buf_printf(out, "\n");
        sample_put(out, s);
    }
}

static void inputs_put(struct buf *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        buf_printf(out, "    @%" PRId64 " to ", number(row, "offset"));
        clock_put(out, number(row, "end_ms"));
        buf_printf(out, ", %zu series%s\n", json_array_size(json_object_get(row, "series")),
                   strcmp(text(row, "effect"), "late") == 0 ? "  — late: its hour had closed" : "");
    }
}

static void row_put(struct buf *out, const json_t *row)
{
    const json_t *series = json_object_get(row, "series");
    const json_t *inputs = json_object_get(row, "inputs");
    buf_printf(out, "\n%s of %" PRId64 " min to ", text(row, "kind"),
               number(row, "window_ms") / 60000);
    time_put(out, number(row, "end_ms"));
    buf_printf(out, ": left at @%" PRId64 ", log time ", number(row, "closed_at"));
    time_put(out, number(row, "log_ms"));
    buf_printf(out, ": %s\n", cause_words(text(row, "closed_by")));
    if (json_array_size(inputs) > 0) {
        buf_printf(out, "\n  rows of 5 m\n");
        inputs_put(out, inputs);
    }
    for (size_t i = 0; i < json_array_size(series); i++) {
        series_put(out, json_array_get(series, i));
    }
    late_put(out, json_object_get(row, "late"), "\n  came late since the row before\n");
}

static void whole_put(struct buf *out, const json_t *told)
{
    const json_t *at = json_object_get(told, "row");
    const json_t *input = json_object_get(told, "input");
    foreign_put(out, text(at, "topic"));
    buf_printf(out, "/%" PRId64 "/%" PRId64 ": tenant ", number(at, "partition"),
               number(at, "offset"));
    foreign_put(out, text(told, "tenant"));
    buf_printf(out, ", source ");
    foreign_put(out, text(told, "source"));
    buf_printf(out, " (%s), class %s, %" PRId64 " min to ", text(told, "source_id"),
               text(told, "class"), number(told, "window_ms") / 60000);
    time_put(out, number(told, "end_ms"));
    buf_printf(out, "\nreplayed ");
    foreign_put(out, text(input, "topic"));
    buf_printf(out,
               "/%" PRId64 " @%" PRId64 " to @%" PRId64 ", %" PRId64 " records, %" PRId64
               " of the source: %s\n",
               number(input, "partition"), number(input, "from"), number(input, "to"),
               number(input, "records"), number(input, "of_source"),
               json_is_true(json_object_get(told, "reproduced")) ? "the very same row"
                                                                 : "ANOTHER row than is there");
    const json_t *rows = json_object_get(told, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        row_put(out, json_array_get(rows, i));
    }
    const json_t *series = json_object_get(told, "series");
    for (size_t i = 0; i < json_array_size(series); i++) {
        buf_printf(out, i == 0 ? "\nthe row of 5 min\n" : "%s", "");
        series_put(out, json_array_get(series, i));
    }
    late_put(out, json_object_get(told, "too_late"), "\ncame when the window had closed\n");
}

static bool is_wanted(const json_t *series, const struct explain_request *r)
{
    return r->metric == NULL || fnmatch(r->metric, text(series, "metric"), 0) == 0;
}

static void series_filter(json_t *list, const struct explain_request *r)
{
    for (size_t i = json_array_size(list); i > 0; i--) {
        if (!is_wanted(json_array_get(list, i - 1), r)) {
            (void)json_array_remove(list, i - 1);
        }
    }
}

static void whole_filter(json_t *told, const struct explain_request *r)
{
    json_t *rows = json_object_get(told, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        json_t *inputs = json_object_get(row, "inputs");
        series_filter(json_object_get(row, "series"), r);
        series_filter(json_object_get(row, "late"), r);
        for (size_t k = 0; k < json_array_size(inputs); k++) {
            series_filter(json_object_get(json_array_get(inputs, k), "series"), r);
        }
    }
    series_filter(json_object_get(told, "series"), r);
    series_filter(json_object_get(told, "too_late"), r);
}

void explain_print(json_t *told, const struct explain_request *r, FILE *out)
{
    whole_filter(told, r);
    if (r->as_json) {
        (void)json_dumpf(told, out, JSON_INDENT(1));
        (void)fputc('\n', out);
        return;
    }
    struct buf b;
    buf_init(&b, (size_t)64 * TEXT_BYTES);
    whole_put(&b, told);
    (void)fwrite(b.ptr, 1, b.len, out);
    buf_fini(&b);
}
