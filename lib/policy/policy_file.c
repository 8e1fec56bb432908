#include "policy/policy_file.h"

bool policy_file_open(struct policy_file *f, const char *path, struct policy **out, struct err *e)
{
    *f = (struct policy_file){.path = path};
    (void)file_moved(&f->seen, f->path);
    return policy_load(path, out, e);
}

enum policy_change policy_file_poll(struct policy_file *f, struct policy **out, struct err *e)
{
    if (!file_moved(&f->seen, f->path)) {
        return POLICY_SAME;
    }
    return policy_load(f->path, out, e) ? POLICY_NEW : POLICY_REFUSED;
}
