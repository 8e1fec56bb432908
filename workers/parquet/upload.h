/* What is done with S3, on threads of its own, so that the loop polls on: a range's objects stored,
 * each only if absent; or looked whether a partition has any. What may pass is tried for ever, with
 * backoff; a job that waits leaves its thread to others. No Kafka. */
#pragma once

#include "aws/s3.h"
#include "ledger/intent.h"
#include "range.h"

struct uploader;
struct upload; /* one job */

struct uploader_options {
    struct s3_options s3;
    int n_threads;
    const char *scratch_dir;
    size_t multipart_bytes; /* objects from here on go in parts of part_bytes */
    size_t part_bytes;
    int64_t min_backoff_ms;
    int64_t max_backoff_ms;
    const char *kms_key;         /* "" = as the bucket has it */
    const char *const *kms_keys; /* "tenant=key": of the objects of one tenant */
    size_t n_kms_keys;
    const char *tagging;
    int wake_fd; /* eventfd: written when a job has ended */
};

/* The strings outlive the uploader. */
bool uploader_open(const struct uploader_options *o, struct uploader **out,
                   struct err *e) MUST_CHECK;
/* Jobs are given up. False: one is in the middle of a request and did not come back; it is left to
 * itself, with all that it uses: the process has to end now. */
bool uploader_close(struct uploader *u) MUST_CHECK;

/* A range whose intent is answered. */
struct upload_order {
    struct range *range; /* taken over, also on failure */
    struct intent intent;
    const char *topic;
    int32_t partition;
    bool is_redo; /* uploads that somebody else left unfinished are aborted first */
    bool mends;   /* one that is there with the very bytes, but whose metadata tell otherwise, is
                     stored once more; else it is a conflict */
};

bool upload_store(struct uploader *u, const struct upload_order *order, struct upload **out,
                  struct err *e) MUST_CHECK;
/* Is there an object of any table below the layout's prefix whose file's name begins with name? */
bool upload_look(struct uploader *u, const char *prefix, const char *name, struct upload **out,
                 struct err *e) MUST_CHECK;

enum upload_state {
    UPLOAD_RUNS,
    UPLOAD_DONE,
    UPLOAD_CONFLICT /* there is another object of that key: trouble says which; or (look) one was
                       found */
};

struct upload_counts {
    size_t n_stored;
    size_t n_existed;
    uint64_t n_rows; /* of both */
    uint64_t n_rows_existed;
    uint64_t n_bytes;
};

struct upload_status {
    enum upload_state state;
    struct upload_counts tables[N_TABLES];
    size_t n_parts_aborted;
    uint64_t n_failures;
    bool is_failing; /* the last try failed: trouble says how */
    bool is_scratch; /* … here, not at S3 */
    bool is_denied;
    double seconds; /* from start to end */
    char trouble[240];
};

void upload_status(struct upload *j, struct upload_status *out);
/* Ends the caller's interest; a job that a thread has is given up at its next step. NULL is fine. */
void upload_release(struct upload *j);
