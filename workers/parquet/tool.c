#include "tool.h"

#include "inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch.h"
#include "parquet/verify.h"
#include "run/show.h"

enum { FOOTER_MAX_BYTES = 256 << 20, PAGE_MAX_BYTES = 512 << 20 };

static const char usage[] =
    "usage: sluice-parquet inspect|verify [OPTION…] FILE|s3://BUCKET/KEY…\n"
    "  inspect  schema, metadata, row groups: encodings, sizes, statistics\n"
    "  verify   reads all of it: checksums, values against statistics, page index and Bloom\n"
    "           filters, counts, the order of rows, and what our own files say of their rows\n"
    "options for S3: --region NAME, --endpoint URL, --path-style, --fips, --dual-stack,\n"
    "  --ca-file FILE; keys come from the environment, a profile, or the pod's or machine's role\n"
    "exit codes: 0 all is well; 1 a file is not; 2 usage\n";

static bool file_fd(const struct fetch_options *o, const char *path, int *fd, struct err *e)
{
    if (fetch_is_asked(path)) {
        return fetch_object(o, path, fd, e);
    }
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 || err_set_code(e, ERR_CONFIG, errno, "cannot be opened: %s", strerror(errno));
}

/* The file's bytes, mapped until the process ends. */
static bool file_map(const struct fetch_options *o, const char *path, struct slice *out, struct err *e)
{
    struct stat st;
    int fd;
    if (!file_fd(o, path, &fd, e)) {
        return false;
    }
    if (fstat(fd, &st) != 0) {
        (void)err_set_code(e, ERR_CONFIG, errno, "cannot be looked at: %s", strerror(errno));
        (void)close(fd);
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

static const struct file_pair *pair_find(const struct parquet_file *f, const char *key)
{
    for (size_t i = 0; i < f->n_pairs; i++) {
        if (slice_eq_str(f->pairs[i].key, key)) {
            return &f->pairs[i];
        }
    }
    return NULL;
}

/* sluice-offsets audit holds what our objects say of their rows against the log: so it has to be true. */
static bool ledger_check(const struct parquet_file *f, struct err *e)
{
    char n_rows[24];
    const struct file_pair *said = pair_find(f, "intent") == NULL ? NULL : pair_find(f, "rows");
    (void)snprintf(n_rows, sizeof n_rows, "%lld", (long long)f->n_rows);
    return said == NULL || slice_eq_str(said->value, n_rows) ||
           err_set(e, ERR_BAD_INPUT, "%s rows, and its metadata say %.*s", n_rows,
                   said->value.len < 24 ? (int)said->value.len : 24, (const char *)said->value.ptr);
}

static bool verify(const struct parquet_file *f, const char *path, struct err *e)
{
    struct verify_totals t;
    if (!verify_file(f, PAGE_MAX_BYTES, &t, e) || !ledger_check(f, e)) {
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

static bool look_at(const struct fetch_options *o, const char *path, bool whole, struct err *e)
{
    struct slice bytes = SLICE_NONE;
    struct parquet_file f;
    struct arena a;
    arena_init(&a, FOOTER_MAX_BYTES);
    bool ok = file_map(o, path, &bytes, e) && file_open(bytes, &a, &f, e);
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

/* It may name a file's columns, which are untrusted. */
static void print_error(const struct err *e)
{
    struct buf text;
    buf_init(&text, sizeof e->text);
    show_text(&text, slice_str(e->text));
    (void)fprintf(stderr, "sluice-parquet: %.*s\n", SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
}

bool tool_is_asked(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "verify") == 0 || strcmp(argv[1], "inspect") == 0);
}

/* The first that is no option; 0: a wrong one. */
static int options_read(int argc, char **argv, struct fetch_options *out)
{
    static const struct option options[] = {
        {"region", required_argument, NULL, 'r'}, {"endpoint", required_argument, NULL, 'e'},
        {"ca-file", required_argument, NULL, 'c'}, {"path-style", no_argument, NULL, 'p'},
        {"fips", no_argument, NULL, 'f'},         {"dual-stack", no_argument, NULL, 'd'},
        {0},
    };
    *out = (struct fetch_options){0};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const char **text = c == 'r' ? &out->region : c == 'e' ? &out->endpoint : c == 'c' ? &out->ca_file : NULL;
        if (c == '?') {
            return 0;
        }
        if (text != NULL) {
            *text = optarg;
        }
        out->path_style |= c == 'p';
        out->fips |= c == 'f';
        out->dual_stack |= c == 'd';
    }
    return optind;
}

int tool_main(int argc, char **argv)
{
    struct fetch_options o;
    bool whole = strcmp(argv[1], "verify") == 0;
    int first = options_read(argc - 1, argv + 1, &o) + 1;
    if (first == 1 || first >= argc) {
        (void)fputs(usage, stderr);
        return 2;
    }
    int status = 0;
    for (int i = first; i < argc; i++) {
        struct err e = ERR_INIT;
        if (!look_at(&o, argv[i], whole, &e)) {
            print_error(&e);
            status = 1;
        }
    }
    return status;
}
