/* The process's credentials, on command (lines of input), for tests/flow/test_credentials.py:
 *   get <wait ms>   → {"ok": true, "access": …, "secret": …, "token": …, "expires_ms": …} or
 *                     {"ok": false, "kind": …, "error": …}
 *   refresh         → {}
 *   status          → {"source": …, "fetched": …, "failed": …, "failure": …, "expires_ms": …} */
#include "aws/credentials.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static json_t *get(struct credentials *c, int64_t wait_ms)
{
    struct arena a;
    struct aws_keys keys;
    struct err e = ERR_INIT;
    json_t *answer;
    arena_init(&a, 1 << 20);
    if (credentials_get(c, wait_ms, &a, &keys, &e)) {
        answer = json_pack("{s:b, s:s, s:s, s:s, s:I}", "ok", 1, "access", keys.access_key,
                           "secret", keys.secret_key, "token", keys.session_token, "expires_ms",
                           (json_int_t)keys.expires_ms);
    } else {
        answer = json_pack("{s:b, s:s, s:s}", "ok", 0, "kind",
                           e.kind == ERR_CONFIG ? "config" : "retry", "error", e.text);
    }
    arena_fini(&a);
    return answer;
}

static json_t *status(struct credentials *c)
{
    struct credentials_status s;
    credentials_status(c, &s);
    return json_pack("{s:s, s:I, s:I, s:s, s:I}", "source", s.source, "fetched",
                     (json_int_t)s.n_fetched, "failed", (json_int_t)s.n_failed, "failure",
                     s.failure, "expires_ms", (json_int_t)s.expires_ms);
}

static json_t *obey(struct credentials *c, const char *line)
{
    if (strncmp(line, "get ", 4) == 0) {
        return get(c, strtoll(line + 4, NULL, 10));
    }
    if (strncmp(line, "refresh", 7) == 0) {
        credentials_refresh(c);
        return json_object();
    }
    return status(c);
}

int main(void)
{
    const struct credentials_options o = {.user_agent = "sluice-test/1", .min_refresh_ms = 0};
    struct credentials *c;
    struct err e = ERR_INIT;
    char line[64];
    if (!credentials_open(&o, &c, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        json_t *answer = obey(c, line);
        (void)json_dumpf(answer, stdout, 0);
        printf("\n");
        (void)fflush(stdout);
        json_decref(answer);
    }
    credentials_close(c);
    return EXIT_SUCCESS;
}
