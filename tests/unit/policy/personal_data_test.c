/* What passes for game telemetry, and what is taken for somebody's data. */
#include "policy/personal_data.h"

#include "runner.h"

struct row {
    const char *value;
    enum personal_data want;
};

#define OK PERSONAL_NONE

static const struct row rows[] = {
    /* regions, zones, clusters, hosts */
    {"eu-central-1", OK},
    {"use1-az1", OK},
    {"europe-west4-b", OK},
    {"prod-eu-1.k8s.internal", OK},
    {"gameserver-7f9c6d5b8-x2x9z", OK},
    {"m6i.2xlarge", OK},
    {"c7gn.16xlarge", OK},
    {"ip-10-0-3-17.eu-central-1.compute.internal", OK},
    /* shards, queues, maps */
    {"shard-000123", OK},
    {"12345678", OK},
    {"s1", OK},
    {"ranked_3v3", OK},
    {"queue:ranked:eu", OK},
    {"arena::ruins", OK},
    {"std::vector<int>", OK},
    {"de_dust2", OK},
    {"AS15169", OK},
    {"1000-2000", OK},
    {"[0.25, 0.5)", OK},
    {"team@blue", OK},
    {"npm@10.2.4", OK},
    {"player count", OK},
    {"Schatzh\xc3\xb6hle", OK},
    /* versions */
    {"1.2.3", OK},
    {"1.2.3.4", OK},
    {"v1.2.3.4", OK},
    {"2.14.0.31", OK},
    {"v10.2.0.114", OK},
    {"10.2.5.52902", OK},
    {"120.0.6099.129", OK},
    {"1.61.58.7-rc1", OK},
    {"11.0.2.56263+hotfix", OK},
    {"1.2.3.4.5", OK},
    {"01.02.2026.04", OK},
    {"256.1.2.3", OK},
    {"4.27.2-18319896+++UE4+Release-4.27", OK},
    {"release/41.3", OK},
    /* builds, hashes, times */
    {"3f2a9c1", OK},
    {"da39a3ee5e6b4b0d3255bfef95601890afd80709", OK},
    {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", OK},
    {"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", OK},
    {"9f2c1234567890ab", OK},
    {"20261127", OK},
    {"202611271030", OK},
    {"20261127103015", OK},
    {"build-20261127103015-3f2a9c1", OK},
    {"2026-11-27T10:30:15Z", OK},
    {"12:34:56", OK},
    {"00000000-0000-0000-0000-000000000000", OK},
    {"00:1a:2b:3c:4d:5e", OK},
    {"::1", OK},
    {"::", OK},
    {"a:b:c", OK},
    {"+Inf", OK},
    {"0.005", OK},
    {"1e-09", OK},
    {"0x7ff0000000000002", OK},
    {"d41d8cd98f00d204e9800998ecf8427e", OK}, /* MD5; its 13th digit is no version */
    {"", OK},
    /* addresses */
    {"203.0.113.7", PERSONAL_IPV4},
    {"198.51.100.23:27015", PERSONAL_IPV4},
    {"udp://198.51.100.23:27015/", PERSONAL_IPV4},
    {"10.0.0.1", PERSONAL_IPV4},
    {"192.168.1.20", PERSONAL_IPV4},
    {"84.17.9.3", PERSONAL_IPV4},
    {"client=93.184.216.34;ok", PERSONAL_IPV4},
    {"from 93.184.216.34.", PERSONAL_IPV4},
    {"srv93.184.216.34", PERSONAL_IPV4},
    {"93.184.216.0/24", PERSONAL_IPV4},
    {"2001:db8::8a2e:370:7334", PERSONAL_IPV6},
    {"[2001:db8::1]:443", PERSONAL_IPV6},
    {"2001:0db8:0000:0000:0000:8a2e:0370:7334", PERSONAL_IPV6},
    {"fe80::1%eth0", PERSONAL_IPV6},
    {"::ffff:203.0.113.7", PERSONAL_IPV6},
    /* people */
    {"ana.lopez@example.com", PERSONAL_EMAIL},
    {"<ana+game@mail.example.co.uk>", PERSONAL_EMAIL},
    {"user=ana_9@example.org;", PERSONAL_EMAIL},
    {"j\xc3\xb6rg@m\xc3\xbcller.de", PERSONAL_EMAIL},
    {"6ba7b810-9dad-11d1-80b4-00c04fd430c8", PERSONAL_UUID},
    {"player:F47AC10B-58CC-4372-A567-0E02B2C3D479", PERSONAL_UUID},
    {"x6ba7b810-9dad-11d1-80b4-00c04fd430c8", PERSONAL_UUID},
    {"069a79f444e94726a5befca90e38aaf5", PERSONAL_UUID}, /* an account, as Minecraft has it */
    {"76561198012345678", PERSONAL_DIGITS},              /* Steam */
    {"player76561198012345678", PERSONAL_DIGITS},
    {"2535405290567890", PERSONAL_DIGITS},
    {"+491701234567", PERSONAL_DIGITS},
    {"4111111111111111", PERSONAL_DIGITS},
    {"209913991399", PERSONAL_DIGITS}, /* no month has that number */
    {"user-1234567890", PERSONAL_DIGITS},
    {"id_d4711234567890", PERSONAL_DIGITS},
};

static struct detectors all_on(void)
{
    struct detectors d = {.digit_run = 10};
    for (int i = PERSONAL_NONE + 1; i < N_PERSONAL; i++) {
        d.on[i] = true;
    }
    return d;
}

static enum personal_data find(const struct detectors *d, const char *label, const char *value)
{
    /* Of its own, so that overruns show. */
    size_t n = strlen(value);
    uint8_t *copy = malloc(n + 1);
    memcpy(copy, value, n);
    enum personal_data found = personal_data_find(d, slice_str(label), slice_of(copy, n));
    free(copy);
    return found;
}

START_TEST(values)
{
    const struct row *row = &rows[_i];
    const struct detectors d = all_on();
    enum personal_data got = find(&d, "queue", row->value);
    ck_assert_msg(got == row->want, "%s: %s, want: %s", row->value, personal_data_text(got),
                  personal_data_text(row->want));
}
END_TEST

START_TEST(a_detector_that_is_off_finds_nothing)
{
    const struct row *row = &rows[_i];
    struct detectors d = all_on();
    d.on[row->want] = false;
    ck_assert_msg(find(&d, "queue", row->value) != row->want || row->want == OK, "%s", row->value);
    d = (struct detectors){.digit_run = 10};
    ck_assert_int_eq(find(&d, "queue", row->value), OK);
}
END_TEST

START_TEST(in_exempt_labels_only_email_is_looked_for)
{
    const struct row *row = &rows[_i];
    const struct slice exempt[] = {SLICE_LITERAL("build_id"), SLICE_LITERAL("*version*")};
    struct detectors d = all_on();
    d.exempt = (struct text_list){2, exempt};
    enum personal_data want = row->want == PERSONAL_EMAIL ? PERSONAL_EMAIL : OK;
    ck_assert_int_eq(find(&d, "build_id", row->value), want);
    ck_assert_int_eq(find(&d, "client_version_full", row->value), want);
    ck_assert_int_eq(find(&d, "build_id2", row->value), row->want);
}
END_TEST

START_TEST(the_length_of_a_run_is_the_policys)
{
    struct detectors d = all_on();
    ck_assert_int_eq(find(&d, "a", "123456789"), OK);
    d.digit_run = 9;
    ck_assert_int_eq(find(&d, "a", "123456789"), PERSONAL_DIGITS);
    d.digit_run = 16;
    ck_assert_int_eq(find(&d, "a", "491701234567"), OK);
    ck_assert_int_eq(find(&d, "a", "76561198012345678"), PERSONAL_DIGITS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("personal_data");
    TCase *t = tcase_create("personal_data");
    const int n = sizeof rows / sizeof rows[0];
    tcase_add_loop_test(t, values, 0, n);
    tcase_add_loop_test(t, a_detector_that_is_off_finds_nothing, 0, n);
    tcase_add_loop_test(t, in_exempt_labels_only_email_is_looked_for, 0, n);
    tcase_add_test(t, the_length_of_a_run_is_the_policys);
    suite_add_tcase(s, t);
    return run_suite(s);
}
