/* Runs a fuzz target over the files of a folder, each of them whole and cut at every byte: so the
 * seeds are tests in every build, without libFuzzer. Files over 64 KiB are cut at 4,096 places. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(1);
    }
    static uint8_t bytes[16 << 20];
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);

    size_t step = len > 65536 ? len / 4096 : 1;
    size_t n = 0;
    for (size_t cut = 0; cut <= len; cut += step) {
        uint8_t *copy = malloc(cut == 0 ? 1 : cut); /* of its own, so that overruns show */
        if (copy == NULL) {
            exit(1);
        }
        memcpy(copy, bytes, cut);
        (void)LLVMFuzzerTestOneInput(copy, cut);
        free(copy);
        n++;
    }
    (void)LLVMFuzzerTestOneInput(bytes, len);
    return n + 1;
}

int main(int argc, char **argv)
{
    size_t n_files = 0;
    size_t n_runs = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            fprintf(stderr, "no seeds in %s\n", argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            char path[4096];
            if (entry->d_name[0] == '.') {
                continue;
            }
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            n_runs += replay_file(path);
            n_files++;
        }
        closedir(dir);
    }
    printf("%zu seeds, %zu inputs\n", n_files, n_runs);
    return n_files == 0 ? 1 : 0;
}
