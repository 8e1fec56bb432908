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
    {"an address", "{}", C, "a", "", RES, "region=203.0.113.7", "personal_data region"},
    {"an address from the resource", "{}", C, "a", "", RES ",queue=203.0.113.7", "",
     "personal_data queue"},
    {"a resource attribute that is ignored", "{}", C, "a", "", RES ",host=203.0.113.7", "",
     "a_total{shard_id=s1} gs-1 standard"},
    {"a server named by a UUID", "{}", C, "a", "",
     "service.instance.id=x,shard_id=6ba7b810-9dad-11d1-80b4-00c04fd430c8", "",
     "a_total{shard_id=6ba7b810-9dad-11d1-80b4-00c04fd430c8} x standard"},
    {"a server named by a person", "{}", C, "a", "",
     "service.instance.id=x,shard_id=ana@example.com", "", "personal_data shard_id"},
    {"a build id of many digits", "{}", C, "a", "", RES, "build_id=18319896181998",
     "a_total{build_id=18319896181998,shard_id=s1} gs-1 standard"},
    {"a detector switched off", "{\"labels\": {\"detectors\": {\"ipv4\": false}}}", C, "a", "", RES,
     "region=203.0.113.7", "a_total{region=203.0.113.7,shard_id=s1} gs-1 standard"},
    {"open looks for none", "{\"mode\": \"open\"}", C, "a", "", RES, "instance=203.0.113.7:80",
     "a_total{instance=203.0.113.7:80,shard_id=s1} gs-1 standard"},
    {"a value of no pattern",
     "{\"labels\": {\"values\": {\"region\": {\"patterns\": [\"eu\", \"us-\\\\d\"]}}}}", C, "a", "",
     RES, "region=us", "label_value_not_allowed region"},
    {"a value of the second pattern",
     "{\"labels\": {\"values\": {\"region\": {\"patterns\": [\"eu\", \"us-\\\\d\"]}}}}", C, "a", "",
     RES, "region=us-1", "a_total{region=us-1,shard_id=s1} gs-1 standard"},
    {"a resource's value of no pattern",
     "{\"labels\": {\"values\": {\"shard_id\": {\"patterns\": [\"s\\\\d{2}\"]}}}}", C, "a", "", RES,
     "", "label_value_not_allowed shard_id"},
    {"a value longer than its label's bound",
     "{\"labels\": {\"values\": {\"region\": {\"max_bytes\": 3}}}}", C, "a", "", RES, "region=eu-1",
     "label_value_too_long region"},
    {"an attribute under another name",
     "{\"labels\": {\"rename\": {\"cloud.region\": \"region\"}}}", C, "a", "",
     RES ",cloud.region=eu", "", "a_total{region=eu,shard_id=s1} gs-1 standard"},
    {"a label under another name", "{\"labels\": {\"rename\": {\"zone\": \"az\"}}}", C, "a", "",
     RES, "zone=b", "a_total{az=b,shard_id=s1} gs-1 standard"},
    {"renamed onto one that is there", "{\"labels\": {\"rename\": {\"zone\": \"az\"}}}", C, "a", "",
     RES, "zone=b,az=c", "label_twice az"},
    {"forbidden, whatever its new name", "{\"labels\": {\"rename\": {\"player_id\": \"az\"}}}", C,
     "a", "", RES, "player_id=4", "label_forbidden player_id"},
    {"inside the scope", "{\"metric_prefixes\": [\"hub_\", \"game_\"]}", C, "game.x", "", RES, "",
     "game_x_total{shard_id=s1} gs-1 standard"},
    {"outside the scope", "{\"metric_prefixes\": [\"hub_\", \"game_\"]}", C, "games", "", RES, "",
     "name_out_of_scope "},
    {"outside the scope in mode open", "{\"mode\": \"open\", \"metric_prefixes\": [\"hub_\"]}", C,
     "game.x", "", RES, "", "name_out_of_scope "},
#define LISTED                                                                                     \
    "\"metrics\": {\"game_logins_total\": {\"kind\": \"counter\", \"unit\": \"\", \"labels\": "    \
    "[\"how\"]}, \"players\": {\"kind\": \"gauge\"}}"
    {"a listed metric", "{" LISTED "}", C, "game.logins", "", RES, "how=token",
     "game_logins_total{how=token,shard_id=s1} gs-1 standard"},
    {"a listed metric of another unit", "{" LISTED "}", C, "game.logins", "{login}", RES, "",
     "metric_contradicts "},
    {"a counter has another name, which is not listed", "{" LISTED "}", C, "players", "", RES, "",
     "players_total{shard_id=s1} gs-1 standard"},
    {"a listed kind that is not allowed otherwise", "{" LISTED "}", G, "players", "", RES, "",
     "players{shard_id=s1} gs-1 standard"},
    {"a kind that is not the listed one", "{" LISTED "}", E, "players", "", RES, "",
     "metric_contradicts "},
    {"a label that is allowed, but not for this metric", "{" LISTED "}", C, "game.logins", "", RES,
     "queue=a", "metric_contradicts queue"},
    {"an entry without labels leaves them to the rest", "{" LISTED "}", G, "players", "", RES,
     "queue=a", "players{queue=a,shard_id=s1} gs-1 standard"},
    {"not listed, checked only", "{" LISTED "}", C, "other", "", RES, "",
     "other_total{shard_id=s1} gs-1 standard"},
    {"not listed, only listed ones taken", "{\"dictionary\": \"only\", " LISTED "}", C, "other", "",
     RES, "", "metric_not_listed "},
    {"a listed label that is forbidden", "{\"metrics\": {\"a_total\": {\"labels\": [\"email\"]}}}",
     C, "a", "", RES, "email=x", "label_forbidden email"},
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

static const struct {
    const char *what;
    const char *policy;
    const char *attributes;
    const char *labels;
    const char *want; /* the first, and then the others */
} more_rows[] = {
    {"one alone", "{}", RES, "region=eu,player_id=1,queue=q", "label_forbidden player_id"},
    {"others of the point, in their order", "{}", RES,
     "raw_ip=1,colour=red,queue=203.0.113.7,email=x",
     "label_forbidden raw_ip; label_not_allowed colour; personal_data queue; label_forbidden "
     "email"},
    {"of the resource, too", "{}", RES ",region=203.0.113.7,az=a@b.example", "player_id=1",
     "label_forbidden player_id; personal_data region; personal_data az"},
    {"of the resource alone", "{}", RES ",region=203.0.113.7,az=a@b.example", "",
     "personal_data region; personal_data az"},
    {"a good label of the point stands for the resource's", "{}", RES ",region=203.0.113.7",
     "player_id=1,region=eu", "label_forbidden player_id"},
    {"the same name once", "{}", RES ",queue=a@b.example", "raw_ip=1,raw_ip=2,queue=203.0.113.7",
     "label_forbidden raw_ip; personal_data queue"},
    {"what is left out is not refused", "{\"labels\": {\"unknown\": \"strip\"}}", RES,
     "raw_ip=1,colour=red,email=x", "label_forbidden raw_ip; label_forbidden email"},
    {"no more than fit", "{}", RES, "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1",
     "label_not_allowed a; label_not_allowed b; label_not_allowed c; label_not_allowed d; "
     "label_not_allowed e; label_not_allowed f; label_not_allowed g; label_not_allowed h"},
    {"a name that is none, and a value", "{}", RES, "raw_ip=1,=x,region=!",
     "label_forbidden raw_ip; label_value_invalid region"},
    {"too many are not looked through", "{\"limits\": {\"labels_per_series\": 3}}", RES,
     "region=a,az=b,cluster=c,queue=d,player_id=1", "too_many_labels "},
};

START_TEST(all_labels_that_are_refused_are_noted)
{
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    struct arena a;
    struct verdict v;
    struct labels_space attributes;
    struct labels_space labels;
    char got[1024];
    arena_init(&a, 1 << 20);
    ck_assert_msg(policy_parse(slice_str(more_rows[_i].policy), &p, &e), "%s", e.text);
    const struct raw_series raw = {.metric = SLICE_LITERAL("a"),
                                   .attributes = labels_of(more_rows[_i].attributes, &attributes),
                                   .labels = labels_of(more_rows[_i].labels, &labels)};
    ck_assert(policy_judge(&p->rules, SLICE_LITERAL("t"), &raw, &a, &v, &e));
    describe(&v, got, sizeof got);
    for (uint32_t i = 0; i < v.n_more; i++) {
        size_t n = strlen(got);
        ck_assert(v.more[i].reason == REASON_LABEL_VALUE_INVALID || v.more[i].value.len > 0);
        (void)snprintf(got + n, sizeof got - n, "; %s %.*s", reason_name(v.more[i].reason),
                       SLICE_ARG(v.more[i].label));
    }
    ck_assert_msg(strcmp(got, more_rows[_i].want) == 0, "%s: got \"%s\"", more_rows[_i].what, got);
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

struct place_row {
    const char *what;
    const char *policy;
    enum series_kind kind;
    bool delta;
    const char *labels;
    const char *want; /* reason and rule */
};

/* Tenant t; of the metric "a" of a resource with all it needs. */
static const struct place_row place_rows[] = {
    {"a default", "{\"tenants\": {\"t\": {}}}", C, false, "raw_ip=x",
     "label_forbidden labels.forbid[4] (default)"},
    {"the top's", "{\"labels\": {\"forbid\": [\"x\", \"y\"]}, \"tenants\": {\"t\": {}}}", C, false,
     "y=1", "label_forbidden labels.forbid[1]"},
    {"the tenant's",
     "{\"labels\": {\"forbid\": [\"x\"]}, \"tenants\": {\"t\": {\"labels\": {\"forbid\": "
     "[\"z\"]}}}}",
     C, false, "z=1", "label_forbidden tenants.t.labels.forbid[0]"},
    {"a detector", "{\"tenants\": {\"t\": {\"labels\": {\"detectors\": {\"ipv4\": true}}}}}", C,
     false, "region=203.0.113.7", "personal_data tenants.t.labels.detectors.ipv4"},
    {"a value's pattern",
     "{\"labels\": {\"values\": {\"region\": {\"patterns\": [\"eu\"]}}}, \"tenants\": {\"t\": {}}}",
     C, false, "region=us", "label_value_not_allowed labels.values.region"},
    {"the tenant's dictionary",
     "{\"metrics\": {\"a_total\": {\"kind\": \"counter\"}}, \"tenants\": {\"t\": {\"metrics\": "
     "{\"a_total\": {\"kind\": \"gauge\"}}}}}",
     C, false, "", "metric_contradicts tenants.t.metrics.a_total"},
    {"the top's dictionary beside the tenant's",
     "{\"metrics\": {\"a_total\": {\"kind\": \"gauge\"}}, \"tenants\": {\"t\": {\"metrics\": "
     "{\"b_total\": {\"kind\": \"gauge\"}}}}}",
     C, false, "", "metric_contradicts metrics.a_total"},
    {"a kind", "{\"tenants\": {\"t\": {}}}", G, false, "",
     "kind_not_allowed kinds.allow (default)"},
    {"delta", "{\"tenants\": {\"t\": {}}}", C, true, "", "delta_not_allowed kinds.delta (default)"},
    {"delta for rollups", "{\"kinds\": {\"delta\": \"rollup\"}, \"tenants\": {\"t\": {}}}", C, true,
     "", "none classes.default (default)"},
    {"delta in mode open", "{\"tenants\": {\"t\": {\"mode\": \"open\"}}}", C, true, "",
     "none classes.default (default)"},
    {"a class",
     "{\"classes\": {\"rules\": [{\"metrics\": [\"b\"], \"class\": \"critical\"}, {\"metrics\": "
     "[\"a*\"], \"class\": \"verbose\"}]}, \"tenants\": {\"t\": {}}}",
     C, false, "", "none classes.rules[1]"},
    {"the scope", "{\"tenants\": {\"t\": {\"metric_prefixes\": [\"b\"]}}}", C, false, "",
     "name_out_of_scope tenants.t.metric_prefixes"},
};

START_TEST(the_rule_that_decided_has_a_place)
{
    const struct place_row *row = &place_rows[_i];
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    struct arena a;
    struct verdict v;
    struct labels_space attributes;
    struct labels_space labels;
    struct buf got;
    arena_init(&a, 1 << 20);
    buf_init(&got, 4096);
    ck_assert_msg(policy_parse(slice_str(row->policy), &p, &e), "%s: %s", row->what, e.text);
    const struct policy_tenant *t = policy_tenant(p, SLICE_LITERAL("t"));
    const struct raw_series raw = {
        .metric = SLICE_LITERAL("a"),
        .kind = row->kind,
        .delta = row->delta,
        .attributes = labels_of(RES, &attributes),
        .labels = labels_of(row->labels, &labels),
    };
    ck_assert(policy_judge(&t->rules, t->name, &raw, &a, &v, &e));
    buf_printf(&got, "%s ", reason_name(v.reason));
    rule_place_print(&t->rules, t->name, &v.rule, &got);
    ck_assert_msg(slice_eq_str(buf_slice(&got), row->want), "%s: got \"%.*s\", want \"%s\"",
                  row->what, SLICE_ARG(buf_slice(&got)), row->want);
    policy_free(p);
    arena_fini(&a);
    buf_fini(&got);
}
END_TEST

struct guess_row {
    const char *what;
    const char *policy;
    enum series_kind guess;
    const char *metric;
    const char *labels;
    const char *want; /* "kind unit", or the reason */
};

#define HUB                                                                                        \
    "{\"metrics\": {\"hub\": {\"kind\": \"classic_histogram\", \"unit\": \"s\", \"labels\": []}, " \
    "\"ticks\": {\"kind\": \"counter\", \"unit\": \"1\"}}"

/* As remote write sends them: without kinds and units. */
static const struct guess_row guess_rows[] = {
    {"the dictionary knows better", HUB "}", G, "ticks", "", "counter 1"},
    {"not listed", HUB "}", C, "other", "", "counter "},
    {"a histogram's bucket", HUB "}", C, "hub_bucket", "le=5", "counter s"},
    {"le is a bucket's alone", HUB "}", C, "hub_sum", "le=5", "metric_contradicts"},
    {"a histogram's name as a sample", HUB "}", G, "hub", "", "metric_contradicts"},
    {"no histogram's count", HUB "}", C, "ticks_count", "", "counter "},
    {"a part is listed with its histogram", HUB ", \"dictionary\": \"only\"}", C, "hub_count", "",
     "counter s"},
};

START_TEST(kinds_that_are_guessed_come_from_the_dictionary)
{
    const struct guess_row *row = &guess_rows[_i];
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    struct arena a;
    struct verdict v;
    struct labels_space labels;
    char all[256];
    char got[256];
    arena_init(&a, 1 << 20);
    ck_assert_msg(policy_parse(slice_str(row->policy), &p, &e), "%s: %s", row->what, e.text);
    (void)snprintf(all, sizeof all, "shard_id=1%s%s", row->labels[0] == '\0' ? "" : ",",
                   row->labels);
    const struct raw_series raw = {.metric = slice_str(row->metric),
                                   .kind = row->guess,
                                   .kind_is_guess = true,
                                   .is_final = true,
                                   .labels = labels_of(all, &labels)};
    ck_assert(policy_judge(&p->rules, SLICE_LITERAL("t"), &raw, &a, &v, &e));
    (void)snprintf(got, sizeof got, "%s %.*s",
                   v.reason == REASON_NONE ? series_kind_name(v.series.kind)
                                           : reason_name(v.reason),
                   SLICE_ARG(v.reason == REASON_NONE ? v.series.unit : SLICE_NONE));
    if (v.reason != REASON_NONE) {
        got[strlen(got) - 1] = '\0';
    }
    ck_assert_msg(strcmp(got, row->want) == 0, "%s: got \"%s\", want \"%s\"", row->what, got,
                  row->want);
    policy_free(p);
    arena_fini(&a);
}
END_TEST

/* A NUL or a bad byte is found wherever it stands; a letter that is not ASCII is none. */
START_TEST(each_byte_of_a_value_is_looked_at)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum reason want;
    } parts[] = {{"\0", 1, REASON_LABEL_VALUE_INVALID}, {"\xff", 1, REASON_LABEL_VALUE_INVALID}, {"\xc3\xa9", 2, REASON_NONE},
                 {"\x01", 1, REASON_NONE}, {"\x7f", 1, REASON_NONE}, {"\x80", 1, REASON_LABEL_VALUE_INVALID}};
    struct policy *p = NULL;
    struct err e = ERR_INIT;
    struct arena a;
    arena_init(&a, 1 << 20);
    ck_assert(policy_parse(SLICE_LITERAL("{}"), &p, &e));
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        for (size_t at = 0; at < 40; at++) {
            char value[64];
            struct verdict v;
            size_t len = at + parts[k].n + (40 - at) % 11;
            memset(value, 'v', sizeof value);
            memcpy(value + at, parts[k].bytes, parts[k].n);
            const struct raw_label labels[] = {{SLICE_LITERAL("region"), slice_of(value, len), true},
                                               {SLICE_LITERAL("shard_id"), SLICE_LITERAL("s1"), true}};
            const struct raw_series raw = {.metric = SLICE_LITERAL("a"), .labels = {2, labels}};
            arena_reset(&a);
            ck_assert(policy_judge(&p->rules, SLICE_LITERAL("t"), &raw, &a, &v, &e));
            ck_assert_msg(v.reason == parts[k].want, "part %zu at %zu: %s", k, at, reason_name(v.reason));
        }
    }
    policy_free(p);
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("judge");
    TCase *t = tcase_create("judge");
    tcase_add_loop_test(t, verdicts, 0, sizeof rows / sizeof rows[0]);
    tcase_add_loop_test(t, all_labels_that_are_refused_are_noted, 0,
                        sizeof more_rows / sizeof more_rows[0]);
    tcase_add_test(t, final_names_are_not_translated);
    tcase_add_test(t, each_byte_of_a_value_is_looked_at);
    tcase_add_loop_test(t, the_rule_that_decided_has_a_place, 0,
                        sizeof place_rows / sizeof place_rows[0]);
    tcase_add_loop_test(t, kinds_that_are_guessed_come_from_the_dictionary, 0,
                        sizeof guess_rows / sizeof guess_rows[0]);
    suite_add_tcase(s, t);
    return run_suite(s);
}
