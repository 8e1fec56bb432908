#include "tool.h"

#include "inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parquet/verify.h"

enum { FOOTER_MAX_BYTES = 256 << 20, PAGE_MAX_BYTES = 512 << 20 };

static const char usage[] =
    "usage: sluice-parquet inspect|verify FILE…\n"
    "  inspect  schema, metadata, row groups: encodings, sizes, statistics\n"
    "  verify   reads all of it: checksums, values against statistics, page index and Bloom\n"
    "           filters, counts, the order of rows\n"
    "exit codes: 0 all is well; 1 a file is not; 2 usage\n";

/* The file's bytes, mapped until the process ends. */
static bool file_map(const char *path, struct slice *out, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        bool was_open = fd >= 0;
        (void)err_set_code(e, ERR_CONFIG, errno, "cannot be opened: %s", strerror(errno));
        if (was_open) {
            (void)close(fd);
        }
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        (void)close(fd);
        return err_set(e, ERR_BAD_INPUT, "no Parquet file: %s",
                       st.st_size == 0 ? "it is empty" : "no regular file");
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (bytes == MAP_FAILED) {
        return err_set_code(e, ERR_FATAL, errno, "cannot be mapped: %s", strerror(errno));
    }
    *out = slice_of(bytes, (size_t)st.st_size);
    return true;
}

static bool verify(const struct parquet_file *f, const char *path, struct err *e)
{
    struct verify_totals t;
    if (!verify_file(f, PAGE_MAX_BYTES, &t, e)) {
        return false;
    }
    (void)printf("%s: good: %lld rows in %zu row groups, %lld of them in order; %lld values, %lld "
                 "nulls in %lld pages; "
                 "%lld column indexes, %lld Bloom filters\n",
                 path, (long long)f->n_rows, f->n_groups, (long long)t.n_sorted_rows,
                 (long long)t.n_values, (long long)t.n_nulls, (long long)t.n_pages,
                 (long long)t.n_column_indexes, (long long)t.n_bloom_filters);
    return true;
}

static bool look_at(const char *path, bool whole, struct err *e)
{
    struct slice bytes = SLICE_NONE;
    struct parquet_file f;
    struct arena a;
    arena_init(&a, FOOTER_MAX_BYTES);
    bool ok = file_map(path, &bytes, e) && file_open(bytes, &a, &f, e);
    if (ok && whole) {
        ok = verify(&f, path, e);
    } else if (ok) {
        inspect_print(&f, path, stdout);
    }
    arena_fini(&a);
    if (bytes.ptr != NULL) {
        (void)munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
    }
    return ok || err_wrap(e, "%s", path);
}

bool tool_is_asked(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "verify") == 0 || strcmp(argv[1], "inspect") == 0);
}

int tool_main(int argc, char **argv)
{
    bool whole = strcmp(argv[1], "verify") == 0;
    if (argc < 3) {
        (void)fputs(usage, stderr);
        return 2;
    }
    int status = 0;
    for (int i = 2; i < argc; i++) {
        struct err e = ERR_INIT;
        if (!look_at(argv[i], whole, &e)) {
            (void)fprintf(stderr, "sluice-parquet: %s\n", e.text);
            status = 1;
        }
    }
    return status;
}
