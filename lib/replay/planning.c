#include "replay/planning.h"

#include "base/clock.h"
#include "replay/moment.h"
#include "replay/report.h"
#include "run/progress.h"
#include "stage/topics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { MAX_RISK = 400 };

void replay_effect(struct replay_planning *p, const char *name, uint64_t n)
{
    (void)json_object_set_new(p->effect, name, json_integer((json_int_t)n));
}

void replay_risk(struct replay_planning *p, const char *fmt, ...)
{
    char text[MAX_RISK];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)json_array_append_new(p->risks, json_string(text));
}

/* --- where it begins and ends --- */

struct marks {
    struct moment from;
    struct moment to;
};

/* Both of one kind, so that they can be told apart without the log? */
static bool is_backwards(const struct marks *m, int64_t now_ms)
{
    int64_t from_ms;
    int64_t to_ms;
    if (m->from.kind == MOMENT_OFFSET && m->to.kind == MOMENT_OFFSET) {
        return m->to.value < m->from.value;
    }
    return m->from.kind == MOMENT_END || m->to.kind == MOMENT_EARLIEST ||
           (moment_time_ms(&m->from, now_ms, &from_ms) && moment_time_ms(&m->to, now_ms, &to_ms) && to_ms < from_ms);
}

static bool marks_read(const struct replay_arguments *a, int64_t now_ms, struct marks *out, struct err *e)
{
    if (a->topic[0] == '\0' || a->from[0] == '\0') {
        return err_set(e, ERR_CONFIG, "--topic and --from are needed (--from earliest has all that the log has)");
    }
    if (!moment_read("--from", a->from, &out->from, e) || !moment_read("--to", a->to, &out->to, e)) {
        return false;
    }
    return !is_backwards(out, now_ms) ||
           err_set(e, ERR_CONFIG, "the end (--to %.60s) lies before the start (--from %.60s); exchange them", a->to,
                   a->from);
}

static bool mark_resolve(const struct replay_planning *p, const struct moment *mark, const struct replay_span *span,
                         int64_t *out, struct err *e)
{
    int64_t time_ms;
    if (moment_time_ms(mark, p->now_ms, &time_ms)) {
        return log_reader_at_time(p->reader, span->partition, time_ms, out, e);
    }
    *out = mark->kind == MOMENT_OFFSET ? mark->value : mark->kind == MOMENT_END ? span->log_end : span->log_first;
    return true;
}

static bool span_check(struct replay_planning *p, const struct marks *m, struct replay_span *span, struct err *e)
{
    const char *topic = p->arguments->topic;
    int64_t from_ms;
    if (span->from < span->log_first) {
        return err_set(e, ERR_CONFIG,
                       "%s[%d]: offset %" PRId64 " is past retention, the log begins at %" PRId64
                       ": plan from there (--from earliest)",
                       topic, span->partition, span->from, span->log_first);
    }
    if (m->from.kind == MOMENT_OFFSET && span->from > span->log_end) {
        return err_set(e, ERR_CONFIG, "%s[%d]: offset %" PRId64 " is not there yet, the log ends at %" PRId64
                       "; choose a lower --from, or --partitions", topic, span->partition, span->from, span->log_end);
    }
    if (moment_time_ms(&m->from, p->now_ms, &from_ms) && span->from == span->log_first && span->log_first > 0) {
        replay_risk(p, "partition %d: the log begins at offset %" PRId64 "; if there was anything older since %s, "
                    "retention has taken it", span->partition, span->log_first, p->arguments->from);
    }
    if (span->to > span->log_end) {
        replay_risk(p, "partition %d: the log ends at offset %" PRId64 ", and so does the plan", span->partition,
                    span->log_end);
        span->to = span->log_end;
    }
    if (span->to < span->from && m->from.kind == MOMENT_OFFSET && m->to.kind != MOMENT_END) {
        return err_set(e, ERR_CONFIG, "%s[%d]: the end, offset %" PRId64 ", lies before the start, offset %" PRId64,
                       topic, span->partition, span->to, span->from);
    }
    span->to = span->to < span->from ? span->from : span->to;
    return true;
}

static void span_note(struct replay_planning *p, const struct replay_span *span, const struct survey *before)
{
    const struct survey *s = &p->survey;
    (void)json_array_append_new(
        p->spans, json_pack("{s:i, s:I, s:I, s:I, s:I}", "partition", (int)span->partition, "from",
                            (json_int_t)span->from, "to", (json_int_t)span->to, "records",
                            (json_int_t)(s->n_records - before->n_records), "samples",
                            (json_int_t)(s->n_samples - before->n_samples)));
}

static bool span_do(struct replay_planning *p, const struct marks *m, const struct replay_planner *planner,
                    int32_t partition, struct err *e)
{
    struct survey before = p->survey;
    struct replay_span span = {.partition = partition};
    bool ok = log_reader_bounds(p->reader, partition, &span.log_first, &span.log_end, e) &&
              mark_resolve(p, &m->from, &span, &span.from, e) &&
              mark_resolve(p, &m->to, &span, &span.to, e) && span_check(p, m, &span, e) &&
              (span.from == span.to || planner->span(planner->ctx, p, &span, e));
    span_note(p, &span, &before);
    return ok;
}

/* --- the whole --- */

static bool tenant_check(struct replay_planning *p, struct err *e)
{
    const char *tenant = p->arguments->tenant;
    char names[120] = "";
    size_t at = 0;
    const struct survey_tenant *t;
    if (tenant[0] == '\0' || table_find(&p->survey.tenants, hash128(slice_str(tenant))) != NULL) {
        return true;
    }
    while ((t = table_next(&p->survey.tenants, &at)) != NULL && strlen(names) + strlen(t->name) + 3 < sizeof names) {
        (void)strcat(strcat(names, names[0] == '\0' ? "" : ", "), t->name);
    }
    return err_set(e, ERR_CONFIG, "no record of tenant %.60s lies in that range; there are: %s", tenant,
                   names[0] == '\0' ? "none" : names);
}

static bool texts_set(struct replay_planning *p, const struct kafka_settings *settings,
                      const struct replay_planner *planner, struct err *e)
{
    char topic_id[TOPIC_ID_CHARS + 1];
    const struct replay_arguments *a = p->arguments;
    struct replay_plan *plan = &p->plan;
    topic_id_text(log_reader_topic_id(p->reader), topic_id);
    const struct {
        const char **to;
        const char *text;
    } texts[] = {{&plan->cluster, log_reader_cluster(p->reader)}, {&plan->stage, a->stage},
                 {&plan->group, settings->group},                 {&plan->sink, planner->sink},
                 {&plan->topic, a->topic},                        {&plan->topic_id, topic_id},
                 {&plan->tenant, a->tenant},                      {&plan->metric, a->metric}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i].to = replay_plan_text(plan, texts[i].text);
        if (*texts[i].to == NULL) {
            return err_set(e, ERR_RETRY, "out of memory for a plan");
        }
    }
    plan->rate = a->rate;
    plan->made_ms = p->now_ms;
    return true;
}

struct telling {
    const char *topic;
    struct progress told;
};

static void tell(void *ctx, const struct record *r, int64_t to)
{
    struct telling *t = ctx;
    if (progress_due(&t->told)) {
        (void)fprintf(stderr, "%s[%d]: offset %" PRId64 " of %" PRId64 "\n", t->topic, r->partition->number, r->offset, to);
    }
}

static bool planning_do(struct replay_planning *p, const struct kafka_settings *settings,
                        const struct replay_planner *planner, struct err *e)
{
    struct marks marks;
    const struct replay_arguments *a = p->arguments;
    if (!marks_read(a, p->now_ms, &marks, e) || !log_reader_open(settings, &p->reader, e) ||
        !log_reader_topic(p->reader, a->topic, e) || !texts_set(p, settings, planner, e)) {
        return false;
    }
    struct telling telling = {.topic = a->topic};
    log_reader_watch(p->reader, tell, &telling);
    uint32_t n = log_reader_n_partitions(p->reader);
    if (replay_partition_highest(a->partitions) >= (int64_t)n) {
        return err_set(e, ERR_CONFIG, "--partitions %.60s: %s has %u, numbered from 0", a->partitions, a->topic, n);
    }
    bool ok = planner->begin == NULL || planner->begin(planner->ctx, p, e);
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = !replay_partition_wanted(a->partitions, (int32_t)i) || span_do(p, &marks, planner, (int32_t)i, e);
    }
    if (!ok || !tenant_check(p, e) || !planner->finish(planner->ctx, p, e)) {
        return false;
    }
    return planner->is_useless || replay_plan_write(&p->plan, a->out, e);
}

int replay_planning_run(const struct kafka_settings *settings, const struct replay_arguments *a,
                        const struct replay_planner *planner)
{
    struct err e = ERR_INIT;
    struct replay_planning p = {.arguments = a,
                                .now_ms = clock_now_ms(),
                                .effect = json_object(),
                                .risks = json_array(),
                                .spans = json_array()};
    replay_plan_init(&p.plan);
    survey_init(&p.survey);
    bool ok = planning_do(&p, settings, planner, &e);
    if (ok) {
        replay_report_plan(&p, !planner->is_useless);
    }
    if (ok && planner->is_useless && a->out[0] != '\0') {
        ok = err_set(&e, ERR_CONFIG, "%s was not written: there is nothing to apply, see the risks above", a->out);
    }
    if (!ok) {
        (void)fprintf(stderr, "%s: %s\n", settings->instance, e.text);
    }
    log_reader_close(p.reader);
    survey_fini(&p.survey);
    replay_plan_fini(&p.plan);
    json_decref(p.effect);
    json_decref(p.risks);
    json_decref(p.spans);
    return ok ? 0 : err_exit_code(&e);
}
