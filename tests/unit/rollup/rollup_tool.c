/* rollup-tool minutes|hours [SEED [FAULT [MAX_ROW_BYTES]]]: the step of rollup alone, so that tests
 * in other languages hold its rows against what they work out themselves. stdin: a partition of
 * metrics.admitted, or of metrics.rollup.5m; stdout: its rows.
 * With SEED (not 0) it is disturbed: it commits now and then, loses its memory, recovers from the
 * rows that were committed and reads the input again, from where it is needed or, as after a reset
 * of the group, from earlier. With SEED "all" it is cut off at each place in turn (cuts.h), stdout
 * has the undisturbed rows, and the exit code says whether all went well. FAULT (no_closed_at,
 * no_horizon, any_order; none) leaves a rule of recovery out.
 *
 *   in:  (offset i64, received_ms or Kafka timestamp i64, length u32, record)…   little-endian
 *   out: (5 m of minutes? u8, log time i64, length u32, record)…       in order of leaving */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuts.h"
#include "disturbed.h"

enum { MAX_RECORD_BYTES = 16 << 20, EXIT_DIFFERS = 3 };

struct inputs {
    struct input *items; /* owned */
    size_t n;
    size_t cap;
};

static bool read_all(void *bytes, size_t n)
{
    size_t got = fread(bytes, 1, n, stdin);
    if (got != 0 && got != n) {
        rerun_die("the input ends within a record");
    }
    return got == n;
}

static void read_input(struct inputs *in)
{
    int64_t offset;
    while (read_all(&offset, sizeof offset)) {
        int64_t log_ms;
        uint32_t n;
        if (!read_all(&log_ms, sizeof log_ms) || !read_all(&n, sizeof n) || n == 0 ||
            n > MAX_RECORD_BYTES) {
            rerun_die("a record has no sensible length");
        }
        uint8_t *bytes = malloc(n);
        if (bytes == NULL || !read_all(bytes, n)) {
            rerun_die("the input ends within a record");
        }
        in->items = rerun_grown(in->items, in->n, &in->cap, sizeof *in->items);
        in->items[in->n++] = (struct input){offset, log_ms, slice_of(bytes, n)};
    }
}

static void write_all(const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, stdout) != n) {
        rerun_die("can't write");
    }
}

static void write_output(const struct rerun *r)
{
    for (size_t i = 0; i < r->n_out; i++) {
        const struct output *o = &r->out[i];
        uint8_t is_merged = o->is_merged;
        uint32_t n = (uint32_t)o->bytes.len;
        write_all(&is_merged, sizeof is_merged);
        write_all(&o->log_ms, sizeof o->log_ms);
        write_all(&n, sizeof n);
        write_all(o->bytes.ptr, n);
    }
}

static bool is_fault(int argc, char **argv, const char *name)
{
    return argc > 3 && strcmp(argv[3], name) == 0;
}

int main(int argc, char **argv)
{
    struct inputs in = {0};
    struct rerun r;
    int code = EXIT_SUCCESS;
    read_input(&in);
    rerun_init(&r, argc > 1 && strcmp(argv[1], "hours") == 0, in.items, in.n);
    r.rules.fault_no_closed_at = is_fault(argc, argv, "no_closed_at");
    r.rules.fault_no_horizon = is_fault(argc, argv, "no_horizon");
    r.rules.fault_any_order = is_fault(argc, argv, "any_order");
    if (argc > 4) {
        r.splitter.max_bytes = strtoull(argv[4], NULL, 10);
    }
    if (argc > 2 && strcmp(argv[2], "all") == 0) {
        struct cuts found = cuts_try_all(&r);
        fprintf(stderr, "%zu cuts, %zu wrong\n", found.n, found.n_wrong);
        code = found.n_wrong == 0 ? EXIT_SUCCESS : EXIT_DIFFERS;
    } else {
        (void)rerun_disturbed(&r, argc > 2 ? strtoull(argv[2], NULL, 10) : 0);
    }
    write_output(&r);
    rerun_fini(&r);
    for (size_t i = 0; i < in.n; i++) {
        free((void *)(uintptr_t)in.items[i].bytes.ptr);
    }
    free(in.items);
    return code;
}
