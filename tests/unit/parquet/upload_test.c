/* What becomes of jobs that nobody wants any more, while S3 does not answer. What is stored, and how,
 * is tests/flow/test_parquet.py's and tests/fault/test_parquet.py's. */
#include "../runner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "game_load.h"
#include "upload.h"

enum { N_JOBS = 5 };

/* A server that takes connections and says nothing. */
static int silent_server(char endpoint[64])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(endpoint, 64, "http://127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

/* With a scratch file: what it holds can be counted. */
static struct range *spilled_range(const struct layout *l)
{
    const struct game_load_options load_options = {
        .n_servers = 700, .n_metrics = 60, .n_scrapes = 1, .base_ms = INT64_C(1790000000000)};
    const struct range_options o = {.topic = "t",
                                    .topic_id = "id",
                                    .scratch_dir = "/tmp",
                                    .max_rows_bytes = RANGE_LEAST_ROWS_BYTES};
    struct game_load *load = game_load_new(&load_options);
    struct range *r;
    struct batch b;
    struct err e = ERR_INIT;
    ck_assert_msg(range_open(&o, l, &r, &e), "%s", e.text);
    for (int64_t offset = 0; game_load_next(load, &b); offset++) {
        ck_assert_msg(range_add(r, &b, offset, &e), "%s", e.text);
    }
    ck_assert_uint_gt(range_scratch_bytes(r), 0);
    game_load_free(load);
    return r;
}

static size_t n_open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL) {
        n++;
    }
    (void)closedir(d);
    return n;
}

static struct uploader *uploader_new(const char *endpoint, struct credentials *credentials, int wake_fd)
{
    struct uploader *u;
    struct err e = ERR_INIT;
    const struct uploader_options o = {.s3 = {.bucket = "bucket",
                                              .region = "eu-central-1",
                                              .endpoint = endpoint,
                                              .path_style = true,
                                              .user_agent = "test",
                                              .timeout_ms = 600000,
                                              .max_attempts = 1,
                                              .max_connections = 1,
                                              .max_answer_bytes = 1 << 20,
                                              .credentials = credentials},
                                       .n_threads = 1,
                                       .scratch_dir = "/tmp",
                                       .multipart_bytes = SIZE_MAX,
                                       .min_backoff_ms = 600000,
                                       .max_backoff_ms = 600000,
                                       .kms_key = "",
                                       .tagging = "",
                                       .wake_fd = wake_fd};
    ck_assert_msg(uploader_open(&o, &u, &e), "%s", e.text);
    return u;
}

/* Partitions come and go while the only thread waits for S3: what they had gathered does not stay. */
START_TEST(a_job_that_waits_is_given_up_at_once)
{
    char endpoint[64];
    struct layout l;
    struct credentials *credentials;
    struct upload *jobs[N_JOBS];
    struct upload *hanging;
    struct err e = ERR_INIT;
    const struct credentials_options how = {.user_agent = "test", .min_refresh_ms = 1000};
    (void)setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    ck_assert(layout_init(&l, "p", 1, false, NULL, 0, &e));
    ck_assert_msg(credentials_open(&how, &credentials, &e), "%s", e.text);
    int server = silent_server(endpoint);
    int wake_fd = eventfd(0, EFD_NONBLOCK);
    struct uploader *u = uploader_new(endpoint, credentials, wake_fd);
    ck_assert(upload_look(u, "p", "name", &hanging, &e));
    int peer = accept(server, NULL, NULL); /* the thread has begun */
    ck_assert_int_ge(peer, 0);
    size_t before = n_open_files();
    for (int i = 0; i < N_JOBS; i++) {
        struct upload_order order = {.range = spilled_range(&l), .topic = "t"};
        ck_assert(upload_store(u, &order, &jobs[i], &e));
    }
    ck_assert_uint_ge(n_open_files(), before + N_JOBS);
    for (int i = 0; i < N_JOBS; i++) {
        upload_release(jobs[i]);
    }
    ck_assert_uint_eq(n_open_files(), before);
    upload_release(hanging);
    (void)close(peer);
    (void)close(server);
    ck_assert(uploader_close(u));
    credentials_close(credentials);
    (void)close(wake_fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upload");
    TCase *tests = tcase_create("upload");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_job_that_waits_is_given_up_at_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
