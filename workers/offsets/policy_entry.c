#include "policy_entry.h"

#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read as the workers would. */
static bool is_policy(const json_t *root, char **text, struct err *e)
{
    struct policy *policy = NULL;
    *text = json_dumps(root, JSON_INDENT(2));
    bool ok = *text != NULL || err_set(e, ERR_FATAL, "out of memory");
    ok = ok && policy_parse(slice_str(*text), &policy, e);
    policy_free(policy);
    return ok;
}

static bool write_all(int fd, const char *text, struct err *e)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n <= 0 && errno != EINTR) {
            return err_set_code(e, ERR_CONFIG, errno, "it can't be written: %s", strerror(errno));
        }
        text += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The old one stays until the new one is whole on disk; its owner's rights are kept. */
static bool replace(const char *path, const char *text, struct err *e)
{
    char real[PATH_MAX];
    char part[PATH_MAX + 16];
    struct stat st;
    if (realpath(path, real) == NULL || stat(real, &st) != 0) {
        return err_set_code(e, ERR_CONFIG, errno, "%s", strerror(errno));
    }
    (void)snprintf(part, sizeof part, "%s.XXXXXX", real);
    int fd = mkostemp(part, O_CLOEXEC);
    if (fd < 0) {
        return err_set_code(e, ERR_CONFIG, errno,
                            "no file can be made beside it (%s): where it is mounted, change what it is mounted from; "
                            "--dry-run shows the entry",
                            strerror(errno));
    }
    bool ok = write_all(fd, text, e) && write_all(fd, "\n", e);
    if (ok && (fchmod(fd, st.st_mode & 07777) != 0 || fsync(fd) != 0 || rename(part, real) != 0)) {
        ok = err_set_code(e, ERR_CONFIG, errno, "it can't be written: %s", strerror(errno));
    }
    (void)close(fd);
    if (!ok) {
        (void)unlink(part);
    }
    return ok;
}

static void tell(struct topic_report *report, enum topic_state state, const char *what, const json_t *limits)
{
    char *text = json_dumps(limits, JSON_COMPACT);
    *report = (struct topic_report){.state = state};
    (void)snprintf(report->detail, sizeof report->detail, "%s%.150s", what, text == NULL ? "" : text);
    free(text);
}

static bool settle(json_t *root, const char *path, const char *tenant, const json_t *limits, bool apply,
                   struct topic_report *report, struct err *e)
{
    json_t *tenants = json_object_get(root, "tenants");
    json_t *old = json_object_get(tenants, tenant);
    char *text = NULL;
    if (old != NULL) {
        const json_t *own = json_object_get(old, "limits");
        bool same = json_object_size(limits) == 0 || json_equal(own, limits);
        tell(report, TOPIC_OK, same ? "limits " : "is there with other limits, which stay; change the file: ", own);
        return true;
    }
    if (tenants == NULL) {
        tenants = json_object();
        (void)json_object_set_new(root, "tenants", tenants);
    }
    json_t *entry = json_object();
    if (json_object_size(limits) > 0) {
        (void)json_object_set(entry, "limits", (json_t *)(uintptr_t)limits);
    }
    (void)json_object_set_new(tenants, tenant, entry);
    tell(report, apply ? TOPIC_CREATED : TOPIC_MISSING, "limits ", limits);
    bool ok = is_policy(root, &text, e) && (!apply || replace(path, text, e));
    free(text);
    return ok;
}

bool policy_entry_settle(const char *path, const char *tenant, const json_t *limits, bool apply,
                         struct topic_report *report, struct err *e)
{
    struct policy *policy = NULL;
    json_error_t where;
    if (!policy_load(path, &policy, e)) { /* what the workers refuse is not made worse */
        return err_wrap(e, "policy %.100s", path);
    }
    policy_free(policy);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    bool ok = root != NULL || err_set(e, ERR_CONFIG, "line %d: %.150s", where.line, where.text);
    ok = ok && settle(root, path, tenant, limits, apply, report, e);
    json_decref(root);
    return ok || err_wrap(e, "policy %.100s", path);
}
