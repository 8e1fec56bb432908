/* What a test's code writes to a descriptor (1, 2), through a temporary file. */
#pragma once

#include "runner.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct capture {
    int fd;
    int saved_fd;
    int file_fd;
};

static inline struct capture capture_begin(int fd)
{
    char path[] = "/tmp/sluice_capture_XXXXXX";
    struct capture c = {.fd = fd};
    (void)fflush(stdout);
    c.file_fd = mkstemp(path);
    ck_assert_int_ge(c.file_fd, 0);
    (void)unlink(path);
    c.saved_fd = dup(fd);
    ck_assert_int_ge(dup2(c.file_fd, fd), 0);
    return c;
}

/* The text so far, NUL-ended; free() it. Ends the capture. */
static inline char *capture_end(struct capture *c)
{
    (void)fflush(stdout);
    ck_assert_int_ge(dup2(c->saved_fd, c->fd), 0);
    (void)close(c->saved_fd);
    off_t len = lseek(c->file_fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)len + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(c->file_fd, text, (size_t)len, 0), len);
    (void)close(c->file_fd);
    return text;
}
