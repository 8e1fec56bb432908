#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PIECE_BYTES = 4096 };

bool file_moved(struct file_stamp *seen, const char *path)
{
    struct stat s = {0};
    if (stat(path, &s) != 0) {
        s = (struct stat){0};
    }
    bool moved = s.st_dev != seen->device || s.st_ino != seen->inode || s.st_size != seen->n_bytes ||
                 s.st_mtim.tv_sec != seen->changed.tv_sec ||
                 s.st_mtim.tv_nsec != seen->changed.tv_nsec;
    *seen = (struct file_stamp){s.st_dev, s.st_ino, s.st_size, s.st_mtim};
    return moved;
}

bool file_read(const char *path, struct buf *out, struct err *e)
{
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        return err_set_code(e, ERR_CONFIG, errno, "%s: %s", path, strerror(errno));
    }
    uint8_t piece[PIECE_BYTES];
    size_t n;
    while (buf_ok(out) && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        buf_put(out, piece, n);
    }
    bool ok = ferror(f) == 0;
    (void)fclose(f);
    if (!ok) {
        return err_set_code(e, ERR_CONFIG, errno, "%s: can't be read", path);
    }
    return buf_ok(out) || err_set(e, ERR_CONFIG, "%s: larger than %zu bytes", path, out->max_bytes);
}
