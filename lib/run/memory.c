#include "run/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int64_t memory_resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        char line[128];
        const char *second = fgets(line, sizeof line, f) == NULL ? NULL : strchr(line, ' ');
        pages = second == NULL ? 0 : strtol(second, NULL, 10);
        (void)fclose(f);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}
