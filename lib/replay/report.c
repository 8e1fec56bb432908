#include "replay/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int by_samples(const void *a, const void *b)
{
    const struct survey_tenant *x = *(const struct survey_tenant *const *)a;
    const struct survey_tenant *y = *(const struct survey_tenant *const *)b;
    return x->n_samples != y->n_samples ? (x->n_samples < y->n_samples) - (x->n_samples > y->n_samples)
                                        : strcmp(x->name, y->name);
}

/* Most samples first. */
static json_t *tenants_json(const struct survey *s)
{
    json_t *out = json_object();
    const struct survey_tenant **all = calloc(s->tenants.n + 1, sizeof *all);
    size_t at = 0;
    size_t n = 0;
    for (const struct survey_tenant *t; all != NULL && (t = table_next(&s->tenants, &at)) != NULL;) {
        all[n++] = t;
    }
    if (n > 0) {
        qsort(all, n, sizeof *all, by_samples);
    }
    for (size_t i = 0; i < n; i++) {
        (void)json_object_set_new(out, all[i]->name, json_integer((json_int_t)all[i]->n_samples));
    }
    free(all);
    return out;
}

/* The digits of RFC 3339, UTC. */
static const char *time_text(int64_t ms, char out[32])
{
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000);
    (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    return out;
}

static json_t *report_json(const struct replay_planning *p, bool has_plan)
{
    char first[32];
    char last[32];
    const struct survey *s = &p->survey;
    uint64_t n = replay_plan_n_samples(&p->plan);
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "cluster_id",
        p->plan.cluster, "stage", p->plan.stage, "group", p->plan.group, "sink", p->plan.sink,
        "topic", p->plan.topic, "topic_id", p->plan.topic_id, "file", p->arguments->out, "partitions",
        p->spans, "records", (json_int_t)s->n_records, "samples", (json_int_t)s->n_samples,
        "bytes", (json_int_t)s->n_bytes, "unreadable", (json_int_t)s->n_other, "sources",
        (json_int_t)s->sources.n, "first_record", time_text(s->first_ms, first), "last_record",
        time_text(s->last_ms, last), "tenants", tenants_json(s));
    if (has_plan) {
        (void)json_object_set_new(root, "plan", json_string(p->plan.id));
        (void)json_object_set_new(root, "pieces", json_integer((json_int_t)p->plan.n_pieces));
        (void)json_object_set_new(root, "to_do", json_integer((json_int_t)n));
    }
    (void)json_object_set_new(root, "rate", json_integer((json_int_t)p->plan.rate));
    if (p->plan.rate > 0) {
        (void)json_object_set_new(root, "seconds", json_real((double)(has_plan ? n : s->n_samples) / (double)p->plan.rate));
    }
    (void)json_object_set(root, "effect", p->effect);
    (void)json_object_set(root, "risks", p->risks);
    return root;
}

/* "rows_missing" → "rows missing" */
static void print_name(const char *name)
{
    char text[64];
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < sizeof text; n++) {
        text[n] = (char)(name[n] == '_' ? ' ' : name[n]);
    }
    text[n] = '\0';
    (void)printf("  %-34s", text);
}

static void print_spans(const struct replay_planning *p)
{
    size_t i;
    json_t *span;
    (void)printf("\n%9s %12s %12s %12s %12s\n", "partition", "from", "to", "records", "samples");
    json_array_foreach(p->spans, i, span)
    {
        static const char *const columns[] = {"from", "to", "records", "samples"};
        (void)printf("%9lld", (long long)json_integer_value(json_object_get(span, "partition")));
        for (size_t k = 0; k < 4; k++) {
            (void)printf(" %12lld", (long long)json_integer_value(json_object_get(span, columns[k])));
        }
        (void)puts("");
    }
}

static void print_numbers(json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        print_name(name);
        (void)printf(" %12lld\n", (long long)json_integer_value(value));
    }
}

static void print_totals(const struct replay_planning *p)
{
    const struct survey *s = &p->survey;
    char first[32];
    char last[32];
    json_t *tenants = tenants_json(s);
    (void)printf("\nread: %" PRIu64 " records, %" PRIu64 " bytes, %" PRIu64 " samples of %zu sources", s->n_records,
                 s->n_bytes, s->n_samples, s->sources.n);
    if (s->n_records > 0) {
        (void)printf(", %s to %s", time_text(s->first_ms, first), time_text(s->last_ms, last));
    }
    (void)printf("\nsamples by tenant\n");
    print_numbers(tenants);
    json_decref(tenants);
}

static void print_plan(const struct replay_planning *p)
{
    uint64_t n = replay_plan_n_samples(&p->plan);
    (void)printf("\nto do: %" PRIu64 " samples in %zu pieces", n, p->plan.n_pieces);
    if (p->plan.rate > 0) {
        (void)printf(", about %.0f s at %" PRId64 " samples/s", (double)n / (double)p->plan.rate, p->plan.rate);
    }
    (void)printf("\nplan %s", p->plan.id);
    if (p->arguments->out[0] != '\0') {
        (void)printf(": sluice-offsets apply %s, with the same configuration", p->arguments->out);
    } else {
        (void)printf(" (not written: --out FILE)");
    }
    (void)puts("");
}

void replay_report_plan(const struct replay_planning *p, bool has_plan)
{
    size_t i;
    json_t *risk;
    if (p->arguments->as_json) {
        json_t *root = report_json(p, has_plan);
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
        (void)puts("");
        json_decref(root);
        return;
    }
    (void)printf("replay of %s (%s, cluster %s) into %s%s%s\n", p->plan.topic, p->plan.topic_id, p->plan.cluster,
                 p->plan.stage, p->plan.sink[0] == '\0' ? "" : ", ", p->plan.sink);
    print_spans(p);
    print_totals(p);
    (void)puts("effect");
    print_numbers(p->effect);
    (void)puts("risks");
    json_array_foreach(p->risks, i, risk)
    {
        (void)printf("  - %s\n", json_string_value(risk));
    }
    if (has_plan) {
        print_plan(p);
    } else if (p->plan.rate > 0) {
        (void)printf("\nread again: about %.0f s at %" PRId64 " samples/s\n",
                     (double)p->survey.n_samples / (double)p->plan.rate, p->plan.rate);
    }
}
