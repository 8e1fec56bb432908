#include "policy/policy_file.h"

#include <errno.h>
#include <sys/stat.h>

/* True when the file is not what it was; it is taken note of. A missing file is one, too. */
static bool file_moved(struct policy_file *f)
{
    struct stat s = {0};
    if (stat(f->path, &s) != 0) {
        s = (struct stat){0};
    }
    bool moved = s.st_dev != f->device || s.st_ino != f->inode || s.st_size != f->n_bytes ||
                 s.st_mtim.tv_sec != f->changed.tv_sec || s.st_mtim.tv_nsec != f->changed.tv_nsec;
    f->device = s.st_dev;
    f->inode = s.st_ino;
    f->n_bytes = s.st_size;
    f->changed = s.st_mtim;
    return moved;
}

bool policy_file_open(struct policy_file *f, const char *path, struct policy **out, struct err *e)
{
    *f = (struct policy_file){.path = path};
    (void)file_moved(f);
    return policy_load(path, out, e);
}

enum policy_change policy_file_poll(struct policy_file *f, struct policy **out, struct err *e)
{
    if (!file_moved(f)) {
        return POLICY_SAME;
    }
    return policy_load(f->path, out, e) ? POLICY_NEW : POLICY_REFUSED;
}
