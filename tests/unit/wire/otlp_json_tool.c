/* otlp-json-tool: a line of JSON in, a line out: "ok HEX" of the message in protobuf, or "error TEXT". For
 * tests/flow/test_otlp_json.py. */
#include <stdio.h>
#include <stdlib.h>

#include "wire/otlp_json.h"

static void answer(struct slice line)
{
    struct buf out;
    struct err e = ERR_INIT;
    buf_init(&out, 64 << 20);
    if (otlp_json_read(line, &otlp_json_default_caps, &out, &e)) {
        printf("ok ");
        for (size_t i = 0; i < out.len; i++) {
            printf("%02x", out.ptr[i]);
        }
        printf("\n");
    } else {
        printf("error %s\n", e.text);
    }
    buf_fini(&out);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) {
        answer(slice_of(line, (size_t)n - (line[n - 1] == '\n')));
    }
    free(line);
    return 0;
}
