#include "fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "aws/region.h"
#include "aws/s3_object.h"

enum {
    CHUNK_BYTES = 8 << 20,
    ARENA_BYTES = 1 << 20,
    TIMEOUT_MS = 60000,
    MIN_BACKOFF_MS = 200,
    MAX_BACKOFF_MS = 5000,
    MAX_ATTEMPTS = 4,
    MIN_REFRESH_MS = 5000,
    MAX_BUCKET_CHARS = 63
};

static const char scheme[] = "s3://";
static const char user_agent[] = "sluice/" SLUICE_VERSION;

bool fetch_is_asked(const char *path)
{
    return strncmp(path, scheme, sizeof scheme - 1) == 0;
}

static bool write_all(int fd, struct slice bytes, struct err *e)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set_code(e, ERR_FATAL, errno, "a temporary file: %s", strerror(errno));
        }
        bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return true;
}

static bool size_of(struct s3 *s3, struct slice key, int64_t *n_bytes, struct err *e)
{
    struct arena a;
    struct s3_head head;
    arena_init(&a, ARENA_BYTES);
    bool ok = s3_head(s3, key, NULL, 0, NULL, &a, &head, e) &&
              (head.found || err_set(e, ERR_BAD_INPUT, "there is no such object"));
    *n_bytes = ok ? head.n_bytes : 0;
    arena_fini(&a);
    return ok;
}

/* A piece at a time, so that memory stays small however large the object is. */
bool fetch_copy(struct s3 *s3, struct slice key, int fd, int64_t *n_bytes, struct err *e)
{
    bool found = true;
    struct buf piece;
    buf_init(&piece, CHUNK_BYTES);
    bool ok = size_of(s3, key, n_bytes, e);
    for (int64_t at = 0; ok && at < *n_bytes; at += CHUNK_BYTES) {
        int64_t n = *n_bytes - at < CHUNK_BYTES ? *n_bytes - at : CHUNK_BYTES;
        buf_reset(&piece);
        ok = s3_get(s3, key, at, n, &piece, &found, e) &&
             ((found && (int64_t)piece.len == n) ||
              err_set(e, ERR_RETRY, "the object changed while it was read")) &&
             write_all(fd, buf_slice(&piece), e);
    }
    buf_fini(&piece);
    return ok;
}

static bool fetch(const struct fetch_options *o, const char *bucket, const char *key, int fd, struct err *e)
{
    char region[REGION_MAX_CHARS + 1];
    struct credentials *credentials = NULL;
    struct s3 *s3 = NULL;
    const struct credentials_options how = {.user_agent = user_agent, .min_refresh_ms = MIN_REFRESH_MS};
    if (!credentials_choose_region(o->region, "--region", region, sizeof region, e) || !credentials_open(&how, &credentials, e)) {
        return false;
    }
    const struct s3_options options = {
        .bucket = bucket,
        .region = region,
        .endpoint = o->endpoint,
        .path_style = o->path_style,
        .fips = o->fips,
        .dual_stack = o->dual_stack,
        .ca_file = o->ca_file,
        .user_agent = user_agent,
        .timeout_ms = TIMEOUT_MS,
        .max_attempts = MAX_ATTEMPTS,
        .min_backoff_ms = MIN_BACKOFF_MS,
        .max_backoff_ms = MAX_BACKOFF_MS,
        .max_connections = 1,
        .max_answer_bytes = 2 * CHUNK_BYTES,
        .credentials = credentials,
    };
    int64_t n_bytes;
    bool ok = s3_open(&options, &s3, e) && fetch_copy(s3, slice_str(key), fd, &n_bytes, e);
    s3_close(s3);
    credentials_close(credentials);
    return ok;
}

bool fetch_object(const struct fetch_options *o, const char *url, int *fd, struct err *e)
{
    char bucket[MAX_BUCKET_CHARS + 1];
    const char *at = url + sizeof scheme - 1;
    const char *slash = strchr(at, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - at);
    if (n == 0 || n > MAX_BUCKET_CHARS || slash[1] == '\0') {
        return err_set(e, ERR_CONFIG, "is not s3://BUCKET/KEY");
    }
    memcpy(bucket, at, n);
    bucket[n] = '\0';
    FILE *file = tmpfile();
    *fd = file == NULL ? -1 : dup(fileno(file));
    if (file != NULL) {
        (void)fclose(file);
    }
    if (*fd < 0) {
        return err_set_code(e, ERR_FATAL, errno, "no temporary file can be made: %s", strerror(errno));
    }
    if (!fetch(o, bucket, slash + 1, *fd, e)) {
        (void)close(*fd);
        return false;
    }
    return true;
}
