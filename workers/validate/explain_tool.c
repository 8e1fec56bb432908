#include "explain_tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "explain_print.h"
#include "tenant_schemas.h"

enum { FILE_MAX_BYTES = 64 << 20 };

static const char usage[] =
    "usage: sluice-validate --explain --set policy=FILE [OPTION…] MESSAGE\n"
    "       sluice-validate --reasons [--json]\n"
    "  --tenant NAME  whose rules count; may be left out if the policy has one tenant\n"
    "  --format F     otlp, otlp-json, remote-write (a snappy block), avro; auto by default\n"
    "  --at MS        when the message arrives, ms since the epoch; now by default\n"
    "  --json         for programs\n"
    "exit codes: 0 all is accepted; 1 some is refused; 2 it can't be told\n";

struct asked {
    const char *file;
    const char *tenant;
    enum explain_format format;
    int64_t at_ms; /* 0 = now */
    bool json;
    bool reasons;
    int argc; /* what is left is the configuration's */
    char **argv;
};

bool explain_tool_is_asked(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--explain") == 0 || strcmp(argv[i], "--reasons") == 0) {
            return true;
        }
    }
    return false;
}

static bool format_read(const char *text, enum explain_format *out)
{
    static const char *const names[] = {"auto", "otlp", "otlp-json", "remote-write", "avro"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (enum explain_format)i;
            return true;
        }
    }
    return false;
}

static bool at_read(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && *out > 0;
}

/* An option with a value of its own; false: it is none, or the value is bad. */
static bool option_read(struct asked *a, const char *name, const char *value)
{
    if (strcmp(name, "--tenant") == 0) {
        a->tenant = value;
        return true;
    }
    return (strcmp(name, "--format") == 0 && format_read(value, &a->format)) ||
           (strcmp(name, "--at") == 0 && at_read(value, &a->at_ms));
}

static bool takes_value(const char *name)
{
    return strcmp(name, "--tenant") == 0 || strcmp(name, "--format") == 0 ||
           strcmp(name, "--at") == 0;
}

static bool asked_read(int argc, char **argv, struct asked *a)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        bool config = strcmp(arg, "--set") == 0 || strcmp(arg, "--config") == 0;
        if (strcmp(arg, "--explain") == 0) {
            continue;
        }
        if (takes_value(arg)) {
            if (i + 1 == argc || !option_read(a, arg, argv[++i])) {
                return false;
            }
        } else if (strcmp(arg, "--json") == 0) {
            a->json = true;
        } else if (strcmp(arg, "--reasons") == 0) {
            a->reasons = true;
        } else if (config || strncmp(arg, "--", 2) == 0) {
            a->argv[a->argc++] = argv[i];
            if (config && i + 1 < argc) {
                a->argv[a->argc++] = argv[++i];
            }
        } else if (a->file == NULL) {
            a->file = arg;
        } else {
            return false;
        }
    }
    return a->reasons || a->file != NULL;
}

static bool tenant_choose(const struct policy *p, const struct asked *a, struct slice *out,
                          struct err *e)
{
    if (a->tenant != NULL) {
        *out = slice_str(a->tenant);
        return true;
    }
    if (p->n_tenants == 1) {
        *out = p->tenants[0].name;
        return true;
    }
    return err_set(e, ERR_CONFIG, "the policy has %u tenants: name one by --tenant", p->n_tenants);
}

static bool is_refused(const struct explanation *x)
{
    return x->record_reason != REASON_NONE || x->n_refused > 0 || x->n_samples_refused > 0;
}

static bool message_explain(struct policy *p, const struct asked *a, struct slice message,
                            int *code, struct err *e)
{
    struct explain *x = NULL;
    struct explanation told;
    struct slice tenant;
    int64_t at_ms = a->at_ms != 0 ? a->at_ms : clock_now_ms();
    bool ok = tenant_choose(p, a, &tenant, e) && explain_new(p, &x, e) &&
              explain_message(x, tenant, a->format, message, at_ms, &told, e);
    if (ok && a->json) {
        ok = explanation_print_json(&told, stdout) || err_set(e, ERR_FATAL, "can't be printed");
    } else if (ok) {
        explanation_print(&told, stdout);
    }
    if (ok) {
        *code = is_refused(&told) ? 1 : 0;
    }
    explain_free(x);
    return ok;
}

/* A record of another schema that tenants may write with, in the current one. ERR_BAD_INPUT: it
 * doesn't fit. */
static bool schema_apply(const struct config *config, struct arena *a, struct slice *message,
                         struct err *e)
{
    struct tenant_schemas schemas = {0};
    const char *const *paths = NULL;
    size_t n = config_list(config, "tenant_schemas", &paths);
    bool ok = tenant_schemas_open(&schemas, paths, n, e);
    if (ok && tenant_schemas_have(&schemas, *message)) {
        ok = tenant_schemas_convert(&schemas, *message, FILE_MAX_BYTES, a, message, e);
    }
    tenant_schemas_fini(&schemas);
    return ok;
}

static bool file_explain(const struct config *config, const struct asked *a, int *code,
                         struct err *e)
{
    struct policy *p = NULL;
    struct buf message;
    struct arena arena;
    buf_init(&message, FILE_MAX_BYTES);
    arena_init(&arena, (size_t)FILE_MAX_BYTES * 2);
    bool ok = policy_load(config_str(config, "policy"), &p, e) && file_read(a->file, &message, e);
    struct slice record = buf_slice(&message);
    ok = ok && schema_apply(config, &arena, &record, e) && message_explain(p, a, record, code, e);
    policy_free(p);
    arena_fini(&arena);
    buf_fini(&message);
    return ok;
}

static int explain_run(const struct config_program *program, struct asked *a)
{
    struct config *config;
    enum config_mode mode = CONFIG_RUN;
    struct err e = ERR_INIT;
    int code = 2;
    if (!config_load(program, a->argc, a->argv, &config, &mode, &e)) {
        (void)fprintf(stderr, "%s: %s\n", program->name, e.text);
        return 2;
    }
    if (mode == CONFIG_DONE) {
        code = 0;
    } else if (!file_explain(config, a, &code, &e)) {
        (void)fprintf(stderr, "%s: %s\n", program->name, e.text);
        code = e.kind == ERR_BAD_INPUT ? 1 : 2;
    }
    config_free(config);
    return code;
}

int explain_tool_main(const struct config_program *program, int argc, char **argv)
{
    struct asked a = {.argc = 1, .argv = calloc((size_t)argc + 1, sizeof *a.argv)};
    int code = 2;
    hash_seed_init();
    if (a.argv == NULL) {
        return code;
    }
    a.argv[0] = argv[0];
    if (!asked_read(argc, argv, &a)) {
        (void)fputs(usage, stderr);
    } else if (!a.reasons) {
        code = explain_run(program, &a);
    } else if (!a.json) {
        reasons_print(stdout);
        code = 0;
    } else {
        code = reasons_print_json(stdout) ? 0 : 2;
    }
    free(a.argv);
    return code;
}
