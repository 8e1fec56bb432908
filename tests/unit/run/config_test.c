#include "runner.h"

#include "capture.h"
#include "run/config.h"
#include "run/config_value.h"

#include <jansson.h>
#include <string.h>

#define KEYS(KEY)                                                                                  \
    KEY("name", STRING, "nobody", 0, 0, "a name")                                                  \
    KEY("count", INT, "7", -10, 1000, "a number, pieces")                                          \
    KEY("wide", INT, "0", INT64_MIN, INT64_MAX, "any number")                                      \
    KEY("flag", BOOL, "false", 0, 0, "a switch")                                                   \
    KEY("topics", LIST, "a,b", 0, 0, "a list")                                                     \
    KEY("store.token", SECRET, "", 0, 0, "a secret")                                               \
    KEY("session_timeout_ms", INT, "6000", 1, 60000, "time, ms")

static const struct config_key keys[] = {KEYS(CONFIG_ROW)};
static const struct config_key required_keys[] = {
    {"must_be_set", CONFIG_STRING, NULL, 0, 0, "required"}};

static bool check(const struct config *c, struct err *e)
{
    return strcmp(config_str(c, "name"), "refused") != 0 ||
           err_set(e, ERR_CONFIG, "the check says no");
}

static const struct config_program program = {
    .name = "sluice-test",
    .summary = "tests",
    .version = "sluice 1.2.3, librdkafka 4.5.6",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check,
};

enum { MAX_ARGS = 6 };

/* One load: the file's text (NULL = no --config), one variable, arguments. */
struct load {
    const char *file;
    const char *variable;
    const char *text;
    const char *args[MAX_ARGS];
};

static char config_path[] = "/tmp/sluice_config_XXXXXX";
static char secret_path[] = "/tmp/sluice_secret_XXXXXX";
static const char variable_secret_file[] = "SLUICE_STORE_TOKEN_FILE";

static void file_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void setup(void)
{
    static bool made;
    if (!made) {
        ck_assert_int_ge(mkstemp(config_path), 0);
        ck_assert_int_ge(mkstemp(secret_path), 0);
        made = true;
    }
}

static void teardown_files(void)
{
    (void)unlink(config_path);
    (void)unlink(secret_path);
}

/* "@" as an argument's value stands for the secret's file. */
static bool load_with(const struct config_program *p, const struct load *l, struct config **out,
                      enum config_mode *mode, struct err *e)
{
    char argument[MAX_ARGS + 3][200];
    char *argv[MAX_ARGS + 3];
    int argc = 0;
    (void)snprintf(argument[argc++], 200, "%s", p->name);
    if (l->file != NULL) {
        file_write(config_path, l->file);
        (void)snprintf(argument[argc++], 200, "--config");
        (void)snprintf(argument[argc++], 200, "%s", config_path);
    }
    for (int i = 0; i < MAX_ARGS && l->args[i] != NULL; i++) {
        const char *at = strchr(l->args[i], '@');
        (void)snprintf(argument[argc++], 200, "%.*s%s", at == NULL ? 150 : (int)(at - l->args[i]),
                       l->args[i], at == NULL ? "" : secret_path);
    }
    for (int i = 0; i < argc; i++) {
        argv[i] = argument[i];
    }
    if (l->variable != NULL) {
        (void)setenv(l->variable, strcmp(l->text, "@") == 0 ? secret_path : l->text, 1);
    }
    bool ok = config_load(p, argc, argv, out, mode, e);
    if (l->variable != NULL) {
        (void)unsetenv(l->variable);
    }
    return ok;
}

/* Rows: what is loaded; the value that comes out, as text: key=value. */
static const struct {
    const char *name;
    struct load load;
    const char *key;
    const char *want;
} goods[] = {
    {"default string", {0}, "name", "nobody"},
    {"default list", {0}, "topics", "a|b|"},
    {"string from file", {.file = "{\"name\": \"\\u00e4\\\"x\"}"}, "name", "ä\"x"},
    {"int from file", {.file = "{\"count\": -10}"}, "count", "-10"},
    {"bool from file", {.file = "{\"flag\": true}"}, "flag", "true"},
    {"list from file", {.file = "{\"topics\": [\"x\", \"y,z\"]}"}, "topics", "x|y,z|"},
    {"list as text from file", {.file = "{\"topics\": \"x,y\"}"}, "topics", "x|y|"},
    {"empty list", {.file = "{\"topics\": []}"}, "topics", ""},
    {"secret from file", {.file = "{\"store.token\": \"s3\"}"}, "store.token", "s3"},
    {"string from environment", {NULL, "SLUICE_NAME", "env", {0}}, "name", "env"},
    {"empty string", {NULL, "SLUICE_NAME", "", {0}}, "name", ""},
    {"int from environment", {NULL, "SLUICE_COUNT", "1000", {0}}, "count", "1000"},
    {"a point becomes _", {NULL, "SLUICE_STORE_TOKEN", "s3", {0}}, "store.token", "s3"},
    {"list from environment", {NULL, "SLUICE_TOPICS", "one,two", {0}}, "topics", "one|two|"},
    {"bool from environment", {NULL, "SLUICE_FLAG", "true", {0}}, "flag", "true"},
    {"--set", {.args = {"--set", "count=3"}}, "count", "3"},
    {"--set=", {.args = {"--set=count=3"}}, "count", "3"},
    {"the last --set wins", {.args = {"--set", "count=3", "--set", "count=4"}}, "count", "4"},
    {"--set with = in the value", {.args = {"--set", "name=a=b"}}, "name", "a=b"},
    {"environment over file", {"{\"count\": 1}", "SLUICE_COUNT", "2", {0}}, "count", "2"},
    {"--set over environment",
     {"{\"count\": 1}", "SLUICE_COUNT", "2", {"--set", "count=3"}},
     "count",
     "3"},
    {"the largest int",
     {.args = {"--set", "wide=9223372036854775807"}},
     "wide",
     "9223372036854775807"},
    {"the smallest int",
     {.file = "{\"wide\": -9223372036854775808}"},
     "wide",
     "-9223372036854775808"},
    {"kafka object", {.file = "{\"kafka\": {\"a.b\": \"c\"}}"}, "kafka.a.b", "c"},
    {"kafka object, number", {.file = "{\"kafka\": {\"a.b\": 5}}"}, "kafka.a.b", "5"},
    {"kafka object, fraction", {.file = "{\"kafka\": {\"a.b\": 0.5}}"}, "kafka.a.b", "0.5"},
    {"kafka object, bool", {.file = "{\"kafka\": {\"a.b\": false}}"}, "kafka.a.b", "false"},
    {"kafka flat", {.file = "{\"kafka.a.b\": \"c\"}"}, "kafka.a.b", "c"},
    {"kafka from environment",
     {NULL, "SLUICE_KAFKA_BOOTSTRAP_SERVERS", "h:1,i:2", {0}},
     "kafka.bootstrap.servers",
     "h:1,i:2"},
    {"kafka by --set", {.args = {"--set", "kafka.linger.ms=5"}}, "kafka.linger.ms", "5"},
    {"kafka, --set over file",
     {.file = "{\"kafka\": {\"a\": 1}}", .args = {"--set", "kafka.a=2"}},
     "kafka.a",
     "2"},
    {"kafka, --set twice", {.args = {"--set", "kafka.a=1", "--set", "kafka.a=2"}}, "kafka.a", "2"},
    {"kafka secret from environment",
     {NULL, "SLUICE_KAFKA_SASL_PASSWORD", "pw", {0}},
     "kafka.sasl.password",
     "pw"},
    {"secret's file from environment",
     {NULL, variable_secret_file, "@", {0}},
     "store.token",
     "from a file"},
    {"secret's file by --set",
     {.args = {"--set", "store.token_file=@"}},
     "store.token",
     "from a file"},
    {"kafka secret's file by --set",
     {.args = {"--set", "kafka.sasl.password_file=@"}},
     "kafka.sasl.password",
     "from a file"},
    {"kafka secret's file from environment",
     {NULL, "SLUICE_KAFKA_SSL_KEY_PASSWORD_FILE", "@", {0}},
     "kafka.ssl.key.password",
     "from a file"},
    {"somebody else's variable", {NULL, "SLUICE_PORT_KAFKA", "9092", {0}}, "count", "7"},
    {"somebody else's variable, short", {NULL, "SLUICE_BIN", "/bin", {0}}, "count", "7"},
    {"somebody else's prefix", {NULL, "SLUICECOUNT", "1", {0}}, "count", "7"},
};

static void value_text(const struct config *c, const char *key, struct buf *out)
{
    if (strncmp(key, "kafka.", 6) == 0) {
        const char *name;
        const char *value;
        for (size_t i = 0; config_kafka(c, i, &name, &value); i++) {
            if (strcmp(name, key + 6) == 0) {
                buf_printf(out, "%s", value);
            }
        }
    } else if (strcmp(key, "count") == 0 || strcmp(key, "wide") == 0) {
        buf_printf(out, "%lld", (long long)config_int(c, key));
    } else if (strcmp(key, "flag") == 0) {
        buf_printf(out, "%s", config_bool(c, key) ? "true" : "false");
    } else if (strcmp(key, "topics") == 0) {
        const char *const *items;
        size_t n = config_list(c, key, &items);
        for (size_t i = 0; i < n; i++) {
            buf_printf(out, "%s|", items[i]);
        }
    } else {
        buf_printf(out, "%s", config_str(c, key));
    }
}

START_TEST(good)
{
    struct config *c;
    enum config_mode mode = CONFIG_DONE;
    struct err e = ERR_INIT;
    file_write(secret_path, "from a file\r\n");
    bool ok = load_with(&program, &goods[_i].load, &c, &mode, &e);
    ck_assert_msg(ok, "%s: %s", goods[_i].name, e.text);
    ck_assert_int_eq(mode, CONFIG_RUN);
    struct buf text;
    buf_init(&text, 10000);
    value_text(c, goods[_i].key, &text);
    ck_assert_msg(strcmp(buf_c_str(&text), goods[_i].want) == 0, "%s: %s", goods[_i].name,
                  buf_c_str(&text));
    buf_fini(&text);
    config_free(c);
}
END_TEST

#define PW "hunter2"

/* Rows: what is loaded; two parts that the error must have (and PW it must never have). */
static const struct {
    const char *name;
    struct load load;
    const char *part;
    const char *part2;
} bads[] = {
    {"unknown key", {.file = "{\"colour\": 1}"}, "colour", "unknown key"},
    {"near key in a file",
     {.file = "{\"coutn\": 1}"},
     "coutn (/tmp/sluice_config_",
     "did you mean count?"},
    {"near key by --set",
     {.args = {"--set", "session_timeout=1"}},
     "session_timeout (--set)",
     "did you mean session_timeout_ms?"},
    {"near key in the environment",
     {NULL, "SLUICE_SESSION_TIMOUT_MS", "1", {0}},
     "SLUICE_SESSION_TIMOUT_MS (environment)",
     "did you mean SLUICE_SESSION_TIMEOUT_MS?"},
    {"string for an int",
     {.file = "{\"count\": \"5\"}"},
     "count (",
     "must be an integer, not a string"},
    {"fraction for an int",
     {.file = "{\"count\": 5.5}"},
     "count (",
     "must be an integer, not a fraction"},
    {"bool for an int", {.file = "{\"count\": true}"}, "count", "not true or false"},
    {"null for an int", {.file = "{\"count\": null}"}, "count", "not null"},
    {"int for a string", {.file = "{\"name\": 5}"}, "name", "must be a string, not an integer"},
    {"int for a bool", {.file = "{\"flag\": 1}"}, "flag", "must be true or false, not an integer"},
    {"object for a list",
     {.file = "{\"topics\": {}}"},
     "topics",
     "must be a list of strings, not an object"},
    {"int in a list",
     {.file = "{\"topics\": [\"a\", 1]}"},
     "topics",
     "item 2: must be a list of strings, not an integer"},
    {"empty item in a list", {.file = "{\"topics\": [\"\"]}"}, "topics", "item 1 is empty"},
    {"empty item in text",
     {NULL, "SLUICE_TOPICS", "a,,b", {0}},
     "topics (SLUICE_TOPICS)",
     "an item of the list is empty"},
    {"comma at the end",
     {NULL, "SLUICE_TOPICS", "a,", {0}},
     "topics",
     "an item of the list is empty"},
    {"int too large",
     {.file = "{\"count\": 1001}"},
     "count (/tmp/sluice_config_",
     "1001 is not in -10…1000"},
    {"int too small", {.args = {"--set", "count=-11"}}, "count (--set)", "-11 is not in"},
    {"int beyond 64 bits",
     {.args = {"--set", "wide=9223372036854775808"}},
     "wide",
     "is not an integer"},
    {"int beyond 64 bits in JSON",
     {.file = "{\"wide\": 9223372036854775808}"},
     "sluice_config_",
     "line 1"},
    {"text behind an int", {.args = {"--set", "count=5x"}}, "count", "\"5x\" is not an integer"},
    {"space before an int", {.args = {"--set", "count= 5"}}, "count", "is not an integer"},
    {"a sign alone", {.args = {"--set", "count=-"}}, "count", "is not an integer"},
    {"plus sign", {.args = {"--set", "count=+5"}}, "count", "is not an integer"},
    {"hexadecimal", {.args = {"--set", "count=0x10"}}, "count", "is not an integer"},
    {"empty int", {NULL, "SLUICE_COUNT", "", {0}}, "count (SLUICE_COUNT)", "is not an integer"},
    {"neither true nor false",
     {NULL, "SLUICE_FLAG", "yes", {0}},
     "flag (SLUICE_FLAG)",
     "\"yes\" is neither true nor false"},
    {"not UTF-8", {NULL, "SLUICE_NAME", "a\xff", {0}}, "name (SLUICE_NAME)", "is not UTF-8"},
    {"not JSON", {.file = "{\"name\" \"" PW "\"}"}, "line 1", "expected"},
    {"text behind the JSON", {.file = "{} x"}, "sluice_config_", "line 1"},
    {"not an object", {.file = "[]"}, "sluice_config_", "must hold one JSON object"},
    {"nothing in the file", {.file = ""}, "sluice_config_", "line 1"},
    {"a key twice", {.file = "{\"count\": 1, \"count\": 2}"}, "sluice_config_", "duplicate"},
    {"NUL in a string", {.file = "{\"name\": \"a\\u0000b\"}"}, "sluice_config_", "line 1"},
    {"kafka not an object", {.file = "{\"kafka\": \"x\"}"}, "kafka (", "must be an object"},
    {"kafka list", {.file = "{\"kafka\": {\"a\": []}}"}, "kafka.a (", "not a list"},
    {"kafka flat and in the object",
     {.file = "{\"kafka.a\": 1, \"kafka\": {\"a\": 2}}"},
     "kafka.a (",
     "given twice"},
    {"kafka without a name", {.args = {"--set", "kafka.=1"}}, "kafka. (--set)", "name is missing"},
    {"secret by --set",
     {.args = {"--set", "store.token=" PW}},
     "store.token (--set)",
     "pass it by file or environment"},
    {"kafka secret by --set",
     {.args = {"--set", "kafka.sasl.password=" PW}},
     "kafka.sasl.password (--set)",
     "pass it by file or environment"},
    {"kafka key by --set",
     {.args = {"--set", "kafka.ssl.key.pem=" PW}},
     "kafka.ssl.key.pem (--set)",
     "pass it by file or environment"},
    {"kafka client secret by --set",
     {.args = {"--set", "kafka.sasl.oauthbearer.client.secret=" PW}},
     "client.secret (--set)",
     "pass it by file"},
    {"secret of the wrong type",
     {.file = "{\"store.token\": [\"" PW "\"]}"},
     "store.token (",
     "must be a string, not a list"},
    {"secret not UTF-8",
     {NULL, "SLUICE_STORE_TOKEN", PW "\xff", {0}},
     "store.token (SLUICE_STORE_TOKEN)",
     "is not UTF-8"},
    {"secret and its file",
     {.file = "{\"store.token\": \"" PW "\", \"store.token_file\": \"/etc/hostname\"}"},
     "store.token",
     "given twice"},
    {"secret's file missing",
     {NULL, variable_secret_file, "/nonexistent/x", {0}},
     "store.token_file (SLUICE_STORE_TOKEN_FILE)",
     "cannot open /nonexistent/x"},
    {"secret's file empty",
     {NULL, variable_secret_file, "/dev/null", {0}},
     "store.token_file",
     "is empty"},
    {"secret's file endless",
     {NULL, variable_secret_file, "/dev/zero", {0}},
     "store.token_file",
     "is larger than"},
    {"secret's file a folder",
     {NULL, variable_secret_file, "/tmp", {0}},
     "store.token_file",
     "cannot read /tmp"},
    {"_file of what is no secret",
     {.args = {"--set", "name_file=/etc/hostname"}},
     "name_file (--set)",
     "unknown key"},
    {"no file",
     {.args = {"--config", "/nonexistent/c.json"}},
     "cannot open /nonexistent/c.json",
     "No such file"},
    {"file endless", {.args = {"--config", "/dev/zero"}}, "/dev/zero", "is larger than"},
    {"--config twice", {.args = {"--config", "/a", "--config=/b"}}, "--config", "twice"},
    {"--config without a value", {.args = {"--config"}}, "--config", "needs a value"},
    {"--set without a value", {.args = {"--set"}}, "--set", "needs a value"},
    {"--set without =", {.args = {"--set", PW}}, "--set", "key=value"},
    {"--set without a key", {.args = {"--set", "=5"}}, "--set", "key=value"},
    {"unknown option", {.args = {"--verbose"}}, "--verbose", "--help"},
    {"unknown option that begins like one",
     {.args = {"--settle=" PW}},
     "--settle",
     "unknown argument"},
    {"what is no option", {.args = {"name"}}, "name", "unknown argument"},
    {"the program's check", {.args = {"--set", "name=refused"}}, "the check", "says no"},
    {"the program's check in --check",
     {.args = {"--check", "--set", "name=refused"}},
     "the check",
     "says no"},
};

START_TEST(bad)
{
    struct config *c;
    enum config_mode mode;
    struct err e = ERR_INIT;
    struct capture out = capture_begin(STDOUT_FILENO);
    bool ok = load_with(&program, &bads[_i].load, &c, &mode, &e);
    char *printed = capture_end(&out);
    ck_assert_msg(!ok, "%s: loaded", bads[_i].name);
    ck_assert_ptr_null(c);
    ck_assert_msg(err_exit_code(&e) == 2, "%s: exit %d", bads[_i].name, err_exit_code(&e));
    ck_assert_msg(strstr(e.text, bads[_i].part) != NULL && strstr(e.text, bads[_i].part2) != NULL,
                  "%s: %s", bads[_i].name, e.text);
    ck_assert_msg(strstr(e.text, PW) == NULL, "%s: shows a secret: %s", bads[_i].name, e.text);
    ck_assert_str_eq(printed, "");
    free(printed);
}
END_TEST

/* Runs config_load with one argument list; gives what it printed. */
static char *printed_by(const struct config_program *p, const struct load *l, struct config **c)
{
    enum config_mode mode = CONFIG_RUN;
    struct err e = ERR_INIT;
    struct capture out = capture_begin(STDOUT_FILENO);
    bool ok = load_with(p, l, c, &mode, &e);
    char *text = capture_end(&out);
    ck_assert_msg(ok, "%s", e.text);
    ck_assert_int_eq(mode, CONFIG_DONE);
    return text;
}

START_TEST(print_config_is_json_with_every_key_and_no_secret)
{
    struct config *c;
    const struct load l = {
        "{\"store.token\": \"" PW
        "\", \"count\": 5, \"topics\": [\"x\"], \"kafka\": {\"sasl.password\": \"" PW
        "\", \"ssl.key.pem\": \"" PW "\", \"ssl.key.location\": \"/k\", \"linger.ms\": 3}}",
        "SLUICE_KAFKA_SASL_OAUTHBEARER_CONFIG",
        "secret=" PW,
        {"--print-config", "--check"}};
    char *text = printed_by(&program, &l, &c);
    ck_assert_ptr_null(strstr(text, PW));
    json_t *root = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert_uint_eq(json_object_size(root), program.n_keys + 1);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "count")), 5);
    ck_assert_str_eq(json_string_value(json_object_get(root, "name")), "nobody");
    ck_assert(json_is_false(json_object_get(root, "flag")));
    ck_assert_uint_eq(json_array_size(json_object_get(root, "topics")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(root, "store.token")), "***");
    const json_t *kafka = json_object_get(root, "kafka");
    ck_assert_str_eq(json_string_value(json_object_get(kafka, "sasl.password")), "***");
    ck_assert_str_eq(json_string_value(json_object_get(kafka, "ssl.key.pem")), "***");
    ck_assert_str_eq(json_string_value(json_object_get(kafka, "sasl.oauthbearer.config")), "***");
    ck_assert_str_eq(json_string_value(json_object_get(kafka, "ssl.key.location")), "/k");
    ck_assert_str_eq(json_string_value(json_object_get(kafka, "linger.ms")), "3");
    json_decref(root);
    free(text);
    config_free(c);
}
END_TEST

START_TEST(help_has_each_key_with_type_default_range_and_text)
{
    struct config *c;
    const struct load l = {.args = {"--help"}};
    char *text = printed_by(&program, &l, &c);
    for (size_t i = 0; i < program.n_keys; i++) {
        ck_assert_ptr_nonnull(strstr(text, keys[i].name));
        ck_assert_ptr_nonnull(strstr(text, keys[i].help));
    }
    ck_assert_ptr_nonnull(strstr(text, "integer -10…1000, default 7"));
    ck_assert_ptr_nonnull(strstr(text, "list, default a,b"));
    ck_assert_ptr_nonnull(strstr(text, "boolean, default false"));
    free(text);
    config_free(c);
}
END_TEST

START_TEST(other_switches_print_and_end)
{
    struct config *c;
    char *text = printed_by(&program, &(struct load){.args = {"--version"}}, &c);
    ck_assert_str_eq(text, "sluice 1.2.3, librdkafka 4.5.6\n");
    free(text);
    config_free(c);
    text = printed_by(&program, &(struct load){.args = {"--check"}}, &c);
    ck_assert_ptr_nonnull(strstr(text, "good"));
    free(text);
    config_free(c);
    text = printed_by(&program, &(struct load){.args = {"--help-metrics"}}, &c);
    ck_assert_ptr_nonnull(strstr(text, "| `sluice_freshness_seconds` | histogram |"));
    free(text);
    config_free(c);
}
END_TEST

START_TEST(a_required_key_is_named_but_not_needed_for_help)
{
    struct config_program p = program;
    p.keys = required_keys;
    p.n_keys = 1;
    p.check = NULL;
    struct config *c;
    enum config_mode mode;
    struct err e = ERR_INIT;
    ck_assert(!load_with(&p, &(struct load){0}, &c, &mode, &e));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(e.text, "must_be_set is required"));
    ck_assert_ptr_nonnull(strstr(e.text, "SLUICE_MUST_BE_SET"));
    char *text = printed_by(&p, &(struct load){.args = {"--help"}}, &c);
    ck_assert_ptr_nonnull(strstr(text, "string, required"));
    ck_assert_str_eq(config_str(c, "must_be_set"), "");
    free(text);
    config_free(c);
}
END_TEST

START_TEST(a_file_may_be_shared_but_nothing_else)
{
    struct config_program p = program;
    p.shares_file = true;
    struct config *c;
    enum config_mode mode;
    struct err e = ERR_INIT;
    const char *file = "{\"hours\": 3, \"label_columns\": [\"region\"], \"count\": 7}";
    ck_assert_msg(load_with(&p, &(struct load){.file = file}, &c, &mode, &e), "%s", e.text);
    ck_assert_int_eq(config_int(c, "count"), 7);
    config_free(c);
    ck_assert(!load_with(&p, &(struct load){.file = file, .args = {"--set", "hours=3"}}, &c, &mode, &e));
    ck_assert_ptr_nonnull(strstr(e.text, "unknown key"));
    err_reset(&e);
    ck_assert(!load_with(&p, &(struct load){.file = "{\"count\": \"x\"}"}, &c, &mode, &e));
}
END_TEST

static const struct {
    const char *a;
    const char *b;
    size_t distance;
} pairs[] = {
    {"", "", 0},         {"", "abc", 3},
    {"abc", "abc", 0},   {"abc", "abd", 1},
    {"abc", "ab", 1},    {"abc", "xabc", 1},
    {"abcd", "acbd", 1}, {"kitten", "sitting", 3},
    {"ca", "abc", 3},    {"log_level", "log_levle", 1},
};

START_TEST(distance)
{
    ck_assert_msg(config_distance(pairs[_i].a, pairs[_i].b) == pairs[_i].distance, "%s, %s: %zu",
                  pairs[_i].a, pairs[_i].b, config_distance(pairs[_i].a, pairs[_i].b));
    ck_assert_uint_eq(config_distance(pairs[_i].b, pairs[_i].a), pairs[_i].distance);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_unchecked_fixture(tc, setup, teardown_files);
    tcase_add_loop_test(tc, good, 0, sizeof goods / sizeof goods[0]);
    tcase_add_loop_test(tc, bad, 0, sizeof bads / sizeof bads[0]);
    tcase_add_test(tc, print_config_is_json_with_every_key_and_no_secret);
    tcase_add_test(tc, help_has_each_key_with_type_default_range_and_text);
    tcase_add_test(tc, other_switches_print_and_end);
    tcase_add_test(tc, a_required_key_is_named_but_not_needed_for_help);
    tcase_add_test(tc, a_file_may_be_shared_but_nothing_else);
    tcase_add_loop_test(tc, distance, 0, sizeof pairs / sizeof pairs[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
