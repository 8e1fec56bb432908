#include "runner.h"

#include "capture.h"
#include "run/log.h"
#include "run/program.h"

static const struct config_key keys[] = {
    {"log_level", CONFIG_STRING, "warn", 0, 0, "least level"},
    {"code", CONFIG_INT, "0", 0, 100, "exit code"},
};

static int run(const struct config *config, struct metrics *metrics)
{
    cell_add(metrics_cell(metrics, M_PARTITIONS, NULL), 1);
    log_line(LOG_WARN, "ran", LOG_FIELDS(LOG_INT("code", config_int(config, "code"))));
    log_info("below the level");
    return (int)config_int(config, "code");
}

/* Rows: one argument; the exit code, what stderr must have, and what it must not. */
static const struct {
    const char *name;
    const char *argument;
    int code;
    const char *said;
    const char *not_said;
} rows[] = {
    {"runs", "--set=code=0", 0, "\"worker\":\"test\",\"msg\":\"ran\",\"code\":0}\n", "below"},
    {"the worker's code", "--set=code=42", 42, "\"code\":42}\n", "below"},
    {"wrong configuration", "--set=code=101", 2, "sluice-test: code (--set): 101 is not in 0…100\n",
     "ran"},
    {"unknown argument", "-x", 2, "sluice-test: unknown argument -x", "ran"},
    {"help", "--help", 0, "", "ran"},
    {"check", "--check", 0, "", "ran"},
};

START_TEST(program_does)
{
    const struct config_program program = {"sluice-test", "tests", "1", keys, 2, NULL};
    char name[] = "sluice-test";
    char argument[64];
    (void)snprintf(argument, sizeof argument, "%s", rows[_i].argument);
    char *argv[] = {name, argument, NULL};
    struct capture out = capture_begin(STDOUT_FILENO);
    struct capture err = capture_begin(STDERR_FILENO);
    int code = program_main(&program, 2, argv, run);
    (void)fflush(stderr);
    char *said = capture_end(&err);
    char *printed = capture_end(&out);
    ck_assert_msg(code == rows[_i].code, "%s: %d %s", rows[_i].name, code, said);
    ck_assert_msg(strstr(said, rows[_i].said) != NULL, "%s: %s", rows[_i].name, said);
    ck_assert_msg(strstr(said, rows[_i].not_said) == NULL, "%s: %s", rows[_i].name, said);
    free(said);
    free(printed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("program");
    TCase *tc = tcase_create("program");
    tcase_add_loop_test(tc, program_does, 0, sizeof rows / sizeof rows[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
