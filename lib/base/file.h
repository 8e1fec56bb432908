/* Files that change while a program runs: policies, tokens, certificates. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>
#include <time.h>

/* What a file was when it was last looked at; all zero: nothing, or no file. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t n_bytes;
    struct timespec changed;
};

/* True when the file is not what the stamp says; it is taken note of. A missing file is one, too. */
bool file_moved(struct file_stamp *seen, const char *path);
/* Appends the whole file to out, whose ceiling is the file's. ERR_CONFIG says what is wrong with it. */
bool file_read(const char *path, struct buf *out, struct err *e) MUST_CHECK;
