#include "runner.h"

#include "replay/plan.h"
#include "stage/topics.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/sluice_plan_XXXXXX";

static void setup(void)
{
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

static void teardown(void)
{
    (void)unlink(path);
    (void)strcpy(path, "/tmp/sluice_plan_XXXXXX");
}

static void plan_fill(struct replay_plan *p)
{
    struct err e = ERR_INIT;
    replay_plan_init(p);
    p->cluster = "c";
    p->stage = "parquet";
    p->topic = "metrics.admitted";
    p->topic_id = "AAECAwQFBgcICQoLDA0ODw";
    p->sink = "s3://b/ü";
    p->rate = 7;
    p->made_ms = 1;
    for (int32_t i = 0; i < 100; i++) {
        const struct replay_piece piece = {.partition = i / 10,
                                           .first = i * 10,
                                           .last = i * 10 + 9,
                                           .n_records = 3,
                                           .n_bytes = 4,
                                           .n_samples = (uint64_t)i,
                                           .digest = {UINT64_MAX - (uint64_t)i, (uint64_t)i},
                                           .note = i == 5 ? "{\"hours\":1}" : NULL};
        ck_assert(replay_plan_add(p, &piece, &e));
    }
}

START_TEST(test_round_trip)
{
    struct replay_plan p;
    struct replay_plan q;
    struct err e = ERR_INIT;
    plan_fill(&p);
    replay_plan_init(&q);
    ck_assert_msg(replay_plan_write(&p, path, &e), "%s", e.text);
    ck_assert_msg(replay_plan_read(&q, path, &e), "%s", e.text);
    ck_assert_str_eq(p.id, q.id);
    ck_assert_uint_eq(strlen(q.id), REPLAY_ID_CHARS);
    ck_assert_str_eq(q.sink, "s3://b/ü");
    ck_assert_int_eq(q.rate, 7);
    ck_assert_uint_eq(q.n_pieces, 100);
    ck_assert_uint_eq(replay_plan_n_samples(&q), 4950);
    for (size_t i = 0; i < q.n_pieces; i++) {
        ck_assert(hash128_eq(p.pieces[i].digest, q.pieces[i].digest));
        ck_assert_int_eq(p.pieces[i].last, q.pieces[i].last);
        ck_assert_str_eq(p.pieces[i].note, q.pieces[i].note);
    }
    replay_plan_fini(&p);
    replay_plan_fini(&q);
}
END_TEST

struct change {
    const char *name;
    const char *from; /* NULL: the file ends after 300 bytes */
    const char *to;
    const char *told;
};

static const struct change changes[] = {
    {"an offset", "\"last\": 19", "\"last\": 18", "was changed"},
    {"the rate", "\"rate\": 7", "\"rate\": 8", "was changed"},
    {"the cluster", "\"cluster_id\": \"c\"", "\"cluster_id\": \"d\"", "was changed"},
    {"the version", "\"version\": 1", "\"version\": 2", "no plan of this version"},
    {"a key", "\"stage\"", "\"stege\"", "no plan of this version"},
    {"the digest", "\n \"digest\": \"", "\n \"digest\": \"x", "was changed"},
    {"a piece's digest", "\"digest\": \"", "\"digest\": \"x", "pieces[0] is none"},
    {"no end", NULL, NULL, "line"},
};

START_TEST(test_changed)
{
    static char text[100000];
    const struct change *c = &changes[_i];
    struct replay_plan p;
    struct err e = ERR_INIT;
    plan_fill(&p);
    ck_assert(replay_plan_write(&p, path, &e));
    FILE *f = fopen(path, "r");
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    char *at = c->from == NULL ? text + 300 : strstr(text, c->from);
    ck_assert_ptr_nonnull(at);
    f = fopen(path, "w");
    (void)fwrite(text, 1, (size_t)(at - text), f);
    if (c->from != NULL) {
        (void)fputs(c->to, f);
        (void)fputs(at + strlen(c->from), f);
    }
    (void)fclose(f);
    replay_plan_fini(&p);
    replay_plan_init(&p);
    ck_assert_msg(!replay_plan_read(&p, path, &e), "%s", c->name);
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, c->told) != NULL, "%s: %s", c->name, e.text);
    replay_plan_fini(&p);
}
END_TEST

static struct hash128 digest_of(int64_t offset, const char *value)
{
    struct hash128 d = {0};
    const struct record r = {.offset = offset, .value = value == NULL ? SLICE_NONE : slice_str(value)};
    replay_digest_add(&d, &r);
    return d;
}

START_TEST(test_digest)
{
    ck_assert(hash128_eq(digest_of(1, "a"), digest_of(1, "a")));
    ck_assert(!hash128_eq(digest_of(1, "a"), digest_of(2, "a")));
    ck_assert(!hash128_eq(digest_of(1, "a"), digest_of(1, "b")));
    ck_assert(!hash128_eq(digest_of(1, ""), digest_of(1, NULL)));
}
END_TEST

START_TEST(test_topic_id)
{
    char text[TOPIC_ID_CHARS + 1];
    uint8_t id[16];
    for (uint8_t i = 0; i < 16; i++) {
        id[i] = i;
    }
    topic_id_text(id, text);
    ck_assert_str_eq(text, "AAECAwQFBgcICQoLDA0ODw");
    memset(id, 0xff, sizeof id);
    topic_id_text(id, text);
    ck_assert_str_eq(text, "_____________________w");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay_plan");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_round_trip);
    tcase_add_loop_test(tc, test_changed, 0, sizeof changes / sizeof changes[0]);
    tcase_add_test(tc, test_digest);
    tcase_add_test(tc, test_topic_id);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
