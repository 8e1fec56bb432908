/* What credentials are read from, and when they are refreshed. */
#include "runner.h"

#include "aws/credentials.h"
#include "aws/credentials_parse.h"
#include "aws/encode.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, 1 << 20);
}

static void teardown(void)
{
    arena_fini(&arena);
}

#define SECRET "\"SecretAccessKey\":\"wJalr/+secret\""
#define GOOD_JSON                                                                                  \
    "{\"AccessKeyId\":\"AKIDX\"," SECRET                                                           \
    ",\"Token\":\"tok==\",\"Expiration\":\"2026-11-25T13:00:00Z\"}"

static const struct json_row {
    const char *name;
    const char *json;
    const char *says; /* NULL = taken */
} json_rows[] = {
    {"container", GOOD_JSON, NULL},
    {"IMDS",
     "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"AKIDX\"," SECRET
     ",\"Token\":\"tok==\",\"Expiration\":\"2026-11-25T14:00:00.5+01:00\"}",
     NULL},
    {"refused",
     "{\"Code\":\"AssumeRole\\nUnauthorized\",\"Message\":\""
     "wJalr"
     "\"}",
     "the answer's code is AssumeRole?Unauthorized"},
    {"no secret", "{\"AccessKeyId\":\"AKIDX\"}", "the secret key is missing"},
    {"secret of another type", "{\"AccessKeyId\":\"AKIDX\",\"SecretAccessKey\":5}",
     "the secret key is missing"},
    {"empty key", "{\"AccessKeyId\":\"\"," SECRET "}", "the access key is missing"},
    {"header injection", "{\"AccessKeyId\":\"A\\r\\nX: y\"," SECRET "}",
     "the access key holds byte 0x0d at 1"},
    {"no ASCII", "{\"AccessKeyId\":\"A\\u00e4\"," SECRET "}",
     "the access key holds byte 0xc3 at 1"},
    {"no time", "{\"AccessKeyId\":\"A\"," SECRET ",\"Expiration\":\"soon\"}",
     "\"Expiration\" is no time"},
    {"a list", "[]", "not an object"},
    {"text", "wJalr/+secret", "not JSON at byte"},
    {"nothing", "", "not JSON at byte"},
    {"two of one name", "{\"Token\":\"wJalr\",\"Token\":\"b\"}", "not JSON at byte"},
};

static void check_reading(const struct json_row *r, bool ok, const struct aws_keys *keys, const struct err *e)
{
    ck_assert_msg(ok == (r->says == NULL), "%s: %s", r->name, e->text);
    if (ok) {
        ck_assert_str_eq(keys->access_key, "AKIDX");
        ck_assert_str_eq(keys->secret_key, "wJalr/+secret");
        ck_assert_str_eq(keys->session_token, "tok==");
        ck_assert_int_eq(keys->expires_ms, 1795611600000);
    } else {
        ck_assert_msg(strstr(e->text, r->says) != NULL, "%s: %s", r->name, e->text);
        ck_assert_ptr_null(strstr(e->text, "wJalr"));
    }
}

START_TEST(json)
{
    const struct json_row *r = &json_rows[_i];
    struct aws_keys keys;
    struct err e = ERR_INIT;
    bool ok = credentials_of_json(slice_str(r->json), &arena, &keys, &e);
    check_reading(r, ok, &keys, &e);
}
END_TEST

#define STS_OPEN                                                                                   \
    "<?xml version=\"1.0\"?><!-- c -->\n<AssumeRoleWithWebIdentityResponse "                       \
    "xmlns=\"https://sts/?a>b\">\n"                                                                \
    "  <AssumeRoleWithWebIdentityResult>\n<Empty a='>'/>"
#define STS_CLOSE "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>\n"
#define STS_KEYS                                                                                   \
    "<AccessKeyId>AKIDX</AccessKeyId><SecretAccessKey>wJalr&#x2f;&#43;secret</SecretAccessKey>"    \
    "<SessionToken>tok==</SessionToken>"
#define STS_TIME "<Expiration>2026-11-25T13:00:00Z</Expiration>"

static const struct json_row sts_rows[] = {
    {"answer", STS_OPEN "<Credentials>" STS_KEYS STS_TIME "</Credentials>" STS_CLOSE, NULL},
    {"no expiration", STS_OPEN "<Credentials>" STS_KEYS "</Credentials>" STS_CLOSE,
     "\"Expiration\" is missing"},
    {"no time",
     STS_OPEN "<Credentials><Expiration>x</Expiration>" STS_KEYS "</Credentials>" STS_CLOSE,
     "\"Expiration\" is no time"},
    {"elsewhere", STS_OPEN "<Other>" STS_KEYS STS_TIME "</Other>" STS_CLOSE,
     "\"Expiration\" is missing"},
    {"no token",
     STS_OPEN "<Credentials>" STS_TIME
              "<AccessKeyId>A</AccessKeyId><SecretAccessKey>wJalr</SecretAccessKey>"
              "</Credentials>" STS_CLOSE,
     "the session token is missing"},
    {"not closed", STS_OPEN "<Credentials>" STS_KEYS STS_TIME "</Credentials>", "ends too soon"},
    {"wrongly closed", STS_OPEN "<Credentials>" STS_KEYS "</Result>",
     "ends an element that isn't open"},
    {"closed by an end of its name", "<ab></b>", "ends an element that isn't open"},
    {"document type", "<!DOCTYPE x [<!ENTITY a \"wJalr\">]><x>&a;</x>", "a document type or CDATA"},
    {"unknown entity", "<x>&wJalr;</x>", "an unknown entity"},
    {"surrogate", "<x>&#xd800;</x>", "an unknown entity"},
    {"NUL", "<x>&#0;</x>", "an unknown entity"},
    {"two roots", "<x/><y/>", "more than one root"},
    {"text outside", "<x/>wJalr", "text outside of the root"},
    {"HTML", "<html><br></html>", "ends an element that isn't open"},
    {"deep", "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "nested too deeply"},
    {"nothing", "", "ends too soon"},
};

START_TEST(sts)
{
    const struct json_row *r = &sts_rows[_i];
    struct aws_keys keys;
    struct err e = ERR_INIT;
    bool ok = credentials_of_sts(slice_str(r->json), &arena, &keys, &e);
    check_reading(r, ok, &keys, &e);
    ck_assert(ok || e.kind == ERR_BAD_INPUT);
}
END_TEST

START_TEST(sts_code)
{
    char code[24];
    credentials_sts_code(
        SLICE_LITERAL(
            "<ErrorResponse><Error><Type>S</Type><Code>IDP\nError</Code></Error></ErrorResponse>"),
        &arena, code, sizeof code);
    ck_assert_str_eq(code, "IDP?Error");
    credentials_sts_code(SLICE_LITERAL("<ErrorResponse><Error><Code>A</Code>"), &arena, code,
                         sizeof code);
    ck_assert_str_eq(code, "");
}
END_TEST

static const char ini[] =
    "# c\n[default]\naws_access_key_id = D\n\n[ dev ]\r\naws_access_key_id=AKIDX\r\n"
    "aws_secret_access_key = wJalr = x \n; c\ns3 =\n  aws_session_token = nested\n"
    "[profile dev]\naws_session_token = tok\nregion = eu-west-1\n[other]\nsso_session = s\n";

START_TEST(shared_file)
{
    struct credentials_profile p = {.present = false};
    struct err e = ERR_INIT;
    ck_assert_msg(credentials_of_ini(slice_str(ini), "dev", false, &arena, &p, &e), "%s", e.text);
    ck_assert(p.present);
    ck_assert_str_eq(p.access_key, "AKIDX");
    ck_assert_str_eq(p.secret_key, "wJalr = x");
    ck_assert_ptr_null(p.session_token);
    ck_assert_msg(credentials_of_ini(slice_str(ini), "dev", true, &arena, &p, &e), "%s", e.text);
    ck_assert_str_eq(p.session_token, "tok");
    ck_assert_str_eq(p.region, "eu-west-1");
    ck_assert_ptr_null(p.unsupported);

    p = (struct credentials_profile){.present = false};
    ck_assert(credentials_of_ini(slice_str(ini), "other", false, &arena, &p, &e));
    ck_assert_str_eq(p.unsupported, "sso_session");
    p = (struct credentials_profile){.present = false};
    ck_assert(credentials_of_ini(slice_str(ini), "other", true, &arena, &p, &e));
    ck_assert(!p.present);
    ck_assert(!credentials_of_ini(SLICE_LITERAL("[default]\n\nwJalr\n"), "default", true, &arena,
                                  &p, &e));
    ck_assert_str_eq(e.text, "line 3: neither a section nor \"name = value\"");
    ck_assert(!credentials_of_ini(SLICE_LITERAL("[wJalr"), "default", true, &arena, &p, &e));
    ck_assert_str_eq(e.text, "line 1: a section without \"]\"");
}
END_TEST

static const struct {
    const char *text;
    int64_t ms; /* -1 = refused */
} times[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2015-08-30T12:36:00Z", 1440938160000},
    {"2015-08-30T12:36:00.123456Z", 1440938160000},
    {"2015-08-30T14:36:00+02:00", 1440938160000},
    {"2015-08-30T07:06:00-05:30", 1440938160000},
    {"2024-02-29T00:00:00Z", 1709164800000},
    {"2015-08-30", -1},
    {"2015-08-30T12:36:00", -1},
    {"2015-08-30T12:36:00ZZ", -1},
    {"2015-13-30T12:36:00Z", -1},
    {"2015-08-32T12:36:00Z", -1},
    {"2015-08-30T24:36:00Z", -1},
    {"1969-08-30T12:36:00Z", -1},
    {"2015-08-30T12:36:00+24:00", -1},
    {"-015-08-30T12:36:00Z", -1},
    {"", -1},
};

START_TEST(time_forms)
{
    int64_t ms;
    bool ok = decode_time(slice_str(times[_i].text), &ms);
    ck_assert_msg(ok == (times[_i].ms >= 0), "%s", times[_i].text);
    ck_assert(!ok || ms == times[_i].ms);
}
END_TEST

START_TEST(refreshes_ahead_with_jitter)
{
    const int64_t minute = 60000;
    static const struct {
        int64_t lifetime_min;
        int64_t ahead_min; /* without jitter */
    } rows[] = {{360, 15}, {60, 15}, {30, 15}, {20, 10}, {2, 1}, {0, 0}, {-5, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t expires_ms = 1000 * minute + rows[i].lifetime_min * minute;
        int64_t latest_ms = expires_ms - rows[i].ahead_min * minute;
        ck_assert_int_eq(credentials_due_ms(1000 * minute, expires_ms, 0), latest_ms);
        int64_t jitter_ms = latest_ms - credentials_due_ms(1000 * minute, expires_ms, UINT32_MAX);
        ck_assert_int_le(jitter_ms, rows[i].ahead_min * minute / 8);
        ck_assert_int_ge(jitter_ms, rows[i].ahead_min * minute / 8 - 1);
    }
    ck_assert_int_eq(credentials_due_ms(5, AWS_NEVER_EXPIRES, 7), 5 + 5 * minute);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("credentials");
    TCase *c = tcase_create("credentials");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, json, 0, sizeof json_rows / sizeof json_rows[0]);
    tcase_add_loop_test(c, sts, 0, sizeof sts_rows / sizeof sts_rows[0]);
    tcase_add_test(c, sts_code);
    tcase_add_test(c, shared_file);
    tcase_add_loop_test(c, time_forms, 0, sizeof times / sizeof times[0]);
    tcase_add_test(c, refreshes_ahead_with_jitter);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
