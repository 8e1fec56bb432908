/* The process's AWS credentials, kept fresh by a thread of its own, so that who signs never waits
 * for a network: fetched from the first source that is set up (credentials_source.h), refreshed
 * well before they expire, with jitter; when that fails, the old ones serve until they expire. */
#pragma once

#include "aws/keys.h"
#include "base/arena.h"
#include "base/err.h"

struct credentials;

struct credentials_options {
    char **environment;     /* NULL = the process's; outlives the credentials */
    const char *user_agent; /* of the requests to STS and the like */
    int64_t min_refresh_ms; /* credentials_refresh asks no sooner again */
};

/* Starts the thread; the first fetch is under way. */
bool credentials_open(const struct credentials_options *o, struct credentials **out,
                      struct err *e) MUST_CHECK;
void credentials_close(struct credentials *c);

/* The keys in force; waits up to wait_ms for the first ones. Strings in the arena. False: there are
 * none, or they have expired; ERR_CONFIG where the set-up is wrong, else ERR_RETRY, with the last
 * failure's text. Any thread. */
bool credentials_get(struct credentials *c, int64_t wait_ms, struct arena *a, struct aws_keys *out,
                     struct err *e) MUST_CHECK;
/* Asks for fresh ones: somebody was told 401 or 403. Returns at once. */
void credentials_refresh(struct credentials *c);

/* The region that the environment or the profile names; false, and ERR_CONFIG, when none does. */
bool credentials_find_region(char **environment, char *out, size_t n_out, struct err *e) MUST_CHECK;
/* The configured one, checked; where that is empty (or NULL), what is found in the process's environment. name is the
 * key's, for messages. */
bool credentials_choose_region(const char *configured, const char *name, char *out, size_t n_out,
                               struct err *e) MUST_CHECK;

/* Is a source set up, and rightly as far as can be told without asking anybody? ERR_CONFIG names
 * what is wrong or missing. */
bool credentials_check_setup(char **environment, struct err *e) MUST_CHECK;

struct credentials_status {
    char source[32];    /* "web identity"; "" = none yet */
    int64_t expires_ms; /* 0 = no keys */
    uint64_t n_fetched;
    uint64_t n_failed;
    char failure[240]; /* of the last fetch; "" when it went well */
};

void credentials_status(struct credentials *c, struct credentials_status *out);

/* When to refresh keys that were fetched at now_ms: 15 minutes before they expire, or at half of a
 * lifetime shorter than half an hour, up to an eighth of that sooner; what never expires is read again
 * after 5 minutes; random is 0 … UINT32_MAX. */
int64_t credentials_due_ms(int64_t now_ms, int64_t expires_ms, uint32_t random);
