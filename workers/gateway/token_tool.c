#include "token_tool.h"

#include "base/clock.h"
#include "policy/policy.h"
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, MAX_KEYS = 128, MAX_DAYS = 36500, DAY_S = 86400 };

static const char usage[] =
    "usage:\n"
    "  sluice-gateway token create --tenant T [--expires 90d | 2027-01-31 | never]   prints the token, once\n"
    "  sluice-gateway token revoke ID\n"
    "  sluice-gateway token list\n"
    "\n"
    "The file is the configuration's key `tokens` (--config FILE or --set tokens=PATH): a line for each token, with\n"
    "a salted hash of it. A gateway reads it again within a second of a change. The tenant must be in the policy, if\n"
    "one is configured. Default of --expires: never.\n"
    "exit codes: 0 done; 1 failed; 2 usage or configuration\n";

struct arguments {
    const char *verb;
    const char *tenant;
    const char *expires;
    const char *id;
    int n_rest; /* argv for config_load */
    char **rest;
};

static bool arguments_read(int argc, char **argv, struct arguments *a, struct err *e)
{
    a->rest[a->n_rest++] = argv[0];
    for (int i = 2; i < argc; i++) {
        const char **to = strcmp(argv[i], "--tenant") == 0    ? &a->tenant
                          : strcmp(argv[i], "--expires") == 0 ? &a->expires
                                                              : NULL;
        if (to != NULL && i + 1 >= argc) {
            return err_set(e, ERR_CONFIG, "%s needs a value", argv[i]);
        }
        if (to != NULL) {
            *to = argv[++i];
        } else if (strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "--set") == 0) {
            a->rest[a->n_rest++] = argv[i];
            if (i + 1 < argc) {
                a->rest[a->n_rest++] = argv[++i];
            }
        } else if (argv[i][0] == '-') {
            a->rest[a->n_rest++] = argv[i];
        } else if (a->verb == NULL) {
            a->verb = argv[i];
        } else if (a->id == NULL) {
            a->id = argv[i];
        } else {
            return err_set(e, ERR_CONFIG, "one too many: %.60s", argv[i]);
        }
    }
    return true;
}

static bool expires_read(const char *text, int64_t now_s, int64_t *out, struct err *e)
{
    char *end = NULL;
    long days = text == NULL ? 0 : strtol(text, &end, 10);
    *out = TOKEN_NEVER;
    if (text == NULL) {
        return true;
    }
    if (end != text && strcmp(end, "d") == 0 && days > 0 && days <= MAX_DAYS) {
        *out = now_s + (int64_t)days * DAY_S;
        return true;
    }
    return (token_time_parse(slice_str(text), out) && *out > now_s) ||
           err_set(e, ERR_CONFIG, "--expires: days (90d), a date to come (2027-01-31), or never");
}

static bool tenant_check(const struct config *c, const char *tenant, struct err *e)
{
    struct policy *policy = NULL;
    const char *path = config_str(c, "policy");
    size_t n = tenant == NULL ? 0 : strlen(tenant);
    if (n == 0 || n > TOKEN_TENANT_MAX_BYTES || strpbrk(tenant, " \t\r\n") != NULL) {
        return err_set(e, ERR_CONFIG, "--tenant: a tenant's name is needed");
    }
    if (path[0] == '\0') {
        return true;
    }
    if (!policy_load(path, &policy, e)) {
        return false;
    }
    bool known = policy_tenant(policy, slice_str(tenant)) != NULL;
    policy_free(policy);
    return known || err_set(e, ERR_CONFIG, "the policy knows no tenant %.100s", tenant);
}

/* Replaces the file as a whole, so that no reader sees half of it. */
static bool file_replace(const char *path, struct slice text, struct err *e)
{
    char fresh[PATH_BYTES];
    struct stat old;
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 0777 : 0600;
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0;
    for (size_t at = 0; ok && at < text.len;) {
        ssize_t n = write(fd, text.ptr + at, text.len - at);
        ok = n > 0;
        at += ok ? (size_t)n : 0;
    }
    ok = ok && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return (ok && rename(fresh, path) == 0) ||
           err_set_code(e, ERR_FATAL, errno, "%s: %s", fresh, strerror(errno));
}

/* One tool at a time; -1 with the error. */
static int file_lock(const char *path, struct err *e)
{
    char lock[PATH_BYTES];
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        (void)err_set_code(e, ERR_FATAL, errno, "%s: %s", lock, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    return fd;
}

/* The file as it is: none is an empty one. */
static bool file_text(const char *path, struct buf *out, struct err *e)
{
    struct tokens tokens;
    if (access(path, F_OK) != 0) {
        return true;
    }
    if (!file_read(path, out, e) || !tokens_parse(buf_slice(out), &tokens, e)) {
        return err_wrap(e, "tokens %s", path);
    }
    tokens_fini(&tokens);
    return true;
}

static bool create_one(const struct config *c, const struct arguments *a, struct err *e)
{
    const char *path = config_str(c, "tokens");
    int64_t now_s = clock_now_ms() / 1000;
    int64_t expires_s;
    struct token token;
    char text[TOKEN_TEXT_BYTES];
    struct buf file;
    if (!tenant_check(c, a->tenant, e) || !expires_read(a->expires, now_s, &expires_s, e)) {
        return false;
    }
    buf_init(&file, TOKENS_MAX_BYTES);
    bool ok = file_text(path, &file, e) && token_make(a->tenant, now_s, expires_s, &token, text, e);
    if (ok) {
        if (file.len == 0) {
            buf_printf(&file, "# id tenant created expires salt hash\n");
        } else if (file.ptr[file.len - 1] != '\n') {
            buf_u8(&file, '\n');
        }
        token_write(&token, &file);
        ok = buf_ok(&file) ? file_replace(path, buf_slice(&file), e)
                           : err_set(e, ERR_FATAL, "%s: larger than %d bytes", path, TOKENS_MAX_BYTES);
    }
    if (ok) {
        (void)printf("%s\n", text);
    }
    buf_fini(&file);
    return ok;
}

static bool revoke_one(const struct config *c, const struct arguments *a, struct err *e)
{
    const char *path = config_str(c, "tokens");
    struct tokens tokens;
    struct buf file;
    bool found = false;
    if (a->id == NULL) {
        return err_set(e, ERR_CONFIG, "revoke: which one? See token list");
    }
    if (!tokens_load(path, &tokens, e)) {
        return false;
    }
    buf_init(&file, TOKENS_MAX_BYTES);
    buf_printf(&file, "# id tenant created expires salt hash\n");
    for (size_t i = 0; i < tokens.n; i++) {
        if (strcmp(tokens.items[i].id, a->id) == 0) {
            tokens.items[i].expires_s = TOKEN_REVOKED;
            found = true;
        }
        token_write(&tokens.items[i], &file);
    }
    bool ok = !found          ? err_set(e, ERR_CONFIG, "%s has no token %.60s", path, a->id)
              : !buf_ok(&file) ? err_set(e, ERR_FATAL, "%s: out of memory, or too many tokens; it was not changed", path)
                               : file_replace(path, buf_slice(&file), e);
    buf_fini(&file);
    tokens_fini(&tokens);
    return ok;
}

static bool list_all(const struct config *c, struct err *e)
{
    struct tokens tokens;
    if (!tokens_load(config_str(c, "tokens"), &tokens, e)) {
        return false;
    }
    (void)printf("%-12s  %-24s  %-20s  %s\n", "id", "tenant", "created", "expires");
    for (size_t i = 0; i < tokens.n; i++) {
        const struct token *t = &tokens.items[i];
        char created[24];
        char expires[24];
        token_time_text(t->created_s, created);
        token_time_text(t->expires_s, expires);
        (void)printf("%-12s  %-24s  %-20s  %s\n", t->id, t->tenant, created, expires);
    }
    tokens_fini(&tokens);
    return true;
}

static bool act(const struct config *c, const struct arguments *a, struct err *e)
{
    const char *path = config_str(c, "tokens");
    if (path[0] == '\0') {
        return err_set(e, ERR_CONFIG, "tokens is not set: the path of the file of tokens");
    }
    if (strcmp(a->verb, "list") == 0) {
        return list_all(c, e);
    }
    int lock = file_lock(path, e);
    if (lock < 0) {
        return false;
    }
    bool ok = strcmp(a->verb, "create") == 0 ? create_one(c, a, e) : revoke_one(c, a, e);
    (void)close(lock);
    return ok;
}

static bool is_verb(const char *verb)
{
    return verb != NULL &&
           (strcmp(verb, "create") == 0 || strcmp(verb, "revoke") == 0 || strcmp(verb, "list") == 0);
}

/* The gateway's own keys, so that its configuration file serves; none is required here. */
static bool configured(const struct config_program *gateway, const struct arguments *a, struct config **out,
                       enum config_mode *mode, struct err *e)
{
    static struct config_key keys[MAX_KEYS];
    static struct config_program tool; /* the configuration points to both */
    tool = *gateway;
    tool.n_keys = gateway->n_keys < MAX_KEYS ? gateway->n_keys : MAX_KEYS;
    for (size_t i = 0; i < tool.n_keys; i++) {
        keys[i] = gateway->keys[i];
        keys[i].fallback = keys[i].fallback == NULL ? "" : keys[i].fallback;
    }
    tool.keys = keys;
    tool.check = NULL;
    return config_load(&tool, a->n_rest, a->rest, out, mode, e);
}

int token_tool(const struct config_program *gateway, int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct arguments a = {.rest = calloc((size_t)argc + 1, sizeof *a.rest)};
    struct config *config = NULL;
    enum config_mode mode = CONFIG_RUN;
    bool ok = a.rest != NULL && arguments_read(argc, argv, &a, &e);
    if (ok && !is_verb(a.verb)) {
        (void)fputs(usage, a.verb == NULL ? stdout : stderr);
        free(a.rest);
        return a.verb == NULL ? 0 : 2;
    }
    ok = ok && configured(gateway, &a, &config, &mode, &e) && (mode == CONFIG_DONE || act(config, &a, &e));
    if (!ok) {
        (void)fprintf(stderr, "%s token: %s\n", gateway->name, e.text);
    }
    if (config != NULL) {
        config_free(config);
    }
    free(a.rest);
    return ok ? 0 : err_exit_code(&e);
}
