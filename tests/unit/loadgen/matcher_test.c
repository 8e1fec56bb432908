#include "matcher.h"

#include "../runner.h"
#include "load.h"

enum { N_LABELS = 7 };

/* The stored labels of a series, sorted by name as stores have them. */
static void labels_of(const struct model *m, const struct model_server *names, uint32_t series,
                      struct label out[N_LABELS + 2])
{
    const struct model_series *s = &m->series[series];
    out[0] = (struct label){slice_str("az"), slice_str(names->az)};
    out[1] = (struct label){slice_str("build_id"), slice_str(names->build_id)};
    out[2] = (struct label){slice_str("cluster"), slice_str(names->cluster)};
    out[3] = (struct label){slice_str("instance_type"), slice_str(names->instance_type)};
    out[4] = (struct label){slice_str("region"), slice_str(names->region)};
    out[5] = (struct label){slice_str("shard_id"), slice_str(names->shard_id)};
    out[6] = (struct label){slice_str(s->metric->dimension), slice_str(s->dimension_value)};
}

START_TEST(finds_every_series)
{
    struct model m;
    struct matcher t;
    struct err e = ERR_INIT;
    load_open(&m, load_unruly());
    ck_assert(matcher_init(&t, &m, &e));
    for (uint32_t server = 0; server < m.p.n_servers; server++) {
        struct model_server names;
        model_server(&m, server, &names);
        for (uint32_t i = 0; i < m.p.n_series; i++) {
            struct label labels[N_LABELS + 2];
            uint32_t found_server;
            uint32_t found;
            labels_of(&m, &names, i, labels);
            enum match match = matcher_find(&t, slice_str(m.series[i].metric->prometheus), labels,
                                            N_LABELS, &found_server, &found);
            ck_assert_int_eq(match, MATCH_OURS);
            ck_assert_uint_eq(found_server, server);
            ck_assert_uint_eq(found, i);
        }
    }
    matcher_fini(&t);
    model_fini(&m);
}
END_TEST

START_TEST(tells_strangers_apart)
{
    struct model m;
    struct matcher t;
    struct err e = ERR_INIT;
    uint32_t server;
    uint32_t series;
    struct model_server names;
    struct label labels[N_LABELS + 2];
    load_open(&m, load_unruly());
    ck_assert(matcher_init(&t, &m, &e));
    model_server(&m, 2, &names);
    labels_of(&m, &names, 0, labels);
    struct slice metric = slice_str(m.series[0].metric->prometheus);

    ck_assert_int_eq(matcher_find(&t, slice_str("up"), labels, N_LABELS, &server, &series),
                     MATCH_UNEXPECTED);
    ck_assert_int_eq(matcher_find(&t, slice_str(m.series[0].metric->name), labels, N_LABELS,
                                  &server, &series),
                     MATCH_UNEXPECTED);
    ck_assert_int_eq(matcher_find(&t, metric, labels, N_LABELS - 1, &server, &series),
                     MATCH_UNEXPECTED); /* the dimension is missing */
    ck_assert_int_eq(matcher_find(&t, metric, labels + 1, N_LABELS - 1, &server, &series),
                     MATCH_UNEXPECTED); /* az is */

    labels[N_LABELS] = (struct label){slice_str("job"), slice_str("game-server")};
    ck_assert_int_eq(matcher_find(&t, metric, labels, N_LABELS + 1, &server, &series),
                     MATCH_UNEXPECTED); /* one too many, */
    t.ignored[t.n_ignored++] = "job"; /* unless it is to be ignored */
    labels[N_LABELS + 1] = (struct label){slice_str("__name__"), metric};
    ck_assert_int_eq(matcher_find(&t, metric, labels, N_LABELS + 2, &server, &series), MATCH_OURS);

    labels[4].value = slice_str("mars-east-1");
    ck_assert_int_eq(matcher_find(&t, metric, labels, N_LABELS, &server, &series),
                     MATCH_UNEXPECTED);
    static const char *const others[] = {"s000039", "s000045", "s00004x", "000041", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        labels[5].value = slice_str(others[i]);
        ck_assert_msg(matcher_find(&t, metric, labels, N_LABELS, &server, &series) == MATCH_OTHER,
                      "%s", others[i]);
    }
    matcher_fini(&t);
    model_fini(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen matcher");
    TCase *all = tcase_create("all");
    suite_add_tcase(suite, all);
    tcase_add_test(all, finds_every_series);
    tcase_add_test(all, tells_strangers_apart);
    return run_suite(suite);
}
