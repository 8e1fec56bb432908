#include "worker_call.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PATH = 4096, MAX_NAME = 64, READ_BYTES = 65536 };

extern char **environ; /* POSIX: declared by its user */

struct binary {
    char name[MAX_NAME];
    char path[MAX_PATH]; /* beside us; "" = who knows where we are */
};

static void binary_find(const char *stage, char **words, struct binary *out)
{
    *out = (struct binary){.name = ""};
    (void)snprintf(out->name, sizeof out->name, "sluice-%s", stage);
    ssize_t n = readlink("/proc/self/exe", out->path, sizeof out->path - 1);
    char *slash = n > 0 ? strrchr(out->path, '/') : NULL;
    if (slash != NULL && (size_t)(slash + 1 - out->path) + strlen(out->name) < sizeof out->path) {
        memcpy(slash + 1, out->name, strlen(out->name) + 1);
    } else {
        out->path[0] = '\0';
    }
    words[0] = out->name;
}

static const char not_there[] =
    "%s is neither beside this program nor on the PATH; it does this stage's replays";

int worker_become(const char *stage, char **words)
{
    struct binary b;
    binary_find(stage, words, &b);
    (void)execv(b.path, words);
    (void)execvp(b.name, words);
    (void)fputs("sluice-offsets: ", stderr);
    (void)fprintf(stderr, not_there, b.name);
    (void)fputs("\n", stderr);
    return 1;
}

static bool read_all(int fd, struct buf *out, struct err *e)
{
    char bytes[READ_BYTES];
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 || err_set_code(e, ERR_FATAL, errno, "a pipe: %s", strerror(errno));
        }
        buf_put(out, bytes, (size_t)n); /* checked by who reads it; the rest is read all the same */
    }
}

static bool spawn(const struct binary *b, char **words, const int pipes[2], pid_t *pid,
                  struct err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (pipes[0] >= 0) {
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
        posix_spawn_file_actions_addclose(&actions, pipes[0]);
        posix_spawn_file_actions_addclose(&actions, pipes[1]);
    }
    int code = posix_spawn(pid, b->path, &actions, NULL, words, environ);
    if (code != 0) {
        code = posix_spawnp(pid, b->name, &actions, NULL, words, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code == 0 || err_set_code(e, ERR_FATAL, code, not_there, b->name);
}

static bool wait_end(pid_t pid, const char *name, int *code, struct err *e)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return err_set_code(e, ERR_FATAL, errno, "%s: %s", name, strerror(errno));
        }
    }
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return *code >= 0 || err_set(e, ERR_FATAL, "%s was killed by signal %d", name,
                                 WTERMSIG(status));
}

bool worker_run(const char *stage, char **words, struct buf *out, int *code, struct err *e)
{
    struct binary b;
    pid_t pid;
    int pipes[2] = {-1, -1};
    binary_find(stage, words, &b);
    if (out != NULL && pipe(pipes) != 0) {
        return err_set_code(e, ERR_FATAL, errno, "a pipe: %s", strerror(errno));
    }
    (void)fflush(stdout); /* ours comes first */
    bool ok = spawn(&b, words, pipes, &pid, e);
    if (out != NULL) {
        (void)close(pipes[1]);
    }
    if (ok) {
        struct err why = ERR_INIT;
        bool is_read = out == NULL || read_all(pipes[0], out, &why);
        ok = wait_end(pid, b.name, code, e);
        if (ok && !is_read) {
            *e = why;
            ok = false;
        }
    }
    if (out != NULL) {
        (void)close(pipes[0]);
    }
    return ok;
}
