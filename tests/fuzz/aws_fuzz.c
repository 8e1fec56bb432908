/* The first byte says what the rest is: a container's JSON, an answer or an error of STS, a shared
 * file. Each takes it or says why not, without quoting it; what is taken can stand in a header. */
#include "aws/credentials_parse.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_keys(bool ok, const struct aws_keys *keys, const struct err *e)
{
    struct err again = ERR_INIT;
    bool kind_is_fit = e->kind == ERR_BAD_INPUT || e->kind == ERR_RETRY;
    if (ok ? !credentials_check(keys, &again) : (!kind_is_fit || e->text[0] == '\0')) {
        fprintf(stderr, "taken: %d, %s%s\n", ok, e->text, again.text);
        abort();
    }
}

static void check_profile(struct slice text, struct arena *a)
{
    struct credentials_profile p = {.present = false};
    struct err e = ERR_INIT;
    for (int is_config = 0; is_config < 2; is_config++) {
        if (!credentials_of_ini(text, "dev", is_config != 0, a, &p, &e) &&
            strncmp(e.text, "line ", 5) != 0) {
            fprintf(stderr, "no line: %s\n", e.text);
            abort();
        }
    }
    if (!p.present && (p.access_key != NULL || p.unsupported != NULL)) {
        fprintf(stderr, "a key of a profile that isn't there\n");
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct aws_keys keys;
    struct err e = ERR_INIT;
    char code[16];
    if (size == 0) {
        return 0;
    }
    struct slice rest = slice_of(data + 1, size - 1);
    arena_init(&a, 1 << 20);
    switch (data[0]) {
    case 'j':
        check_keys(credentials_of_json(rest, &a, &keys, &e), &keys, &e);
        break;
    case 'x':
        check_keys(credentials_of_sts(rest, &a, &keys, &e), &keys, &e);
        break;
    case 'e':
        credentials_sts_code(rest, &a, code, sizeof code);
        break;
    default:
        check_profile(rest, &a);
        break;
    }
    arena_fini(&a);
    return 0;
}
