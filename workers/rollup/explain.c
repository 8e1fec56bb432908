#include "explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain_print.h"
#include "explain_story.h"
#include "run/log.h"

/* How far before the row a replay begins, in times of what a window can be open: if the log's time
 * leapt, that is too late, and the row comes out otherwise; 0: where the input begins. */
static const int64_t distances[] = {1, 16, 0};
enum { N_DISTANCES = sizeof distances / sizeof distances[0] };

static void argument_drop(int *argc, char **argv, int at, int n)
{
    memmove(argv + at, argv + at + n, (size_t)(*argc - at - n + 1) * sizeof *argv);
    *argc -= n;
}

bool explain_is_asked(int *argc, char **argv, struct explain_request *out)
{
    bool is_asked = false;
    for (int i = 1; i < *argc; i++) {
        is_asked = is_asked || strcmp(argv[i], "--explain") == 0;
    }
    *out = (struct explain_request){.row = ""};
    for (int i = 1; is_asked && i < *argc;) {
        const char **value = strcmp(argv[i], "--explain") == 0  ? &out->row
                             : strcmp(argv[i], "--metric") == 0 ? &out->metric
                                                                : NULL;
        if (value != NULL && i + 1 < *argc) {
            *value = argv[i + 1];
            argument_drop(argc, argv, i, 2);
        } else if (strcmp(argv[i], "--json") == 0) {
            out->as_json = true;
            argument_drop(argc, argv, i, 1);
        } else {
            i++;
        }
    }
    return is_asked;
}

struct explaining {
    const struct explain_source *source;
    struct log_reader *reader;
    struct row_place place;
    struct kept_row row;
    struct row_stream stream;
    struct rules rules;
    size_t max_row_bytes;
    const char *changelog; /* whose rows are the state */
    const char *input;
    int64_t max_open_ms;
    /* The last attempt's */
    int64_t from;
    int64_t to;
    int64_t n_records;
    bool is_cut; /* the input began later than it should */
};

static const char *input_topic(const struct config *c, bool is_hourly)
{
    const char *const *topics;
    size_t n = config_list(c, "topics", &topics);
    bool is_configured = (strcmp(config_str(c, "window"), "1h") == 0) == is_hourly;
    return is_configured && n > 0 ? topics[0]
           : is_hourly            ? config_str(c, "rollup_5m_topic")
                                  : "metrics.admitted";
}

static bool explaining_begin(struct explaining *x, const struct explain_request *r, struct err *e)
{
    const struct config *c = x->source->config;
    if (!row_place_read(r->row, &x->place, e) ||
        !row_find(x->reader, &x->place, &x->row, &x->stream, e)) {
        return false;
    }
    bool is_hourly = x->row.window_ms == HOUR_MS;
    const struct rollup_options o = x->source->options(c, is_hourly);
    x->rules = (struct rules){.window_ms = is_hourly ? HOUR_MS : MINUTE_MS,
                              .lateness_ms = o.lateness_ms,
                              .idle_ms = o.idle_ms,
                              .horizon_ms = o.horizon_ms};
    x->max_row_bytes = o.max_row_bytes;
    x->changelog = x->row.window_ms == FIVE_MS ? o.row_topic : x->place.topic;
    x->input = input_topic(c, is_hourly);
    x->max_open_ms = rules_max_open_ms(&x->rules, x->row.window_ms);
    return true;
}

/* Of a 5 m row only what is before its first row of 1 m may be known. */
static bool rows_of_five_drop(const struct explaining *x, struct kept_rows *rows, struct err *e)
{
    size_t n = rows->n;
    for (size_t i = rows->n; i > 0; i--) {
        const struct kept_row *r = &rows->items[i - 1];
        bool is_of = r->kind == ROLLUP_ROW && five_end(r->end_ms) == x->row.end_ms;
        if (is_of && r->closed_at <= x->row.closed_at) {
            n = i - 1;
        }
    }
    if (n == rows->n) {
        return err_set(e, ERR_CONFIG, "its rows of 1 m are not in %s any more", x->changelog);
    }
    for (size_t i = n; i < rows->n; i++) {
        free((void *)(uintptr_t)rows->items[i].bytes.ptr);
    }
    rows->n = n;
    return true;
}

static bool state_read(struct explaining *x, int64_t distance, struct kept_rows *rows,
                       struct place *begin, struct err *e)
{
    bool is_five = x->row.window_ms == FIVE_MS;
    struct rows_request q = {.topic = x->changelog,
                             .partition = x->place.partition,
                             .before_offset = is_five ? -1 : x->place.offset,
                             .before_ms = x->row.log_ms,
                             .forget_ms = rules_forget_ms(&x->rules)};
    q.begin_ms = distance == 0 ? NEVER : x->row.log_ms - distance * 2 * x->max_open_ms;
    return rows_read(x->reader, &x->stream, &q, rows, begin, e) &&
           (!is_five || rows_of_five_drop(x, rows, e));
}

static bool is_over(const struct explaining *x, const struct story *s)
{
    return s->is_done ? !s->is_same || story_log_ms(s) > s->done_ms + x->max_open_ms
                      : x->to > x->row.closed_at;
}

/* From the place on, until the row is there or can't come any more; then on for as long as a window
 * may be open, for what comes too late. */
static bool replay(struct explaining *x, struct story *s, struct place begin, struct err *e)
{
    int64_t first;
    int64_t end;
    bool any = true;
    if (!log_reader_topic(x->reader, x->input, e) ||
        !log_reader_bounds(x->reader, x->place.partition, &first, &end, e)) {
        return false;
    }
    x->is_cut = begin.offset < first && first > 0;
    x->from = begin.offset < first ? first : begin.offset;
    x->n_records = 0;
    x->to = -1;
    if (x->from < end && !log_reader_from(x->reader, x->place.partition, x->from, e)) {
        return false;
    }
    while (any && x->from < end && !is_over(x, s)) {
        struct record in;
        if (!log_reader_next(x->reader, end, &in, &any, e)) {
            return false;
        }
        if (any && !s->is_done) {
            x->to = in.offset;
            x->n_records++;
        }
        if (any && !story_take(s, &in, e)) {
            return false;
        }
    }
    return true;
}

static bool attempt(struct explaining *x, int64_t distance, struct story *s, struct err *e)
{
    struct kept_rows rows = {0};
    struct place begin;
    bool ok = state_read(x, distance, &rows, &begin, e) &&
              story_init(s, &x->rules, x->max_row_bytes, &x->stream, &x->row, e) &&
              story_restore(s, &rows, begin, e) && replay(x, s, begin, e);
    kept_rows_fini(&rows);
    return ok;
}

static json_t *whole_of(const struct explaining *x, const struct story *s)
{
    json_t *out = json_pack(
        "{s:{s:s, s:i, s:I}, s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:I}", "row", "topic",
        x->place.topic, "partition", (int)x->place.partition, "offset", (json_int_t)x->place.offset,
        "tenant", json_stringn((const char *)x->stream.tenant.ptr, x->stream.tenant.len), "class",
        batch_class_name(x->stream.class), "source",
        json_stringn((const char *)x->stream.name.ptr, x->stream.name.len), "source_id",
        json_sprintf("%016" PRIx64, x->stream.source), "window_ms", (json_int_t)x->row.window_ms,
        "end_ms", (json_int_t)x->row.end_ms, "closed_at", (json_int_t)x->row.closed_at, "log_ms",
        (json_int_t)x->row.log_ms);
    (void)json_object_set_new(
        out, "input",
        json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "topic", x->input, "partition",
                  (int)x->place.partition, "from", (json_int_t)x->from, "to", (json_int_t)x->to,
                  "records", (json_int_t)x->n_records, "of_source", (json_int_t)s->n_fed));
    (void)json_object_set_new(out, "reproduced", json_boolean(s->is_done && s->is_same));
    (void)json_object_set(out, "rows", s->rows);
    (void)json_object_set(out, "too_late", s->too_late);
    if (s->after != NULL) {
        (void)json_object_set(out, "series", s->after);
    }
    return out;
}

static bool explain(struct explaining *x, const struct explain_request *r, json_t **out,
                    struct err *e)
{
    bool is_same = false;
    if (!explaining_begin(x, r, e)) {
        return err_wrap(e, "%s", r->row);
    }
    for (int i = 0; i < N_DISTANCES && !is_same; i++) {
        struct story s = {0};
        bool ok = attempt(x, distances[i], &s, e);
        is_same = ok && s.is_done && s.is_same;
        json_decref(*out);
        *out = ok ? whole_of(x, &s) : NULL;
        story_fini(&s);
        if (!ok) {
            return err_wrap(e, "%s", r->row);
        }
    }
    return is_same ||
           err_set(e, ERR_RETRY,
                   "%s: the replay gives another row. %sWere lateness_ms, source_idle_ms or "
                   "horizon_ms others when it was made?",
                   r->row,
                   x->is_cut ? "The input that it was made of is not all there any more. " : "");
}

int explain_main(const struct explain_source *s, const struct explain_request *r)
{
    struct err e = ERR_INIT;
    struct explaining x = {.source = s};
    json_t *told = NULL;
    /* A consumer that only assigns must name a group, too; it joins none. */
    const struct kafka_settings settings = {
        .config = s->config, .group = "sluice-rollup-explain", .instance = s->name};
    bool ok = log_reader_open(&settings, &x.reader, &e) && explain(&x, r, &told, &e);
    if (told != NULL) {
        explain_print(told, r, stdout);
    }
    if (!ok) {
        (void)fprintf(stderr, "%s: %s\n", s->name, e.text);
    }
    json_decref(told);
    free((void *)(uintptr_t)x.row.bytes.ptr);
    free((void *)(uintptr_t)x.stream.tenant.ptr);
    free((void *)(uintptr_t)x.stream.name.ptr);
    log_reader_close(x.reader);
    return ok ? 0 : e.kind == ERR_CONFIG ? 2 : 1;
}
