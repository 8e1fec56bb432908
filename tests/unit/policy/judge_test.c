#include "policy/judge.h"

#include <stdio.h>

#include "runner.h"

enum { MAX_LABELS = 96 };

/* Labels as "name=value,name=value"; a value of ! stands for a list, % for a NUL, ~ for a bad byte,
 * # for 2,000 bytes. */
struct labels_space {
    char text[8192];
    struct raw_label items[MAX_LABELS];
};

static struct raw_labels labels_of(const char *spec, struct labels_space *space)
{
    static char many[2000];
    uint32_t n = 0;
    memset(many, 'v', sizeof many);
    (void)snprintf(space->text, sizeof space->text, "%s", spec);
    char *rest = space->text;
    for (char *item; rest[0] != '\0' && (item = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(item, '=');
        *value++ = '\0';
        struct raw_label l = {slice_str(item), slice_str(value), true};
        l.is_text = strcmp(value, "!") != 0;
        l.value = strcmp(value, "%") == 0   ? slice_of("a\0b", 3)
                  : strcmp(value, "~") == 0 ? slice_of("a\xff", 2)
                  : strcmp(value, "#") == 0 ? slice_of(many, sizeof many)
                                            : l.value;
        space->items[n++] = l;
        if (rest == NULL) {
            break;
        }
    }
    return (struct raw_labels){n, space->items};
}

struct row {
    const char *what;
    const char *policy; /* of the tenant */
    enum series_kind kind;
    const char *metric;
    const char *unit;
    const char *attributes;
    const char *labels;
    const char *want; /* "name{label=value,…} source class", or the reason and the label */
};

#define RES "service.instance.id=gs-1,shard_id=s1"
#define C SERIES_COUNTER
#define G SERIES_GAUGE
#define E SERIES_EXP_HISTOGRAM
#define H SERIES_CLASSIC_HISTOGRAM

static const struct row rows[] = {
    {"plain", "{}", C, "a.b", "", RES, "region=eu",
     "a_b_total{region=eu,shard_id=s1} gs-1 standard"},
    {"allowed resource attributes become labels", "{}", C, "a", "",
     RES ",az=a,host.name=h,region=eu", "", "a_total{az=a,region=eu,shard_id=s1} gs-1 standard"},
    {"the point's label wins", "{}", C, "a", "", RES ",region=eu", "region=us",
     "a_total{region=us,shard_id=s1} gs-1 standard"},
    {"the point's empty label gives way", "{}", C, "a", "", RES ",region=eu",
     "region=", "a_total{region=eu,shard_id=s1} gs-1 standard"},
    {"forbidden resource attributes are ignored", "{}", C, "a", "", RES ",player_id=4", "",
     "a_total{shard_id=s1} gs-1 standard"},
    {"a label that is not listed", "{}", C, "a", "", RES, "colour=red", "label_not_allowed colour"},
    {"a forbidden label", "{}", C, "a", "", RES, "region=eu,player_id=4711",
     "label_forbidden player_id"},
    {"forbidden after translation", "{}", C, "a", "", RES, "player.id=4711",
     "label_forbidden player.id"},
    {"forbidden in mode open", "{\"mode\": \"open\"}", C, "a", "", RES, "player_id=4711",
     "label_forbidden player_id"},
    {"forbidden beats strip", "{\"labels\": {\"unknown\": \"strip\"}}", C, "a", "", RES,
     "player_id=4711", "label_forbidden player_id"},
    {"strip", "{\"labels\": {\"unknown\": \"strip\"}}", C, "a", "", RES, "colour=red,region=eu",
     "a_total{region=eu,shard_id=s1} gs-1 standard stripped"},
    {"open takes any label", "{\"mode\": \"open\"}", C, "a", "", "service.instance.id=x",
     "colour=red", "a_total{colour=red} x standard"},
    {"open without a source", "{\"mode\": \"open\"}", C, "a", "", "", "",
     "a_total{} unknown standard"},
    {"label translated", "{\"labels\": {\"allow\": [\"http_method\", \"shard_id\"]}}", C, "a", "",
     RES, "http.method=GET", "a_total{http_method=GET,shard_id=s1} gs-1 standard"},
    {"two labels become one", "{\"labels\": {\"allow\": [\"a_b\", \"shard_id\"]}}", C, "a", "", RES,
     "a.b=1,a_b=2", "label_twice a_b"},
    {"the same label twice", "{}", C, "a", "", RES, "region=a,region=a", "label_twice region"},
    {"two resource attributes become one", "{}", C, "a", "", RES ",build.id=1,build_id=2", "",
     "label_twice build_id"},
    {"reserved", "{\"mode\": \"open\"}", C, "a", "", RES, "__name__=x", "label_reserved __name__"},
    {"le on a counter is a label", "{}", C, "a", "", RES, "le=5",
     "a_total{le=5,shard_id=s1} gs-1 standard"},
    {"le on a histogram is reserved", "{}", E, "a", "", RES, "le=5", "label_reserved le"},
    {"value with a NUL", "{}", C, "a", "", RES, "region=%", "label_value_invalid region"},
    {"value not UTF-8", "{}", C, "a", "", RES, "region=~", "label_value_invalid region"},
    {"value a list", "{}", C, "a", "", RES, "region=!", "label_value_invalid region"},
    {"value too long", "{}", C, "a", "", RES, "region=#", "label_value_too_long region"},
    {"resource value not UTF-8", "{}", C, "a", "", RES ",region=~", "",
     "label_value_invalid region"},
    {"resource value not UTF-8, but ignored", "{}", C, "a", "", RES ",host=~", "",
     "a_total{shard_id=s1} gs-1 standard"},
    {"label name empty", "{}", C, "a", "", RES, "=x", "label_name_invalid "},
    {"label name without a letter", "{\"mode\": \"open\"}", C, "a", "", RES, "..=x",
     "label_name_invalid .."},
    {"too many labels", "{\"limits\": {\"labels_per_series\": 2}}", C, "a", "", RES,
     "region=a,az=b", "too_many_labels "},
    {"no identity", "{}", C, "a", "", "service.instance.id=x", "", "identity_missing shard_id"},
    {"identity from the point", "{}", C, "a", "", "service.instance.id=x", "shard_id=7",
     "a_total{shard_id=7} x standard"},
    {"another identity", "{\"labels\": {\"identity\": \"region\"}}", C, "a", "",
     "service.instance.id=x,region=r", "", "a_total{region=r} x standard"},
    {"no identity wanted", "{\"labels\": {\"identity\": \"\"}}", C, "a", "",
     "service.instance.id=x", "", "a_total{} x standard"},
    {"source by the identity", "{}", C, "a", "", "shard_id=s1", "",
     "a_total{shard_id=s1} s1 standard"},
    {"source by order", "{\"source\": {\"attributes\": [\"pod\", \"host\"]}}", C, "a", "",
     "shard_id=s1,host=h,pod=p", "", "a_total{shard_id=s1} p standard"},
    {"source by label", "{\"source\": {\"labels\": [\"az\", \"region\"]}}", C, "a", "",
     "shard_id=s1", "region=r", "a_total{region=r,shard_id=s1} r standard"},
    {"no source", "{\"labels\": {\"identity\": \"\"}}", C, "a", "", "", "", "source_missing "},
    {"source not UTF-8", "{}", C, "a", "", "shard_id=s,service.instance.id=~", "",
     "source_invalid "},
    {"gauge", "{}", G, "a", "", RES, "", "kind_not_allowed "},
    {"gauge by pattern", "{\"kinds\": {\"gauge_metrics\": [\"players*\"]}}", G, "players.online",
     "", RES, "", "players_online{shard_id=s1} gs-1 standard"},
    {"gauge by switch", "{\"kinds\": {\"allow\": [\"gauge\"]}}", G, "a", "1", RES, "",
     "a_ratio{shard_id=s1} gs-1 standard"},
    {"counter switched off", "{\"kinds\": {\"allow\": [\"gauge\"]}}", C, "a", "", RES, "",
     "kind_not_allowed "},
    {"classic histogram", "{}", H, "a", "", RES, "", "kind_not_allowed "},
    {"classic histogram by pattern",
     "{\"kinds\": {\"classic_histogram_metrics\": [\"*_seconds\"]}}", H, "a", "s", RES, "",
     "a_seconds{shard_id=s1} gs-1 standard"},
    {"name not listed", "{\"names\": {\"allow\": [\"game_*\"]}}", C, "a", "", RES, "",
     "name_not_allowed "},
    {"name listed", "{\"names\": {\"allow\": [\"game_*\"]}}", C, "game.x", "", RES, "",
     "game_x_total{shard_id=s1} gs-1 standard"},
    {"name empty", "{}", C, "", "", RES, "", "name_invalid "},
    {"name without a letter", "{}", E, "...", "", RES, "", "name_invalid "},
    {"name not UTF-8", "{}", C, "a\xff", "", RES, "", "name_invalid "},
    {"name too long", "{\"names\": {\"max_bytes\": 8}}", C, "abcdefgh", "", RES, "",
     "name_invalid "},
    {"unit too long", "{}", C, "a",
     "0123456789012345678901234567890123456789012345678901234567890123", RES, "", "unit_invalid "},
    {"unit not UTF-8", "{}", C, "a", "\xc3", RES, "", "unit_invalid "},
    {"class by the first pattern",
     "{\"classes\": {\"default\": \"verbose\", \"rules\": [{\"metrics\": [\"b*\", \"a_*\"], "
     "\"class\": \"critical\"}, {\"metrics\": [\"*\"], \"class\": \"standard\"}]}}",
     C, "a", "", RES, "", "a_total{shard_id=s1} gs-1 critical"},
    {"class by default",
     "{\"classes\": {\"default\": \"verbose\", \"rules\": [{\"metrics\": [\"b*\"], \"class\": "
     "\"critical\"}]}}",
     C, "a", "", RES, "", "a_total{shard_id=s1} gs-1 verbose"},
};

static void describe(const struct verdict *v, char *out, size_t out_bytes)
{
    if (v->reason != REASON_NONE) {
        (void)snprintf(out, out_bytes, "%s %.*s", reason_name(v->reason), SLICE_ARG(v->label));
        return;
    }
    int n = snprintf(out, out_bytes, "%.*s{", SLICE_ARG(v->series.metric));
    for (uint32_t i = 0; i < v->series.n_labels; i++) {
        n += snprintf(out + n, out_bytes - (size_t)n, "%s%.*s=%.*s", i == 0 ? "" : ",",
                      SLICE_ARG(v->series.labels[i].name), SLICE_ARG(v->series.labels[i].value));
    }
    (void)snprintf(out + n, out_bytes - (size_t)n, "} %.*s %s%s", SLICE_ARG(v->source_name),
                   batch_class_name(v->class), v->stripped != 0 ? " stripped" : "");
}

START_TEST(verdicts)
{
    const struct row *row = &rows[_i];
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    struct arena a;
    struct verdict v;
    struct labels_space attributes;
    struct labels_space labels;
    char got[4096];
    arena_init(&a, 1 << 20);
    ck_assert_msg(policy_parse(slice_str(row->policy), &p, &e), "%s: %s", row->what, e.text);
    const struct raw_series raw = {
        .metric = slice_str(row->metric),
        .unit = slice_str(row->unit),
        .kind = row->kind,
        .attributes = labels_of(row->attributes, &attributes),
        .labels = labels_of(row->labels, &labels),
    };
    ck_assert(policy_judge(&p->rules, SLICE_LITERAL("t"), &raw, &a, &v, &e));
    describe(&v, got, sizeof got);
    ck_assert_msg(strcmp(got, row->want) == 0, "%s: got \"%s\", want \"%s\"", row->what, got,
                  row->want);
    if (v.reason == REASON_NONE) {
        struct hash128 id =
            series_id(SLICE_LITERAL("t"), v.series.metric, v.series.labels, v.series.n_labels);
        ck_assert(hash128_eq(id, v.series.id));
    }
    policy_free(p);
    arena_fini(&a);
}
END_TEST

START_TEST(final_names_are_not_translated)
{
    static const struct {
        const char *metric;
        const char *labels;
        const char *want;
    } finals[] = {
        {"game_logins_total", "shard_id=1", "game_logins_total{shard_id=1} me standard"},
        {"game_logins", "shard_id=1", "game_logins{shard_id=1} me standard"},
        {"game.logins", "shard_id=1", "name_invalid "},
        {"a", "shard_id=1,a.b=2", "label_name_invalid a.b"},
    };
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    ck_assert(policy_parse(SLICE_LITERAL("{}"), &p, &e));
    for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++) {
        struct labels_space space;
        struct arena a;
        struct verdict v;
        char got[1024];
        arena_init(&a, 1 << 20);
        const struct raw_series raw = {.metric = slice_str(finals[i].metric),
                                       .unit = SLICE_LITERAL("s"),
                                       .is_final = true,
                                       .source = SLICE_LITERAL("me"),
                                       .labels = labels_of(finals[i].labels, &space)};
        ck_assert(policy_judge(&p->rules, SLICE_LITERAL("t"), &raw, &a, &v, &e));
        describe(&v, got, sizeof got);
        ck_assert_str_eq(got, finals[i].want);
        arena_fini(&a);
    }
    policy_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("judge");
    TCase *t = tcase_create("judge");
    tcase_add_loop_test(t, verdicts, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(t, final_names_are_not_translated);
    suite_add_tcase(s, t);
    return run_suite(s);
}
