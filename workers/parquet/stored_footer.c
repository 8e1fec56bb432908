#include "stored_footer.h"

#include <stdio.h>
#include <sys/mman.h>

#include "fetch.h"
#include "parquet/file.h"

static const char *copy_text(struct arena *a, struct slice s)
{
    char *text = arena_alloc(a, s.len + 1);
    if (text != NULL) {
        memcpy(text, s.len == 0 ? (const void *)"" : s.ptr, s.len);
        text[s.len] = '\0';
    }
    return text;
}

static void pairs_find(const struct parquet_file *f, const char *const *names, size_t n, const char **values,
                       struct arena *a)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < f->n_pairs && values[i] == NULL; k++) {
            values[i] = slice_eq_str(f->pairs[k].key, names[i]) ? copy_text(a, f->pairs[k].value) : NULL;
        }
    }
}

static void footer_read(int fd, size_t n_bytes, const char *const *names, size_t n, const char **values,
                        struct arena *a)
{
    struct parquet_file f;
    struct err why = ERR_INIT;
    void *bytes = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return;
    }
    if (file_open(slice_of(bytes, n_bytes), a, &f, &why)) {
        pairs_find(&f, names, n, values, a);
    }
    (void)munmap(bytes, n_bytes);
}

bool stored_footer(struct s3 *s3, const char *key, const char *const *names, size_t n, const char **values,
                   struct arena *a, struct err *e)
{
    int64_t n_bytes;
    for (size_t i = 0; i < n; i++) {
        values[i] = NULL;
    }
    FILE *file = tmpfile();
    if (file == NULL) {
        return err_set(e, ERR_FATAL, "no temporary file can be made");
    }
    bool ok = fetch_copy(s3, slice_str(key), fileno(file), &n_bytes, e);
    if (ok && n_bytes > 0) {
        footer_read(fileno(file), (size_t)n_bytes, names, n, values, a);
    }
    (void)fclose(file);
    if (!ok && e->kind == ERR_BAD_INPUT) { /* it is gone */
        err_reset(e);
        return true;
    }
    return ok;
}
