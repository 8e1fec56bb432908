#include "aws/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SHARED_FILE_BYTES = 256 * 1024, MAX_PATH_CHARS = 1024 };

static bool read_all(int fd, uint8_t *to, size_t n_room, size_t *n_read)
{
    *n_read = 0;
    for (;;) {
        ssize_t n = read(fd, to + *n_read, n_room - *n_read);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0;
        }
        *n_read += (size_t)n;
        if (*n_read == n_room) {
            return true;
        }
    }
}

static bool read_fd(int fd, const char *path, size_t max_bytes, struct arena *a, struct slice *out,
                    struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return err_set(e, ERR_CONFIG, "%.160s: not a file", path);
    }
    /* One byte more than there is room for tells that the file is too long. */
    size_t n_room = (st.st_size < (off_t)max_bytes ? (size_t)st.st_size : max_bytes) + 1;
    size_t n;
    uint8_t *bytes = arena_alloc(a, n_room);
    if (bytes == NULL) {
        return err_set(e, ERR_RETRY, "out of memory");
    }
    if (!read_all(fd, bytes, n_room, &n)) {
        return err_set(e, ERR_RETRY, "%.160s: %s", path, strerror(errno));
    }
    if (n == n_room) {
        return n > max_bytes
                   ? err_set(e, ERR_CONFIG, "%.160s: more than %zu bytes", path, max_bytes)
                   : err_set(e, ERR_RETRY, "%.160s: it grew while it was read", path);
    }
    *out = slice_of(bytes, n);
    return true;
}

bool credentials_file(const char *path, size_t max_bytes, struct arena *a, struct slice *out,
                      bool *absent, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *absent = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
    *out = SLICE_NONE;
    if (fd < 0) {
        return *absent || err_set(e, ERR_CONFIG, "%.160s: %s", path, strerror(errno));
    }
    bool ok = read_fd(fd, path, max_bytes, a, out, e);
    (void)close(fd);
    return ok;
}

bool credentials_token_file(const char *path, struct arena *a, const char **out, struct err *e)
{
    struct slice bytes;
    bool absent;
    if (!credentials_file(path, CREDENTIALS_MAX_TOKEN_CHARS, a, &bytes, &absent, e)) {
        return false;
    }
    if (absent || bytes.len == 0) {
        return err_set(e, ERR_CONFIG, "%.160s: %s", path, absent ? "no such file" : "empty");
    }
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] <= ' ' || bytes.ptr[i] >= 0x7f) {
            return err_set(e, ERR_CONFIG, "%.160s: byte 0x%02x at %zu is not of a token", path,
                           bytes.ptr[i], i);
        }
    }
    char *text = arena_alloc(a, bytes.len + 1);
    if (text == NULL) {
        return err_set(e, ERR_RETRY, "out of memory");
    }
    memcpy(text, bytes.ptr, bytes.len);
    text[bytes.len] = '\0';
    *out = text;
    return true;
}

/* The variable's path, or ~/.aws/<name>; false when there is no home either. */
static bool shared_path(const struct credentials_context *c, const char *variable, const char *name,
                        char path[MAX_PATH_CHARS])
{
    const char *given = credentials_variable(c, variable);
    const char *home = credentials_variable(c, "HOME");
    if (given == NULL && home == NULL) {
        return false;
    }
    int n = given != NULL ? snprintf(path, MAX_PATH_CHARS, "%s", given)
                          : snprintf(path, MAX_PATH_CHARS, "%s/.aws/%s", home, name);
    return n > 0 && n < MAX_PATH_CHARS;
}

static bool add_file(const struct credentials_context *c, bool is_config, const char *name,
                     struct credentials_profile *p, struct err *e)
{
    char path[MAX_PATH_CHARS];
    struct slice text;
    bool absent;
    if (!shared_path(c, is_config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE",
                     is_config ? "config" : "credentials", path)) {
        return true;
    }
    if (!credentials_file(path, MAX_SHARED_FILE_BYTES, c->arena, &text, &absent, e)) {
        return false;
    }
    return credentials_of_ini(text, name, is_config, c->arena, p, e) || err_wrap(e, "%.160s", path);
}

bool credentials_profile_read(const struct credentials_context *c, const char **name,
                              struct credentials_profile *out, struct err *e)
{
    const char *asked = credentials_variable(c, "AWS_PROFILE");
    *name = asked == NULL ? "default" : asked;
    *out = (struct credentials_profile){.present = false};
    if (!add_file(c, false, *name, out, e) || !add_file(c, true, *name, out, e)) {
        return false;
    }
    if (asked != NULL && !out->present) {
        return err_set(e, ERR_CONFIG, "AWS_PROFILE: no profile \"%.80s\" in the shared files",
                       asked);
    }
    return true;
}
